import numpy as np
import pandas as pd
import pytest

from bitskept.studies.dynamics.late_forgetting import differences
from bitskept.theory.repeated_runs import mean_over_runs
from bitskept.theory.statistics import holm

ERROR = 0.05
ENTROPY = 8.0


def checkpoints(late, *, steps=(0, 64), probes=("centroid",), error=ERROR, start=0.0):
    """Late forgetting by twin: one number per seed at the last step, `start` before."""
    facts = {"size": 64, "amount": 100, "layer": None, "k": None}
    rows = []
    for twin, values in late.items():
        for seed, value in enumerate(values):
            for step in steps:
                run = facts | {"twin": twin, "seed": seed, "step": step, "unit": "bits per token"}
                one = value if step == steps[-1] else start
                for probe in probes:
                    ends = {"estimate": one, "low": one - 1.96 * error, "high": one + 1.96 * error}
                    rows.append(run | ends | {"quantity": "late_forgetting", "probe": probe})
                    rows.append(run | {"quantity": "entropy", "probe": probe, "estimate": ENTROPY})
    return pd.DataFrame(rows).astype({"layer": "Int64", "k": "Int64", "probe": "str"})


def in_bits(table):
    return table[table["unit"] == "bits per token"].set_index("other")


def test_seeds_are_paired_and_the_errors_of_items_combined():
    found = differences(checkpoints({"causal": [1.0, 2.0, 3.0], "masked": [0.5, 1.5, 2.6]}))
    row = in_bits(found).loc["masked"]
    known = mean_over_runs(np.array([0.5, 0.5, 0.4]), ERROR * 2**0.5)
    assert row[["estimate", "low", "high", "p"]].tolist() == pytest.approx(known, rel=1e-6)
    assert row[["step", "runs", "missing", "sure"]].tolist() == [64, 3, 0, "more"]
    assert row[["causal_mean", "other_mean"]].tolist() == pytest.approx([2, 4.6 / 3])
    share = found[found["unit"] == "share of H(X)"].iloc[0]
    assert share[["estimate", "low", "high"]].tolist() == pytest.approx([x / ENTROPY for x in known[:3]], rel=1e-6)
    assert share["sure"] == "more"


def test_p_is_adjusted_for_the_number_of_other_twins_under_a_probe():
    late = {"causal": [1.0], "masked": [0.85], "diffusion": [0.86], "state-space": [1.0]}
    found = differences(checkpoints(late, probes=("centroid", "ridge")))
    for _, rows in found.groupby(["probe", "unit"]):
        assert len(rows) == 3
        assert rows["p_holm"].tolist() == pytest.approx(holm(rows["p"].to_numpy(float)).tolist())
    masked = found[found["other"] == "masked"]
    assert (masked["p"] < 0.05).all()
    assert (masked["sure"] == "").all()


def test_only_seeds_that_both_have_count():
    table = checkpoints({"causal": [1.0, 1.0], "masked": [0.0, 0.0, 0.0]})
    assert in_bits(differences(table)).loc["masked", ["step", "runs", "estimate"]].tolist() == [64, 2, 1]
    table.loc[(table["twin"] == "causal") & (table["seed"] == 1), "estimate"] = np.nan
    row = in_bits(differences(table)).loc["masked"]
    assert row[["runs", "missing", "estimate"]].tolist() == [1, 1, 1]


def test_without_another_twin_there_is_nothing_to_compare():
    assert not len(differences(checkpoints({"causal": [1.0]})))


def test_of_layers_the_last_counts():
    layers = [
        checkpoints({"causal": [value], "masked": [0.0]}).assign(layer=layer) for layer, value in ((1, 9.0), (6, 1.0))
    ]
    assert in_bits(differences(pd.concat(layers).astype({"layer": "Int64"}))).loc["masked", "estimate"] == 1


@pytest.mark.parametrize(("runs", "own"), [(1, 0.0), (2, 0.1), (3, 0.0)])
def test_twins_that_do_not_differ_are_seldom_found_to_differ(runs, own):
    """Also where the items err in the same way for all seeds."""
    random, tables = np.random.default_rng(0), []
    for _ in range(40):
        late = {twin: ERROR * random.normal() + own * random.normal(size=runs) for twin in ("causal", "masked")}
        tables.append(in_bits(differences(checkpoints(late, steps=(64,)))))
    found = pd.concat(tables)
    assert (found["sure"] != "").mean() <= 0.1
    assert ((found["low"] <= 0) & (found["high"] >= 0)).mean() >= 0.9
