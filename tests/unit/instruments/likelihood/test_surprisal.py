import copy
import dataclasses

import numpy as np
import pytest
import torch
from tokenizers import processors

from bitskept.instruments.likelihood.answers import read_prompts
from bitskept.instruments.likelihood.surprisal import start_tokens, surprisals, token_surprisals

TEXTS = ["the cat sat", "Größe: 42 🙂", "a", "the the cat"]

pytestmark = pytest.mark.usefixtures("one_thread")


def uniform(states):
    """A head to which all of 1,024 tokens are equally likely."""
    return torch.zeros(len(states), 1024)


def with_tokenizer(model, template=None, **special):
    """A model whose tokenizer frames a text as the template says, with other special tokens."""
    tokenizer = copy.deepcopy(model.tokenizer.backend_tokenizer)
    if template:
        pairs = [(token, tokenizer.token_to_id(token)) for token in template.split() if token != "$A"]
        tokenizer.post_processor = processors.TemplateProcessing(template, special_tokens=pairs)
    kind = type(model.tokenizer)
    return dataclasses.replace(model, tokenizer=kind(tokenizer_object=tokenizer, pad_token="<pad>", **special))


@pytest.fixture
def linear():
    """A head with random weights."""
    weights = torch.randn(16, 300, generator=torch.Generator().manual_seed(0))
    return lambda states: states @ weights


def test_a_uniform_head_costs_the_same_for_each_scored_token(tiny):
    table = surprisals(tiny("llama"), uniform, TEXTS)
    counts = [len(ids) for ids in tiny("llama").tokenizer(TEXTS)["input_ids"]]
    assert list(table.columns) == ["bits", "tokens", "bytes"]
    assert table["tokens"].tolist() == counts
    np.testing.assert_allclose(table["bits"], 10 * np.array(counts))


def test_without_a_start_token_the_first_one_is_not_scored(tiny):
    """ "the" and "G" and "a", but all of "the" in "the the"."""
    model = with_tokenizer(tiny("llama"))
    assert start_tokens(model) == []
    table = surprisals(model, uniform, TEXTS)
    assert table["bytes"].tolist() == [8, 15, 0, 8]
    assert table["tokens"].tolist() == [len(ids) - 1 for ids in model.tokenizer(TEXTS)["input_ids"]]
    for family in ("llama", "gemma"):
        assert surprisals(tiny(family), uniform, TEXTS)["bytes"].tolist() == [len(text.encode()) for text in TEXTS]


START, BOTH, END = ({"bos_token": "<bos>"}, {"bos_token": "<bos>", "eos_token": "<end>"}, {"eos_token": "<end>"})


@pytest.mark.parametrize(
    ("template", "special", "start"),
    [
        ("<bos> $A", START, [0]),
        ("<bos> $A <end>", BOTH, [0]),
        ("<end> $A", BOTH, [2]),
        ("<bos> <end> $A", BOTH, [0, 2]),
        ("$A <end>", BOTH, [0]),
        ("$A <end>", END, [2]),
        (None, BOTH, [0]),
        (None, END, [2]),
        (None, END | {"additional_special_tokens": ["<|endoftext|>"]}, [267]),
    ],
)
def test_a_text_starts_the_same_everywhere(tiny, linear, template, special, start):
    """Whatever the tokenizer puts around a text, its bits are those of its tokens after the start."""
    model = with_tokenizer(tiny("llama"), template, **special)
    model = dataclasses.replace(model, network=copy.deepcopy(model.network))
    model.network.resize_token_embeddings(300, mean_resizing=False)
    assert start_tokens(model) == start
    assert [ids.tolist() for ids in read_prompts(model, [None])] == [start]
    bits = surprisals(model, linear, TEXTS)["bits"]
    for text, value in zip(TEXTS, bits, strict=True):
        ids = start + model.tokenizer(text, add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            laws = linear(model.network(torch.tensor([ids])).last_hidden_state[0]).log_softmax(-1)
        expected = -sum(laws[place - 1, ids[place]].item() for place in range(len(start), len(ids)))
        assert value == pytest.approx(expected / np.log(2), rel=1e-4)


def test_a_start_token_that_the_network_does_not_know_is_none(tiny):
    model = with_tokenizer(tiny("llama"), additional_special_tokens=["<|endoftext|>"])
    assert start_tokens(model) == []


def test_what_is_cut_is_not_scored(tiny):
    with pytest.warns(UserWarning, match="1 of 1 sentences are longer than the 4 tokens"):
        table = surprisals(tiny("llama"), uniform, ["the cat sat"], longest=4)
    assert table["tokens"].tolist() == [4]
    assert table["bytes"].tolist() == [len("the cat s")]


def test_a_start_token_leaves_room_for_one_token_less(tiny):
    model = tiny("llama")
    text = " ".join(["the"] * model.longest)
    with pytest.warns(UserWarning, match=f"longer than the {model.longest - 1} tokens"):
        table = surprisals(model, uniform, [text])
    assert table["tokens"].tolist() == [model.longest - 1]


def test_logits_are_held_for_some_tokens_at_a_time(monkeypatch):
    sizes = []
    states = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(20) % 8

    def plain(some):
        sizes.append(len(some))
        return some

    whole = token_surprisals(plain, states, targets)
    monkeypatch.setattr("bitskept.instruments.likelihood.surprisal.CHUNK", 7)
    np.testing.assert_allclose(token_surprisals(plain, states, targets), whole)
    assert sizes == [20, 7, 7, 6]
    np.testing.assert_allclose(whole, -np.log2(states.softmax(1)[torch.arange(20), targets].numpy()), rtol=1e-5)


def test_the_portions_of_masked_copies_do_not_matter(tiny, monkeypatch):
    model = copy.deepcopy(tiny("bert"))
    model.tokenizer.mask_token = "[UNK]"
    weights = torch.randn(model.width, 16, generator=torch.Generator().manual_seed(0))
    whole = surprisals(model, lambda states: states @ weights, ["the cat sat", "it", "the 42 ,"])
    monkeypatch.setattr("bitskept.instruments.likelihood.surprisal.PORTION", 1)
    parts = surprisals(model, lambda states: states @ weights, ["the cat sat", "it", "the 42 ,"])
    np.testing.assert_allclose(parts["bits"], whole["bits"], rtol=1e-5)
    assert whole["tokens"].tolist() == [3, 1, 3]
    assert whole["bytes"].tolist() == [11, 2, 8]


def test_an_encoder_needs_a_mask_token(tiny):
    model = tiny("mpnet")
    with pytest.raises(ValueError, match="the tokenizer of mpnet has no mask token"):
        surprisals(model, uniform, ["it"])
