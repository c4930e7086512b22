import dataclasses

import numpy as np
import pytest
import torch

from bitskept.measure.answers import log_probabilities, read_answers, read_prompts
from bitskept.measure.likelihood import surprisals

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def head(tiny):
    weights = torch.randn(tiny("llama").width, 300, generator=torch.Generator().manual_seed(0))
    return lambda states: states @ weights


@pytest.mark.parametrize("family", ["llama", "gemma"])
def test_without_a_prompt_an_answer_costs_what_a_text_costs(tiny, head, family):
    """Gemma's tokenizer puts a start token in front, and no other is added."""
    texts = ["the cat sat", "Größe: 42 🙂", "a"]
    found = log_probabilities(tiny(family), head, [None] * 3, texts)
    np.testing.assert_allclose(
        [-values.sum() for values in found], surprisals(tiny(family), head, texts, start=0).bits, rtol=1e-5
    )


def test_prompt_and_answer_cost_what_their_tokens_cost_together(tiny, head):
    [whole] = log_probabilities(tiny("llama"), head, [None], ["it sat, the cat"])
    [part] = log_probabilities(tiny("llama"), head, ["it sat,"], [" the cat"])
    np.testing.assert_allclose(part, whole[-len(part) :], rtol=1e-4)


def test_a_prompt_is_read_once_for_all_its_answers(tiny, head):
    read = []
    model = tiny("llama")
    hook = model.network.register_forward_pre_hook(
        lambda _, __, options: read.append(tuple(options["input_ids"].shape)), with_kwargs=True
    )
    log_probabilities(model, head, ["the cat", "it", "the cat", "the cat"], ["a", "abc", "abc", "ab"])
    hook.remove()
    # Of an answer all but the last token are read; "the cat" is 3 tokens after the start token, "it" 2.
    assert read == [(1, 3), (3, 2), (1, 3), (1, 2)]


def test_batches_do_not_matter(tiny, head, monkeypatch):
    prompts, answers = ["the cat"] * 4, [" sat", "abcdef", "a", " the"]
    whole = log_probabilities(tiny("llama"), head, prompts, answers)
    monkeypatch.setattr("bitskept.measure.answers.TOKEN_BUDGET", 4)
    for one, other in zip(whole, log_probabilities(tiny("llama"), head, prompts, answers), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_the_end_of_a_prompt_and_the_beginning_of_an_answer_are_read(tiny):
    model = tiny("llama")
    [ids] = read_prompts(model, ["abcdef"])
    assert [len(row) for row in read_prompts(model, ["abcdef", None], context=2)] == [3, 1]
    np.testing.assert_array_equal(read_prompts(model, ["abcdef"], context=2)[0], [0, *ids[-2:]])
    np.testing.assert_array_equal(read_prompts(model, ["abcdef"], context=0)[0], [0])
    np.testing.assert_array_equal(read_answers(model, ["abcdef"], length=2)[0], ids[1:3])


@pytest.mark.parametrize(
    ("prompts", "answers", "options", "message"),
    [
        (["the", ""], ["a", "b"], {}, "prompt 1 is empty"),
        (["the", "a"], ["a", ""], {}, "answer 1 is empty"),
        (["the"], ["a", "b"], {}, "1 prompts and 2 answers"),
        (["a"], ["b" * 33], {}, "a prompt of 1 tokens and an answer of 33 are more than the 33 that llama takes"),
        (["a" * 40], ["b"], {}, "a prompt of 40 tokens and an answer of 1 are more"),
        (["a"], ["b"], {"context": -1}, "context must be .* but is -1"),
        (["a"], ["b"], {"length": 0}, "length must be .* but is 0"),
    ],
)
def test_bad_input_is_refused(tiny, head, prompts, answers, options, message):
    with pytest.raises(ValueError, match=message):
        log_probabilities(tiny("llama"), head, prompts, answers, **options)


def test_a_prompt_that_is_too_long_can_be_cut(tiny, head):
    assert len(log_probabilities(tiny("llama"), head, ["a" * 40], ["b"], context=32)) == 1


def test_a_decoder_needs_a_start_token(tiny, head):
    tokenizer = type(tiny("llama").tokenizer)(tokenizer_object=tiny("llama").tokenizer.backend_tokenizer)
    with pytest.raises(ValueError, match="llama has no start token"):
        log_probabilities(dataclasses.replace(tiny("llama"), tokenizer=tokenizer), head, ["a"], ["b"])


def test_an_encoder_needs_a_mask_token(tiny, head):
    with pytest.raises(ValueError, match="no mask token"):
        log_probabilities(tiny("mpnet"), head, ["it"], ["sat"])


def test_an_encoder_frames_prompt_and_answer(tiny, head):
    with pytest.raises(ValueError, match="a prompt of 16 tokens and an answer of 17 are more than the 32 that bert"):
        log_probabilities(tiny("bert"), head, ["it " * 16], ["it " * 17])
