import pandas as pd
import pytest

from bitskept.studies.fine_tuning import sentences
from bitskept.studies.fine_tuning.claims import RAISES
from bitskept.studies.fine_tuning.score_changes import differences

OPPONENTS = ("before", "continued", "permuted")


def test_a_learning_curve_is_described_by_its_ends():
    rows = [
        ("continued", "named", {20: 0.30, 0: 0.10, 10: 0.2}),
        ("continued", "cross_entropy", {0: 9.04, 20: 5.0, 10: 1.0}),
        ("continued", "loss", {25: 1.0}),
        ("permuted", "named", {0: 0.0}),
        ("permuted", "cross_entropy", {0: 12.0}),
    ]
    table = pd.DataFrame(
        [{"model": "m", "arm": arm, "rate": 1e-3, "quantity": quantity, "step": step, "estimate": value}
         for arm, quantity, curve in rows for step, value in curve.items()]
    )  # fmt: skip
    assert sentences.learning(table) == (
        "- **m**, continued, rate 0.001: from 10% to 30% of its targets, from 9.0 to 5.0 bits of surprisal.\n"
        "- **m**, permuted, rate 0.001: from 0% to 0% of its targets, from 12.0 to 12.0 bits of surprisal."
    )


def test_changes_of_the_last_layer_are_listed_by_arm():
    index = pd.MultiIndex.from_product([["m"], ["before", "recoverability", "permuted"]], names=["model", "arm"])
    last_layer = pd.DataFrame({"centroid": [0.6, 0.8, 0.6], "ridge": [0.5, 0.4, 0.499]}, index)
    assert sentences.layers(last_layer) == (
        "- **m**: before, the last layer keeps 60% (centroid) and 50% (ridge) of H(X). Changes: recoverability "
        "+20 and -10 points, permuted +0 and +0 points."
    )


def test_tasks_that_are_left_out_come_with_their_reason():
    outcomes = {"m": pd.DataFrame({"task": ["lee", "lee", "stsb"]}), "n": pd.DataFrame({"task": ["lee"]})}
    reasons = {"sick": "no files: set BITSKEPT_DATA", "blimp": "no head: leave them out, or take a model with one"}
    assert sentences.tasks(outcomes, reasons) == (
        "Tasks: lee, stsb.\n\n- left out, sick; it would take this: set BITSKEPT_DATA\n"
        "- left out, blimp; it would take this: take a model with one"
    )


def changes(by_task, opponents=OPPONENTS, model="m", arm="recoverability"):
    """Rows of `score_changes.changes`: by task, the difference to each opponent; p is 0.001 for one of 0.1 or more."""
    rows = [
        {"model": model, "arm": arm, "rate": 0.1, "step": 60, "against": against, "task": task,
         "quantity": "spearman", "pooling": "mean",
         "before": 0.5, "after": 0.5 + change, "estimate": change, "p": 0.001 if abs(change) >= 0.1 else 0.5}
        for task, changes in by_task.items()
        for against, change in zip(opponents, changes, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_scores_in_which_an_arm_is_surely_above_or_below_are_named_by_opponent():
    table = pd.concat(
        [changes({"a": (0.2, 0.05, -0.3), "b": (0.3, -0.2, 0.0)}), changes({"a": (0.3,)}, ("before",), arm="continued")]
    )
    assert sentences.opponents(differences(table)) == (
        "- **m**, recoverability, 2 scores: above before in a, b, below in none; above continued in none, below in b; "
        "above permuted in none, below in a.\n"
        "- **m**, continued, 1 scores: above before in a, below in none."
    )


def test_what_the_first_position_costs_the_mean():
    values = {"mean": (0.2, 0.4), "mean without first": (0.5, 0.5), "first": (0.1, 0.1), "last": (0.3, 0.3)}
    rows = [
        {
            "model": "m",
            "quantity": quantity,
            "pooling": pooling,
            "before": before + shift,
            "after": after + shift,
            "task": f"{quantity} {shift}",
        }
        for pooling, (before, after) in values.items()
        for quantity, shift in (("spearman", 0.01), ("spearman", -0.01), ("linear_accuracy", 9.0))
    ]
    # A task without one of the poolings would change the others' averages.
    rows.append({"model": "m", "quantity": "spearman", "pooling": "mean", "before": 0.9, "after": 0.9, "task": "other"})
    assert sentences.poolings(pd.DataFrame(rows)) == (
        "- **m**, similarity on average over 2 tasks, before and after: mean 0.20 to 0.40, mean without first 0.50 to "
        "0.50, first 0.10 to 0.10, last 0.30 to 0.30. Before tuning, leaving the first position out of the mean "
        "changes the similarity by +0.300."
    )


def test_poolings_without_a_similarity_are_left_out():
    rows = [{"model": "m", "quantity": "spearman", "pooling": "mean", "before": 0.2, "after": 0.4},
            {"model": "n", "quantity": "linear_accuracy", "pooling": "mean", "before": 0.2, "after": 0.4}]  # fmt: skip
    assert sentences.poolings(pd.DataFrame(rows).assign(task="x")) == (
        "- **m**, similarity on average over 1 tasks, before and after: mean 0.20 to 0.40.\n"
        "- **n**: no similarity was measured that is defined."
    )


def test_doses_say_when_naming_is_learned_and_where_a_score_is_best():
    named = {0: 0.1, 4: 0.5, 8: 0.92, 60: 1.0}
    rows = [{"arm": "recoverability", "score": "targets named", "step": step, "estimate": share}
            for step, share in named.items()]  # fmt: skip
    rows += [{"arm": arm, "score": "stsb", "step": step, "estimate": value} for arm, step, value in
             [("recoverability", 0, 0.0), ("recoverability", 4, -0.01), ("recoverability", 60, -0.2),
              ("continued", 4, 0.9)]]  # fmt: skip
    table = pd.DataFrame([{"model": "m", "rate": 0.001} | row for row in rows])
    table = table.assign(low=table["estimate"] - 0.1, high=table["estimate"] + 0.1)
    assert sentences.doses(table) == (
        "- **m**, rate 0.001: 10% of the tokens are named at the start, 100% at the end, and nine tenths of that gain "
        "are there by step 8.\n"
        "- **m**, stsb: of 2 doses, 4 steps at a rate of 0.001 is best, -0.010 [-0.110, +0.090] against before (chosen "
        "afterwards, so it is favoured)."
    )


def test_the_best_layer_before_tuning_is_compared_with_the_last_one_after_it():
    rows = [(0.6, 0.5, -0.1, 0.01), (0.5, 0.52, 0.02, 0.6), (0.4, 0.6, 0.2, 0.001), (0.7, 0.62, -0.08, 0.3)]
    table = pd.DataFrame(rows, columns=["before", "after", "estimate", "p"])
    table = table.assign(model="m", best_layer=[2, 4, 3, 4])
    assert sentences.best_layer(table) == (
        "- **m**: on items on which it was not chosen, the best layer before tuning scores 0.55 on average, the last "
        "layer after tuning 0.56. The former (layers 2 to 4) is ahead in 2 of 4 scores. By single tests it is surely "
        "ahead in 1, and the latter in 1."
    )


def checked(learned=True, **arms):
    """Rows of `checks.checks`: recoverability, a control that keeps less, and the other `arms`."""
    usual = {"named_before": 0.2, "named": 0.9, "bits_before": 9.0, "bits": 7.0, "frequencies": 9.5,
             "kept_before": 0.5, "kept": 0.6, "learned": True}  # fmt: skip
    rows = {"recoverability": {"kept": 0.95, "learned": learned}, "continued": {}} | arms
    index = pd.MultiIndex.from_product([["m"], rows], names=["model", "arm"])
    return pd.DataFrame([usual | row for row in rows.values()], index)


def test_the_checks_say_what_was_learned_and_what_the_controls_keep():
    assert sentences.manipulation(checked()) == (
        "- **m**, recoverability: learned to name, from 20% to 90% of its targets. Its last layer keeps 95% of H(X) "
        "instead of 50%.\n"
        "- **m**, continued: (control) learned its target, from 9.0 to 7.0 bits of surprisal; the frequencies of the "
        "tokens alone leave 9.5. Its last layer keeps 60%, after recoverability 95%."
    )
    text = sentences.manipulation(checked(False, permuted={"kept": 0.93, "learned": False}))
    assert "recoverability: **hardly learned** to name, from 20% to 90%" in text
    assert "permuted: (control) **hardly learned** to name, from 20% to 90% of its targets. Its last" in text
    assert text.endswith(
        "Its last layer keeps 93%, by this probe about as much as after recoverability, so bits are an unlikely reason "
        "for a difference."
    )
    assert sentences.manipulation(checked(sentence={})).endswith(
        "- **m**, sentence: learned to name the tokens of a sentence, from 9.0 to 7.0 bits of surprisal; the "
        "frequencies of the tokens alone leave 9.5."
    )


STATED = f"tuning for recoverability from each state {RAISES}"


def claimed(*outcomes, **facts):
    """Rows of `claims.claims`: (task, outcome, estimate, half of the interval) and what differs from the main dose."""
    usual = {"paper": "P1", "reading": "mean", "probe": "cosine", "train_sentences": 240, "model": "m",
             "unit": "rank correlation", "clusters": 300}  # fmt: skip
    rows = []
    for task, outcome, estimate, half in outcomes:
        ends = {"estimate": estimate, "low": estimate - half, "high": estimate + half, "detectable": 2.8 * half / 1.96}
        primary = not facts and "rate" not in task
        row = usual | {"claim": f"{STATED} ({task})", "outcome": outcome, "primary": primary}
        rows.append(row | ends | facts)
    return pd.DataFrame(rows)


YES, NO, UNCLEAR = ("a", "yes", 0.3, 0.05), ("b", "no", -0.3, 0.05), ("c", "cannot tell", 0.0, 0.1)


CONTRASTS = differences(changes({"a": (0.3, 0.3), "b": (-0.3, 0.1), "c": (0.0, 0.0)}, OPPONENTS[:2]))
BEFORE_ALONE = "Against before alone it surely rises in a and falls in b. Controls that were not run: permuted."


def seen(least, most):
    ends = f"{least:.2f} to {most:.2f}, depending on the score"
    return f"The smallest rise that could be seen (80 % of the time) is {ends}."


def verdict(*rows, contrasts=CONTRASTS, **arms):
    return sentences.verdict(claimed(*rows), contrasts, checked(**arms))


def test_the_verdict_follows_the_outcomes():
    start = "- **m**, recoverability, "
    assert verdict(YES, NO, UNCLEAR) == (
        f"{start}3 scores. yes: a; no: b; cannot tell: c. {seen(0.07, 0.14)} "
        f"**Understanding rises in a**, above before and continued. {BEFORE_ALONE}"
    )
    assert verdict(NO, UNCLEAR) == (
        f"{start}2 scores. yes: none; no: b; cannot tell: c. {seen(0.07, 0.14)} "
        "**No rise above before and continued in 1 of 2 scores.** In the others a rise of 0.02 can be neither shown "
        f"nor excluded. {BEFORE_ALONE}"
    )
    assert verdict(NO) == (
        f"{start}1 scores. yes: none; no: b; cannot tell: none. {seen(0.07, 0.07)} **Understanding does not rise "
        f"above before and continued**: by less than 0.02 in every score. {BEFORE_ALONE}"
    )


def test_what_would_have_been_seen_is_not_said_where_it_is_not_known():
    table = claimed(NO, UNCLEAR).assign(detectable=[float("nan"), float("nan")])
    assert "be seen" not in sentences.verdict(table, CONTRASTS, checked())


def test_a_rise_to_more_than_1_is_none_that_could_be_seen():
    table = claimed(NO, UNCLEAR).assign(detectable=[0.1, 0.9])
    text = sentences.verdict(table, CONTRASTS, checked())
    assert f"{seen(0.1, 0.1)} No possible rise could be seen reliably in c." in text
    assert "could be seen (80" not in sentences.verdict(table.assign(detectable=0.9), CONTRASTS, checked())


def test_the_verdict_names_controls_that_were_not_run_or_did_not_learn():
    both = differences(changes({"a": (0.3, 0.3, 0.3)}))
    text = verdict(YES, contrasts=both, permuted={"learned": False})
    assert "**Understanding rises in a**, above before, continued and permuted." in text
    assert text.endswith(
        "falls in none. Controls that hardly learned their target, so that they stand for the steps and the text "
        "alone: permuted."
    )
    assert verdict(YES, contrasts=both, permuted={}).endswith("falls in none.")
    alone = verdict(YES, contrasts=both[both["against"] == "before"], permuted={})
    assert "**Understanding rises in a**, above before. " in alone


def test_no_verdict_rests_on_a_row_at_the_border():
    for row in (("a", "yes", 0.03, 0.01), ("a", "no", -0.05, 0.06)):
        text = verdict(row, NO)
        assert "no verdict rests on them: a. **No rise above before and continued in 1 of 2 scores.**" in text
    assert "border" not in verdict(YES, NO)


def test_nothing_follows_from_a_model_that_did_not_learn():
    assert verdict(YES, learned=False) == (
        "- **m**, recoverability, 1 scores. **Nothing follows**: the model hardly learned what it was tuned for."
    )


ALONE = "It faces only the controls that were run at that dose, and is not corrected for the number of settings."


def told(estimate, half, *more):
    """The estimate of a row with its interval, unit and clusters."""
    ends = f"[{estimate - half:+.3f}, {estimate + half:+.3f}] rank correlation, 300 clusters"
    return ", ".join([f"{estimate:+.3f} {ends}", *more]) + f". {ALONE}"


def test_other_doses_and_poolings_that_turn_an_outcome_are_named():
    main = claimed(YES, NO, UNCLEAR)
    assert sentences.flips(main) == "No other dose and pooling was measured."
    turned = [
        claimed(("a", "no", -0.1, 0.05), ("b", "yes", 0.2, 0.05), ("c", "no", -0.3, 0.1), reading="last"),
        claimed(("a", "cannot tell", 0.1, 0.2), ("c", "yes", 0.3, 0.1), train_sentences=32),
        claimed(("a at a rate of 0.05", "yes", 0.3, 0.05)),
    ]
    assert sentences.flips(pd.concat([main, *turned], ignore_index=True)) == (
        "Of 6 rows at other doses or under other poolings, 1 have the outcome of their main row; 1 change from yes to "
        "no; 1 change from no to yes; 1 change from cannot tell to no; 1 change from yes to cannot tell; 1 change from "
        "cannot tell to yes. At other doses, only a, c was scored.\n\n"
        f"- **m**, recoverability, a: yes at the main dose under the mean, no after 240 sentences, last: "
        f"{told(-0.1, 0.05)}\n"
        f"- **m**, recoverability, b: no at the main dose under the mean, yes after 240 sentences, last: "
        f"{told(0.2, 0.05)}\n"
        "- **m**, recoverability, a: yes at the main dose under the mean, cannot tell after 32 sentences, mean: "
        f"{told(0.1, 0.2)}\n"
        "- **m**, recoverability, c: cannot tell at the main dose under the mean, yes after 32 sentences, mean: "
        f"{told(0.3, 0.1)}"
    )
    fewer = claimed(UNCLEAR, train_sentences=32).assign(model="n")
    poolings = pd.concat([claimed(("b", "yes", 0.3, 0.05), reading="last"), fewer])
    assert "No other dose was scored." in sentences.flips(pd.concat([main, poolings], ignore_index=True))
    rate = claimed(("b at a rate of 0.05", "yes", 0.3, 0.29))
    text = sentences.flips(pd.concat([main, rate], ignore_index=True))
    assert (
        f"yes after 240 sentences at a rate of 0.05, mean: {told(0.3, 0.29, 'closer than 0.02 to the border')}" in text
    )


@pytest.mark.parametrize(
    ("difference", "permuted", "words"),
    [
        (0.2, 0.5, "The probe finds different shares, so names and bits differ at once."),
        (0.2, 0.78, "Right names are surely better for a, surely worse for none. They keep about the same"),
        (
            -0.2,
            0.78,
            "surely worse for a. They keep about the same, so the number of bits is an unlikely reason for the "
            "difference.",
        ),
        (0.0, 0.78, "Right and wrong names lead to about the same bits"),
        (0.0, 0.9, "The probe finds different shares"),
    ],
)
def test_right_names_against_wrong_ones(difference, permuted, words):
    arms = pd.MultiIndex.from_product([["m"], ["before", "recoverability", "permuted"]], names=["model", "arm"])
    retained = pd.Series([0.6, 0.8, permuted], arms)
    table = differences(changes({"a": (0.2, 0.2, difference)}))
    text = sentences.cause(table, retained)
    assert text.startswith(
        f"- **m**: with the right names the last layer keeps 80% of H(X), with permuted ones {permuted:.0%}."
    )
    assert text.count("**") == 2
    assert words in text


def test_models_without_the_permuted_arm_have_no_cause():
    retained = pd.Series([0.6, 0.8], pd.MultiIndex.from_product([["m"], ["before", "recoverability"]]))
    table = differences(changes({"a": (0.2, 0.2)}, OPPONENTS[:2]))
    other_arm = differences(changes({"a": (0.2,)}, ("permuted",), arm="continued"))
    assert sentences.cause(table, retained) == "The permuted arm was not run for any model."
    assert sentences.cause(other_arm, retained) == "The permuted arm was not run for any model."
