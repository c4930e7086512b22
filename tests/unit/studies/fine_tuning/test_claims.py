import numpy as np
import pandas as pd
import pytest

from bitskept.instruments.claims import BORDER, COLUMNS
from bitskept.studies.fine_tuning.claims import (
    RAISES,
    by_score,
    claims,
    described,
    near_the_border,
    tuned_opponent,
    with_border,
)
from bitskept.studies.fine_tuning.section import FineTuning

SIZES = {"train_sentences": 9, "validation_sentences": 9, "test_sentences": 9, "layers": 3, "items": 9}
TUNING = {"arms": ["recoverability", "continued"], "first_rate_arms": ["sentence"], "rates": [0.1, 0.05],
          "seeds": [0, 1], "steps": 60, "checkpoints": [8], "dose_tasks": ["stsb"], "batch": 4}  # fmt: skip


STATED = f"tuning for recoverability from each state {RAISES}"
LEARNED = pd.DataFrame(
    [{"model": "m", "arm": arm, "rate": rate, "step": step, "quantity": "named", "estimate": 0.2 if step else 0.0}
     for arm in ("recoverability", "sentence") for rate in (0.1, 0.05) for step in (0, 8, 60)]
)  # fmt: skip


@pytest.fixture(scope="module")
def section():
    return FineTuning(
        profile="small", tuning={"m": TUNING}, measuring={"m": SIZES}, corpus="mixed", longest=9, rank=2, negatives=9,
        curve_sentences=9, tasks=["stsb", "trec"], data_tasks=["blimp", "sick"], seed=0,
        dtype="float32", accept_terms=[],
    )  # fmt: skip


def change(estimate=0.1, against="before", p=0.001, half=0.05, **facts):
    usual = {"model": "m", "arm": "recoverability", "rate": 0.1, "step": 60, "against": against, "task": "stsb",
             "layer": 6, "pooling": "mean", "quantity": "spearman", "before": 0.5, "after": 0.5 + estimate,
             "estimate": estimate, "low": estimate - half, "high": estimate + half, "p": p, "unit": "rank correlation",
             "n": 300, "clusters": 200, "runs": 2}  # fmt: skip
    return usual | facts


def test_a_claim_is_the_smallest_rise_at_the_main_dose_in_the_columns_of_all_notebooks_and_its_own(section):
    rows = pd.DataFrame([change(0.3), change(0.2, "continued", half=0.1), change(0.4, arm="continued")])
    table = claims(section, rows, {}, LEARNED)
    assert list(table) == [*COLUMNS, "arm", "score", "rate", "against", "p"]
    (row,) = table.to_dict("records")
    assert row["claim"] == f"{STATED} (stsb)"
    assert (row["paper"], row["reading"], row["probe"], row["model"], row["outcome"]) == (
        "P1", "mean", "cosine", "m", "yes",
    )  # fmt: skip
    assert (row["train_sentences"], row["clusters"], row["unit"]) == (240, 200, "difference in rank correlation")
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx((0.2, 0.1, 0.3))
    assert (row["against"], row["p"]) == ("continued", 0.001)
    assert row["detectable"] == pytest.approx((1.96 + 1.282) * 0.1 / 1.96, rel=1e-3)
    assert table.attrs["made by"].endswith("fine_tuning.claims.claims")


def test_p_is_adjusted_over_the_scores_of_a_model_an_arm_and_a_dose(section):
    scores = [change(p=0.02), change(p=0.02, task="trec", quantity="linear_accuracy"),
              change(p=0.02, task="blimp", quantity="pair_accuracy", pooling=pd.NA)]  # fmt: skip
    assert set(claims(section, pd.DataFrame(scores), {}, LEARNED)["outcome"]) == {"cannot tell"}, "three tests"
    two = claims(section, pd.DataFrame(scores[:2]), {}, LEARNED)
    alone = claims(section, pd.DataFrame(scores[:1]), {}, LEARNED)["detectable"].iloc[0]
    assert two["detectable"].iloc[0] == pytest.approx(alone * (2.241 + 0.842) / (1.960 + 0.842), rel=1e-3), "once"
    assert set(two["outcome"]) == {"yes"}
    for other in ({"step": 8}, {"rate": 0.05}, {"pooling": "last"}, {"arm": "sentence"}):
        apart = claims(section, pd.DataFrame([scores[0], scores[0] | other, scores[1] | other]), {}, LEARNED)
        assert set(apart["outcome"]) == {"yes"}, other


def test_what_was_written_down_comes_first_and_is_told_from_other_doses_and_poolings(section):
    others = [{"step": 8}, {"rate": 0.05}, {"pooling": "last"}]
    rows = [change() | other for other in others]
    rows += [change(), change(arm="sentence"), change(task="blimp", quantity="pair_accuracy", pooling=pd.NA)]
    table = described(claims(section, pd.DataFrame(rows), {}, LEARNED))
    assert table["primary"].tolist() == [True, True, True, False, False, False]
    assert table["arm"].tolist() == ["recoverability", "sentence", "recoverability"] + ["recoverability"] * 3
    assert table["score"].tolist() == ["stsb", "stsb", "blimp", "stsb", "stsb", "stsb"]
    assert table["rate"].tolist()[3:] == pytest.approx([np.nan, 0.05, np.nan], nan_ok=True)
    assert table["train_sentences"].tolist()[3:] == [32, 240, 240]
    assert table.loc[4, "claim"] == f"{STATED} (stsb at a rate of 0.05)"


def test_two_ways_to_score_a_task_are_two_scores_of_one_claim(section):
    rows = [change(task="trec", quantity=name) for name in ("linear_accuracy", "neighbour_accuracy", "pair_margin")]
    table = described(claims(section, pd.DataFrame(rows), {}, LEARNED))
    assert table["score"].tolist() == ["trec (linear)", "trec (neighbours)"]
    assert table["probe"].tolist() == ["linear", "neighbours"]
    assert table["claim"].nunique() == 1
    assert table["holm"].tolist() == pytest.approx([2.2414 / 1.96] * 2, rel=1e-3), "Bonferroni for two"


def test_a_dose_at_which_nothing_is_learned_is_not_tested_and_the_main_dose_is(section):
    rows = pd.DataFrame([change(), change(step=8), change(rate=0.05)])
    early = LEARNED["step"].eq(8) & LEARNED["rate"].eq(0.1) | LEARNED["step"].eq(60) & LEARNED["rate"].eq(0.1)
    table = claims(section, rows, {}, LEARNED.assign(estimate=LEARNED["estimate"].mask(early, 0.09)))
    assert table["outcome"].tolist() == ["yes", "not tested", "yes"], "the last section asks about the main dose"
    assert table["claim"][1].endswith("(stsb) (to be tested: a dose at which the model learns to name)")
    assert table["primary"].tolist() == [True, False, False]


def test_tasks_that_are_left_out_are_not_tested_and_say_what_it_takes(section):
    left_out = {"sick": "no files: set BITSKEPT_DATA", "blimp of m": "m has no head: take one that has", "x of n": "y"}
    table = claims(section, pd.DataFrame([change()]), left_out, LEARNED)
    untested = table[table["outcome"] == "not tested"]
    assert untested["claim"].tolist() == [
        f"{STATED} (sick) (to be tested: set BITSKEPT_DATA)",
        f"{STATED} (blimp) (to be tested: take one that has)",
    ]
    assert untested["model"].tolist() == ["m", "m"]
    assert len(described(table)) == 1


def test_the_sentence_reading_is_not_tested_for_a_model_without_its_arm(section):
    tuning = section.tuning["m"].model_copy(update={"first_rate_arms": []})
    without = section.model_copy(update={"tuning": {"m": tuning}})
    table = claims(without, pd.DataFrame([change()]), {}, LEARNED)
    assert table["claim"].tolist()[1:] == [
        f"tuning for recoverability from one vector {RAISES} (to be tested: the arm “sentence”)"
    ]
    assert table.loc[1, ["model", "outcome", "paper"]].tolist() == ["m", "not tested", "P1"]


def test_the_primary_rows_are_those_of_the_main_dose_and_those_that_were_not_tested(section):
    rows = pd.DataFrame([change() | other for other in ({}, {"step": 8}, {"pooling": "last"})])
    table = claims(section, rows, {"sick": "no files: set BITSKEPT_DATA"}, LEARNED)
    table = table[table["primary"]]
    assert table["outcome"].tolist() == ["yes", "not tested"]
    assert table.iloc[0]["train_sentences"] == 240
    assert table.iloc[0]["reading"] == "mean"


@pytest.mark.parametrize(
    ("outcome", "estimate", "low", "high", "holm", "near"),
    [
        ("yes", 0.10, 0.05, 0.15, 1.0, False),
        ("yes", 0.03, 0.025, 0.035, 1.0, True),  # .01 above what counts
        ("yes", 0.10, 0.015, 0.185, 1.0, True),  # .015 above zero
        ("yes", 0.10, 0.05, 0.15, 1.8, True),  # the interval of Holm's strictest step ends at .01
        ("no", -0.10, -0.15, -0.05, 1.0, False),
        ("no", -0.02, -0.05, 0.01, 1.0, True),
        ("cannot tell", 0.03, -0.1, 0.1, 1.0, False),
    ],
)
def test_rows_that_another_processor_may_turn_are_named(outcome, estimate, low, high, holm, near):
    row = {"outcome": outcome, "estimate": estimate, "low": low, "high": high, "holm": holm}
    assert near_the_border(pd.DataFrame([row]), tuned=False).tolist() == [near]


@pytest.mark.parametrize(
    ("outcome", "estimate", "half"), [("yes", 0.05, 0.001), ("yes", 0.1, 0.07), ("no", -0.05, 0.04)]
)
def test_the_border_is_twice_as_wide_between_two_tuned_models(outcome, estimate, half):
    row = {"outcome": outcome, "estimate": estimate, "low": estimate - half, "high": estimate + half, "holm": 1.0}
    rows = pd.DataFrame([row, row], index=[3, 5])
    assert near_the_border(rows, pd.Series([True, False], [3, 5])).tolist() == [True, False]
    assert near_the_border(rows).tolist() == [True, True], "an opponent that is not known may be tuned"


def test_a_yes_rests_on_every_opponent_and_another_outcome_on_that_of_the_smallest_rise():
    rises = [("a", "before", 0.1), ("a", "permuted", 0.2), ("b", "before", 0.2), ("b", "permuted", 0.1),
             ("c", "before", 0.1)]  # fmt: skip
    contrasts = pd.DataFrame(rises, columns=["score", "against", "estimate"]).assign(model="m", arm="recoverability")
    rows = [("a", "yes"), ("a", "no"), ("b", "no"), ("c", "yes")]
    rows = pd.DataFrame(rows, columns=["score", "outcome"], index=[2, 4, 6, 8]).assign(model="m", arm="recoverability")
    assert tuned_opponent(rows, contrasts).to_dict() == {2: True, 4: False, 6: True, 8: False}


def test_no_verdict_rests_on_a_primary_row_near_the_border():
    row = {"model": "m", "arm": "recoverability", "score": "stsb", "rate": np.nan, "outcome": "no", "reading": "mean",
           "train_sentences": 240, "estimate": -0.1, "low": -0.2, "high": 0.0, "primary": True}  # fmt: skip
    far = {"score": "lee", "high": -0.05}
    table = pd.DataFrame([row, row | far, row | {"primary": False}, row | {"outcome": "not tested", "high": None}])
    contrasts = pd.DataFrame({"score": ["stsb", "lee"], "against": "permuted", "estimate": -0.1})
    table = with_border(table, contrasts.assign(model="m", arm="recoverability"))
    assert table["outcome"].tolist() == [BORDER, "no", "no", "not tested"]
    again = with_border(table, contrasts.assign(model="m", arm="recoverability"))
    assert again["outcome"].tolist() == table["outcome"].tolist()


def test_in_a_table_of_scores_the_claim_is_not_repeated(section):
    rows = pd.DataFrame([change(), change(rate=0.05), change(arm="sentence")])
    table = by_score(claims(section, rows, {"sick": "no files: set BITSKEPT_DATA"}, LEARNED))
    assert table["claim"].tolist() == [
        "stsb, against before", "recoverability from one vector (stsb), against before",
        "stsb at a rate of 0.05, against before", "sick (to be tested: set BITSKEPT_DATA)",
    ]  # fmt: skip


@pytest.mark.parametrize(("against", "room"), [(0.2, True), (0.5, False)])
def test_no_rise_would_have_been_seen_that_not_even_a_perfect_score_is(section, against, room):
    scores = [change(-0.1, half=0.4, p=1.0, before=0.2), change(0.0, "continued", half=0.4, p=1.0, before=against),
              change(task="lee", p=0.02)]  # fmt: skip
    first, _ = claims(section, pd.DataFrame(scores), {"sick": "no files: get them"}, LEARNED).to_dict("records")[:2]
    assert first["outcome"] == "cannot tell"
    assert first["detectable"] == pytest.approx(0.728 if room else np.inf, rel=1e-3)
