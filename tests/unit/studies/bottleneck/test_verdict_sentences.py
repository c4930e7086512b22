"""What is said of the settings of a claim, and of the control of preference."""

import pandas as pd
import pytest

from bitskept.studies.bottleneck.claims import CHANCE, LENGTH, LIMIT, PREFERENCE
from bitskept.studies.bottleneck.verdict_sentences import verdicts


def row(outcome, primary, claim="it changes", model="a", reading="token", **facts):
    known = {"claim": claim, "model": model, "reading": reading, "outcome": outcome, "primary": primary}
    return (
        known
        | {
            "probe": None,
            "train_sentences": None,
            "estimate": None,
            "low": None,
            "high": None,
            "detectable": None,
            "unit": "bits",
        }
        | facts
    )


def said(*rows):
    return verdicts(pd.DataFrame(rows))


def test_settings_that_agree_and_those_that_do_not():
    rows = [row("yes", True), row("no", True, model="b"), row("yes", False, reading="bigram")]
    assert said(*rows) == "- “It changes”: **yes for a; no for b**. 1 of 1 other settings agree."
    others = [row("no", False, reading=name, train_sentences=2000) for name in ("trigram", "quadgram")]
    others += [row("no", True, model="c"), row("yes", False, model="b"), row("yes", False, model="c", probe="raw")]
    assert said(*rows, *others) == (
        "- “It changes”: **yes for a; no for b, c**. 1 of 5 other settings agree. "
        "“no” for a (trigram, 2,000 sentences; quadgram, 2,000 sentences). "
        "“yes” for b (token), c (token, raw)."
    )


def test_a_setting_is_compared_with_the_planned_row_of_its_reading_where_a_model_has_several():
    rows = [row("yes", True, reading="cost"), row("no", True, reading="score"), row("no", False, reading="score")]
    assert said(*rows) == "- “It changes”: **mixed for a (yes in 1, no in 1)**. 1 of 1 other settings agree."


def test_settings_without_a_planned_row_and_what_was_not_tested_do_not_count():
    assert said(row("yes", True)) == ""
    assert said(row("yes", True), row("yes", False, model="b")) == ""
    assert said(row("yes", True), row("not tested", False, claim="it changes (to be tested: more)")) == ""
    assert said(row("not tested", True, claim="it changes (to be tested: more)"), row("yes", False)) == ""


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (("yes", "yes"), "- States of all models tell which answer is longer, so the sample can reveal a label"),
        (("yes", "no"), "- The sample does not show that states of b tell which answer is longer."),
        (("cannot tell", "no"), "- The sample does not show that states of a, b tell which answer is longer."),
    ],
)
def test_whether_a_sample_of_answers_reveals_any_label(outcomes, expected):
    rows = [row(outcome, True, LENGTH.text, model) for outcome, model in zip(outcomes, "ab", strict=True)]
    assert said(*rows).startswith(expected)
    assert said(row("not tested", True, f"{LENGTH.text} (to be tested: more)")) == ""


def test_for_which_models_a_relative_limit_gives_another_outcome():
    rows = [row(outcome, True, model=model) for outcome, model in zip(("no", "no", "yes", "no"), "abcd", strict=True)]
    limited = zip(("yes", "cannot tell", "yes", "not tested"), "abcd", strict=True)
    rows += [row(outcome, False, model=model, probe=LIMIT) for outcome, model in limited]
    head = f"- By a {LIMIT} of optimality itself, "
    assert said(*rows).splitlines()[-1] == f"{head}“it changes” would be “yes” for a and “cannot tell” for b."
    assert said(rows[2], rows[6]).splitlines()[-1] == f"{head}each answer would be the same."
    assert LIMIT not in said(rows[3], rows[7])


@pytest.mark.parametrize(("seen", "blunt"), [(0.002, False), (0.0079, False), (0.0081, True), (0.02, True)])
def test_whether_as_much_would_have_been_seen_of_preferences(seen, blunt):
    length = [row("yes", True, LENGTH.text, estimate=0.01), row("no", True, LENGTH.text, "b", estimate=0.001)]
    of_people = [row("no", True, PREFERENCE.text, model, detectable=seen) for model in "ab"]
    words = said(*length, *of_people).splitlines()[-1]
    assert (f"or larger: {seen:.4f} for a, where length has 0.0100 bits per token." in words) == blunt
    assert ("could have been missed" in words) == blunt


def test_a_control_that_reaches_below_0_or_leaves_room_for_an_error_says_so():
    length = [row("yes", True, LENGTH.text, "a") | {"low": -0.001}, row("yes", True, LENGTH.text, "b") | {"low": 0.001}]
    assert said(*length).endswith("This rests on the exchange of labels: the interval of a reaches below 0.")
    both = said(*[one | {"low": -0.001} for one in length])
    assert both.endswith("the intervals of a and b reach below 0.")
    chance = [row("cannot tell", True, CHANCE.text, "a") | {"high": 0.003}, row("no", True, CHANCE.text, "b")]
    assert "their intervals end at 0.0030 in a bits per token. So this control shows no error" in said(*chance)
    assert said(chance[1]) == ""
