"""The exercises take the right number, and no other."""

import numpy as np
import pandas as pd
import pytest

from bitskept.base.exercises import NotYet
from bitskept.studies.output import exercises
from bitskept.studies.output.spread import SAMPLES
from bitskept.studies.output.spread_areas import ALL, CHANCE, SAME


def test_the_ceiling_is_where_its_steps_lead(capsys):
    surprisals, place = np.random.default_rng(0).gamma(2.0, 1.5, 50), 6.0
    for surprisal in surprisals:
        place -= surprisal - 3
    exercises.ceiling(place, target=3, mean=float(surprisals.mean()), tokens=50)
    assert "That is right" in capsys.readouterr().out
    with pytest.raises(NotYet, match="Each token moves the ceiling"):
        exercises.ceiling(11, target=3, mean=3.1, tokens=50)  # with the wrong sign


def test_gains_make_up_for_losses(capsys):
    saved = -9 * np.log2(0.95)
    mean = 0.9 * np.log2(0.95) + 0.1 * saved
    assert mean == pytest.approx(0)
    exercises.break_even(saved, weight=0.05, losing=0.9)
    assert "That is right" in capsys.readouterr().out
    with pytest.raises(NotYet, match="make up for that"):
        exercises.break_even(-np.log2(0.95), weight=0.05, losing=0.9)


def test_what_is_left_within_kinds(capsys):
    rows = [(ALL, CHANCE, 0.9), (SAME, CHANCE, 0.6), (ALL, "entropy", 0.1), (SAME, "entropy", 0.2)]
    areas = pd.DataFrame(rows, columns=["pairs", "against", "estimate"]).assign(measure=SAMPLES, layer=np.nan)
    exercises.left_within_kinds(0.25, areas, measure=SAMPLES)
    assert "That is right" in capsys.readouterr().out
    with pytest.raises(NotYet, match="among questions of the same kind"):
        exercises.left_within_kinds(0.667, areas, measure=SAMPLES)
