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
    whole = curves({"a": [8.0], "b": [9.0]}, quantity="entropy", group=None)
    shared = curves({"a": [1.0], "b": [1.0]}, quantity="entropy", group="one token for all models: yes")
    assert sentences.retained(table, pd.concat([shared, whole])) == (
        "- **a** (encoder): H(X) is 8.00 [7.90, 8.10] bits per token; the last layer keeps at least 70% [60%, 80%] of "
        "it, the best layer 90%.\n"
        "- **b** (encoder): H(X) is 9.00 [8.90, 9.10] bits per token; the last layer keeps at least 25% [15%, 35%] of "
        "it, the best layer 100%."
    )


def test_each_reading_gives_its_last_and_its_best_layer():
    table = pd.concat([curves({"a": [1.0, 0.4]}, reading="token"), curves({"a": [0.2, 0.3, 0.1]}, reading="bag")])
    assert sentences.readings(table) == (
        "- **a**, last layer: token 40% [30%, 50%] (most at layer 0: 100%); bag 10% [0%, 20%] (most at layer 1: 30%)."
    )


def test_the_path_of_the_mean_and_the_best_pooling_are_named():
    table = pd.concat([curves({"a": [0.2, 0.5, 0.3]}, pooling="mean"), curves({"a": [0.1, 0.2, 0.6]}, pooling="last")])
    assert sentences.sentence(table) == (
        "- **a**, from the mean: 20% [10%, 30%] at layer 0, best at layer 1 (50% [40%, 60%]), 30% [20%, 40%] at "
        "layer 2. Most of all: 60%, layer 2, from the last state."
    )


@pytest.mark.parametrize(
    ("shares", "path"),
    [
        ([0.5, 0.2], "best at layer 0 (50% [40%, 60%]), 20% [10%, 30%] at layer 1."),
        ([0.2, 0.5], "20% [10%, 30%] at layer 0, best at layer 1 (50% [40%, 60%])."),
        ([0.5], "best at layer 0 (50% [40%, 60%])."),
    ],
)
def test_a_best_layer_at_either_end_is_given_once(shares, path):
    assert f"from the mean: {path} Most" in sentences.sentence(curves({"a": shares}, pooling="mean"))


def test_what_the_first_state_adds_to_the_mean_is_given_over_the_layers():
    parts = [curves({"a": [0.2, 0.5]}, pooling="mean"), curves({"a": [0.19, 0.52]}, pooling="mean without first")]
    text = (
        " Without the first state it changes by -1.0 to +2.0 points. Most of all: 52%, layer 1, from the mean without"
    )
    assert text in sentences.sentence(pd.concat(parts))


def test_each_place_gives_the_best_layer_of_each_curve_and_its_random_copy():
    trained = curves({"a": [0.1, 0.3]}, curve="mean", weights="trained", seed=None)
    copy = curves({"a": [0.2, 0.1]}, curve="random copy, 40 sentences", weights="random", seed=3)
    assert sentences.places(pd.concat([trained, copy.astype({"seed": "Int64"})]).assign(position=0)) == (
        "- **a**, place 1, at layer 0 and at the best layer: mean 10%, 30% (layer 1); random copy, 40 sentences 20%, "
        "20% (layer 0).\n\n"
        "Each random copy here is one network: seed 3, initial scale *random*."
    )


def order(size, *models, width=0.01):
    """A row of `learning.orders`: models from most to least, a tenth apart."""
    ends = {model: (-place / 10 - width, -place / 10 + width) for place, model in enumerate(models)}
    return {"probe": "centroid", "train_sentences": size, "order": models, "ends": ends}


def test_an_order_that_never_flips_is_said_once():
    table = pd.DataFrame([order(3000, "a", "b"), order(375, "a", "b")])
    assert sentences.learning(table).endswith(
        "- **centroid**: the order is the same at each size: a, b (no intervals overlap)."
    )


def test_without_intervals_no_overlap_is_told():
    table = pd.DataFrame([order(3000, "a", "b", width=np.nan), order(375, "a", "b")])
    assert sentences.learning(table).endswith("the order is the same at each size: a, b (no intervals to compare).")


def test_an_order_that_never_flips_says_where_intervals_overlap():
    rows = [order(375, "a", "b", "c"), order(750, "a", "b", "c", width=0.06), order(1500, "a", "b", "c", width=0.2)]
    assert sentences.learning(pd.DataFrame(rows)).endswith(
        "same at each size: a, b, c (intervals that overlap: with 750 and 1,500 sentences those of a and b, b and c; "
        "with 1,500 sentences those of a and c)."
    )


@pytest.mark.parametrize(("width", "words"), [(0.01, "their intervals are apart at both"), (0.2, "intervals overlap")])
def test_flips_are_named_with_the_sizes_between_which_they_happen(width, words):
    rows = [order(375, "a", "b", "c", width=width), order(750, "a", "b", "c"), order(1500, "b", "a", "c", width=width)]
    rows[1] = order(750, "a", "b", "c", width=width)
    text = sentences.learning(pd.DataFrame(rows))
    assert text.count("change places") == 1
    assert "the order flips: a and b change places between 750 and 1,500" in text
    assert words in text
    assert text.endswith("With most text: b, a, c.")


def tokenizers(**models):
    rows = [{"model": name, "ignores case": ignores, "H(X)": 9.0, "H(X) without case": 9.0 - 0.2 * (not ignores)}
            for name, ignores in models.items()]  # fmt: skip
    return pd.DataFrame(rows)


def test_models_that_ignore_case_are_named_and_what_case_adds_to_the_others():
    assert sentences.tokenizers(tokenizers(a=True, b=True, c=False)) == (
        "a and b ignore case: their tokens do not say what is a capital letter. "
        "Without case the entropy of a token of the whole text would fall for c from 9.00 to 8.80 bits per token."
    )
    assert sentences.tokenizers(tokenizers(c=False)).startswith("All models see case. Without case")
    assert sentences.tokenizers(tokenizers(a=True)).endswith("a capital letter.")


def counted(unit, *models, width=0.01):
    """A row of `units.orders`."""
    return order(0, *models, width=width) | {"unit": unit}


@pytest.mark.parametrize(("width", "how"), [(0.01, "their intervals are apart"), (0.1, "not significant")])
def test_the_order_of_the_models_is_compared_between_ways_of_counting(width, how):
    orders = pd.DataFrame([counted("share", "a", "b", width=width), counted("bits per token", "b", "a", width=width)])
    shared = curves({"a": [5.0, 4.0]}, "usable", counted="bits per shared word", group="one token for all models: yes")
    text = sentences.words(orders, shared)
    assert "- **bits per token**: b, a\n" in text
    assert f"Beside the share, a and b change places in bits per token ({how})." in text
    assert text.endswith("shared word, the last layer shows: a 4.00 [3.90, 4.10] of 5.00 bits.")
    assert sentences.words(orders[:1], shared[:0]).endswith("The order is the same in each.")


def test_shuffled_targets_and_layer_0_are_picked_from_the_other_rows():
    bits = pd.concat(
        [
            curves({"a": [0.01, -0.04]}, "usable", shuffled=True),
            curves({"a": [5.0]}, "usable", shuffled=False),
            curves({"a": [5.0]}, "cross_entropy_bound", shuffled=True),
        ]
    )
    shares = curves({"a": [0.98, 0.1], "b": [0.99, 1.0]})
    assert sentences.shuffled(bits, shares) == (
        "Of shuffled targets from -0.040 to 0.010 bits can be used, by model and layer (highest end of an interval: "
        "0.110). Layer 0 shows at least 98.0% of H(X)."
    )
    rounded = sentences.shuffled(bits, curves({"a": [0.9999]}))
    assert rounded.endswith("Layer 0 shows at least 99.9% of H(X)."), "a bound from below is not rounded up"
    assert "by model and layer (no interval)" in sentences.shuffled(bits.assign(high=None), shares)


def difference(weights, low, high, random=0.5):
    return {"reading": "token", "model": "a", "weights": weights, "trained": 0.7, "random": random, "low": low,
            "high": high}  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.1, 0.3, "more than"),
        (-0.3, -0.1, "less than"),
        (-0.1, 0.3, "about as much as"),
        (0.0, 0.3, "about as much as"),
        (None, None, "an amount that cannot be compared with"),
    ],
)
def test_a_trained_model_keeps_more_or_less_only_where_the_interval_leaves_out_0(low, high, words):
    text = sentences.random(pd.DataFrame([difference("random", low, high)]))
    assert text == f"- **a**, token: 70% at the last layer, {words} *random* (50%)."


def test_copies_on_both_sides_make_the_answer_one_of_scale():
    rows = [difference("random", 0.1, 0.3), difference("random: both", -0.3, -0.1, 0.9)]
    text = sentences.random(pd.DataFrame(rows))
    assert text.endswith(
        "more than *random* (50%); less than *random: both* (90%). So the answer depends on the initial scale."
    )


def test_contrasts_say_what_would_have_been_seen():
    row = {"reading": "token", "half": "rise", "probe": "centroid", "model": "a", "layer": 3, "other": 1,
           "quantity": "rise", "estimate": 0.04, "low": -0.1, "high": 0.2, "detectable": 0.25}  # fmt: skip
    small = row | {"model": "b", "low": -0.0004, "high": 0.09, "detectable": None}
    none = row | {"model": "d", "estimate": -0.11, "low": -0.16, "high": -0.07}
    open_ = row | {"model": "e", "estimate": -0.05, "low": -0.4, "high": 0.3, "detectable": None}
    inner = none | {"model": "f", "quantity": "peak_rise"}
    assert sentences.forgetting(pd.DataFrame([open_])).endswith("e -0.05 [-0.40, +0.30] (layers 3 and 1).")
    assert "f no rise (the best inner layer, 3, is 0.11" in sentences.forgetting(pd.DataFrame([inner]))
    table = pd.DataFrame([row, small, none, row | {"probe": "ridge", "model": "c"}])
    assert sentences.forgetting(table) == (
        "- **token**, rise in bits per token: a +0.04 [-0.10, +0.20] (layers 3 and 1; 0.25 would have been "
        "seen); b +0.040 [+0.000, +0.090] (layers 3 and 1); d no rise (the best later layer, 3, is 0.11 [0.07, 0.16] "
        "bits below layer 1; 0.25 would have been seen)."
    )


def test_the_higher_bound_is_counted_over_layers():
    table = pd.concat([curves({"a": [0.9, 0.5, 0.4, 0.5]}), curves({"a": [0.8, 0.6, 0.1, 0.5]}, "retained_fano")])
    assert sentences.bounds(table) == (
        "The cross-entropy bound is the higher one in 50% of the 4 layers. The difference runs from -10.00 to +30.00 "
        "points of H(X), largest at layer 2 of a."
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


def groups(by="word class", **models):
    rows = [
        {"model": model, "name": name, "by": by, "estimate": share, "low": share - 0.05, "high": share + 0.05,
         "n": 40}
        for model, shares in models.items()
        for name, share in shares.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_groups_with_the_fewest_and_the_most_tokens_named():
    assert sentences.tokens(groups(a={"x": 0.5, "y": 0.2, "z": 0.9})) == (
        "- **a** names the fewest tokens among *y* (word class), 20% ([15%, 25%], 95 %, 40 sentences), and the most "
        "among *z* (word class), 90% ([85%, 95%], 95 %, 40 sentences)."
    )
    near = sentences.tokens(groups(a={"x": 0.25, "y": 0.2, "z": 0.9}))
    assert "among *y* (word class), 20% ([15%, 25%], 95 %, 40 sentences) (not significant), and the most" in near


def test_domains_are_apart_where_two_intervals_do_not_overlap():
    near, apart = {"x": 0.50, "y": 0.55, "z": 0.58}, {"x": 0.5, "y": 0.65, "z": 0.55}
    text = sentences.domains(groups("domain", b=apart, a=near, c=apart))
    assert "varies by 8 to 15 percentage points" in text
    assert text.endswith("are apart in 2 of 3 models (b, c).")
    assert sentences.domains(groups("domain", a=near)).endswith("are apart in 0 of 1 models.")


def test_the_bag_is_also_told_by_the_contrasts_of_the_token_for_the_mean_and_all_text():
    usual = {"model": "a", "reading": "bag", "quantity": "late_forgetting", "pooling": "mean", "probe": "centroid",
             "train_sentences": 80, "layer": 3, "other": 4, "estimate": 0.2, "low": 0.1, "high": 0.3}  # fmt: skip
    others = [{"pooling": "last"}, {"train_sentences": 40}, {"reading": "token"}, {"quantity": "peak_fall"}]
    rise = usual | {"quantity": "rise", "layer": 2, "other": 1, "estimate": 0.05, "low": -0.1}
    loss = usual | {"quantity": "forgetting", "layer": 0, "estimate": 0.25}
    table = pd.DataFrame([usual, rise, loss, *({**usual, "estimate": 9.0} | other for other in others)])
    assert sentences.bag_as_token(table) == (
        "The bag between any two layers, as for the token (differences count from 0.1 bits on):\n\n"
        "- rise from a layer to a later one, in bits per token: a +0.05 [-0.10, +0.30] (layers 2 and 1).\n"
        "- loss from any layer to the last, in bits per token: a +0.25 [+0.10, +0.30] (layers 0 and 4).\n"
        "- loss of late layers, in bits per token: a +0.20 [+0.10, +0.30] (layers 3 and 4)."
    )
