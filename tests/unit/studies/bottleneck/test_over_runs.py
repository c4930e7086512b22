"""Correlations over runs, on a made-up table of 24 of them."""

import numpy as np
import pandas as pd

from bitskept.studies.bottleneck.over_runs import COST, FILE, MEASURES, RUN, by_run, measures, runs

SCORE = "blimp pair_accuracy"


def made_up(seed=0, learned=True, number=24):
    """Three twins in two sizes and four amounts. Optimality lowers the cost of a run beyond its size and amount."""
    random, rows = np.random.default_rng(seed), []
    for place in range(number):
        twin, size, amount = "abc"[place % 3], (96, 192)[place // 3 % 2], 400 * 4 ** (place // 6)
        facts = dict(zip(RUN, (f"r{place}", twin, size, amount, 0, size**2, 64 * amount), strict=True))
        skill = random.standard_normal()
        cost = 10 - np.log(amount) - size / 100 - 3 * skill
        values = {name: random.standard_normal() for name in MEASURES} | {"optimality_corrected": skill}
        values |= {"bits_per_byte" if twin == "a" else "bits_per_byte_bound": cost + 30 * (twin == "b")}
        values |= {SCORE: random.random(), "unigram_gain": 1.0 if learned else 0.0}
        rows += [facts | {"quantity": name, "estimate": value} for name, value in values.items()]
    return pd.DataFrame(rows)


def test_what_goes_with_the_cost_beyond_size_amount_and_twin_is_found():
    found = runs(made_up(), seed=0)
    assert len(found) == 2 * len(MEASURES)
    assert set(found["n"]) == {24}
    assert set(found["controls"]) == {4}
    table = found.set_index(["target", "measure"])
    row = table.loc[(COST, "optimality_corrected")]
    assert row["estimate"] < -0.7
    assert row["high"] < 0
    assert row["p_holm"] < 0.05
    others = table.drop((COST, "optimality_corrected"))
    assert (others["p_holm"] > 0.05).all()
    assert 0.5 < row["detectable"] < 0.9
    assert set(found["tests"]) == {20}


def test_a_difference_between_twins_is_no_correlation():
    table = made_up()
    apart = table["quantity"].eq("rankme") & table["twin"].eq("b")
    table.loc[apart, "estimate"] += 100  # and the cost of b is 30 higher
    row = runs(table, seed=0).set_index(["target", "measure"]).loc[(COST, "rankme")]
    assert row["spearman"] > 0.5
    assert abs(row["estimate"]) < 0.6
    assert row["p"] > 0.05


def test_runs_that_have_not_learned_do_not_count():
    assert by_run(made_up(learned=False)).empty
    found = runs(made_up(learned=False), seed=0)
    assert found[["estimate", "p", "detectable"]].isna().all().all()
    assert set(found["n"]) == {0}


def test_few_runs_have_no_p():
    found = runs(made_up(number=9), seed=0)
    assert found["estimate"].notna().all()
    assert found["p"].isna().all()


def test_nothing_is_said_of_a_quantity_that_is_not_there():
    table = made_up()
    found = runs(table[table["quantity"] != "rankme"], seed=0).set_index("measure")
    assert set(found.loc["rankme", "n"]) == {0}
    assert found.loc["retained", "p"].notna().all()


def test_the_table_is_that_of_the_profile_or_of_laptop_or_missing(project):
    table, whose = measures("mine")
    assert table.empty
    assert "run `05_training_dynamics` first" in whose
    assert runs(table, seed=0)["n"].tolist() == [0] * len(MEASURES)
    for name, folder in (("laptop", "results/laptop"), ("mine", "build/mine/results")):
        path = project / folder / FILE
        path.parent.mkdir(parents=True)
        made_up().to_csv(path, index=False)
        table, whose = measures("mine")
        assert whose == f"The 24 runs are those of the profile {name}."
        assert set(runs(table, seed=0)["n"]) == {24}
