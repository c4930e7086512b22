import numpy as np
import pandas as pd
import pytest

from bitskept.studies.dynamics.predictors import over_runs, within_runs
from bitskept.theory.repeated_runs import mean_over_runs
from bitskept.theory.statistics import partial_spearman, spearman

STEPS = [0, *(2**power for power in range(11))]
PLACES = {
    "retained_cross_entropy": {"layer": 6, "probe": "centroid"},
    "late_forgetting": {"probe": "centroid"},
    "rankme": {"layer": 6},
    "complexity_corrected": {"k": 1},
    "optimality_corrected": {"k": 1},
}


def run(values, *, seed=0, twin="causal"):
    """The table of one run: each quantity's values by step."""
    rows = [
        {"twin": twin, "seed": seed, "size": 64, "amount": 100, "step": step, "layer": None, "probe": None, "k": None,
         "quantity": quantity, "estimate": value} | PLACES.get(quantity, {})
        for quantity, some in values.items()
        for step, value in zip(STEPS, some, strict=False)
    ]  # fmt: skip
    return pd.DataFrame(rows).astype({"layer": "Int64", "k": "Int64", "probe": "str"})


def planted(random, *, size=12):
    """Bits per byte fall with the step, and at each step with RankMe; retained bits follow the step alone."""
    steps, wave = np.arange(size), random.normal(size=size)
    return {
        "bits_per_byte": -steps - 3 * wave + 0.1 * random.normal(size=size),
        "rankme": 0.2 * steps + wave,
        "retained_cross_entropy": steps + random.normal(size=size),
        "complexity_corrected": random.normal(size=size),
    }


def runs(number):
    random = np.random.default_rng(1)
    return pd.concat([run(planted(random), seed=seed) for seed in range(number)], ignore_index=True)


def test_the_correlations_are_those_of_the_checkpoints_of_a_run():
    values = planted(np.random.default_rng(0))
    found = within_runs(run(values), ["bits_per_byte"]).set_index("measure")
    target, steps = values["bits_per_byte"], np.log1p(STEPS)
    for measure in ("rankme", "retained_cross_entropy", "complexity_corrected"):
        assert found.loc[measure, "spearman"] == pytest.approx(spearman(values[measure], target))
        assert found.loc[measure, "partial"] == pytest.approx(partial_spearman(values[measure], target, steps))
    assert found.loc["step", "spearman"] == pytest.approx(spearman(steps, target))
    assert np.isnan(found.loc["step", "partial"])
    assert set(found["checkpoints"]) == {12}


def test_a_measure_has_one_place():
    values = planted(np.random.default_rng(0))
    table = run(values)
    decoys = [
        table[table["quantity"] == "rankme"].assign(layer=3),
        table[table["quantity"] == "retained_cross_entropy"].assign(probe="ridge"),
        table[table["quantity"] == "complexity_corrected"].assign(k=2),
        table[table["quantity"] == "complexity_corrected"].assign(layer=6),
    ]
    more = pd.concat([table, *(decoy.assign(estimate=0.0) for decoy in decoys)]).astype({"layer": "Int64"})
    pd.testing.assert_frame_equal(within_runs(more, ["bits_per_byte"]), within_runs(table, ["bits_per_byte"]))
    with pytest.raises(ValueError, match="duplicate"):
        within_runs(pd.concat([table, table]), ["bits_per_byte"])


def test_kinds_of_bits_per_byte_are_not_mixed():
    values = planted(np.random.default_rng(0))
    other = {("pseudo_bits_per_byte" if name == "bits_per_byte" else name): some for name, some in values.items()}
    table = pd.concat([run(values), run(other, twin="masked"), run(values, seed=1)])
    found = over_runs(within_runs(table, ["bits_per_byte", "pseudo_bits_per_byte"]))
    plain = found[(found["kind"] == "spearman") & (found["measure"] == "rankme")].set_index("target")
    assert plain["runs"].to_dict() == {"bits_per_byte": 2, "pseudo_bits_per_byte": 1}


def test_runs_are_the_sample():
    table = within_runs(runs(4), ["bits_per_byte"])
    found = over_runs(table).set_index(["kind", "measure"])
    for kind in ("spearman", "partial"):
        values = table.loc[table["measure"] == "rankme", kind].to_numpy()
        row = found.loc[(kind, "rankme")]
        known = mean_over_runs(values, 0.0)
        assert row["estimate"] == pytest.approx(known.estimate)
        assert row[["low", "high"]].tolist() == pytest.approx(np.clip(known[1:3], -1, 1).tolist())
        assert row["p_holm"] >= row["p"]
        assert row[["smallest", "largest"]].tolist() == [values.min(), values.max()]
        assert row[["runs", "agree", "undefined", "missing"]].tolist() == [4, 4, 0, 0]
    assert over_runs(within_runs(runs(2), ["bits_per_byte"]))[["low", "high", "p"]].isna().all(axis=None)


def test_what_follows_the_step_alone_does_not_survive_it_and_what_does_more_does():
    found = over_runs(within_runs(runs(5), ["bits_per_byte"])).set_index(["kind", "measure"])
    assert found.loc[("spearman", "retained_cross_entropy"), "high"] < 0
    assert found.loc[("partial", "rankme"), "high"] < -0.5
    low, high = found.loc[("partial", "retained_cross_entropy"), ["low", "high"]]
    assert low < 0 < high
    assert found.loc[("partial", "rankme"), "p_holm"] < 0.05


def test_missing_values_are_left_out_and_counted_and_what_is_fixed_by_the_step_is_undefined():
    values = planted(np.random.default_rng(0)) | {"optimality_corrected": [*[np.nan] * 9, 1.0, 2.0, 3.0]}
    values["retained_cross_entropy"] = np.arange(12.0)
    values["complexity_corrected"] = values["complexity_corrected"].copy()
    values["complexity_corrected"][3] = np.nan
    found = within_runs(run(values), ["bits_per_byte"]).set_index("measure")
    assert found["missing"].to_dict() == {
        "retained_cross_entropy": 0, "rankme": 0, "complexity_corrected": 1, "optimality_corrected": 9, "step": 0,
    }  # fmt: skip
    assert np.isnan(found.loc["optimality_corrected", ["spearman", "partial"]].astype(float)).all()
    assert np.isnan(found.loc["retained_cross_entropy", "partial"])
    assert np.isfinite(found.loc["retained_cross_entropy", "spearman"])


def test_noise_is_not_called_a_sure_predictor():
    random, sure = np.random.default_rng(0), []
    for _ in range(10):
        tables = [
            run({name: random.normal(size=12) for name in ("bits_per_byte", *PLACES)}, seed=seed) for seed in range(4)
        ]
        found = over_runs(within_runs(pd.concat(tables), ["bits_per_byte"]))
        sure += (found["p_holm"] < 0.05).groupby(found["kind"]).any().tolist()
    assert np.mean(sure) < 0.2


def test_runs_too_short_for_a_correlation_are_undefined():
    rise, wave = np.arange(12.0), np.array([0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10.0])
    tables = [run({"lee": wave, "rankme": rise * sign}, seed=seed) for seed, sign in enumerate((1, 1, -1))]
    short = run({"lee": wave[:3], "rankme": rise[:3]}, seed=3)
    found = over_runs(within_runs(pd.concat([*tables, short]), ["lee"])).set_index(["measure", "kind"])
    assert found.loc[("rankme", "spearman"), ["runs", "agree", "undefined"]].tolist() == [3, 2, 1]
    alone = over_runs(within_runs(short, ["lee"]))
    assert alone[["runs", "agree"]].to_numpy().max() == 0
    assert alone["estimate"].isna().all()
    assert not len(over_runs(within_runs(short, ["bits_per_byte"])))
