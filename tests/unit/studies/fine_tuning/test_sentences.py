import numpy as np
import pandas as pd
import pytest

from bitskept.studies.fine_tuning import sentences
from bitskept.studies.fine_tuning.score_changes import differences, verdicts

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
        [{"model": "m", "arm": arm, "quantity": quantity, "step": step, "estimate": value}
         for arm, quantity, curve in rows for step, value in curve.items()]
    )  # fmt: skip
    assert sentences.learning(table) == (
        "- **m**, continued: from 10% to 30% of its targets, from 9.0 to 5.0 bits of surprisal.\n"
        "- **m**, permuted: from 0% to 0% of its targets, from 12.0 to 12.0 bits of surprisal."
    )


def test_changes_of_the_last_layer_are_listed_by_arm():
    index = pd.MultiIndex.from_product([["m"], ["before", "recoverability", "permuted"]], names=["model", "arm"])
    last_layer = pd.DataFrame({"centroid": [0.6, 0.8, 0.6], "ridge": [0.5, 0.4, 0.499]}, index)
    assert sentences.layers(last_layer) == (
        "- **m**: before, the last layer keeps 60% (centroid) and 50% (ridge) of H(X). Changes: recoverability "
        "+20% and -10%, permuted +0% and +0%."
    )


def test_tasks_that_are_left_out_come_with_their_reason():
    outcomes = {"m": pd.DataFrame({"task": ["lee", "lee", "stsb"]}), "n": pd.DataFrame({"task": ["lee"]})}
    text = sentences.tasks(outcomes, {"sick": "no files: set BITSKEPT_DATA"})
    assert text == "Tasks: lee, stsb.\n\n- left out, sick: set BITSKEPT_DATA"


def changes(by_task, opponents=OPPONENTS, model="m", arm="recoverability"):
    """Rows of `score_changes.changes`: by task, the difference to each opponent; p is 0.001 for one of 0.1 or more."""
    rows = [
        {"model": model, "arm": arm, "against": against, "task": task, "quantity": "spearman", "pooling": "mean",
         "before": 0.5, "after": 0.5 + change, "estimate": change, "p": 0.001 if abs(change) >= 0.1 else 0.5}
        for task, changes in by_task.items()
        for against, change in zip(opponents, changes, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_gains_are_means_over_the_scores_of_a_model_and_arm():
    table = pd.concat(
        [changes({"a": (0.2, 9.0), "b": (-0.1, 9.0), "c": (0.0, 9.0)}, ("before", "continued")),
         changes({"a": (0.3,)}, ("before",), arm="continued")]
    )  # fmt: skip
    assert sentences.gains(table) == (
        "- **m**, mean change over its scores: recoverability +0.033 (1 of 3 rise), continued +0.300 (1 of 1 rise)."
    )


def test_what_the_first_position_costs_the_mean():
    values = {"mean": (0.2, 0.4), "mean without first": (0.5, 0.5), "first": (0.1, 0.1), "last": (0.3, 0.3)}
    rows = [
        {"model": "m", "quantity": quantity, "pooling": pooling, "before": before + shift, "after": after + shift}
        for pooling, (before, after) in values.items()
        for quantity, shift in (("spearman", 0.01), ("spearman", -0.01), ("linear_accuracy", 9.0))
    ]
    assert sentences.poolings(pd.DataFrame(rows)) == (
        "- **m**, similarity on average, before and after: mean 0.20 to 0.40, mean without first 0.50 to 0.50, first "
        "0.10 to 0.10, last 0.30 to 0.30. Before tuning, leaving the first position out of the mean changes the "
        "similarity by +0.30."
    )


def test_poolings_without_a_similarity_are_left_out():
    rows = [{"model": "m", "quantity": "spearman", "pooling": "mean", "before": 0.2, "after": 0.4},
            {"model": "n", "quantity": "linear_accuracy", "pooling": "mean", "before": 0.2, "after": 0.4}]  # fmt: skip
    assert sentences.poolings(pd.DataFrame(rows)) == (
        "- **m**, similarity on average, before and after: mean 0.20 to 0.40.\n"
        "- **n**: no similarity was measured that is defined."
    )


def ranks(*spearmans):
    return pd.DataFrame(
        [{"model": "m", "task": f"t{place}", "quantity": "spearman", "spearman": value, "best": 0.6,
          "best_layer": place, "keeps_most": 0, "last_layer": 2} for place, value in enumerate(spearmans)]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("spearmans", "conclusion"),
    [
        ((-0.5, -0.5, -0.5, 0.5), "mostly understand *less*."),
        ((-0.5, 0.5, 0.5, 0.5), "mostly understand more as well."),
        ((-0.5, -0.5, 0.5, 0.5), "There is no common direction"),
        ((-0.5, 0.0, 0.0, np.nan), "There is no common direction"),
    ],
)
def test_layers_that_keep_more_understand_more_or_less_where_three_in_four_say_so(spearmans, conclusion):
    assert conclusion in sentences.rank_correlations(ranks(*spearmans))


def test_rank_correlations_are_counted_and_their_ends_named():
    text = sentences.rank_correlations(ranks(0.5, np.nan, -0.25))
    assert text.startswith(
        "Of 2 rank correlations, one for each model and score, 1 are negative; they run from -0.25 (t2, m) to +0.50 "
        "(t0, m). The best layer is the one that keeps most in 1 cases, and the last one in 1. "
    )
    assert (
        sentences.rank_correlations(ranks(np.nan)) == "No model was measured at enough layers for a rank correlation."
    )


def test_the_best_layer_before_tuning_is_compared_with_the_last_one_after_it():
    table = pd.concat(
        [changes({"t0": (0.2, -0.4), "t1": (0.0, -0.4), "t2": (0.1, -0.4)}, ("before", "continued")),
         changes({"t0": (-0.4,)}, ("before",), arm="continued")]
    )  # fmt: skip
    assert sentences.best_layer(table, ranks(0.1, 0.2, 0.3)) == (
        "- **m**: the best layer before tuning scores more than the last layer after it in 1 of 3 scores (0.60 against "
        "0.60 on average).\n\n(The best layer was chosen on the same items, which favours it a little.)"
    )


def claim(by_task, opponents=OPPONENTS):
    return sentences.claim(verdicts(differences(changes(by_task, opponents))))


def test_the_claim_follows_the_numbers():
    assert claim({"a": (0.2,) * 3, "b": (-0.2, 0, 0)}) == (
        "- **m**, 2 scores. After tuning for recoverability, surely above before: a; surely below: b. With the "
        "same data and steps, against *continued* it is above in a and below in none; against *permuted* it is "
        "above in a and below in none. **The claim holds for a**: above before and above every control."
    )
    shared = claim({"a": (0.2, 0.0, 0.2)})
    assert "against *continued* it is above in none and below in none; against *permuted* it is above in a" in shared
    assert shared.endswith(
        "**Recoverability itself is not shown to be the cause**: no score rises surely more than under every control."
    )
    assert claim({"a": (-0.2, 0.0, 0.0)}).endswith("not confirmed here**: no score surely rises, and some surely fall.")
    assert claim({"a": (0.0, 0.0, 0.0)}).endswith("**The claim is not confirmed here**: no score surely rises.")


def test_a_control_that_was_not_run_is_named():
    one = claim({"a": (0.2, 0.2)}, OPPONENTS[:2])
    assert "**The claim holds for a**" in one
    assert one.endswith(" The control *permuted* was not run for it.")
    none = claim({"a": (0.2,)}, ("before",))
    assert "With the same data" not in none
    assert none.endswith(
        "above before, but no control was run. The controls *continued* and *permuted* were not run for it."
    )
    both = changes({"a": (0.2,) * 3}), changes({"a": (0.2, 0.2)}, OPPONENTS[:2], model="n")
    first, second = sentences.claim(verdicts(differences(pd.concat(both)))).splitlines()
    assert "was not run" not in first
    assert second.endswith("*permuted* was not run for it.")


def test_without_controls_the_cause_is_not_shown():
    """Of many scores, one that rises surely by itself need not hold for the claim."""
    rows = verdicts(differences(changes({"a": (0.2,), "b": (0.0,)}, ("before",)))).assign(holds=False)
    assert "**Recoverability itself is not shown to be the cause**: no control was run." in sentences.claim(rows)


@pytest.mark.parametrize(
    ("difference", "permuted", "words"),
    [
        (0.2, 0.5, "The two keep different shares, so names and bits differ at once."),
        (0.2, 0.78, "Right names are surely better for a, surely worse for none. They keep about the same"),
        (
            -0.2,
            0.78,
            "surely worse for a. They keep about the same, so the number of bits does not explain the difference.",
        ),
        (0.0, 0.78, "Right and wrong names lead to about the same bits"),
        (0.0, 0.9, "The two keep different shares"),
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
