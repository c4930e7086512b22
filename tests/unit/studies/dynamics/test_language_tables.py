"""Tables, claims, figures and sentences about languages with a truth, on made-up measures."""

import itertools

import numpy as np
import pandas as pd
import pytest

from bitskept.instruments import claims as outcomes
from bitskept.instruments.training.builds import Build
from bitskept.studies.dynamics import language_claims, language_figures, language_sentences, language_tables
from bitskept.studies.dynamics.language_arms import BERT, FIRST, MAIN, MASK, NEXT, Arm
from bitskept.studies.dynamics.language_measures import CLEAN, COLUMNS, CORRUPTED
from bitskept.studies.dynamics.language_runs import Language, Plan, Sizes
from bitskept.theory.corruption import Corruption

LAST, ENTROPY, CLASS, SYNONYM = 4, 6.0, 4.0, 2.0
EXACT = {"class_bits": CLASS, "synonym_bits": SYNONYM, "kept": ENTROPY, "bits": ENTROPY}


def row(arm, seed, **facts):
    width = facts.pop("width", 0.02)
    value = facts["estimate"]
    ends = {"low": value - width, "high": value + width, "unit": "bits per token", "n": 300}
    empty = dict.fromkeys(COLUMNS) | {"step": LAST, "text": CLEAN}
    return {"arm": arm, "language": FIRST, "seed": seed} | empty | ends | facts


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


USUAL = {NEXT: 0.2, MASK: 0.1, BERT: 1.9}


def test_what_is_further_from_the_least_cost_has_not_learned():
    runs = language_tables.learned(measures(USUAL, gap={MASK: 0.2}), 0.05)
    assert runs.groupby("arm")["learned"].agg(list).to_dict() == {
        NEXT: [True] * 3, MASK: [False] * 3, BERT: [True] * 3,
    }  # fmt: skip
    text = language_sentences.learned(runs, 0.05)
    assert "**mask only**: 0.200 bits above the least cost (3 runs). **0 of 3 learned" in text
    assert "**next token**: 0.010 bits above the least cost (3 runs).\n" in text
    one = runs.iloc[[0]].assign(estimate=-0.0001)
    assert "0.000 bits above the least cost (1 run)." in language_sentences.learned(one, 0.05)
    two = pd.concat([runs.iloc[[0]], runs.iloc[[1]].assign(estimate=0.04)])
    assert "0.010 to 0.040 bits" in language_sentences.learned(two, 0.05)
    near = two.assign(low=[0.0, 0.03], high=[0.02, 0.06])
    assert "The intervals of 1 of 2 runs hold this limit" in language_sentences.learned(near, 0.05)
    assert "a little less than the least" in language_sentences.learned(one, 0.05)
    assert "a little less than the least" not in language_sentences.learned(two, 0.05)


def test_the_summary_has_means_at_the_last_layer_after_the_last_step():
    table = language_tables.summary(measures(USUAL), 0.05).set_index("arm")
    assert table.loc[BERT, "synonym_bits, centroid"] == pytest.approx(1.91)
    assert table.loc[BERT, "kept, ridge"] == pytest.approx(5.91)
    assert table.loc[BERT, "late_forgetting, centroid"] == pytest.approx(0.1)
    assert (table["learned"] == 3).all()


def test_means_over_seeds_have_an_interval_and_keep_the_true_value():
    table = language_tables.by_layer(measures(USUAL)).set_index(["arm", "probe", "quantity", "layer"])
    last = table.loc[(NEXT, "centroid", "synonym_bits", 2)]
    assert last["estimate"] == pytest.approx(0.21)
    assert last["low"] < 0.2 < 0.22 < last["high"]
    assert table.reset_index()["exact"].unique().tolist() == [CLASS, SYNONYM]
    steps = language_tables.by_step(measures(USUAL)).set_index(["arm", "quantity", "step"])["estimate"]
    assert steps[NEXT, "gap", 0] == pytest.approx(2.0)
    assert steps[NEXT, "synonym_bits", LAST] == pytest.approx(0.21)
    curve = language_tables.learning_curve(measures(USUAL))
    assert set(curve["train_sentences"]) == {75, 600}


def test_what_is_kept_is_said_by_the_stronger_probe_and_only_of_arms_that_learned():
    def say(synonym, **options):
        table = measures({NEXT: synonym}, **options)
        return language_sentences.kept(language_tables.by_layer(table), language_tables.learned(table, 0.05))

    assert "no verdict" in say(0.2, gap={NEXT: 0.2})
    assert "class 4.00 [3.98, 4.02] of 4.00 bits, synonym 0.21" in say(0.2)
    assert say(0.2).endswith("the class; of the synonym, which nothing needs, 0.21 bits can be read.")
    assert say(0.0).endswith("of the synonym, which nothing needs, nothing can be read.")
    assert say(2.0).endswith("It keeps all.")
    assert say(2.0, classes={NEXT: 3.0}).endswith("loses some of the class, which the future needs.")
    assert say(0.5, classes={NEXT: 3.0}).endswith("It loses bits of both.")
    table = language_tables.by_layer(measures({NEXT: 0.5}, classes={NEXT: 3.0}))
    text = language_sentences.kept(table.assign(high=4.1), language_tables.learned(measures({NEXT: 0.5}), 0.05))
    assert text.endswith(
        "Whether it loses bits of the class on average cannot be told: the interval holds all of them."
    )


def test_a_token_is_recreated_where_the_last_layer_lies_above_the_lowest_before_it():
    curves = {BERT: [2.0, 1.0, 2.0], MASK: [2.0, 1.9, 1.0], NEXT: [2.0, 1.0, 1.08]}
    table = measures(USUAL, curves=curves)
    rises = language_tables.recreated(table).set_index(["arm", "estimator"])["estimate"]
    assert rises[BERT, "centroid"] == pytest.approx(1.01)
    assert rises[MASK, "clusters"] == pytest.approx(-0.9)
    estimates = language_tables.estimators(table).set_index(["arm", "estimator", "layer"])["estimate"]
    assert estimates[BERT, "clusters", 1] == pytest.approx(0.5)  # less the floor
    text = language_sentences.recreated(language_tables.recreated(table))
    assert "**BERT's rule**, is the token recreated at the top? yes: centroid +1.01" in text
    assert "**mask only**, is the token recreated at the top? no: centroid -0.89" in text
    assert "**next token**, is the token recreated at the top? cannot tell: centroid +0.09" in text


def test_a_rise_without_an_interval_is_told_only_where_there_is_none():
    base = {"arm": NEXT, "estimator": "clusters", "low": np.nan, "high": np.nan}
    text = language_sentences.recreated(pd.DataFrame([base | {"estimate": 0.0}]))
    assert "no: clusters +0.00 (no interval)" in text
    text = language_sentences.recreated(pd.DataFrame([base | {"estimate": 0.5}]))
    assert "cannot tell: clusters +0.50 (no interval)" in text


def test_the_lowest_layer_is_chosen_on_the_other_runs():
    """Of two inner layers that differ by noise alone, the last layer does not lie above the lower one."""
    random, rows = np.random.default_rng(0), []
    for seed in range(200):
        for layer, value in enumerate([1.0, *random.normal(0, 1, 3)]):
            facts = {"reading": "token", "probe": "centroid", "train_sentences": 600, "quantity": "kept"}
            rows.append(row(NEXT, seed, layer=layer, **facts, estimate=value))
    rows += [row(NEXT, 0, layer=0, quantity="cluster_floor", estimate=0.0)]
    table = pd.DataFrame(rows).astype({"layer": "Int64", "train_sentences": "Int64"})
    found = language_tables.recreated(table).iloc[0]
    assert found["low"] < 0 < found["high"]


PLAN = Plan(
    Language(2, 2, 1.0, 0), Corruption(0.3), Build("llama", 16, 2, 2, 24), Sizes(1, 1, 1, (), 1, 2, 2, 2)
)  # fmt: skip
PAIRS = [Arm("10 % kept", PLAN, "kept", MASK), Arm("untied", PLAN, "tied", NEXT), Arm(NEXT, PLAN)]


def test_an_ingredient_is_the_difference_of_two_arms_over_the_seeds_that_both_have():
    table = measures(USUAL | {"10 % kept": 1.9, "untied": 0.2})
    table = table[(table["arm"] != "10 % kept") | (table["seed"] == 0)]
    found = language_tables.factors(table, PAIRS, 0.05).set_index(["arm", "probe"])
    assert found.loc[("10 % kept", "centroid"), ["estimate", "first", "second", "runs"]].tolist() == pytest.approx(
        [1.8, 1.9, 0.1, 1]
    )
    assert found.loc[("untied", "ridge"), ["estimate", "runs"]].tolist() == pytest.approx([0, 3])
    assert found["learned"].all()
    text = language_sentences.factors(found.reset_index())
    assert text.startswith("The largest effect: 10 % kept against mask only, +1.80 bits about the synonym by the ")
    assert "untied against next token: centroid +0.00" in text
    assert "(3 seeds)" in text
    assert "(1 seed)" in text
    assert "holds for that pair of runs" in text
    assert "As much" not in text
    tied = found.reset_index().assign(estimate=1.8)
    assert "+1.80 bits about the synonym by the centroid. As much, but for 0.05 bits: untied.\n" in (
        language_sentences.factors(tied)
    )


def test_an_ingredient_of_a_network_that_did_not_learn_gets_no_verdict():
    table = measures({MASK: 0.1, "10 % kept": 1.9}, gap={MASK: 0.5})
    found = language_tables.factors(table, PAIRS[:1], 0.05)
    assert not found["learned"].any()
    text = language_sentences.factors(found)
    assert text == "- **kept**, 10 % kept against mask only: no verdict, as a network has not learned."


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
    text = language_sentences.above(found.reset_index())
    assert "**bits, window**: 2 of 6" in text
    assert "at most 0.300 bits above it)." in text
    sure = found.reset_index().assign(low=0.03)
    assert "That is more than the 2.5 % that intervals allow." in language_sentences.above(sure)
    alone = found.reset_index().assign(low=np.nan, high=np.nan, runs=1)
    assert "(33.3%, 1 run; at most" in language_sentences.above(alone)


def claims(**options):
    table = language_claims.claims(measures(USUAL | options.pop("synonym", {}), **options), 0.05)
    assert list(table) == outcomes.COLUMNS
    return table


def answers(table):
    rows = table[table["primary"]]
    names = zip(rows["claim"].str.partition(" (")[0], rows["model"].str.partition(" (")[0], strict=True)
    return dict(zip(names, rows["outcome"], strict=True))


def test_claims_are_weighed_over_the_seeds():
    found = answers(claims())
    assert found[language_claims.KEEPS, f"{BERT} − {NEXT}"] == "yes"
    assert found[language_claims.KEEPS, f"{MASK} − {NEXT}"] == "no"
    assert found[language_claims.NAMED, f"{BERT} − {MASK}"] == "yes"
    assert found[language_claims.NEEDS, NEXT] == found[language_claims.NEEDS, MASK] == "yes"
    assert found[language_claims.BEYOND, "all arms"] in ("no", "cannot tell")
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
    assert {found for key, found in answers(none).items() if key[0] != language_claims.BEYOND} == {"not tested"}
    untested = none[none["outcome"] == "not tested"]
    assert untested["claim"].str.endswith(language_claims.UNLEARNED).all()
    assert len(none) == len(claims())


def test_one_seed_says_nothing_of_others():
    found = answers(claims(seeds=1))
    assert {found[key] for key in found if key[0] != language_claims.BEYOND} <= {"cannot tell", "not tested"}


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
    assert text.count("**") == 2 * 4
    assert "named keep the token: **yes for BERT's rule − mask only**" in text


def test_the_course_of_training_is_told_by_its_ends_its_highest_step_and_its_lowest_after_that():
    table = pd.DataFrame({"arm": NEXT, "quantity": "synonym_bits", "step": [0, 4, 8], "estimate": [2.0, 0.25, 0.5]})
    table = table.assign(low=table["estimate"] - 0.1, high=table["estimate"] + 0.1)
    assert language_sentences.over_steps(table) == (
        "- **next token**: 2.00 [1.90, 2.10] bits about the synonym before the first step; fewest from there on after "
        "step 4: 0.25 [0.15, 0.35]; at the end, after step 8: 0.50 [0.40, 0.60]."
    )
    turned = table.assign(estimate=[0.25, 2.0, 0.5])
    assert "before the first step; most after step 4: 2.00 [0.15, 0.35]; at the end, after step 8: 0.50" in (
        language_sentences.over_steps(turned)
    )


def test_figures_show_every_arm_part_and_estimator():
    table = measures(USUAL | {"10 % kept": 1.9}, gap={"10 % kept": 0.2})
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
    effects = language_figures.language_factors(language_tables.factors(table, PAIRS[:1], 0.05))
    assert [text.get_text() for text in effects.axes[0].get_yticklabels()] == ["10 % kept − mask only"]
    labels = [text.get_text() for text in effects.legends[0].get_texts()]
    assert labels == ["centroid, not learned", "ridge, not learned"]
    weighed = language_claims.claims(table, 0.05)
    panels = {axes.get_title(loc="left"): axes for axes in language_figures.claims(weighed).axes}
    named = [text.get_text() for text in panels[language_claims.KEEPS].get_yticklabels()]
    assert named == [f"{BERT} − {NEXT}", f"{MASK} − {NEXT}"]
