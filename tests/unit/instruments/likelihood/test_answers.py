import copy
import dataclasses

import families
import numpy as np
import pytest
import torch

from bitskept.instruments.likelihood.answers import (
    check_room,
    log2_probabilities,
    read_answers,
    read_prompts,
    warn_of_seams,
)
from bitskept.instruments.likelihood.information_density import density
from bitskept.instruments.likelihood.surprisal import surprisals

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def head(tiny):
    weights = torch.randn(tiny("llama").width, 300, generator=torch.Generator().manual_seed(0))
    return lambda states: states @ weights


def scores(model, head, prompt, answers):
    """log2 p of each token of the answers given one prompt."""
    [ids] = read_prompts(model, [prompt])
    return log2_probabilities(model, head, ids, read_answers(model, answers))


@pytest.mark.parametrize("family", ["llama", "gemma"])
def test_without_a_prompt_an_answer_costs_what_a_text_costs(tiny, head, family):
    """Gemma's tokenizer puts a start token in front, and no other is added."""
    texts = ["the cat sat", "Größe: 42 🙂", "a"]
    found = scores(tiny(family), head, None, texts)
    np.testing.assert_allclose(
        [-values.sum() for values in found], surprisals(tiny(family), head, texts).bits, rtol=1e-5
    )


def test_prompt_and_answer_cost_what_their_tokens_cost_together(tiny, head):
    [whole] = scores(tiny("llama"), head, None, ["it sat, the cat"])
    [part] = scores(tiny("llama"), head, "it sat,", [" the cat"])
    np.testing.assert_allclose(part, whole[-len(part) :], rtol=1e-4)


def test_a_prompt_is_read_once_for_all_its_answers(tiny, head):
    read = []
    model = tiny("llama")
    scores(model, head, "it", ["a"])  # the first time, the cache is tried out
    hook = model.network.register_forward_pre_hook(
        lambda _, __, options: read.append(tuple(options["input_ids"].shape)), with_kwargs=True
    )
    scores(model, head, "the cat", ["a", "abc", "ab"])
    hook.remove()
    # "the cat" is 3 tokens after the start token. Of an answer all but the last token are read.
    assert read == [(1, 3), (3, 2)]


def test_batches_do_not_matter(tiny, head, monkeypatch):
    answers = [" sat", "abcdef", "a", " the"]
    whole = scores(tiny("llama"), head, "the cat", answers)
    monkeypatch.setattr("bitskept.instruments.likelihood.answers.TOKEN_BUDGET", 4)
    for one, other in zip(whole, scores(tiny("llama"), head, "the cat", answers), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_the_end_of_a_prompt_and_the_beginning_of_an_answer_are_read(tiny):
    model = tiny("llama")
    [ids] = read_prompts(model, ["abcdef"])
    assert [len(row) for row in read_prompts(model, ["abcdef", None], context=2)] == [3, 1]
    np.testing.assert_array_equal(read_prompts(model, ["abcdef"], context=2)[0], [0, *ids[-2:]])
    np.testing.assert_array_equal(read_prompts(model, ["abcdef"], context=0)[0], [0])
    np.testing.assert_array_equal(read_answers(model, ["abcdef"], length=2)[0], ids[1:3])


@pytest.mark.parametrize(
    ("read", "texts", "options", "message"),
    [
        (read_prompts, ["the", ""], {}, "prompt 1 is empty"),
        (read_answers, ["a", ""], {}, "answer 1 is empty"),
        (read_prompts, ["a"], {"context": -1}, "context must be .* but is -1"),
        (read_answers, ["a"], {"length": 0}, "length must be .* but is 0"),
    ],
)
def test_bad_input_is_refused(tiny, read, texts, options, message):
    with pytest.raises(ValueError, match=message):
        read(tiny("llama"), texts, **options)


@pytest.mark.parametrize(
    ("prompt", "answer", "message"),
    [
        ("a", "b" * 33, "a prompt of 1 tokens and an answer of 33 are more than the 33 that llama takes"),
        ("a" * 40, "b", "a prompt of 40 tokens and an answer of 1 are more"),
    ],
)
def test_what_does_not_fit_into_the_model_is_refused(tiny, prompt, answer, message):
    model = tiny("llama")
    answers = read_answers(model, [answer])
    with pytest.raises(ValueError, match=message):
        check_room(model, zip(read_prompts(model, [prompt]), answers, strict=True))
    check_room(model, zip(read_prompts(model, [prompt], context=0), answers, strict=True))


ONE_TEXT = [
    ("The capital is", " Paris."),
    ("Question: is it?\nAnswer:", " Yes"),
    ("It sat.", "\nThe cat"),
    ("It sat.\n", "The cat"),
    ("He said (", "it)"),
    ("猫は", "座った"),
]
SEAMS = [("it sat on ", "the mat"), ("it sat on", "the mat"), ("1", "998"), ("It sat.\n", "\nThe cat")]
MERGES = ("gpt2", "smollm", "llama2", "phi3", "gemma")


def with_tokenizer(model, name):
    tokenizer, network = families.tokenizer(name), copy.deepcopy(model.network)
    network.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    return dataclasses.replace(model, tokenizer=tokenizer, network=network)


@pytest.mark.parametrize("name", MERGES)
def test_an_answer_that_continues_its_prompt_has_the_tokens_of_one_text(tiny, name):
    """Where a tokenizer begins every text with a space, that of the answer is not doubled."""
    model, pairs = with_tokenizer(tiny("llama"), name), ONE_TEXT[:2]
    warn_of_seams(model, *zip(*pairs, strict=True))
    for prompt, answer in pairs:
        [before], [after] = read_prompts(model, [prompt]), read_answers(model, [answer])
        front = 1 if name in ("smollm", "gpt2", "phi3") else 0  # <|endoftext|>, which their tokenizers leave out
        assert [*before[front:], *after] == model.tokenizer(prompt + answer)["input_ids"]


@pytest.mark.parametrize("name", ["gpt2", "gemma"])
def test_texts_that_continue_each_other_need_no_warning(tiny, name):
    warn_of_seams(with_tokenizer(tiny("llama"), name), *zip(*ONE_TEXT, strict=True))


@pytest.mark.parametrize("name", MERGES)
@pytest.mark.parametrize(("prompt", "answer"), SEAMS[:3])
def test_a_seam_inside_a_word_is_named(tiny, name, prompt, answer):
    model = with_tokenizer(tiny("llama"), name)
    words = rf"^1 of 3 answers do not continue .* the first one '{prompt[-20:]}' with '{answer}': what separates"
    with pytest.warns(UserWarning, match=words):
        warn_of_seams(model, ["it", prompt, "it"], [" is", answer, " was"])


def test_a_measurement_warns_of_seams_once(tiny, head):
    model = with_tokenizer(tiny("llama"), "gemma")
    with pytest.warns(UserWarning, match=r"^2 of 3 answers .* 'it sat on ' with 'the mat'") as warned:
        density(model, lambda states: states.new_zeros(len(states), 600), *zip(*SEAMS[:2], ("it", "!"), strict=True))
    assert len(warned) == 1


def test_a_decoder_needs_a_start_token(tiny):
    tokenizer = type(tiny("llama").tokenizer)(tokenizer_object=tiny("llama").tokenizer.backend_tokenizer)
    with pytest.raises(ValueError, match="llama has no start token"):
        read_prompts(dataclasses.replace(tiny("llama"), tokenizer=tokenizer), ["a"])
