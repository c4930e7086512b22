import numpy as np
import pandas as pd
import pytest

from bitskept.studies.layer_sweep import sentences


def curves(values, quantity="retained_cross_entropy", **facts):
    """One row a model and layer, from the estimates of each model's layers."""
    rows = [
        {"model": model, "kind": "encoder", "layer": layer, "depth": layer / max(1, len(shares) - 1),
         "quantity": quantity, "estimate": share, "low": share - 0.1, "high": share + 0.1}
        for model, shares in values.items()
        for layer, share in enumerate(shares)
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(**facts)


def test_the_last_and_the_best_layer_of_each_model_are_quoted():
    table = pd.concat([curves({"a": [0.5, 0.9, 0.7]}), curves({"b": [1.0, 0.25]})])
    tokens = pd.concat([table, curves({"a": [8.0], "b": [9.0]}, quantity="entropy")])
    assert sentences.retained(table, tokens) == (
        "- **a** (encoder): H(X) is 8.00 [7.90, 8.10] bits per token; the last layer keeps at least 70% [60%, 80%] of "
        "it, the best layer 90%.\n"
        "- **b** (encoder): H(X) is 9.00 [8.90, 9.10] bits per token; the last layer keeps at least 25% [15%, 35%] of "
        "it, the best layer 100%."
    )


def test_the_higher_bound_is_counted_over_layers():
    table = pd.concat([curves({"a": [0.9, 0.5, 0.4, 0.5]}), curves({"a": [0.8, 0.6, 0.1, 0.5]}, "retained_fano")])
    assert sentences.bounds(table) == (
        "The cross-entropy bound is the higher one in 50% of the 4 layers. The difference runs from -10.0% to +30.0% "
        "of H(X), largest at layer 2 of a."
    )


def test_probes_are_compared_at_the_last_layer_of_each_model():
    ridge = curves({"b": [0.1, 0.8], "a": [0.9, 0.8, 0.2]}, probe="ridge")
    centroid = curves({"b": [0.9, 0.6], "a": [0.9, 0.8, 0.5]}, probe="centroid")
    assert sentences.probes(pd.concat([ridge, centroid])) == (
        "At the last layer:\n\n"
        "- **b**: from 60% (centroid) to 80% (ridge); the weakest probe would report 20% of H(X) as forgotten although "
        "it is still there.\n"
        "- **a**: from 20% (ridge) to 50% (centroid); the weakest probe would report 30% of H(X) as forgotten although "
        "it is still there.\n\n"
        "The probe with the highest bound: ridge and centroid."
    )


def test_shuffled_targets_and_layer_0_are_picked_from_the_other_rows():
    bits = pd.concat(
        [
            curves({"a": [0.01, 0.04]}, "cross_entropy_bound", shuffled=True),
            curves({"a": [5.0]}, "cross_entropy_bound", shuffled=False),
            curves({"a": [5.0]}, "cross_entropy", shuffled=True),
        ]
    )
    assert sentences.shuffled(bits, curves({"a": [0.98, 0.1], "b": [0.99, 1.0]})) == (
        "Shuffled targets show at most 0.04 bits (upper end of the interval: 0.14). "
        "Layer 0 shows 98.0% to 99.0% of H(X)."
    )


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.1, 0.3, "keeps more than its untrained copies"),
        (-0.3, -0.1, "keeps less than its untrained copies"),
        (-0.1, 0.3, "keeps about as much as its untrained copies"),
        (0.0, 0.3, "keeps about as much"),
        (-0.3, 0.0, "keeps about as much"),
    ],
)
def test_a_trained_model_keeps_more_or_less_only_where_the_interval_leaves_out_0(low, high, words):
    row = {"model": "a", "layer": 6, "trained": 0.7, "random": 0.5, "estimate": 0.2, "low": low, "high": high}
    text = sentences.random(pd.DataFrame([row]))
    assert f"**a** (layer 6) {words}" in text
    assert f"70% against 50% of H(X), difference +20% [{low:+.0%}, {high:+.0%}]." in text


def test_without_intervals_nothing_is_compared():
    row = {"model": "a", "layer": 6, "trained": 0.7, "random": 0.5, "estimate": 0.2, "low": np.nan, "high": np.nan}
    text = sentences.random(pd.DataFrame([row]))
    assert "**a** (layer 6) cannot surely be compared with its untrained copies: 70% against 50%" in text
    assert "difference +20% (no interval)." in text
    shuffled = {"shuffled": True, "quantity": "cross_entropy_bound", "estimate": 0.01, "high": np.nan}
    layers = pd.DataFrame({"layer": [0], "estimate": [0.98]})
    assert "at most 0.01 bits (no interval)." in sentences.shuffled(pd.DataFrame([shuffled]), layers)


def seen(**models):
    """Rows as of `forgetting.seen_by_both`: the kind of each model, its rise and its late forgetting."""
    return pd.DataFrame(
        [{"model": model, "kind": kind, "rise": rise, "late_forgetting": late}
         for model, (kind, rise, late) in models.items()]
    )  # fmt: skip


def test_what_both_probes_see_is_a_table():
    text = sentences.forgetting(seen(a=("encoder", True, False), b=("decoder", False, True)))
    assert text.splitlines()[-2:] == ["| a | encoder | yes | no |", "| b | decoder | no | yes |"]


def test_the_smaller_rise_is_counted_and_a_negative_one_is_none():
    shapes = {"b": (0.2, 0.1), "a": (-0.3, -0.2), "c": (0.0, 0.5)}
    table = pd.DataFrame(
        [{"model": model, "quantity": "rise", "probe": probe, "estimate": value}
         for model, pair in shapes.items() for probe, value in zip(("ridge", "centroid"), pair, strict=True)]
        + [{"model": "a", "quantity": "forgetting", "probe": "ridge", "estimate": 9.0}]
    )  # fmt: skip
    text = sentences.rise(table)
    assert text.splitlines()[0] == "- **b**: ridge sees a rise of 0.20 bits per token, the centroid 0.10."
    assert text.endswith("\n\nThe stronger probe sees the smaller rise in 1 of 3 models.")


def groups(**models):
    rows = [
        {"model": model, "name": name, "by": "domain", "estimate": share, "low": share - 0.05, "high": share + 0.05,
         "n": 40}
        for model, shares in models.items()
        for name, share in shares.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_groups_with_the_fewest_and_the_most_tokens_named():
    assert sentences.tokens(groups(a={"x": 0.5, "y": 0.2, "z": 0.9})) == (
        "- **a** names the fewest tokens among *y* (domain), 20% ([15%, 25%], 95 %, 40 sentences), and the most among "
        "*z* (domain), 90% ([85%, 95%], 95 %, 40 sentences)."
    )


def test_domains_are_apart_where_two_intervals_do_not_overlap():
    near, apart = {"x": 0.50, "y": 0.55, "z": 0.58}, {"x": 0.5, "y": 0.65, "z": 0.55}
    text = sentences.domains(groups(b=apart, a=near, c=apart))
    assert "varies by 8% to 15%" in text
    assert text.endswith("lies above the lowest in 2 of 3 models (b, c).")
    assert sentences.domains(groups(a=near)).endswith("lies above the lowest in 0 of 1 models.")


def pooled(pooling, values, quantity="recovered"):
    return curves({"a": values}, quantity, pooling=pooling, position=1)


def test_the_best_layer_and_pooling_leave_out_the_first_position():
    named = pd.concat([pooled("mean", [0.2, 0.1]), pooled("last", [0.1, 0.3]), pooled("first", [0.9, 0.9])])
    bits = pd.concat([pooled("mean", [0.1, 0.3], "fano_bound"), pooled("first", [9.0, 9.0], "fano_bound"), named])
    assert sentences.sentence(named, bits) == (
        "Best of each model:\n\n- **a**, token 2: 30% [20%, 40%] named, from the last state of layer 1.\n\n"
        "More than 0 bits are proved in 1 of 2 combinations of model, layer, pooling and position."
    )


def test_the_first_position_is_left_out_of_the_mean_at_the_last_layer():
    parts = [
        pooled("mean", [0.9, 0.3]), pooled("mean without first", [0.1, 0.5]), pooled("last", [0.5, 0.5]),
        pooled("mean", [0.9, 0.3]).assign(model="b"), pooled("mean without first", [0.1, 0.1]).assign(model="b"),
    ]  # fmt: skip
    assert "changes the share named by -20.0% (b) to +20.0% (a)," in sentences.first_position(pd.concat(parts))


def shares(**models):
    return pd.DataFrame([{"model": name, "kind": kind, "trained": share} for name, (kind, share) in models.items()])


@pytest.mark.parametrize(
    ("models", "answer"),
    [
        ({"a": ("encoder", 0.6), "b": ("encoder", 0.8), "c": ("decoder", 0.5)}, "yes** (decoders 50% to 50%, encoders"),
        ({"a": ("encoder", 0.6), "b": ("encoder", 0.8), "c": ("decoder", 0.7)}, "no** (decoders 70% to 70%, encoders"),
        (
            {"a": ("encoder", 0.6), "b": ("encoder", 0.8)},
            "cannot be said: all models are of one kind** (encoders 60%",
        ),
        ({"c": ("decoder", 0.6)}, "cannot be said: all models are of one kind** (decoders 60%"),
    ],
)
def test_encoders_keep_more_only_where_every_one_does(models, answer):
    text = sentences.claim(shares(**models), seen(a=("encoder", True, True)))
    assert f"than every decoder? **{answer}" in text


def test_the_claim_takes_both_an_enhancement_and_late_forgetting():
    differences = shares(a=("encoder", 0.5))
    all_four = {"a": (True, True), "b": (False, True), "c": (True, False), "d": (False, False)}
    text = sentences.claim(differences, seen(**{name: ("encoder", *flags) for name, flags in all_four.items()}))
    assert "Under both probes, late forgetting is seen in: **a, b**." in text
    assert "Under both probes, bits are first enhanced, then discarded in: **a**." in text
    none = sentences.claim(differences, seen(d=("encoder", False, False)))
    assert none.count("**no model**") == 2
