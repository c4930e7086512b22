import pandas as pd
import pytest

from bitskept.studies.layer_sweep import caveats, claims, controls

KINDS = {"a": "encoder", "b": "encoder", "c": "decoder"}
RISE, LOSE, ENHANCED, DISCARDED = claims.LAYERS.values()


def row(claim, outcome, model="c", reading="token", estimate=0.05, low=0.01, sentences=80):
    return {"claim": claim, "outcome": outcome, "model": model, "reading": reading, "probe": "centroid",
            "train_sentences": sentences, "estimate": estimate, "low": low, "high": estimate + 0.05}  # fmt: skip


def test_all_of_them_are_listed(trained, copies, masked):
    differences = controls.differences(controls.random_copies(copies))
    table = claims.claims(trained, differences, masked)
    lines = caveats.caveats(table, trained, differences).splitlines()
    assert lines[:2] == ["What this hangs on:", ""]
    starts = ["- **The inner layer of the bag**", "- **Encoders keep more", "- **Training protects"]
    assert all(any(line.startswith(start) for line in lines[2:]) for start in starts)
    nothing = trained[(trained["reading"] == "window") & (trained["model"] == "c")]
    assert caveats.caveats(table[:0], nothing, pd.DataFrame()) == ""


def test_certain_rises_below_the_limit_are_named_with_their_models_and_kinds():
    rows = [
        row(RISE, "no"),
        row(ENHANCED, "cannot tell", reading="bag: mean", sentences=40),
        row(RISE, "yes", reading="bag: last", estimate=0.4, low=0.2),
        row(RISE, "no", "a", low=-0.01),
        row(RISE, "cannot tell", "a", estimate=0.2),
        row(LOSE, "no", "a"),
    ]
    text = caveats.small_rises(pd.DataFrame(rows), KINDS)
    assert text == (
        "**The limit.** Bits that rise for certain, but by less than 0.1: c +0.050 [+0.010, +0.100] (token, centroid, "
        "80 sentences), +0.050 [+0.010, +0.100] (bag: mean, centroid, 40 sentences). All of these are in the decoder. "
        "With a limit below such a rise its outcome would be *yes*, for a primary one if it is significant "
        "after Holm's correction. Rises that count are found from *bag: last*."
    )


def test_kinds_are_told_apart_only_where_one_of_them_shows_no_rise():
    both = pd.DataFrame([row(RISE, "no"), row(RISE, "no", "a")])
    text = caveats.small_rises(both, KINDS)
    assert "; a +0.050" in text
    assert "All of these are in encoders." in caveats.small_rises(both[1:], KINDS)
    assert "All of these" not in text
    assert "Rises that count" not in text
    assert "All of these" not in caveats.small_rises(both[:1], {"c": "decoder"})
    assert caveats.small_rises(pd.DataFrame([row(RISE, "no", low=-0.01)]), KINDS) == ""


def sweep(bits, layer, other, position=1):
    facts = {"model": "c", "reading": "place", "pooling": "mean", "position": position, "train_sentences": 80}
    rows = [facts | {"quantity": "usable", "layer": place, "estimate": value} for place, value in enumerate(bits)]
    rows.append(facts | {"quantity": "rise", "layer": layer, "other": other, "estimate": bits[layer] - bits[other]})
    fewer = [part | {"train_sentences": 40, "estimate": 9.0, "layer": 0} for part in rows]
    table = pd.DataFrame([*rows, *fewer, *[part | {"position": 0, "estimate": 8.0} for part in rows]])
    return table.astype({"other": "Int64"})


@pytest.mark.parametrize(
    ("bits", "other", "path"),
    [
        ([3.5, 2.6, 3.4], 1, "c rises from 2.60 bits at layer 1 to 3.40 at layer 2, still below the 3.50 of layer 0. "),
        ([3.0, 2.6, 3.4], 1, "c rises from 2.60 bits at layer 1 to 3.40 at layer 2, above the 3.00 of layer 0. "),
        ([3.0, 2.6, 3.4], 0, "c rises from 3.00 bits at layer 0 to 3.40 at layer 2. "),
    ],
)
@pytest.mark.parametrize("lost", ["yes", "no"])
def test_a_rise_at_a_later_place_is_told_with_its_layers_and_the_late_loss(bits, other, path, lost):
    place = {"reading": "place 2: mean"}
    rows = [row(RISE, "yes", **place), row(LOSE, lost, **place), row(LOSE, "yes", "a", **place)]
    others = [row(RISE, "yes", reading="place 1: mean"), row(RISE, "yes", reading="place 2: last")]
    text = caveats.late_places(pd.DataFrame([*rows, *others]), sweep(bits, 2, other))
    assert text.startswith(f"**Place 2.** {path}")
    if lost == "yes":
        assert "Late layers lose as well (+0.05 [+0.01, +0.10] in c), so between any two layers both halves" in text
        assert "are shown for c, and for no other model. " in text
    else:
        assert "None of these is seen to lose 0.1 bits or more in late layers. " in text
    assert text.endswith("Random copies were tested at the first place alone, so whether this is learned is open.")


def test_without_a_rise_at_a_later_place_there_is_nothing_to_say():
    rows = [row(RISE, "no", reading="place 2: mean"), row(RISE, "yes", reading="place 2: mean", sentences=40)]
    assert caveats.late_places(pd.DataFrame(rows), pd.DataFrame()) == ""


def peaks(**layers):
    rows = [
        {"model": model, "reading": "bag", "pooling": "mean", "quantity": "peak_rise", "train_sentences": 80,
         "layer": layer, "high": high, "shuffled": False}
        for model, (layer, high) in layers.items()
    ]  # fmt: skip
    return pd.DataFrame([*rows, rows[0] | {"pooling": "last", "layer": 9}, rows[0] | {"train_sentences": 40}])


def test_the_inner_layer_of_the_bag_is_compared_with_layer_0():
    start = "**The inner layer of the bag** is layer 1 in a, b; layer 3 in c. The mean over layer 0 is the bag of"
    text = caveats.inner_layer(peaks(a=(1, -0.1), c=(3, 0.2), b=(1, -0.2)))
    assert text == f"{start} embeddings itself, which tells more for certain in a, b."
    assert caveats.inner_layer(peaks(a=(1, 0.1))).endswith(" is the bag of embeddings itself.")


def gaps(**shares):
    rows = [
        {"model": model, "kind": KINDS[model], "layer": 4, "reading": "token", "pooling": None, "probe": probe,
         "quantity": "usable_share", "estimate": share, "train_sentences": 80, "group": None, "shuffled": False, "n": 9}
        for model, pair in shares.items()
        for probe, share in zip(("centroid", "ridge"), pair, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_each_model_is_left_out_once():
    text = caveats.without_one(gaps(a=(0.9, 0.9), b=(0.4, 0.6), c=(0.5, 0.5)))
    assert text == (
        "**Encoders keep more than decoders**: the difference is positive in 1 of 2 settings without a, in 2 of 2 "
        "settings without b. So its sign rests on a."
    )
    assert "rests on" not in caveats.without_one(gaps(a=(0.9, 0.9), b=(0.6, 0.6), c=(0.5, 0.5)))
    assert "rests on" not in caveats.without_one(gaps(a=(0.1, 0.1), b=(0.2, 0.2), c=(0.5, 0.5)))
    assert caveats.without_one(gaps(a=(0.9, 0.9), c=(0.5, 0.5))) == ""


def test_more_text_is_compared_with_that_of_the_random_copies():
    differences = pd.DataFrame([{"reading": "token", "model": "c", "train_sentences": 40, "trained": 0.3}] * 2)
    assert caveats.more_text(differences, gaps(c=(0.5, 0.6))) == (
        "**Training protects the token** was asked with 40 sentences. With 80 the last layers of the trained models "
        "show 50% in place of 30% (c); copies were not probed with as many, so more text may change the answer."
    )
    assert caveats.more_text(differences.assign(train_sentences=80), gaps(c=(0.5, 0.6))) == ""
    assert caveats.more_text(differences[:0], gaps(c=(0.5, 0.6))) == ""
