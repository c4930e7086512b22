"""Correlations over runs, without what differs between twins of other names."""

import numpy as np
import pandas as pd
import pytest

from bitskept.instruments.training.twin_runs import BERT, DIFFUSION, MASK, NEXT
from bitskept.studies.dynamics.between_runs import beside_guessing, beyond_guessing, correlations, of_learned
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


def test_only_runs_that_have_learned_count():
    table = runs({NEXT: 3}, rankme=[1.0, 2, 3], blimp=[4.0, 5, 6]).assign(size=96, amount=10, seed=[0, 1, 2] * 2)
    passed = pd.DataFrame({"twin": NEXT, "size": 96, "amount": 10, "seed": [0, 1, 2], "learned": [True, False, True]})
    assert of_learned(table, passed)["estimate"].tolist() == [1, 3, 4, 6]


SCORES = {
    "lee spearman": [0.6, 0.7, 0.65],
    "lee linear_accuracy": [0.5, 0.5, 0.49],
    "simlex spearman": [-0.7, -0.6, -0.65],
    "blimp pair_accuracy": [0.55, 0.45, 0.6],
    "blimp pair_margin": [9.0, 9.0, 9.0],
}


def test_scores_are_held_against_guessing_with_the_error_of_few_items():
    table = runs({NEXT: 3}, rankme=[1.0, 2, 3], **SCORES)
    found = beside_guessing(table, 100).set_index("score")
    assert found["better"].to_dict() == {
        "blimp pair_accuracy": False, "lee linear_accuracy": False, "lee spearman": True, "simlex spearman": False,
    }  # fmt: skip
    row = found.loc["blimp pair_accuracy"]
    assert row[["chance", "smallest", "largest", "runs"]].tolist() == [0.5, 0.45, 0.6, 3]
    assert row["estimate"] == pytest.approx(1.6 / 3)
    assert row["estimate"] - row["low"] > 1.96 * 0.05
    assert found.loc["lee spearman", "high"] - found.loc["lee spearman", "low"] > 2 * 1.96 * 0.1
    same = beside_guessing(runs({NEXT: 3}, **{"blimp pair_accuracy": [0.59] * 3}), 100)
    assert not same["better"].item()  # three runs do not make up for 100 items
    assert beside_guessing(runs({NEXT: 3}, **{"blimp pair_accuracy": [0.59] * 3}), 10_000)["better"].item()
    assert not len(beside_guessing(table[table["quantity"] == "rankme"], 100))


def test_scores_count_if_one_of_their_task_is_better_than_guessing():
    table = runs({NEXT: 3}, rankme=[1.0, 2, 3], **SCORES)
    kept = beyond_guessing(table, beside_guessing(table, 100))
    assert kept["quantity"].unique().tolist() == ["rankme", "lee spearman", "lee linear_accuracy"]
    none = table[:0]  # where no run has learned
    assert correlations(beyond_guessing(none, beside_guessing(none, 100)), seed=0).empty
