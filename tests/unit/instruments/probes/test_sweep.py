import copy
import dataclasses
from functools import partial
from itertools import product

import made_up
import numpy as np
import pytest
import torch
from pandas.testing import assert_frame_equal

from bitskept.instruments import states
from bitskept.instruments.masks import visible_among_masks
from bitskept.instruments.probes import sweep as module
from bitskept.instruments.probes.readings import OTHERS
from bitskept.instruments.probes.sweep import COLUMNS, Plan, measure, split, sweep
from bitskept.instruments.states import encode, stream

WORDS = ["the", "cat", "sat", "un", "it", "42", ",", "The", "at"]
POOLED = ("mean", "mean without first", "last")
PLAN = Plan(
    "synthetic", 120, 20, 40, side_layers=2, trained_epochs=1, certificate=True,
    smaller=(60, 30), window_layers=3, poolings=(*POOLED, OTHERS), places=2, words=("cat", "the"),
)  # fmt: skip
UNITS = {
    "entropy": "bits per token",
    "error": "share of tokens",
    "cross_entropy": "bits per token",
    "fano_bound": "bits per token",
    "cross_entropy_bound": "bits per token",
    "retained_fano": "share of H(X)",
    "retained_cross_entropy": "share of H(X)",
    "usable": "bits per token",
    "usable_share": "share of usable bits",
    "bits_per_character": "bits per character",
    "certificate": "bits per token",
    "forgetting": "bits per token",
    "late_forgetting": "bits per token",
    "rise": "bits per token",
    "peak_rise": "bits per token",
    "peak_fall": "bits per token",
    "recovered": "share of tokens",
    "truncated": "sentences",
}


sentences = partial(made_up.sentences, WORDS, 3, 7)
TEXTS = sentences(180)
DOMAINS = ["news" if number % 3 else "prose" for number in range(180)]
families = pytest.mark.parametrize("family", ["bert", "llama"])


@pytest.fixture(scope="module")
def tables(tiny):
    return {family: sweep(tiny(family), TEXTS, DOMAINS, PLAN) for family in ("bert", "llama")}


def test_the_parts_are_disjoint_and_the_test_stays_when_training_grows(tiny):
    encoding = encode(tiny("llama"), TEXTS)
    parts = split(encoding, PLAN)
    assert [len(part) for part in parts] == [PLAN.test, PLAN.validation, PLAN.train]
    together = np.concatenate(parts)
    assert len(set(together.tolist())) == len(together)
    fewer = Plan("synthetic", 30, 20, 40)
    shorter = split(encode(tiny("llama"), TEXTS[:90]), fewer)
    for few, many in zip(shorter[:2], parts[:2], strict=True):
        np.testing.assert_array_equal(few, many)
    np.testing.assert_array_equal(shorter[2], parts[2][:30])


def test_what_tokenising_makes_equal_or_empty_counts_once_or_not_at_all(tiny):
    texts = ["", "a dog", "it sat", "a fox", "the cat", "it", "a dog"]  # dog and fox are unknown words alike
    parts = split(encode(tiny("bert"), texts), Plan("few", 2, 1, 1))
    assert [part.tolist() for part in parts] == [[1], [2], [4, 5]]


def test_too_few_sentences_are_refused_with_their_numbers(tiny):
    encoding = encode(tiny("bert"), TEXTS[:9] + TEXTS[:3])
    with pytest.raises(ValueError, match="few gives 9 different sentences, but 17 are asked for: 4 for test, 3 for va"):
        split(encoding, Plan("few", 10, 3, 4))
    with pytest.raises(ValueError, match="few gives 9 different sentences, but 12 are asked for"):
        split(encoding, Plan("few", 3, 5, 4))  # nothing would be left to train on
    with pytest.raises(ValueError, match="synthetic gives 12 different"):
        sweep(tiny("bert"), TEXTS[:12], DOMAINS[:12], PLAN)


@pytest.mark.parametrize("name", ["train", "validation", "test", "side_layers"])
def test_a_plan_without_a_part_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, but is 0"):
        Plan(**{"corpus": "synthetic", "train": 1, "validation": 1, "test": 1, name: 0})


@families
def test_one_tidy_table(tables, family):
    table = tables[family]
    assert list(table.columns) == COLUMNS
    assert dict(table.drop_duplicates(["quantity", "unit"])[["quantity", "unit"]].to_numpy()) == UNITS
    assert set(table["model"]) == {family}
    assert set(table["kind"]) == {"encoder" if family == "bert" else "decoder"}
    assert set(table["weights"]) == {"trained"}
    assert table["seed"].isna().all()
    assert not table.duplicated(COLUMNS[: COLUMNS.index("estimate")]).any(), "two rows say what one should"
    known = table.dropna(subset=["low", "high"])
    assert (known["low"] <= known["high"]).all()
    assert table["estimate"].notna().all()
    assert (table["n"] > 0).all()


@families
def test_every_probe_and_reading_is_there(tables, family):
    bound = tables[family].query("quantity == 'cross_entropy_bound'")
    names = ["reading", "pooling", "position", "shuffled", "probe", "train_sentences"]
    result = bound.fillna({"pooling": "", "position": -1}).groupby(names)["layer"].agg(list)
    sides, every, closed = [0, 3], [0, 1, 2, 3], ("ridge", "centroid")
    expected = {("token", "", -1, False, probe, 120): sides for probe in ("softmax", "mlp")}
    expected |= {("token", "", -1, True, "centroid", 120): sides}
    for probe, (size, layers) in product(closed, ((120, every), (60, sides), (30, sides))):
        expected["token", "", -1, False, probe, size] = layers
    for size, layers in ((120, every), (60, sides), (30, sides)):
        expected["bag", POOLED[0], -1, False, "centroid", size] = layers
        expected |= {("place", POOLED[0], place, False, "centroid", size): layers for place in (0, 1)}
    expected |= {("place", OTHERS, place, False, "centroid", 120): sides for place in (0, 1)}
    expected |= {("bag", name, -1, False, "centroid", 120): every for name in POOLED[1:]}
    expected |= {("window", "", -1, False, probe, 120): [0, 2, 3] for probe in closed}
    assert result.to_dict() == expected
    groups = tables[family].query("quantity == 'recovered' and layer == 0")
    kinds = groups["group"].str.split(": ").str[0]
    token = tables[family].query("probe == 'centroid' and reading == 'token' and group.isna()")
    tokens = int(token[token["quantity"] == "entropy"]["tokens"].iloc[0])
    assert groups.groupby(kinds)["tokens"].sum().to_dict() == dict.fromkeys(
        ["domain", "seen in training", "word class", "one token for all models"], tokens
    )
    common = tables[family].query("group == 'one token for all models: yes'")
    assert set(common["quantity"]) == {"recovered", "usable", "entropy"}
    assert 0 < common["tokens"].iloc[0] < tokens
    assert common["tokens"].nunique() == 1
    assert set(token[token["quantity"] == "bits_per_character"]["train_sentences"]) == {30, 60, 120}


@families
def test_the_smallest_plan_has_only_the_centroid_at_side_layers(tiny, family):
    plan = Plan("synthetic", 60, 10, 20, ridge=False, shuffled=False, every_layer=False, side_layers=2)
    table = sweep(tiny(family), TEXTS, DOMAINS, plan)
    assert set(table["probe"].dropna()) == {"centroid"}
    assert set(table["reading"]) == {"token"}
    assert not table["shuffled"].any()
    assert set(table["layer"].dropna()) == {0, 3}


@families
def test_the_bounds_say_what_they_must(tables, family):
    table = tables[family]
    token = table[(table["reading"] == "token") & table["group"].isna() & (table["train_sentences"] == PLAN.train)]
    token = token.set_index(["shuffled", "probe", "layer"])
    nothing = token[token["quantity"] == "cross_entropy_bound"].loc[True]["estimate"]
    assert len(nothing) == 2
    assert (nothing < 0.03).all()
    kept = token[token["quantity"] == "retained_cross_entropy"].loc[False]["estimate"]
    assert (kept <= 1).all()
    if family == "llama":  # layer 0 of a decoder is a lookup of the token
        assert kept["centroid", 0] > 0.95
    entropy = token[token["quantity"] == "entropy"].loc[False]["estimate"]
    assert entropy.nunique() == 1
    certificate = token[token["quantity"] == "certificate"]
    assert (certificate["n"] == PLAN.test).all()
    assert (certificate["estimate"] < entropy.iloc[0]).all()


@families
def test_the_same_plan_gives_the_same_table(tiny, tables, family):
    assert_frame_equal(sweep(tiny(family), TEXTS, DOMAINS, PLAN), tables[family])


@families
def test_the_table_does_not_depend_on_the_size_of_the_batches(tiny, tables, family, monkeypatch):
    monkeypatch.setattr(module, "stream", partial(stream, budget=150))
    small = sweep(tiny(family), TEXTS, DOMAINS, PLAN)
    closed = small["probe"].isin(["ridge", "centroid"])  # training by gradient amplifies float noise
    large = tables[family]
    # A guess may flip. What a window lacks at an end of a sentence is the mean of the first batch.
    for rows, tolerance in ((closed & (large["reading"] != "window"), 0.02), (large["reading"] == "window", 0.1)):
        assert_frame_equal(small[rows], large[rows], rtol=0, atol=tolerance)


@families
def test_a_smaller_number_of_training_sentences_is_a_sweep_with_so_many(tiny, tables, family):
    alone = sweep(tiny(family), TEXTS, DOMAINS, dataclasses.replace(PLAN, train=60, smaller=(), every_layer=False))
    measured = ["error", "cross_entropy", "usable"]
    names = ["reading", "pooling", "position", "probe", "layer", "quantity", "train_sentences"]
    results = [
        table[table["quantity"].isin(measured) & table["probe"].isin(["ridge", "centroid"]) & ~table["shuffled"]]
        .query("group.isna() and train_sentences == 60 and reading != 'window'")
        .query("pooling.isna() or pooling == @PLAN.poolings[0]")
        .sort_values(names, ignore_index=True)[[*names, "estimate"]]
        for table in (alone, tables[family])
    ]
    assert len(results[0]) == 2 * 3 * (2 + 1 + 2)  # layers, quantities, readings
    assert_frame_equal(*results, rtol=0, atol=1e-3)


@pytest.mark.parametrize("wrong", [0, 9, 120])
def test_a_smaller_number_that_is_not_smaller_is_refused(wrong):
    with pytest.raises(ValueError, match=f"between 1 and 8, not {wrong}"):
        Plan("synthetic", 9, 1, 1, smaller=(3, wrong))


def test_with_hidden_tokens_only_those_left_visible_are_read(tiny):
    bert = tiny("bert")
    tokenizer = copy.deepcopy(bert.tokenizer)
    tokenizer.mask_token = "!"  # no sentence here has one
    model = dataclasses.replace(bert, tokenizer=tokenizer)
    plan = Plan("synthetic", 60, 10, 20, ridge=False, shuffled=False, side_layers=2)
    whole, part = (sweep(model, TEXTS, DOMAINS, dataclasses.replace(plan, hidden=share)) for share in (0.0, 0.4))
    tokens = [table.query("quantity == 'entropy'")["tokens"].iloc[0] for table in (whole, part)]
    visible = visible_among_masks(model, encode(model, TEXTS), 0.4, plan.seed)
    parts = split(visible, dataclasses.replace(plan, hidden=0.4))
    assert tokens[1] == sum(visible.measured[sentence].sum() for sentence in parts[0]) < tokens[0]
    assert whole["group"].notna().any()
    assert part["group"].isna().all()
    kept = part.query("quantity == 'cross_entropy_bound'").set_index("layer")["estimate"]
    assert kept[0] == kept.max()  # the embedding of a visible token is its own, masks or not
    with pytest.raises(ValueError, match="llama cannot fill in hidden tokens"):
        sweep(tiny("llama"), TEXTS, DOMAINS, dataclasses.replace(plan, hidden=0.4))


def test_an_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="there is no pooling 'max': take 'mean', "):
        Plan("synthetic", 9, 1, 1, poolings=("mean", "max"))


def test_sentences_that_are_cut_are_counted(tiny):
    texts = [*TEXTS[:60], *(f"{text} the cat sat the cat sat" for text in TEXTS[60:80])]
    plan = Plan("synthetic", 50, 10, 20, ridge=False, shuffled=False, longest=12, side_layers=1)
    longer = sum(len(ids) > 12 for ids in tiny("bert").tokenizer(texts)["input_ids"])
    assert 0 < longer < 80
    with pytest.warns(UserWarning, match=f"{longer} of 80 sentences are longer than the 12 tokens"):
        table = sweep(tiny("bert"), texts, DOMAINS[:80], plan)
    row = table[table["quantity"] == "truncated"].iloc[0]
    assert (row["estimate"], row["n"], row["unit"]) == (longer, 80, "sentences")


# ---- from the store ----


@pytest.fixture
def sources(tiny, tmp_path, home):
    """A folder with a model, and a plan for a file with sentences."""
    model = tiny("llama")
    model.network.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    corpus = tmp_path / "sentences.txt"
    corpus.write_text("\n".join(text.replace(" ,", "") for text in sentences(120)), "utf-8")
    plan = Plan(str(corpus), 40, 10, 20, ridge=False, shuffled=False, side_layers=2, dtype="float32")
    return str(tmp_path / "model"), plan


def entries(home):
    return sorted(path.name for path in (home / "store" / "layer_sweep").glob("*"))


@pytest.mark.parametrize("passes", [0, 2])
def test_a_sweep_that_is_stopped_leaves_nothing_and_the_next_gives_the_same(
    sources, home, tmp_path, monkeypatch, passes
):
    model, plan = sources
    left = [None] * passes

    def stopped(*arguments, **options):
        for batch in stream(*arguments, **options):
            if not left:
                raise KeyboardInterrupt
            yield batch
        left.pop()

    with monkeypatch.context() as patched:
        patched.setattr(module, "stream", stopped)
        with pytest.raises(KeyboardInterrupt):
            measure(model, plan, progress=False)
    assert entries(home) == []
    again = measure(model, plan, progress=False)
    monkeypatch.setenv("BITSKEPT_HOME", str(tmp_path / "another home"))
    assert_frame_equal(measure(model, plan, progress=False), again)


def test_a_part_with_one_kind_of_token_gives_numbers_and_a_text_of_one_is_refused(tiny):
    one = [" ".join(["the"] * length) for length in range(3, 13)]
    for texts in (one + TEXTS[:20], TEXTS[:10] + one + TEXTS[10:20], TEXTS[:20] + one):  # test, validation, training
        table = sweep(tiny("bert"), texts, ["news"] * 30, Plan("few", 10, 10, 10, side_layers=2, trained_epochs=1))
        assert table["estimate"].notna().all()
    with pytest.raises(ValueError, match="every token of the text is the same, so there are 0 bits to keep"):
        sweep(tiny("bert"), one, ["news"] * 10, Plan("few", 4, 3, 3, side_layers=2))
    begun = [f"un {text}" for text in TEXTS[:30]]
    with pytest.raises(ValueError, match="the token at position 0 of every sentence is the same"):
        sweep(tiny("bert"), begun, ["news"] * 30, Plan("few", 10, 10, 10, side_layers=2, poolings=("mean",), places=2))


def test_a_state_that_is_not_finite_is_named_with_its_layer_and_part(tiny, monkeypatch):
    """NaN in the validation states alone made every bound 0 bits."""
    model, seen = tiny("bert"), []
    plan = Plan("few", 20, 10, 20, side_layers=2)
    validation = split(encode(model, TEXTS[:50]), plan)[1].tolist()

    def spoilt(model, encoding, group, layers, stacked, part):
        if set(group) & set(validation):
            seen.append(part)
            model = dataclasses.replace(model, network=copy.deepcopy(model.network))
            with torch.no_grad():
                model.network.encoder.layer[1].output.LayerNorm.weight[2] = float("nan")
        return forward(model, encoding, group, layers, stacked, part)

    forward = states._forward
    monkeypatch.setattr(states, "_forward", spoilt)
    with pytest.raises(ValueError, match="bert: a state of layer 2 has a value that is not finite, in the valid"):
        sweep(model, TEXTS[:50], DOMAINS[:50], plan)
    assert seen == ["validation sentences"]
