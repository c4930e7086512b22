import numpy as np
import pandas as pd
import pytest

from bitskept.studies.dynamics.comparing_runs import adjusted, at_last_layer, difference, judged, pooled
from bitskept.theory.repeated_runs import mean_over_runs


def test_each_network_has_its_own_last_layer_and_rows_without_a_layer_stay():
    table = pd.DataFrame(
        {"twin": ["a", "a", "b", "b", "b"], "size": 1, "amount": 1, "layer": pd.array([1, 6, 1, 12, None], "Int64")}
    )
    assert at_last_layer(table).index.tolist() == [1, 3, 4]


def test_more_seeds_do_not_make_up_for_few_items():
    for runs in (1, 2, 9):
        mean = pooled(np.full(runs, 0.5), np.full(runs, 0.1))
        assert mean.high - mean.low == pytest.approx(2 * 1.96 * 0.1, abs=1e-4)
    assert pooled(np.array([0.1, 0.4]), np.full(2, 0.1)) == pytest.approx(mean_over_runs(np.array([0.1, 0.4]), 0.1))


def test_missing_values_are_left_out():
    nan = np.nan
    assert pooled(np.array([1.0, nan, 3.0]), np.zeros(3)) == pytest.approx(pooled(np.array([1.0, 3.0]), np.zeros(2)))
    assert np.isnan(pooled(np.full(3, nan), np.zeros(3))).all()
    mean = pooled(np.array([1.0]), np.array([nan]))
    assert mean.estimate == 1
    assert np.isnan(mean[1:]).all()


@pytest.mark.parametrize(("runs", "spread"), [(1, 0.0), (2, 0.5), (3, 1.0), (5, 0.5)])
def test_the_mean_of_runs_that_share_their_items_covers_the_truth(runs, spread):
    random = np.random.default_rng(0)
    draws = (random.normal() + spread * random.normal(size=runs) for _ in range(400))
    covered = [low <= 0 <= high for _, low, high, _ in (pooled(values, np.ones(runs)) for values in draws)]
    assert 0.92 < np.mean(covered) < 0.975


def rows(values, **facts):
    table = pd.DataFrame({"seed": range(len(values)), "estimate": values})
    return table.assign(low=table["estimate"] - 0.196, high=table["estimate"] + 0.196, **facts)


def test_rows_are_paired_and_the_errors_of_items_combined():
    found = difference(rows([1.0, 2.0, 3.0]), rows([0.5, 1.0]), ["seed"])
    assert found[["seed", "estimate", "first", "second"]].to_numpy().tolist() == [[0, 0.5, 1, 0.5], [1, 1, 2, 1]]
    assert found["error"].tolist() == pytest.approx([0.1 * 2**0.5] * 2, rel=1e-4)


def test_layers_are_not_taken_for_runs():
    with pytest.raises(ValueError, match="not a one-to-one merge"):
        difference(rows([1.0, 1.0]).assign(seed=0), rows([1.0]), ["seed"])


def test_p_values_are_adjusted_within_their_family():
    table = pd.DataFrame({"p": [0.01, 0.04, 0.03], "estimate": [1.0, -1.0, -1.0], "probe": ["a", "a", "b"]})
    assert judged(table, "probe")[["p_holm", "sure"]].to_numpy().tolist() == [
        *([0.02, "more"], [0.04, "less"], [0.03, "less"]),
    ]
    assert judged(table.assign(p=0.03), "probe")["sure"].tolist() == ["", "", "less"]
    assert adjusted(pd.Series([0.01, np.nan])).tolist() == [0.02, 1]
