import pandas as pd
import pytest
from score_changes import OPPONENTS, changes

from bitskept.studies.fine_tuning import sentences
from bitskept.studies.fine_tuning.score_changes import differences
from bitskept.studies.fine_tuning.section import Measuring


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
    sizes = {"train_sentences": 9, "validation_sentences": 9, "test_sentences": 9, "layers": 3}
    measuring = {"m": Measuring(**sizes, items=9), "n": Measuring(**sizes, items=8)}
    assert sentences.tasks(outcomes, reasons, measuring) == (
        "Tasks: lee, stsb. At most so many pairs or test texts of each are scored, and classifiers learn from at most "
        "so many texts: 9 for m, 8 for n.\n\n- left out, sick; it would take this: set BITSKEPT_DATA\n"
        "- left out, blimp; it would take this: take a model with one"
    )


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
    table = pd.DataFrame(rows).assign(arm="recoverability", against="before", estimate=0.1)
    assert sentences.poolings(table) == (
        "- **m**, similarity on average over 2 tasks (spearman -0.01, spearman 0.01), before and after: mean 0.20 to "
        "0.40, mean without first 0.50 to 0.50, first 0.10 to 0.10, last 0.30 to 0.30. Over all 3 tasks, the mean goes "
        "from 0.43 to 0.57. Before tuning, leaving the first position out of the mean changes the similarity by "
        "+0.300."
    )


def test_poolings_without_a_similarity_are_left_out():
    rows = [{"model": "m", "quantity": "spearman", "pooling": "mean", "before": 0.2, "after": 0.4},
            {"model": "n", "quantity": "linear_accuracy", "pooling": "mean", "before": 0.2, "after": 0.4}]  # fmt: skip
    table = pd.DataFrame(rows).assign(task="x", arm="recoverability", against="before", estimate=0.1)
    assert sentences.poolings(table) == (
        "- **m**, similarity on average over 1 tasks (x), before and after: mean 0.20 to 0.40.\n"
        "- **n**: no similarity was measured that is defined."
    )


def test_doses_say_when_naming_is_learned_and_where_a_score_is_best():
    named = {0: 0.1, 4: 0.5, 8: 0.92, 60: 1.0}
    rows = [{"arm": "recoverability", "score": "targets named", "step": step, "estimate": share}
            for step, share in named.items()]  # fmt: skip
    rows += [{"arm": arm, "score": "stsb", "step": step, "estimate": value} for arm, step, value in
             [("recoverability", 0, 0.0), ("recoverability", 4, -0.01), ("recoverability", 60, -0.2),
              ("continued", 4, 0.9)]]  # fmt: skip
    table = pd.DataFrame([{"model": "m", "rate": 0.001, "against": "before"} | row for row in rows])
    control = pd.DataFrame([rows[-2] | {"model": "m", "rate": 0.001, "against": "continued", "estimate": 0.9}])
    table = pd.concat([table, control], ignore_index=True)
    table = table.assign(low=table["estimate"] - 0.1, high=table["estimate"] + 0.1)
    assert sentences.doses(table) == (
        "- **m**, rate 0.001: 10% of the tokens are named at the start, 100% at the end, and nine tenths of that gain "
        "are there by step 8.\n"
        "- **m**, stsb: of 2 doses, 4 steps at a rate of 0.001 is best, -0.010 [-0.110, +0.090] against before "
        "(chosen afterwards, so it is favoured)."
    )


def test_the_best_dose_is_compared_with_the_controls_as_well():
    facts = {"model": "m", "rate": 0.1, "arm": "recoverability", "score": "stsb", "low": 0.1, "high": 0.3}
    rows = [(8, "before", 0.2), (8, "continued", 0.15), (8, "permuted", 0.1), (4, "before", 0.0), (4, "permuted", 0.3)]
    table = pd.DataFrame([facts | dict(zip(("step", "against", "estimate"), row, strict=True)) for row in rows])
    assert (
        "8 steps at a rate of 0.1 is best, +0.200 [+0.100, +0.300] against before, +0.150 [+0.100, +0.300] against "
        "continued, +0.100 [+0.100, +0.300] against permuted (chosen"
    ) in sentences.doses(table)


def test_scores_that_are_not_above_guessing_before_tuning_are_named():
    rows = [("m", "lee", 0.1), ("m", "sick", -0.1), ("m", "trec (linear)", 0.2), ("m", "stsb", float("nan")),
            ("n", "lee", 0.2)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["model", "score", "low"]).assign(arm="before")
    tuned = table.assign(arm="recoverability", low=-1.0)
    assert sentences.above_guessing(pd.concat([table, tuned])) == (
        "Not clearly above guessing before tuning, so that little can be lost there. **m**: sick, stsb. **n**: none."
    )


@pytest.mark.parametrize(
    ("estimate", "said"), [(0.2, "has risen"), (-0.2, "has fallen"), (0.05, "has not clearly changed")]
)
def test_it_is_said_what_scores_did_when_the_tokens_are_named(estimate, said):
    rows = [("targets named", 0, 0.0), ("targets named", 8, 0.9), ("targets named", 60, 1.0), ("stsb", 8, estimate)]
    table = pd.DataFrame(rows, columns=["score", "step", "estimate"])
    facts = {"model": "m", "rate": 0.001, "arm": "recoverability", "against": None}
    table = table.assign(low=table["estimate"] - 0.1, high=table["estimate"] + 0.1, **facts)
    ends = f"{estimate:+.3f} [{estimate - 0.1:+.3f}, {estimate + 0.1:+.3f}] against before"
    assert f"are there by step 8. By then, stsb {said} ({ends}).\n" in sentences.doses(table)


def test_the_best_layer_before_tuning_is_compared_with_the_last_one_after_it():
    rows = [(0.6, 0.5, -0.1, 0.01), (0.5, 0.52, 0.02, 0.6), (0.4, 0.6, 0.2, 0.001), (0.7, 0.62, -0.08, 0.3)]
    table = pd.DataFrame(rows, columns=["before", "after", "estimate", "p"])
    table = table.assign(model="m", layers=7, best_layer=[2, 4, 3, 4], last_before=[0.5, 0.5, 0.4, 0.6])
    assert sentences.best_layer(table) == (
        "- **m**: on items on which it was not chosen, the best of 7 layers before tuning scores 0.55 on average, the "
        "last layer after tuning 0.56. The last layer before tuning scores 0.50, so the best one led it by 0.05 "
        "without any tuning. The best layer before tuning (layers 2 to 4) is ahead of the tuned one in 2 of 4 scores. "
        "By single tests (p < .05, uncorrected) it is ahead in 1, and the tuned one in 1."
    )


def checked(**arms):
    """Rows of `checks.checks`: recoverability and the other `arms`."""
    usual = {"named_before": 0.2, "named": 0.25, "bits_before": 9.6, "bits": 7.0, "masked": False, "frequencies": 9.5,
             "bits_most": 9.6, "bits_previous": 7.05, "rate": 0.1,
             "bits_of_all": 6.5, "learned_by_all": True, "seeds": 3, "falls": 3,
             "centroid": 0.6, "ridge": 0.4, "centroid_before": 0.5, "ridge_before": 0.3, "learned": True}  # fmt: skip
    rows = {"recoverability": {"centroid": 0.95, "ridge": 0.8, "named": 0.9}} | arms
    index = pd.MultiIndex.from_product([["m"], rows], names=["model", "arm"])
    return pd.DataFrame([usual | row for row in rows.values()], index)


def manipulation(table, *others):
    """The sentences on these `checks`, and on `others`, rows of `targets` at other rates."""
    index = pd.MultiIndex.from_frame(table.reset_index()[["model", "arm", "rate"]])
    return sentences.manipulation(table, pd.concat([table.set_index(index), *others]))


AFTER = "after recoverability 95% (centroid) and 80% (ridge)"


def test_the_checks_say_what_was_learned_and_what_the_last_layer_keeps():
    assert manipulation(checked(continued={})) == (
        "- **m**, recoverability: learned to name, from 20% to 90% of its targets. Its last layer keeps 95% (centroid) "
        "and 80% (ridge) of H(X), before 50% and 30%.\n"
        "- **m**, continued: (control) learned its target. It goes from 20% to 25% of its targets named, and from 9.6 "
        "to 7.0 bits of surprisal; the frequencies of the tokens alone leave 9.5. Its last layer keeps 60% (centroid) "
        f"and 40% (ridge), {AFTER}."
    )
    assert manipulation(checked(sentence={})).endswith(
        "- **m**, sentence: learned to name the tokens of a sentence, from 9.6 to 7.0 bits of surprisal; the "
        "frequencies of the tokens alone leave 9.5."
    )


@pytest.mark.parametrize(
    ("learned", "by_all", "end"),
    [
        (True, True, ")"),
        (pd.NA, pd.NA, ")"),
        (False, True, ", by which it would have learned its target)"),
        (True, False, ", by which it would not have learned)"),
        (False, pd.NA, ", by which it could not be told)"),
    ],
)
def test_where_hidden_targets_count_it_is_said_what_all_would_say(learned, by_all, end):
    row = {"masked": True, "learned": learned, "learned_by_all": by_all}
    text = manipulation(checked(continued=row))
    assert f"7.0 bits of surprisal (hidden targets; all of them: 6.5{end}; the" in text
    assert "hidden" not in manipulation(checked(continued=row | {"masked": False}))


def test_the_controls_are_checked_at_other_rates_too():
    table = checked(continued={"learned": False, "bits_before": 6.6, "bits": 6.65, "bits_most": 7.3})
    other = table.assign(learned=True, bits=6.2, bits_most=6.69, rate=0.05).set_index("rate", append=True)
    lines = manipulation(table, other).split("\n")
    assert len(lines) == 3, "recoverability is no control"
    assert "and from 6.6 to 6.7 bits of surprisal, after 7.3 on the way (this rate first did harm); the" in lines[1]
    assert lines[2] == (
        "- **m**, continued, at a rate of 0.05: (control) learned its target: from 20% to 25% of its targets named, "
        "from 6.6 to 6.2 bits of surprisal."
    )


@pytest.mark.parametrize("learned", [False, pd.NA])
def test_a_claimed_arm_that_did_not_learn_is_said_to_have_hardly_learned(learned):
    assert "recoverability: **hardly learned** to name, from" in manipulation(
        checked(recoverability={"learned": learned})
    )


@pytest.mark.parametrize(
    ("control", "said"),
    [
        ({"learned": False}, "**learned no more than the frequencies**. It"),
        ({"learned": False, "bits_before": 6.0}, "**learned no more than it knew before**. It"),
        ({"learned": pd.NA}, "**cannot tell** whether it learned its target: its seeds disagree. It"),
        ({"learned": pd.NA, "named": 0.31, "falls": 0}, "target: it names more, but with none of 3 seeds is it less"),
        ({"learned": pd.NA, "named": 0.31, "falls": 1}, "target: it names more, but with only 1 of 3 seeds is it less"),
        ({"learned": pd.NA, "named": 0.31}, "alone, by 0.1 bits or more. It goes"),
        (
            {"learned": pd.NA, "named": 0.31, "bits_previous": 7.2},
            "by 0.1 bits or more; its surprisal was still falling, so more steps might settle it. It goes",
        ),
    ],
)
def test_what_a_control_learned_is_said_with_the_reason(control, said):
    _, text = manipulation(checked(continued=control)).split("continued: (control) ")
    assert said in text


@pytest.mark.parametrize(
    ("centroid", "ridge", "end"),
    [
        (0.91, 0.76, "by both probes about as much as after recoverability, so bits are an unlikely reason for a "
                     "difference."),
        (0.89, 0.74, f"{AFTER}."),
        (0.94, 0.74, f"{AFTER}: the probes disagree whether that is about the same."),
        (0.89, 0.79, f"{AFTER}: the probes disagree whether that is about the same."),
    ],
)  # fmt: skip
def test_a_control_keeps_about_as_much_only_if_both_probes_say_so(centroid, ridge, end):
    text = manipulation(checked(permuted={"centroid": centroid, "ridge": ridge}))
    assert text.endswith(f"Its last layer keeps {centroid:.0%} (centroid) and {ridge:.0%} (ridge), {end}")


@pytest.mark.parametrize(
    ("difference", "permuted", "words"),
    [
        (0.2, (0.5, 0.3), "surely better for a, surely worse for none. Both probes find different shares, so names"),
        (0.2, (0.78, 0.58), "Both probes find about the same bits, so their number is an unlikely reason"),
        (-0.2, (0.78, 0.58), "surely better for none, surely worse for a. Both probes find about the same bits"),
        (0.0, (0.78, 0.58), "Right and wrong names lead to about the same bits and, within the error, the same"),
        (
            0.2,
            (0.78, 0.5),
            "The probes disagree whether the last layers keep about the same, so nothing follows about the cause.",
        ),
        (
            0.0,
            (0.9, 0.6),
            "The probes disagree whether the last layers keep about the same, so nothing follows about the cause.",
        ),
    ],
)
def test_right_names_against_wrong_ones(difference, permuted, words):
    arms = pd.MultiIndex.from_product([["m"], ["before", "recoverability", "permuted"]], names=["model", "arm"])
    kept = pd.DataFrame([(0.6, 0.4), (0.8, 0.6), permuted], arms, columns=["centroid", "ridge"])
    table = differences(changes({"a": (0.2, 0.2, difference)}))
    text = sentences.cause(table, kept)
    assert text.startswith(
        "- **m**: with the right names the last layer keeps 80% (centroid) and 60% (ridge) of H(X), with permuted ones "
        f"{permuted[0]:.0%} (centroid) and {permuted[1]:.0%} (ridge)."
    )
    assert text.count("**") == 2
    assert words in text


def test_models_without_the_permuted_arm_have_no_cause():
    table = differences(changes({"a": (0.2, 0.2)}, OPPONENTS[:2]))
    other_arm = differences(changes({"a": (0.2,)}, ("permuted",), arm="continued"))
    assert sentences.cause(table, pd.DataFrame()) == "The permuted arm was not run for any model."
    assert sentences.cause(other_arm, pd.DataFrame()) == "The permuted arm was not run for any model."
