"""Tables, claims, figures and sentences about languages with a truth, on made-up measures."""

import itertools

import numpy as np
import pandas as pd
import pytest

from bitskept.instruments import claims as outcomes
from bitskept.studies.dynamics import (
    claim_sentences,
    language_claims,
    language_figures,
    language_sentences,
    language_tables,
    run_claims,
)
from bitskept.studies.dynamics.comparing_runs import BEFORE, SETTING
from bitskept.studies.dynamics.language_arms import BERT, FIRST, LAG, LONGER, MAIN, MASK, NEXT, SECOND
from bitskept.studies.dynamics.language_measures import CLEAN, COLUMNS, CORRUPTED

LAST, ENTROPY, CLASS, SYNONYM = 4, 6.0, 4.0, 2.0
EXACT = {"class_bits": CLASS, "synonym_bits": SYNONYM, "kept": ENTROPY, "bits": ENTROPY}


def row(arm, seed, **facts):
    width = facts.pop("width", 0.02)
    value = facts["estimate"]
    ends = {"low": value - width, "high": value + width, "unit": "bits per token", "n": 300}
    empty = dict.fromkeys(COLUMNS) | {"step": LAST, "text": CLEAN}
    language = SECOND if arm.endswith(LAG) else FIRST
    return {"arm": arm, "language": language, "seed": seed} | empty | ends | facts


def measures(synonym, gap=None, classes=None, seeds=3, curves=None):
    """Measures of arms whose last layer holds so many bits of the `synonym`, a little more from seed to seed."""
    rows = []
    for (arm, bits), seed in itertools.product(synonym.items(), range(seeds)):
        known = (classes or {}).get(arm, CLASS)
        rows.append(row(arm, seed, quantity="gap", estimate=(gap or {}).get(arm, 0.01)))
        rows.append(row(arm, seed, quantity="gap", step=0, estimate=2.0))
        layers = (curves or {}).get(arm, [SYNONYM, SYNONYM, bits])
        for probe, reading, amount in (
            ("centroid", "token", 600),
            ("ridge", "token", 600),
            ("centroid", "token", 75),
            ("centroid", "window", 600),
        ):
            facts = {"reading": reading, "probe": probe, "train_sentences": amount}
            for layer, value in enumerate(layers):
                value = value + 0.01 * seed * (layer == 2)
                parts = {"class_bits": known if layer == 2 else CLASS, "synonym_bits": value}
                parts |= {"kept": sum(parts.values()), "bits": sum(parts.values())}
                for quantity, estimate in parts.items():
                    exact = {"exact": EXACT[quantity], "layer": layer, "quantity": quantity, "estimate": estimate}
                    rows.append(row(arm, seed, **facts, **exact))
                    if probe == "centroid" and amount == 600 and reading == "token":
                        rows.append(row(arm, seed, **facts, **(exact | {"estimate": EXACT[quantity]}), step=0))
                        rows.append(row(arm, seed, **facts, **exact, text=CORRUPTED))
            rows.append(row(arm, seed, **facts, quantity="late_forgetting", estimate=SYNONYM - bits))
        for layer, value in enumerate(layers):
            soft = {"quantity": "complexity_corrected", "estimate": value, "exact": ENTROPY}
            rows.append(row(arm, seed, layer=layer, **soft))
            for quantity, estimate in (("cluster_information", value), ("cluster_floor", 0.5)):
                facts = {"reading": "token", "probe": "clusters", "train_sentences": 600, "quantity": quantity}
                rows.append(row(arm, seed, layer=layer, **facts, estimate=estimate))
    table = pd.DataFrame(rows)
    return table.astype({"layer": "Int64", "train_sentences": "Int64", "exact": float})


def counted(*arguments, **options):
    return language_tables.counted(measures(*arguments, **options), 0.05)


USUAL = {NEXT: 0.2, MASK: 0.1, BERT: 1.9}


def test_what_is_further_from_the_least_cost_has_not_learned():
    runs = language_tables.learned(measures(USUAL, gap={MASK: 0.2}), 0.05)
    assert runs.groupby("arm")["learned"].agg(list).to_dict() == {
        NEXT: [True] * 3, MASK: [False] * 3, BERT: [True] * 3,
    }  # fmt: skip
    text = language_sentences.learned(runs, 0.05)
    assert "**mask only**: 0.200 bits above the least cost (3 runs). **No verdict.**\n" in text
    some = runs.assign(learned=runs["seed"] > 0)
    assert "(3 runs). **2 of 3 learned; only these count.**\n" in language_sentences.learned(some, 0.05)
    assert "**next token**: 0.010 bits above the least cost (3 runs).\n" in text
    one = runs.iloc[[0]].assign(estimate=-0.0001)
    assert "0.000 bits above the least cost (1 run)." in language_sentences.learned(one, 0.05)
    two = pd.concat([runs.iloc[[0]], runs.iloc[[1]].assign(estimate=0.04)])
    assert "0.010 to 0.040 bits" in language_sentences.learned(two, 0.05)
    near = two.assign(low=[0.0, 0.03], high=[0.02, 0.06])
    assert (
        language_sentences.learned(near, 0.05)
        .splitlines()[0]
        .endswith(" The intervals of 1 of 2 runs contain this limit, so their verdict is not certain: next token (1).")
    )
    assert "contain this limit" not in language_sentences.learned(two, 0.05)
    assert "a little less than the least" in language_sentences.learned(one, 0.05)
    assert "a little less than the least" not in language_sentences.learned(two, 0.05)


def test_runs_that_have_learned_stand_for_their_arm_and_all_of_them_where_none_has():
    table = measures(USUAL)
    failed = (table["quantity"] == "gap") & ((table["arm"] == MASK) | (table["arm"] == NEXT) & (table["seed"] == 1))
    found = language_tables.counted(table.assign(estimate=table["estimate"].mask(failed, 0.2)), 0.05)
    assert found.groupby("arm")["seed"].unique().map(list).to_dict() == {NEXT: [0, 2], MASK: [0, 1, 2], BERT: [0, 1, 2]}
    assert found.groupby("arm")["learned"].unique().map(list).to_dict() == {NEXT: [True], MASK: [False], BERT: [True]}
    assert list(found) == [*table, "learned"]


def test_the_last_layer_of_each_run():
    table = language_tables.by_run(counted(USUAL))
    assert len(table) == 3 * 3 * 5 * 3  # arms, seeds, settings (one before the first step), quantities
    assert not table.duplicated(["arm", "seed", *SETTING, "quantity"]).any()
    first = table[table["reading"] == f"token{BEFORE}"]
    assert set(zip(first["quantity"], first["estimate"], strict=True)) == {*EXACT.items()} - {("bits", ENTROPY)}
    rows = table[table["train_sentences"] == 600].set_index(["arm", "seed", "reading", "probe", "quantity"])
    assert rows.loc[(BERT, 2, "token", "ridge", "synonym_bits"), "estimate"] == pytest.approx(1.92)
    assert rows.loc[(BERT, 2, "token", "ridge", "kept"), ["exact", "learned"]].tolist() == [ENTROPY, True]
    assert rows.loc[(BERT, 2, "window", "centroid", "kept"), "exact"] == ENTROPY


def test_each_arm_is_read_after_its_own_last_step():
    late = measures({f"{MASK}{LONGER}": 0.0})
    both = pd.concat([measures(USUAL | {f"{MASK}{LONGER}": 1.5}), late.assign(step=late["step"] * 4)])
    found = language_tables.by_run(language_tables.counted(both[both["step"] > 0], 0.05))
    kept = language_tables.synonyms(found).groupby("arm")["estimate"].mean()
    assert kept.to_dict() == pytest.approx({NEXT: 0.21, MASK: 0.11, BERT: 1.91, f"{MASK}{LONGER}": 0.01})


def test_means_over_seeds_have_an_interval_and_keep_the_true_value():
    table = language_tables.by_layer(counted(USUAL)).set_index(["arm", "probe", "quantity", "layer"])
    last = table.loc[(NEXT, "centroid", "synonym_bits", 2)]
    assert last["estimate"] == pytest.approx(0.21)
    assert last["low"] < 0.2 < 0.22 < last["high"]
    assert table.reset_index()["exact"].unique().tolist() == [CLASS, SYNONYM]
    steps = language_tables.by_step(counted(USUAL)).set_index(["arm", "quantity", "step"])["estimate"]
    assert steps[NEXT, "gap", 0] == pytest.approx(2.0)
    assert steps[NEXT, "synonym_bits", LAST] == pytest.approx(0.21)


def test_what_is_kept_is_said_by_the_stronger_probe_and_only_of_arms_that_learned():
    def say(synonym, **options):
        return language_sentences.kept(language_tables.by_layer(counted({NEXT: synonym}, **options)))

    assert "no verdict" in say(0.2, gap={NEXT: 0.2})
    assert "class 4.00 [3.98, 4.02] of 4.00 bits, synonym 0.21" in say(0.2)
    assert say(0.2).endswith("the class; of the synonym, which nothing needs, 0.21 bits can be read.")
    assert say(0.0).endswith("of the synonym, which nothing needs, nothing can be read.")
    assert say(2.0).endswith("It keeps all.")
    assert say(2.0, classes={NEXT: 3.0}).endswith("loses some of the class, which the future needs.")
    assert say(0.5, classes={NEXT: 3.0}).endswith("It loses bits of both.")
    table = language_tables.by_layer(counted({NEXT: 0.5}, classes={NEXT: 3.0}))
    text = language_sentences.kept(table.assign(high=4.1))
    assert text.endswith(
        "Whether it loses bits of the class on average cannot be told: the interval holds all of them."
    )


def test_a_token_is_recreated_where_the_last_layer_lies_above_the_lowest_before_it():
    curves = {BERT: [2.0, 1.0, 2.0], MASK: [2.0, 1.8, 1.0], NEXT: [2.0, 1.0, 1.08]}
    table = counted(USUAL, curves=curves)
    rises = language_tables.recreated(table).set_index(["arm", "estimator"])["estimate"]
    assert rises[BERT, "centroid"] == pytest.approx(1.01)
    assert rises[MASK, "clusters"] == pytest.approx(-0.8)
    estimates = language_tables.estimators(table).set_index(["arm", "estimator", "layer"])["estimate"]
    assert estimates[BERT, "clusters", 1] == pytest.approx(0.5)  # less the floor
    by_layer = language_tables.estimators(table)
    text = language_sentences.recreated(language_tables.recreated(table), by_layer)
    assert "**BERT's rule**, is the token recreated at the top? yes: centroid +1.01" in text
    assert "**mask only**, is the token recreated at the top? no: centroid -0.79" in text
    assert "**next token**, is the token recreated at the top? cannot tell: centroid +0.09" in text
    whole = counted(USUAL, curves=curves | {BERT: [2.0, 1.95, 1.9]})
    text = language_sentences.recreated(language_tables.recreated(whole), language_tables.estimators(whole))
    assert "top? nothing was lost, so nothing can be recreated: centroid -0.04" in text
    assert text.count("nothing was lost") == 1


def test_a_rise_without_an_interval_cannot_be_told_and_of_an_arm_that_did_not_learn_there_is_none():
    base = {"arm": NEXT, "estimator": "clusters", "estimate": 0.5, "low": np.nan, "high": np.nan, "p": np.nan}
    curve = pd.DataFrame({"arm": NEXT, "estimator": "clusters", "layer": [0, 1, 2], "estimate": [2.0, 1.0, 1.5]})
    text = language_sentences.recreated(pd.DataFrame([base | {"learned": True}]), curve)
    assert "cannot tell: clusters +0.50 (no interval)" in text
    text = language_sentences.recreated(pd.DataFrame([base | {"learned": False}]), curve)
    assert text == "- **next token**: no verdict, as no run has learned."


def test_the_lowest_layer_is_chosen_on_the_other_runs():
    """Of two inner layers that differ by noise alone, the last layer does not lie above the lower one."""
    random, rows = np.random.default_rng(0), []
    for seed in range(200):
        for layer, value in enumerate([1.0, *random.normal(0, 1, 3)]):
            facts = {"reading": "token", "probe": "centroid", "train_sentences": 600, "quantity": "kept"}
            rows.append(row(NEXT, seed, layer=layer, **facts, estimate=value))
    rows += [row(NEXT, 0, layer=0, quantity="cluster_floor", estimate=0.0)]
    table = pd.DataFrame(rows).assign(learned=True).astype({"layer": "Int64", "train_sentences": "Int64"})
    found = language_tables.recreated(table).iloc[0]
    assert found["low"] < 0 < found["high"]


def test_estimates_above_the_truth_are_counted():
    table = measures({NEXT: 2.0}, seeds=2)
    found = language_tables.above(table).set_index(["quantity", "reading"])
    assert set(found["above"]) == {0}
    assert found.loc[("bits", "token"), "bounds"] == 2 * (3 * 3 + 2 * 3)  # three probes, one twice more
    assert language_sentences.above(found.reset_index()).startswith(
        "Of 42 bounds and estimates of known bits, 0 lie above the truth by more than their interval; the intervals of "
    )
    one = (table["quantity"] == "bits") & (table["reading"] == "window") & (table["layer"] == 1)
    table.loc[one, ["estimate", "low"]] = [6.5, 6.3]
    found = language_tables.above(table).set_index(["quantity", "reading"])
    assert found.loc[("bits", "window"), ["above", "bounds"]].tolist() == [2, 6]
    assert found.loc[("bits", "window"), "largest"] == pytest.approx(0.3)
    assert found["near"].to_dict() == {
        ("bits", "token"): 30,
        ("bits", "window"): 6,
        ("complexity_corrected", np.nan): 0,
    }
    assert language_sentences.above(found.reset_index()) == (
        "Of 42 bounds and estimates of known bits, 2 lie above the truth by more than their interval (by 0.300 bits at "
        "most); the intervals of 36 reach it, so that these could have."
    )
    sure = found.reset_index().assign(low=0.03)
    assert language_sentences.above(sure).endswith(
        " That is more than the 2.5 % that intervals allow for: bits, token; bits, window; complexity corrected."
    )


def claims(**options):
    table = language_claims.claims(language_tables.by_run(counted(USUAL | options.pop("synonym", {}), **options)))
    assert list(table) == outcomes.COLUMNS
    return table


def answers(table):
    rows = table[table["primary"]]
    claim, arm = rows["claim"].str.partition(" (")[0], rows["model"].str.removesuffix(language_claims.WHERE)
    return dict(zip(zip(claim, arm, strict=True), rows["outcome"], strict=True))


def test_claims_are_weighed_over_the_seeds():
    found = answers(claims())
    assert found[run_claims.KEEPS, f"{BERT} − {NEXT}"] == "yes"
    assert found[run_claims.KEEPS, f"{MASK} − {NEXT}"] == "no"
    assert found[run_claims.NAMED, f"{BERT} − {MASK}"] == "yes"
    assert found[run_claims.EARLY, f"{BERT} − {NEXT}"] == "no"
    assert found[language_claims.NEEDS, NEXT] == found[language_claims.NEEDS, MASK] == "yes"
    assert answers(claims(classes={NEXT: 0.1}))[language_claims.NEEDS, NEXT] == "no"


def test_an_arm_that_forgets_nothing_cannot_show_what_is_forgotten():
    table = claims(synonym={BERT: 2.0})
    assert answers(table)[language_claims.NEEDS, BERT] == "not tested"
    assert table.loc[table["claim"].str.contains("to be tested"), "model"].str.startswith(BERT).all()


def test_runs_that_did_not_learn_decide_nothing():
    found = answers(claims(gap={BERT: 0.3}))
    assert found[run_claims.KEEPS, f"{BERT} − {NEXT}"] == "not tested"
    assert found[run_claims.KEEPS, f"{MASK} − {NEXT}"] == "no"
    assert found[language_claims.NEEDS, BERT] == "not tested"
    none = claims(gap=dict.fromkeys(MAIN, 0.3))
    early = answers(none).pop((run_claims.EARLY, f"{BERT} − {NEXT}"))
    assert early == "no"  # nobody has learned before the first step
    assert [*answers(none).values()].count("not tested") == len(answers(none)) - 1
    untested = none[none["outcome"] == "not tested"]
    assert untested["claim"].str.endswith(language_claims.UNLEARNED).all()
    assert len(none) == len(claims())


def test_one_seed_says_nothing_of_others():
    found = answers(claims(seeds=1))
    assert set(found.values()) <= {"cannot tell", "not tested"}


def test_the_verdict_names_each_claim_and_how_many_other_settings_agree():
    text = claim_sentences.claim(claims(), claims())
    assert "- Encoders keep more than decoders: **yes for BERT's rule − next token**. 3 of 3 other" in text
    assert "**no for mask only − next token**" in text
    assert "Were all runs counted" not in text
    table = claims()
    turned = (table["probe"] == "ridge") & table["model"].str.startswith(f"{BERT} − {NEXT}")
    text = claim_sentences.claim(table.assign(outcome=table["outcome"].mask(turned, "cannot tell")), table)
    assert (
        " 2 of 3 other settings agree, 1 of 1 with the same probe and as much text; by the ridge, the answer is "
        "“cannot tell” in 1.\n" in text
    )
    two = turned & (table["reading"] == "token")
    text = claim_sentences.claim(table.assign(outcome=table["outcome"].mask(two, "no")), table)
    assert "; by the ridge, the answer is “no” in 1.\n" in text
    alone = claim_sentences.claim(claims(seeds=1), claims(seeds=1))
    assert "**cannot tell for BERT's rule − next token (no interval)**.\n" in alone
    assert "agree" not in alone


def test_a_claim_that_runs_which_did_not_learn_would_turn_says_so():
    text = claim_sentences.claim(claims(gap={BERT: 0.3}), claims())
    assert "**not tested for BERT's rule − next token**. Were all runs counted, it would be **yes**.\n" in text


def test_outcomes_that_hang_on_a_single_seed_are_named():
    same = claim_sentences.without_one(language_tables.by_run(counted(USUAL)))
    assert same == "Each of these outcomes is the same if the runs of any one seed are left out."
    rows = language_tables.by_run(counted(USUAL))
    rows.loc[(rows["arm"] == MASK) & (rows["seed"] == 2), ["estimate", "low", "high"]] += 3.0
    lines = claim_sentences.without_one(rows).splitlines()
    assert lines[0] == "Outcomes that would change if the runs of one seed were left out:"
    assert f"- {run_claims.NAMED}, {BERT} − {MASK}: **cannot tell**, but **yes** without seed 2" in lines
    alone = claim_sentences.without_one(rows[rows["seed"] == 0])
    assert alone == "There is one seed, so none can be left out."


def test_one_sentence_names_every_claim():
    text = claim_sentences.verdict(claims())
    assert text.count("**") == 2 * 4
    assert "named keep the token: **yes for BERT's rule − mask only**" in text
    needs = claim_sentences.verdict(claims(synonym=WITH_LAG)).partition("does not need: ")[2]
    assert needs.startswith(
        "**yes for next token, mask only, next token (second language), mask only (second language)"
    )
    real = claims().replace({"model": {f"{BERT} − {NEXT}{language_claims.WHERE}": f"{BERT} − {NEXT} (real text)"}})
    assert "**yes for BERT's rule − next token; no" in claim_sentences.verdict(real)


def test_the_course_of_training_is_told_by_its_ends_its_highest_step_and_its_lowest_after_that():
    facts = {"arm": NEXT, "learned": True, "quantity": "synonym_bits"}
    table = pd.DataFrame(facts | {"step": [0, 4, 8], "estimate": [2.0, 0.25, 0.5]})
    table = table.assign(low=table["estimate"] - 0.1, high=table["estimate"] + 0.1)
    assert language_sentences.over_steps(table) == (
        "- **next token**: 2.00 [1.90, 2.10] bits about the synonym before the first step; fewest from there on after "
        "step 4: 0.25 [0.15, 0.35]; at the end, after step 8: 0.50 [0.40, 0.60]."
    )
    assert language_sentences.over_steps(table.assign(learned=False)) == (
        "- **next token**: no verdict, as no run has learned."
    )
    turned = table.assign(estimate=[0.25, 2.0, 0.5])
    assert "before the first step; most after step 4: 2.00 [0.15, 0.35]; at the end, after step 8: 0.50" in (
        language_sentences.over_steps(turned)
    )


def test_figures_show_every_arm_part_and_estimator():
    table = counted(USUAL | {"10 % kept": 1.9}, gap={"10 % kept": 0.2, NEXT: 0.2})
    layers = language_figures.language(language_tables.by_layer(table))
    assert [axes.get_title() for axes in layers.axes] == [
        f"the {part}, {probe}" for probe in ("centroid", "ridge") for part in ("class", "synonym")
    ]
    assert all(len(axes.lines) == len(MAIN) + 1 for axes in layers.axes)
    wide = language_figures.language(language_tables.by_layer(table).assign(low=-1.0, high=9.0))
    for axes, most in zip(wide.axes, (CLASS, SYNONYM) * 2, strict=True):
        for band in axes.collections:
            assert band.get_paths()[0].vertices[:, 1].min() == 0
            assert band.get_paths()[0].vertices[:, 1].max() == pytest.approx(most, abs=0.02)
    over = language_tables.by_step(table).assign(low=-1.0, high=9.0)
    bands = [axes.collections[0].get_paths()[0].vertices[:, 1] for axes in language_figures.language_steps(over).axes]
    assert [round(band.min()) for band in bands] == [-1, 0, 0]
    assert [round(band.max()) for band in bands] == [9, CLASS, SYNONYM]
    assert [len(axes.lines) for axes in language_figures.language_steps(language_tables.by_step(table)).axes] == [
        3,
        3,
        3,
    ]
    estimators = language_figures.language_estimators(language_tables.estimators(table))
    assert [axes.get_title() for axes in estimators.axes] == list(language_tables.ESTIMATORS)
    assert [text.get_text() for text in layers.legends[0].get_texts()] == [f"{NEXT}, not learned", MASK, BERT]
    seeds = language_figures.language_seeds(language_tables.by_run(table))
    assert [text.get_text() for text in seeds.axes[0].get_yticklabels()] == [*MAIN, "10 % kept"]
    assert [len(points.get_offsets()) for points in seeds.axes[0].collections] == [3] * 4


NEEDED = language_claims.NEEDED
WITH_LAG = {f"{NEXT}{LAG}": 1.95, f"{MASK}{LONGER}": 0.1, f"{MASK}{LAG}": 0.5}


def test_where_the_synonym_is_needed_it_should_stay():
    found = answers(claims(synonym={BERT: 2.0} | WITH_LAG))
    assert found[language_claims.NEEDS, f"{NEXT}{NEEDED}"] == found[language_claims.NEEDS, f"{MASK}{NEEDED}"] == "yes"
    longer = answers(claims(synonym=WITH_LAG | {f"{MASK}{LONGER}": 0.9}))  # after as many steps it has lost no more
    assert longer[language_claims.NEEDS, f"{MASK}{NEEDED}"] == "no"
    kept = claims(synonym={NEXT: 1.98, f"{NEXT}{LAG}": 1.98})  # it loses nothing in either language
    assert answers(kept)[language_claims.NEEDS, f"{NEXT}{NEEDED}"] == "not tested"
    assert answers(claims(synonym={f"{NEXT}{LAG}": 0.2}))[language_claims.NEEDS, f"{NEXT}{NEEDED}"] == "no"
    fallen = claims(synonym={f"{NEXT}{LAG}": 1.0}, gap={f"{NEXT}{LAG}": 0.5})
    assert answers(fallen)[language_claims.NEEDS, f"{NEXT}{NEEDED}"] == "not tested"
    table = counted(USUAL | WITH_LAG)
    table = table[(table["language"] == FIRST) | (table["seed"] == 0)]
    rows = language_claims.claims(language_tables.by_run(table))
    row = rows[rows["primary"] & (rows["model"] == f"{NEXT}{NEEDED}")].iloc[0]
    assert row[["outcome", "estimate", "clusters"]].tolist() == ["cannot tell", pytest.approx((1.95 - 0.21) / 2), 1]
    assert np.isnan(row["low"])


def needed(synonym, **options):
    return language_tables.second_language(counted(synonym, **options))


def test_the_second_language_is_drawn_beside_the_first():
    table = needed(USUAL | WITH_LAG, gap={f"{MASK}{LAG}": 0.5})
    figure = language_figures.language_needed(table)
    assert [axes.get_title() for axes in figure.axes[:3]] == [f"{arm}, centroid" for arm in MAIN]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        *("nothing needs it", "the future needs it", "the future needs it, not learned"),
    ]
    assert [len(axes.collections) for axes in figure.axes[:3]] == [2, 1, 1]  # bands
    first = table[(table["arm"] == MASK) & (table["language"] == FIRST) & (table["layer"] == 2)]
    assert first.loc[first["quantity"] == "synonym_bits", "estimate"].unique() == pytest.approx(
        0.11
    )  # that of as many steps


NEITHER = "the networks of 0 lose some in the first and keep them in the second, those of 1 do not"


def test_whether_forgetting_is_what_the_bottleneck_prescribes():
    def say(first, second=None, **options):
        both = {NEXT: first} | ({} if second is None else {f"{NEXT}{LAG}": second})
        return language_sentences.prescribed(needed(both, **options)).splitlines()

    assert say(0.2, 1.98)[0].endswith(
        "The networks of all 1 objectives lose some in the first and keep them in the second."
    )
    assert say(0.2, 1.98)[2] == (
        "- **next token** loses bits that nothing needs and keeps those that the future needs; of what nothing needs "
        "it still holds 0.21 of 2.00 bits (3 runs on the first language, 3 on the second)."
    )
    assert say(1.98, 1.98)[2] == (
        "- **next token** keeps all, whether they are needed or not (3 runs on the first language, 3 on the second)."
    )
    assert say(1.98, 1.98)[0].endswith(f" Of 1 objectives, {NEITHER}.")
    assert say(1.98, 1.98, gap={f"{NEXT}{LAG}": 0.5})[2] == (
        "- **next token** keeps bits that nothing needs, so it does not do what the bottleneck prescribes, whatever it "
        "does where the future needs them (3 runs on the first language, 3 on the second)."
    )
    assert say(0.2, 0.5, gap={NEXT: 0.5})[2].startswith(
        "- **next token** loses bits that the future needs, so it does not do what the bottleneck prescribes, whatever "
        "it does where nothing needs them; of what the future"
    )
    assert say(0.2, 0.5, gap={NEXT: 0.5})[0].endswith(f"{NEITHER}.")
    assert say(0.2, 0.5)[0].endswith(f"{NEITHER}.")
    assert say(0.2, 0.5, seeds=1)[2] == (
        "- **next token** loses bits whether they are needed or not; of what nothing needs it still holds 0.20 of 2.00 "
        "bits; of what the future needs it has lost 1.50 bits (1 run on the first language, 1 on the second)."
    )
    assert "keeps bits that nothing needs and loses some that the future needs; of what" in say(1.98, 0.5)[2]
    assert say(0.2)[0].endswith("No network was trained on the second, so that only the first half can be compared.")
    assert say(0.2)[2] == "- **next token** loses bits that nothing needs."
    assert say(1.98)[2] == "- **next token** keeps bits that nothing needs."
    assert say(1.91)[2] == "- **next token** cannot be told from a network that keeps all."
    assert say(0.2, gap={NEXT: 0.5})[2] == "- **next token**: no verdict, as no run has learned."
    unsure = say(0.2, 1.98, gap={NEXT: 0.5})
    assert unsure[0].endswith("Whether networks do so cannot be told.")
    assert unsure[2] == (
        "- **next token** cannot be judged: where nothing needs them, no run has learned; where the future needs "
        "them, all are kept (3 runs on the first language, 3 on the second)."
    )
    some = needed(USUAL | {BERT: 1.97} | WITH_LAG, gap={f"{MASK}{LAG}": 0.5})
    assert (
        language_sentences.prescribed(some)
        .splitlines()[0]
        .endswith(
            "Of 3 objectives, the networks of 1 lose some in the first and keep them in the second, those of 1 do not; "
            "of 1 it cannot be told."
        )
    )
