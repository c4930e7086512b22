"""Correlations over runs, without what differs between twins of other names."""

import numpy as np
import pandas as pd
import pytest

from bitskept.instruments.training.twin_runs import BERT, DIFFUSION, MASK, NEXT
from bitskept.studies.dynamics.between_runs import correlations
from bitskept.studies.dynamics.checkpoints import GAIN


def runs(counts, **columns):
    """A table of runs: quantities by name, in the order of the twins."""
    names = [(twin, f"{twin}-{seed}") for twin, number in counts.items() for seed in range(number)]
    return pd.DataFrame(
        [
            {"twin": twin, "run": run, "quantity": quantity, "estimate": value}
            for quantity, values in columns.items()
            for (twin, run), value in zip(names, values, strict=True)
        ]
    )


RISING = np.arange(10.0)


def test_a_planted_correlation_is_found_and_a_twin_with_one_run_skipped():
    falling = [0, -1, -2, -4, -3, -5, -6, -7, -9, -8.0]
    table = runs({NEXT: 5, BERT: 5, MASK: 1}, rankme=[*RISING, 99], bits_per_byte=[*falling, 99])
    [row] = correlations(table, seed=0).to_dict("records")
    assert (row["target"], row["measure"], row["runs"], row["twins"]) == ("bits_per_byte", "rankme", 10, 2)
    assert row["estimate"] == pytest.approx(-0.9)
    assert -1 < row["low"] < row["estimate"] < row["high"] < 0
    assert row["p"] < 0.01
    assert row["p_holm"] == row["p"]
    assert row["sure"]


def test_gains_are_those_of_twins_that_name_hidden_tokens():
    table = runs({NEXT: 5, BERT: 5, DIFFUSION: 4}, rankme=np.arange(14), **{GAIN: np.arange(14.0)})
    [row] = correlations(table, seed=0).to_dict("records")
    assert (row["target"], row["runs"], row["twins"]) == (GAIN, 9, 2)


def test_p_is_adjusted_for_the_measures_of_a_target():
    random = np.random.default_rng(0)
    columns = {name: random.normal(size=12) for name in ("rankme", "retained", "complexity", "bits_per_byte", "lee r")}
    found = correlations(runs({NEXT: 6, BERT: 6}, **columns), seed=0)
    assert found["target"].tolist() == ["bits_per_byte"] * 3 + ["lee r"] * 3
    for _, rows in found.groupby("target"):
        assert rows["p_holm"].min() == pytest.approx(min(1, 3 * rows["p"].min()))
    assert found["sure"].tolist() == (found["p_holm"] < 0.05).tolist()


def test_too_few_runs_and_what_does_not_vary_are_left_out():
    table = runs({NEXT: 4, BERT: 3}, rankme=np.arange(7), bits_per_byte=np.arange(7.0))
    assert not len(correlations(table, seed=0))  # 7 runs of 2 twins: 5 of them are free
    table = runs({NEXT: 5, BERT: 5}, rankme=[1] * 10, bits_per_byte=RISING)
    assert not len(correlations(table, seed=0))
    some = runs({NEXT: 5, BERT: 5}, rankme=[*RISING[:7], *[np.nan] * 3], bits_per_byte=RISING)
    assert not len(correlations(some, seed=0))
