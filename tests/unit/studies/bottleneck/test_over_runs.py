"""Correlations over runs, on a made-up table of 24 of them."""

import numpy as np
import pandas as pd
import pytest

from bitskept.studies.bottleneck import over_runs
from bitskept.studies.bottleneck.over_runs import (
    COST,
    EVERYONE,
    FILE,
    MEASURES,
    PLAIN,
    RUN,
    SAVED,
    SHOWN,
    accuracy,
    by_run,
    measures,
    runs,
    targets,
    that_learned,
    with_points,
    with_settings,
)

SCORE = "blimp pair_accuracy"


@pytest.fixture(autouse=True)
def _few_permutations(monkeypatch):
    monkeypatch.setattr(over_runs, "PERMUTATIONS", 9999)


def made_up(seed=0, learned=True, number=24):
    """Three twins in two sizes and four amounts. Optimality lowers the cost of a run beyond its size and amount."""
    random, rows = np.random.default_rng(seed), []
    for place in range(number):
        twin, size, amount = "abc"[place % 3], (96, 192)[place // 3 % 2], 400 * 4 ** (place // 6)
        facts = dict(zip(RUN, (f"r{place}", twin, size, 0, size**2, 64 * amount, amount), strict=True))
        skill = random.standard_normal()
        cost = 10 - np.log(amount) - size / 100 - 3 * skill
        values = {name: random.standard_normal() for name in MEASURES} | {"optimality_corrected": skill}
        values |= {"bits_per_byte" if twin == "a" else "bits_per_byte_bound": cost + 30 * (twin == "b")}
        values |= {SCORE: 0.5 + 0.4 * random.random(), "unigram_gain": random.uniform(1, 2) if learned else 0.0}
        facts |= {"items": 100}
        rows += [facts | {"quantity": name, "estimate": value} for name, value in values.items()]
    return pd.DataFrame(rows)


def test_what_goes_with_the_cost_beyond_size_amount_and_twin_is_found():
    found = runs(made_up(), seed=0)
    assert len(found) == 3 * len(MEASURES)
    assert set(found["n"]) == {24}
    assert set(found["controls"]) == {4}  # weights, two kinds, and one of tokens and amount, which order runs alike
    assert set(found["twins"]) == {"a; b; c"}
    table = found.set_index(["target", "measure"])
    row = table.loc[(COST, "optimality_corrected")]
    assert row["estimate"] < -0.7
    assert row["high"] < 0
    assert row["p_holm"] < 0.05
    others = table.drop((COST, "optimality_corrected"))
    assert (others["p_holm"] > 0.05).all()
    assert 0.5 < row["detectable"] < 0.9
    assert set(found["tests"]) == {30}


def test_a_difference_between_twins_is_no_correlation():
    table = made_up()
    apart = table["quantity"].eq("rankme") & table["twin"].eq("b")
    table.loc[apart, "estimate"] += 100  # and the cost of b is 30 higher
    row = runs(table, seed=0).set_index(["target", "measure"]).loc[(COST, "rankme")]
    assert row["spearman"] > 0.5
    assert abs(row["estimate"]) < 0.6
    assert row["p"] > 0.05


def test_runs_that_have_not_learned_do_not_count():
    assert len(by_run(made_up(learned=False))) == 24
    assert that_learned(by_run(made_up(learned=False))).empty
    found = runs(made_up(learned=False), seed=0)
    assert found[["estimate", "p", "detectable"]].isna().all().all()
    assert set(found["n"]) == {0}
    assert with_points(found, made_up(learned=False))["run"].isna().all()


def test_other_settings_are_correlations_without_controls_and_over_all_runs():
    table = made_up()
    idle = table["quantity"].eq("unigram_gain") & table["run"].isin(["r0", "r1"])
    table.loc[idle, "estimate"] = 0.0
    main = runs(table, seed=0)
    found = with_settings(main, table, seed=0)
    parts = {name: rows.set_index(["target", "measure"]) for name, rows in found.groupby("setting", dropna=False)}
    assert len(parts) == 3
    assert set(main["n"]) == set(parts[PLAIN]["n"]) == {22}
    assert set(parts[EVERYONE]["n"]) == {24}
    assert (set(parts[EVERYONE]["controls"]), set(parts[PLAIN]["controls"])) == ({4}, {0})
    assert parts[PLAIN]["estimate"].tolist() == pytest.approx(main["spearman"].tolist())
    assert (parts[PLAIN].loc[COST, "detectable"] < main.loc[main["target"] == COST, "detectable"].min()).all()
    grows = table["quantity"].isin(["rankme", "unigram_gain"]) & ~idle
    table.loc[grows, "estimate"] += 3 * np.log(table.loc[grows, "amount"].astype(float))
    found = with_settings(runs(table, seed=0), table, seed=0).set_index(["setting", "target", "measure"])
    assert found.loc[(PLAIN, SAVED, "rankme"), "p_holm"] < 0.05


def test_few_runs_have_no_p():
    """Four controls want ten runs."""
    for number, tested in ((9, False), (10, True)):
        found = runs(made_up(number=number), seed=0)
        assert set(found["controls"]) == {4}
        assert found["estimate"].notna().all()
        assert (found["p"].notna() == tested).all()


def test_an_effect_of_the_amount_of_text_is_no_correlation():
    """All runs read as many tokens, from texts of other sizes, on which both the measure and what is saved depend."""
    table = made_up().assign(tokens=1)
    grows = table["quantity"].isin(["rankme", "unigram_gain"])
    table.loc[grows, "estimate"] += 3 * np.log(table.loc[grows, "amount"].astype(float))
    row = runs(table, seed=0).set_index(["target", "measure"]).loc[(SAVED, "rankme")]
    assert row["spearman"] > 0.7
    assert row["controls"] == 4
    assert row["p"] > 0.05


def test_an_accuracy_that_is_not_above_guessing_is_not_tested():
    table = made_up()
    table.loc[table["quantity"] == SCORE, "estimate"] -= 0.2
    assert targets(by_run(table)) == {COST: True, SAVED: True, SCORE: False}
    found = runs(table, seed=0).set_index("target")
    assert found.loc[SCORE, "estimate"].notna().all()
    assert found.loc[SCORE, ["p", "p_holm"]].isna().all().all()
    assert not found.loc[SCORE, "able"].any()
    assert set(found["tests"]) == {20}
    assert targets(by_run(made_up()))[SCORE]


@pytest.mark.parametrize(("items", "able"), [(10_000, True), (100, False)])
def test_more_runs_do_not_make_up_for_few_items(items, able):
    """All runs have an accuracy of .58, but all of them have it on the same items."""
    table = made_up().assign(items=items)
    table.loc[table["quantity"] == SCORE, "estimate"] = 0.58
    learned = by_run(table)
    assert targets(learned)[SCORE] == able
    found = accuracy(SCORE, learned)
    assert found.estimate == pytest.approx(0.58)
    assert (found.high - found.low) / 2 == pytest.approx(1.98 * 0.5 / np.sqrt(items), rel=0.02)


def test_the_points_of_runs_have_the_correlation_that_is_shown():
    table = made_up()
    found = runs(table, seed=0)
    drawn = with_points(found, table)
    known = found[found["measure"] == SHOWN].set_index("target")["estimate"]
    for target, rows in drawn[drawn["run"].notna()].groupby("target"):
        assert rows["run"].nunique() == len(rows) == 24
        assert np.corrcoef(rows["left_of_measure"], rows["left_of_target"])[0, 1] == pytest.approx(known[target])
        assert rows.groupby("twin")["left_of_target"].mean().abs().max() < 1e-9


def test_nothing_is_said_of_a_quantity_that_is_not_there():
    table = made_up()
    found = runs(table[table["quantity"] != "rankme"], seed=0).set_index("measure")
    assert set(found.loc["rankme", "n"]) == {0}
    assert found.loc["retained", "p"].notna().all()


def test_the_table_is_that_of_the_profile_or_of_laptop_or_missing(project):
    for name in ("laptop", "mine"):
        (project / "params" / f"{name}.yaml").write_text("")
    table, whose = measures("mine")
    assert table.empty
    assert "run `05_training_dynamics` first" in whose
    assert runs(table, seed=0)["n"].tolist() == [0] * 2 * len(MEASURES)
    for name, folder in (("laptop", "results/laptop"), ("mine", "build/mine/results")):
        path = project / folder / FILE
        path.parent.mkdir(parents=True)
        made_up().to_csv(path, index=False)
        table, whose = measures("mine")
        assert whose == f"The 24 runs are those of the profile {name}."
        assert set(runs(table, seed=0)["n"]) == {24}
