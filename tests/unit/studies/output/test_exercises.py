"""The exercises take the right number, and no other."""

import numpy as np
import pandas as pd
import pytest

from bitskept.base.exercises import NotYet
from bitskept.studies.output import exercises
from bitskept.studies.output.spread import SAMPLES
from bitskept.studies.output.spread_areas import ALL, CHANCE, SAME
from bitskept.theory.dispersion import log_volume


def test_the_cosine_has_that_volume(capsys):
    cosine = np.sqrt(1 - 2**-10)
    assert log_volume(np.array([[1, 0], [cosine, np.sqrt(1 - cosine**2)]]), ridge=1e-12) == pytest.approx(-10)
    exercises.cosine_of_volume(cosine, bits=-10)
    assert "That is right" in capsys.readouterr().out
    with pytest.raises(NotYet, match="1 - c²"):
        exercises.cosine_of_volume(np.sqrt(1 - 2**-5), bits=-10)  # the volume itself in place of its square


def test_mixing_costs_no_more(capsys):
    random = np.random.default_rng(0)
    model, other = random.dirichlet(np.full(50, 0.05), 2)
    model, other = np.maximum(model, 1e-12), np.maximum(other, 1e-12)
    bits = np.log2(model) - np.log2(0.75 * model + 0.25 * other)
    assert bits.max() == pytest.approx(-np.log2(0.75), abs=0.01)
    exercises.cost_of_mixing(-np.log2(0.75), weight=0.25)
    assert "That is right" in capsys.readouterr().out
    with pytest.raises(NotYet, match="at least 1 - weight"):
        exercises.cost_of_mixing(2, weight=0.25)


def test_what_is_left_within_kinds(capsys):
    rows = [(ALL, CHANCE, 0.9), (SAME, CHANCE, 0.6), (ALL, "entropy", 0.1), (SAME, "entropy", 0.2)]
    areas = pd.DataFrame(rows, columns=["pairs", "against", "estimate"]).assign(measure=SAMPLES, layer=np.nan)
    exercises.left_within_kinds(0.25, areas, measure=SAMPLES)
    assert "That is right" in capsys.readouterr().out
    with pytest.raises(NotYet, match="among questions of the same kind"):
        exercises.left_within_kinds(0.667, areas, measure=SAMPLES)
