"""What the figures of notebook 06 must not leave out."""

import numpy as np
import pandas as pd
import pytest

from bitskept.instruments import claims as outcomes
from bitskept.studies.semantic import figures, rewards


@pytest.mark.parametrize("step", [0.01, 0.05, 0.07, 0.1])
def test_every_sample_is_in_a_bar(step):
    earned = step * np.arange(11.0).repeat(20) / 2
    points = rewards.frontier(earned, [0.0, 1.0], [1, 2], replicates=20)
    _, right = figures.reward(rewards.with_cheapest(points, earned)).axes
    assert sum(bar.get_height() for bar in right.patches) == len(earned)
    assert right.patches[0].get_height() == (earned < figures.BIN / 2).sum()


def test_controls_are_named_as_such():
    row = {"model": "m", "unit": "bits", "p": 0.001, "clusters": 40, "detectable": 1.0}
    row |= {"estimate": 2.0, "low": 1.9, "high": 2.1}
    rows = pd.DataFrame([row | {"claim": "a", "paper": "P3"}, row | {"claim": "b", "paper": outcomes.CONTROL}])
    drawn = figures.claims(outcomes.table(rows, relevant=0.1))
    assert [axes.get_title(loc="left") for axes in drawn.axes] == ["a", "control: b"]
