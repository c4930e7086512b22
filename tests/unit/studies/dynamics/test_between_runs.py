"""Correlations over runs, without what differs between twins of other names."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, rankdata

from bitskept.instruments.training.twin_runs import BERT, DIFFUSION, MASK, NEXT
from bitskept.studies.dynamics import between_runs
from bitskept.studies.dynamics.between_runs import correlations, within_groups
from bitskept.studies.dynamics.checkpoints import GAIN

GROUPS = np.array([1, 0, 1, 0, 0, 1])


def centred(values):
    ranks = rankdata(values)
    return ranks - np.array([ranks[group == GROUPS].mean() for group in GROUPS])


@pytest.mark.parametrize("seed", range(4))
def test_p_is_that_of_all_permutations_within_groups(seed):
    """Six units in two groups: 3! * 3! = 36 arrangements."""
    random = np.random.default_rng(seed)
    x, y = random.normal(size=6) + 5 * GROUPS, random.normal(size=6) - 5 * GROUPS
    left, right = centred(x), centred(y)
    places, null = [np.flatnonzero(group == GROUPS) for group in (0, 1)], []
    for orders in itertools.product(*(itertools.permutations(part) for part in places)):
        shuffled = np.empty(6)
        for part, order in zip(places, orders, strict=True):
            shuffled[part] = right[list(order)]
        null.append(left @ shuffled / np.sqrt(left @ left * (right @ right)))
    estimate, p = within_groups(x, y, GROUPS, seed=0)
    assert len(null) == 36
    assert estimate == pytest.approx(left @ right / np.sqrt(left @ left * (right @ right)))
    assert p == pytest.approx(np.mean(np.abs(null) >= abs(estimate) - 1e-12), abs=0.02)


def test_what_differs_between_groups_alone_is_no_correlation():
    x = 10.0 * GROUPS + np.array([0, 1, 0, 1, 1, 0])
    assert abs(within_groups(x, 10.0 * GROUPS + np.array([0, 0, 1, 1, 0, 1]), GROUPS, seed=0)[0]) < 0.8
    assert within_groups(x, 10.0 * GROUPS, GROUPS, seed=0) == (0.0, 1.0)


def test_p_is_seldom_small_by_chance(monkeypatch):
    monkeypatch.setattr(between_runs, "PERMUTATIONS", 99)
    random, groups = np.random.default_rng(0), np.repeat([0, 1, 2], [5, 4, 2])
    found = [
        within_groups(random.normal(size=11) + 3 * groups, random.normal(size=11) + 3 * groups, groups, seed=seed)[1]
        for seed in range(300)
    ]
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(found) <= level) < level + 2 * np.sqrt(level * (1 - level) / 300)
    assert np.mean(np.array(found) <= 0.5) > 0.4  # and it is no more careful than it must be


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


def test_what_would_have_been_seen_is_seen_four_times_in_five():
    """By Fisher's z with the standard error that the formula takes."""
    for units, tests in ((12, 1), (30, 10)):
        least = between_runs._detectable(units, tests)
        limit = norm.isf(0.025 / tests) / np.sqrt(units - 3)
        assert norm.sf((limit - np.arctanh(least)) * np.sqrt(units - 3)) == pytest.approx(0.8)
        assert between_runs._detectable(units + 1, tests) < least < between_runs._detectable(units, tests + 1)
