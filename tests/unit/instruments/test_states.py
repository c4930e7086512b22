import copy
import dataclasses
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitskept.instruments import states as module
from bitskept.instruments.states import batches, encode, resolve_layers, stream

TEXTS = [
    "the cat sat.",
    "it",
    "the un unlocked cat, the 42!",
    "",
    "The cat the cat the cat sat, it",
    "!",
    "the cat sat.",
]
families = pytest.mark.parametrize("family", ["bert", "mpnet", "llama", "gemma"])


def by_itself(model, text):
    """What transformers gives for one text, without a batch or padding: measured tokens, `hidden_states`."""
    encoded = model.tokenizer(text, return_tensors="pt", return_special_tokens_mask=True)
    measured = encoded.pop("special_tokens_mask")[0] == 0
    with torch.inference_mode():
        states = model.network(**encoded, output_hidden_states=True).hidden_states
    return encoded["input_ids"][0, measured], torch.stack([state[0, measured] for state in states])


@families
def test_states_are_those_of_a_text_by_itself(tiny, family):
    model = tiny(family)
    encoding = encode(model, TEXTS)
    seen = []
    for batch in stream(model, encoding, range(len(TEXTS)), budget=40):
        assert batch.layers == (0, 1, 2, 3)
        for sentence in batch.sentences.unique().tolist():
            tokens, states = by_itself(model, TEXTS[sentence])
            here = batch.sentences == sentence
            torch.testing.assert_close(batch.states[:, here], states, rtol=1e-4, atol=1e-4)
            assert batch.tokens[here].tolist() == tokens.tolist() == encoding.tokens(sentence).tolist()
            assert batch.positions[here].tolist() == list(range(len(tokens)))
            assert not set(tokens.tolist()) & {0, 1, 2}  # special tokens and padding
            seen.append(sentence)
    assert sorted(seen) == [0, 1, 2, 4, 5, 6]  # the empty one is left out


@families
def test_layer_by_layer_gives_the_same_states(tiny, family):
    model = tiny(family)
    encoding = encode(model, TEXTS)
    whole, apart = (
        list(stream(model, encoding, range(len(TEXTS)), layers=(3, 0, 1), budget=40, stacked=stacked))
        for stacked in (True, False)
    )
    for one, other in zip(whole, apart, strict=True):
        for _ in range(2):  # as often as one likes
            torch.testing.assert_close(torch.stack(list(other.states)), one.states, rtol=0, atol=0)
        assert torch.equal(other.sentences, one.sentences)
        assert other.layers == one.layers == (3, 0, 1)


@families
def test_the_context_matters(tiny, family):
    # Were it not so, the test above could not tell a state in a batch from the state of the token alone.
    model = tiny(family)
    word = "Ġcat" if model.kind == "decoder" else "cat"
    first, other = (
        by_itself(model, text)[1][:, tokens.index(model.tokenizer.convert_tokens_to_ids(word))]
        for text in ("it, the cat sat", "the 42! the cat sat")
        for tokens in [by_itself(model, text)[0].tolist()]
    )
    assert (first[-1] - other[-1]).abs().max() > 0.05


@pytest.mark.parametrize("family", ["llama", "gemma"])
def test_layer_0_is_the_embedding_and_the_last_comes_after_the_final_norm(tiny, family):
    model, outputs = tiny(family), []
    hook = model.network.norm.register_forward_hook(lambda module, inputs, output: outputs.append((inputs[0], output)))
    [batch] = stream(model, encode(model, ["the cat sat."]), [0])
    hook.remove()
    [(before, after)] = outputs
    scale = 4.0 if family == "gemma" else 1.0  # Gemma multiplies embeddings by the root of the width, 16
    torch.testing.assert_close(batch.states[0], scale * model.embeddings.detach()[batch.tokens])
    torch.testing.assert_close(batch.states[3], after[0, -len(batch.tokens) :])
    assert not torch.allclose(before, after, atol=0.1)


@pytest.mark.parametrize("family", ["bert", "mpnet"])
def test_layer_0_of_an_encoder_is_the_output_of_its_embedding_block(tiny, family):
    model, outputs = tiny(family), []
    hook = model.network.embeddings.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    [batch] = stream(model, encode(model, ["the cat sat."]), [0])
    hook.remove()
    torch.testing.assert_close(batch.states[0], outputs[0][0, 1:-1])


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 100))
def test_batches_hold_every_index_once_and_keep_to_the_budget(lengths, budget):
    groups = batches(lengths, budget)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or max(lengths[index] for index in group) * len(group) <= budget
    for group, following in pairwise(groups):
        assert min(lengths[index] for index in group) >= lengths[following[0]]
        # No batch is closed while there is room for another sentence.
        assert max(lengths[index] for index in group) * (len(group) + 1) > budget


@given(st.lists(st.integers(1, 9), max_size=40), st.integers(1, 40))
def test_batches_of_one_length(lengths, budget):
    groups = batches(lengths, budget, mixed=False)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        assert len({lengths[index] for index in group}) == 1
        assert len(group) == 1 or lengths[group[0]] * len(group) <= budget
    for group, following in pairwise(groups):
        same = lengths[group[0]] == lengths[following[0]]
        assert not same or lengths[group[0]] * (len(group) + 1) > budget  # no batch is closed while there is room


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["the", "cat", "42", "!"]), max_size=9), min_size=1, max_size=8), st.data())
def test_each_measured_token_comes_exactly_once(tiny, words, data):
    model = tiny("gemma")
    encoding = encode(model, [" ".join(sentence) for sentence in words])
    chosen = data.draw(st.lists(st.sampled_from(range(len(words))), unique=True))
    budget = data.draw(st.integers(1, 60))
    result = {}
    for batch in stream(model, encoding, chosen, layers=[0], budget=budget):
        for token, *place in zip(
            batch.tokens.tolist(), batch.sentences.tolist(), batch.positions.tolist(), strict=True
        ):
            assert tuple(place) not in result
            result[tuple(place)] = token
    assert result == {(s, i): token for s in chosen for i, token in enumerate(encoding.tokens(s).tolist())}


@families
def test_the_budget_changes_nothing_but_rounding(tiny, family):
    model = tiny(family)
    encoding = encode(model, TEXTS)

    def ordered(budget):
        parts = list(stream(model, encoding, range(len(TEXTS)), budget=budget))
        sentences, positions = (
            torch.cat([getattr(part, name) for part in parts]) for name in ("sentences", "positions")
        )
        order = np.lexsort((positions.numpy(), sentences.numpy()))
        return len(parts), torch.cat([part.states for part in parts], 1)[:, order]

    (many, small), (one, large) = ordered(1), ordered(10_000)
    assert (many, one) == (6, 1)
    torch.testing.assert_close(small, large, rtol=1e-4, atol=1e-4)


def test_some_layers_in_the_order_asked_for(tiny):
    model = tiny("llama")
    encoding = encode(model, TEXTS[:1])
    [every], [some] = stream(model, encoding, [0]), stream(model, encoding, [0], layers=[3, 1])
    assert some.layers == (3, 1)
    torch.testing.assert_close(some.states, every.states[[3, 1]])


@pytest.mark.parametrize("layer", [4, -5])
def test_a_layer_that_is_not_there(tiny, layer):
    with pytest.raises(ValueError, match=f"llama has the layers 0 to 3, not {layer}"):
        next(stream(tiny("llama"), encode(tiny("llama"), TEXTS), [0], layers=[0, layer]))


@pytest.mark.parametrize(
    ("last", "layers", "numbers"),
    [
        (30, 7, (0, 5, 10, 15, 20, 25, 30)),
        (3, 7, (0, 1, 2, 3)),
        (12, 2, (0, 12)),
        (12, 1, (0,)),
        (3, None, (0, 1, 2, 3)),
        (3, (-1, 0, -4), (3, 0, 0)),
    ],
)
def test_layers_are_all_or_evenly_spaced_or_named_also_from_the_end(tiny, last, layers, numbers):
    model = copy.deepcopy(tiny("bert"))
    model.network.config.num_hidden_layers = last
    assert resolve_layers(model, layers) == numbers


@families
def test_long_sentences_are_cut_counted_and_warned_of(tiny, family):
    model = tiny(family)
    texts = ["the cat sat.", "the cat " * 40, "it", "the " * 50]
    with pytest.warns(UserWarning, match=rf"2 of 4 sentences are longer than the {model.longest} tokens"):
        encoding = encode(model, texts)
    assert encoding.truncated == 2
    assert [len(ids) for ids in encoding.ids][1::2] == [model.longest, model.longest]
    whole = model.tokenizer(texts[1], add_special_tokens=False)["input_ids"]
    assert encoding.tokens(1).tolist() == whole[: len(encoding.tokens(1))]  # it is the end that is lost
    assert sum(len(batch.tokens) for batch in stream(model, encoding, range(4))) == sum(map(sum, encoding.measured))


def test_a_lower_limit(tiny):
    model = tiny("bert")
    with pytest.warns(UserWarning, match="1 of 2 sentences are longer than the 5 tokens"):
        encoding = encode(model, ["the cat sat.", "it"], longest=5)
    assert [len(encoding.tokens(sentence)) for sentence in (0, 1)] == [3, 1]
    assert encode(model, ["the cat sat.", "it"], longest=6).truncated == 0  # just enough: no warning


@families
@pytest.mark.parametrize("portion", [1, 2, 3, 8])
def test_the_size_of_portions_does_not_matter(tiny, family, portion, monkeypatch):
    model, texts = tiny(family), [*TEXTS, "the cat " * 40, "it", "the " * 50]
    message = rf"2 of 10 sentences are longer than the {model.longest} tokens"
    with pytest.warns(UserWarning, match=message):
        whole = encode(model, texts)
    monkeypatch.setattr(module, "PORTION", portion)
    with pytest.warns(UserWarning, match=message) as warned:
        result = encode(model, texts)
    assert len(warned) == 1
    assert result.truncated == whole.truncated == 2
    for name in ("ids", "measured"):
        for one, other in zip(getattr(result, name), getattr(whole, name), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


def test_padding_and_truncation_of_the_tokenizer_itself_are_ignored(tiny):
    model = dataclasses.replace(tiny("bert"), tokenizer=copy.deepcopy(tiny("bert").tokenizer))
    expected = encode(model, TEXTS)
    model.tokenizer.backend_tokenizer.enable_padding(length=20, pad_id=1, pad_token="[PAD]")
    model.tokenizer.backend_tokenizer.enable_truncation(4)
    for ids, wanted in zip(encode(model, TEXTS).ids, expected.ids, strict=True):
        np.testing.assert_array_equal(ids, wanted)


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize(
    ("value", "told"),
    [
        (float("nan"), "llama: a state of layer 2 has a value that is not finite, in the validation sentences: leave"),
        (-float("inf"), "a state of layer 2 has a value that is not finite"),
        (1e19, "a state of layer 2 has a value of 1e.19, too large to be squared, in the validation sentences: leave"),
    ],
)
def test_a_state_that_nothing_can_measure_is_named(tiny, stacked, value, told):
    """Its layer counts from the embeddings, whichever layers are asked for."""
    model = tiny("llama")
    encoding = encode(model, TEXTS)
    network = copy.deepcopy(model.network)
    spoil = encoding.ids[4][0]  # a token of the long sentence only

    def spoilt(module, arguments, output):
        hidden = output[0] if isinstance(output, tuple) else output
        hidden[arguments_seen[0] == spoil, 3] = value
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    arguments_seen = []
    network.embed_tokens.register_forward_pre_hook(lambda module, given: arguments_seen.insert(0, given[0]))
    network.layers[1].register_forward_hook(spoilt)
    changed = dataclasses.replace(model, network=network)
    options = {"layers": (3, 2), "stacked": stacked, "part": "validation sentences", "budget": 40}
    with pytest.raises(ValueError, match=told):
        list(stream(changed, encoding, [4], **options))
    list(stream(changed, encoding, [1], **options))
    half = dataclasses.replace(changed, dtype=torch.bfloat16)
    with pytest.raises(ValueError, match="set dtype to float32"):
        list(stream(half, encoding, [4], **options))


def test_what_padding_holds_does_not_matter(tiny):
    model = tiny("bert")
    network = copy.deepcopy(model.network)
    with torch.no_grad():
        network.embeddings.word_embeddings.weight[model.tokenizer.pad_token_id] = 1e20
    changed = dataclasses.replace(model, network=network)
    for batch in stream(changed, encode(changed, TEXTS), range(len(TEXTS)), layers=(0,)):
        assert batch.states.isfinite().all()
