import dataclasses
import unicodedata

import families
import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from bitskept.instruments.likelihood.text_bytes import scored_bytes

TEXTS = ["a 🙂 naïve: 1½ b", "🙂🙂", "it is  so ", "…and 日本"]
BYTES = ("gpt2", "roberta", "smollm", "llama3", "qwen2", "llama2", "gemma")  # families that know every byte


@pytest.fixture
def count(tiny):
    """count(FAMILY, TEXT, MASK): the bytes of the scored tokens of a text."""

    def bytes_of(name, text, mask):
        model = dataclasses.replace(tiny("llama"), id=name, tokenizer=families.tokenizer(name))
        return scored_bytes(model, [text], [np.array(mask)])[0]

    return bytes_of


def token_bytes(tokenizer, text):
    """Which tokens are of the text, and the bytes that each of these stands for."""
    encoded = tokenizer(text, return_special_tokens_mask=True)
    inside = np.array(encoded["special_tokens_mask"]) == 0
    pieces = tokenizer.convert_ids_to_tokens(np.array(encoded["input_ids"])[inside].tolist())
    if any(piece.startswith("▁") or piece.startswith("<0x") for piece in pieces):
        sizes = [1 if piece.startswith("<0x") else len(piece.replace("▁", " ").encode()) for piece in pieces]
        sizes[0] -= sum(sizes) - len(text.encode())  # the space that the tokenizer begins every text with
    else:
        assert set("".join(pieces)) <= set(pre_tokenizers.ByteLevel.alphabet())
        sizes = [len(piece) for piece in pieces]
    return inside, np.array(sizes)


@pytest.mark.parametrize("name", BYTES)
@pytest.mark.parametrize("text", TEXTS)
def test_any_part_of_a_text_has_the_bytes_of_its_tokens(count, name, text):
    inside, sizes = token_bytes(families.tokenizer(name), text)
    assert sizes.sum() == len(text.encode())
    front = int(inside.argmax())
    for first in (0, 1):
        for last in range(first, len(sizes)):
            mask = np.zeros(front + last + 1, dtype=bool)  # what a cut leaves
            mask[front + first :] = True
            assert count(name, text, mask) == sizes[first : last + 1].sum()


def test_two_tokens_of_an_emoji_are_two_bytes(count):
    assert count("gpt2", "🙂", [True, True]) == 2
    assert count("llama2", "🙂", [False, True, True, True]) == 2  # <s>, the start of the text, and two bytes


def test_a_character_that_became_many_has_no_more_bytes_than_it_had(tiny):
    letters = sorted(set(unicodedata.normalize("NFKC", "ﷺ!")))
    backend = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    backend.normalizer = normalizers.NFKC()
    model = dataclasses.replace(tiny("llama"), tokenizer=PreTrainedTokenizerFast(tokenizer_object=backend))
    assert len(model.tokenizer("ﷺ!")["input_ids"]) == 19
    for number, size in ((1, 1), (2, 2), (10, 3), (18, 3), (19, 4)):
        assert scored_bytes(model, ["ﷺ!"], [np.ones(number, dtype=bool)]) == [size]


def test_a_text_that_is_scored_whole_has_all_of_its_bytes(count):
    """WordPiece drops spaces and knows neither emoji nor quarter."""
    assert count("bert", " a 🙂 ¼ ", [False, True, True, True, False]) == len(" a 🙂 ¼ ".encode())
    assert count("bert", "a 🙂 ¼ ", [False, True, True]) == len("a 🙂".encode())
    assert count("gpt2", "", np.zeros(0, dtype=bool)) == 0
