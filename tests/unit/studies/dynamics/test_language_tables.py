"""Tables, claims, figures and sentences about languages with a truth, on made-up measures."""

import itertools

import numpy as np
import pandas as pd
import pytest

from bitskept.base.figures import rendered
from bitskept.instruments import claims as outcomes
from bitskept.studies.dynamics import language_claims, language_figures, language_sentences, language_tables
from bitskept.studies.dynamics.language_arms import BERT, FIRST, LAG, MAIN, MASK, NEXT, SECOND
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
    assert "The intervals of 1 of 2 runs hold this limit" in language_sentences.learned(near, 0.05)
    assert "a little less than the least" in language_sentences.learned(one, 0.05)
    assert "a little less than the least" not in language_sentences.learned(two, 0.05)


def test_runs_that_have_learned_stand_for_their_arm_and_all_of_them_where_none_has():
    table = measures(USUAL)
    failed = (table["quantity"] == "gap") & ((table["arm"] == MASK) | (table["arm"] == NEXT) & (table["seed"] == 1))
    found = language_tables.counted(table.assign(estimate=table["estimate"].mask(failed, 0.2)), 0.05)
    assert found.groupby("arm")["seed"].unique().map(list).to_dict() == {NEXT: [0, 2], MASK: [0, 1, 2], BERT: [0, 1, 2]}
    assert found.groupby("arm")["learned"].unique().map(list).to_dict() == {NEXT: [True], MASK: [False], BERT: [True]}
    assert list(found) == [*table, "learned"]


def test_the_summary_has_means_at_the_last_layer_after_the_last_step():
    runs = language_tables.learned(measures(USUAL), 0.05)
    table = language_tables.summary(counted(USUAL), runs.assign(learned=runs["seed"] > 0)).set_index("arm")
    assert table.loc[BERT, "synonym_bits, centroid"] == pytest.approx(1.91)
    assert table.loc[BERT, "kept, ridge"] == pytest.approx(5.91)
    assert table.loc[BERT, "late_forgetting, centroid"] == pytest.approx(0.1)
    assert table.loc[BERT, "gap"] == pytest.approx(0.01)
    assert (table["learned"] == 2).all()
    assert (table["runs"] == 3).all()


def test_the_last_layer_of_each_run():
    table = language_tables.by_run(counted(USUAL)).set_index(["arm", "seed", "probe", "quantity"])
    assert table.loc[(BERT, 2, "ridge", "synonym_bits"), "estimate"] == pytest.approx(1.92)
    assert table.loc[(BERT, 2, "ridge", "kept"), ["exact", "learned"]].tolist() == [ENTROPY, True]
    assert len(table) == 3 * 3 * 2 * 3


def test_means_over_seeds_have_an_interval_and_keep_the_true_value():
    table = language_tables.by_layer(counted(USUAL)).set_index(["arm", "probe", "quantity", "layer"])
    last = table.loc[(NEXT, "centroid", "synonym_bits", 2)]
    assert last["estimate"] == pytest.approx(0.21)
    assert last["low"] < 0.2 < 0.22 < last["high"]
    assert table.reset_index()["exact"].unique().tolist() == [CLASS, SYNONYM]
    steps = language_tables.by_step(counted(USUAL)).set_index(["arm", "quantity", "step"])["estimate"]
    assert steps[NEXT, "gap", 0] == pytest.approx(2.0)
    assert steps[NEXT, "synonym_bits", LAST] == pytest.approx(0.21)
    curve = language_tables.learning_curve(counted(USUAL))
    assert set(curve["train_sentences"]) == {75, 600}


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
    curves = {BERT: [2.0, 1.0, 2.0], MASK: [2.0, 1.9, 1.0], NEXT: [2.0, 1.0, 1.08]}
    table = counted(USUAL, curves=curves)
    rises = language_tables.recreated(table).set_index(["arm", "estimator"])["estimate"]
    assert rises[BERT, "centroid"] == pytest.approx(1.01)
    assert rises[MASK, "clusters"] == pytest.approx(-0.9)
    estimates = language_tables.estimators(table).set_index(["arm", "estimator", "layer"])["estimate"]
    assert estimates[BERT, "clusters", 1] == pytest.approx(0.5)  # less the floor
    text = language_sentences.recreated(language_tables.recreated(table))
    assert "**BERT's rule**, is the token recreated at the top? yes: centroid +1.01" in text
    assert "**mask only**, is the token recreated at the top? no: centroid -0.89" in text
    assert "**next token**, is the token recreated at the top? cannot tell: centroid +0.09" in text


def test_a_rise_without_an_interval_cannot_be_told_and_of_an_arm_that_did_not_learn_there_is_none():
    base = {"arm": NEXT, "estimator": "clusters", "estimate": 0.5, "low": np.nan, "high": np.nan, "p": np.nan}
    text = language_sentences.recreated(pd.DataFrame([base | {"learned": True}]))
    assert "cannot tell: clusters +0.50 (no interval)" in text
    text = language_sentences.recreated(pd.DataFrame([base | {"learned": False}]))
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
    assert "0 of 30 lie above the true value by more than their interval (0.0% [0.0%," in (
        language_sentences.above(found.reset_index())
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
    text = language_sentences.above(found.reset_index())
    assert "**bits, window**: 2 of 6" in text
    assert "at most 0.300 bits above it). The intervals of 6 reach it." in text
    assert "No interval reaches it." in language_sentences.above(found.reset_index().assign(near=0))
    sure = found.reset_index().assign(low=0.03)
    assert "That is more than the 2.5 % that intervals allow." in language_sentences.above(sure)
    alone = found.reset_index().assign(low=np.nan, high=np.nan, runs=1)
    assert "(33.3%, 1 run; at most" in language_sentences.above(alone)


def claims(**options):
    table = language_claims.claims(counted(USUAL | options.pop("synonym", {}), **options))
    assert list(table) == outcomes.COLUMNS
    return table


def answers(table):
    rows = table[table["primary"]]
    claim, arm = rows["claim"].str.partition(" (")[0], rows["model"].str.removesuffix(language_claims.WHERE)
    return dict(zip(zip(claim, arm, strict=True), rows["outcome"], strict=True))


def test_claims_are_weighed_over_the_seeds():
    found = answers(claims())
    assert found[language_claims.KEEPS, f"{BERT} − {NEXT}"] == "yes"
    assert found[language_claims.KEEPS, f"{MASK} − {NEXT}"] == "no"
    assert found[language_claims.NAMED, f"{BERT} − {MASK}"] == "yes"
    assert found[language_claims.NEEDS, NEXT] == found[language_claims.NEEDS, MASK] == "yes"
    assert answers(claims(classes={NEXT: 0.1}))[language_claims.NEEDS, NEXT] == "no"


def test_an_arm_that_forgets_nothing_cannot_show_what_is_forgotten():
    table = claims(synonym={BERT: 2.0})
    assert answers(table)[language_claims.NEEDS, BERT] == "not tested"
    assert table.loc[table["claim"].str.contains("to be tested"), "model"].str.startswith(BERT).all()


def test_runs_that_did_not_learn_decide_nothing():
    found = answers(claims(gap={BERT: 0.3}))
    assert found[language_claims.KEEPS, f"{BERT} − {NEXT}"] == "not tested"
    assert found[language_claims.KEEPS, f"{MASK} − {NEXT}"] == "no"
    assert found[language_claims.NEEDS, BERT] == "not tested"
    none = claims(gap=dict.fromkeys(MAIN, 0.3))
    assert set(answers(none).values()) == {"not tested"}
    untested = none[none["outcome"] == "not tested"]
    assert untested["claim"].str.endswith(language_claims.UNLEARNED).all()
    assert len(none) == len(claims())
    figure = language_figures.language_claims(none)
    assert rendered(figure, "claims", ["png"])
    assert f"{NEXT}: {language_claims.NEEDS} (to be tested: " in figure.axes[-1].texts[0].get_text()


def test_one_seed_says_nothing_of_others():
    found = answers(claims(seeds=1))
    assert set(found.values()) <= {"cannot tell", "not tested"}


def test_the_verdict_names_each_claim_and_how_many_other_settings_agree():
    text = language_sentences.claim(claims(), claims())
    assert "- Encoders keep more than decoders: **yes for BERT's rule − next token**. 3 of 3 other" in text
    assert "**no for mask only − next token**" in text
    assert "Were all runs counted" not in text
    table = claims()
    turned = (table["probe"] == "ridge") & table["model"].str.startswith(f"{BERT} − {NEXT}")
    text = language_sentences.claim(table.assign(outcome=table["outcome"].mask(turned, "cannot tell")), table)
    assert "other settings agree; " in text
    assert " by the ridge say cannot tell.\n" in text


def test_a_claim_that_runs_which_did_not_learn_would_turn_says_so():
    text = language_sentences.claim(claims(gap={BERT: 0.3}), claims())
    assert "**not tested for BERT's rule − next token**. Were all runs counted, it would be **yes**.\n" in text


def test_one_sentence_names_every_claim():
    text = language_sentences.verdict(claims())
    assert text.count("**") == 2 * 3
    assert "named keep the token: **yes for BERT's rule − mask only**" in text


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
    weighed = language_claims.claims(table)
    panels = {axes.get_title(loc="left"): axes for axes in language_figures.language_claims(weighed).axes}
    named = [text.get_text() for text in panels[language_claims.NAMED].get_yticklabels()]
    assert named == [f"{BERT} − {MASK}"]


NEEDED = language_claims.NEEDED
WITH_LAG = {f"{NEXT}{LAG}": 1.95, f"{MASK}{LAG}": 0.5, f"{BERT}{LAG}": 1.98}


def test_where_the_synonym_is_needed_it_should_stay():
    found = answers(claims(synonym={BERT: 2.0} | WITH_LAG))
    assert found[language_claims.NEEDS, f"{NEXT}{NEEDED}"] == found[language_claims.NEEDS, f"{MASK}{NEEDED}"] == "yes"
    assert found[language_claims.NEEDS, f"{BERT}{NEEDED}"] == "not tested"  # it loses nothing in either language
    assert answers(claims(synonym={f"{NEXT}{LAG}": 0.2}))[language_claims.NEEDS, f"{NEXT}{NEEDED}"] == "no"
    fallen = claims(synonym={f"{NEXT}{LAG}": 1.0}, gap={f"{NEXT}{LAG}": 0.5})
    assert answers(fallen)[language_claims.NEEDS, f"{NEXT}{NEEDED}"] == "not tested"
    table = counted(USUAL | WITH_LAG)
    table = table[(table["language"] == FIRST) | (table["seed"] == 0)]
    rows = language_claims.claims(table)
    row = rows[rows["primary"] & (rows["model"] == f"{NEXT}{NEEDED}")].iloc[0]
    assert row[["outcome", "estimate", "clusters"]].tolist() == ["cannot tell", pytest.approx((1.95 - 0.21) / 2), 1]
    assert np.isnan(row["low"])


def needed(synonym, **options):
    return language_tables.second_language(counted(synonym, **options))


def test_the_second_language_is_told_beside_the_first():
    table = needed(USUAL | WITH_LAG, gap={f"{MASK}{LAG}": 0.5})
    lines = language_sentences.needed(table).splitlines()
    assert lines[0] == (
        "- **next token**: where nothing needs them, 0.21 [0.19, 0.23] of 2.00 bits at the last layer by the centroid, "
        "all but 0.05 up to layer 1 (3 runs); where the future does, 1.96 [1.94, 1.98] of 2.00 bits at the last layer "
        "by the centroid, all but 0.05 up to layer 2 (3 runs)."
    )
    assert lines[1].endswith("where the future does, no verdict, as no run has learned.")
    never = needed({NEXT: 0.2}, curves={NEXT: [1.0, 1.0, 0.2]}, seeds=1)
    assert "nowhere all of them (1 run)." in language_sentences.needed(never)
    figure = language_figures.language_needed(table)
    assert [axes.get_title() for axes in figure.axes[:3]] == [f"{arm}, centroid" for arm in MAIN]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["nothing needs it", "the future needs it"]


def test_whether_forgetting_is_what_the_bottleneck_prescribes():
    def say(first, second=None, **options):
        both = {NEXT: first} | ({} if second is None else {f"{NEXT}{LAG}": second})
        return language_sentences.prescribed(needed(both, **options)).splitlines()

    assert say(0.2, 1.98)[0].endswith("keeps them in the second. So do the networks of all 1 objectives.")
    assert say(0.2, 1.98)[2] == (
        "- **next token** drops bits that nothing needs and keeps those that the future needs; of what nothing needs "
        "it still holds 0.21 of 2.00 bits."
    )
    assert say(1.98, 1.98)[2] == "- **next token** keeps all, whether they are needed or not."
    assert say(1.98, 1.98)[0].endswith("The networks of none of 1 objectives do so.")
    assert say(0.2, 0.5, seeds=1)[2] == (
        "- **next token** loses bits whether they are needed or not; of what nothing needs it still holds 0.20 of 2.00 "
        "bits; of what the future needs it has lost 1.50 bits (a single run of the second language)."
    )
    assert "keeps bits that nothing needs and loses some that the future needs; of what" in say(1.98, 0.5)[2]
    assert say(0.2)[0].endswith("No network was trained on the second, so that only the first half can be compared.")
    assert say(0.2)[2] == "- **next token** drops bits that nothing needs."
    assert say(1.98)[2] == "- **next token** keeps bits that nothing needs."
    assert say(0.2, gap={NEXT: 0.5})[2] == "- **next token** cannot be told from a network that keeps all."
    unsure = say(0.2, 1.98, gap={NEXT: 0.5})
    assert unsure[0].endswith("Whether networks do so cannot be told.")
    assert unsure[2] == (
        "- **next token** cannot be judged: where nothing needs them, it cannot be told whether all are kept; where "
        "the future does, all are kept."
    )
    some = needed(USUAL | WITH_LAG, gap={BERT: 0.5})
    assert (
        language_sentences.prescribed(some)
        .splitlines()[0]
        .endswith("The networks of 1 of 3 objectives do so; of 1 it cannot be told.")
    )
