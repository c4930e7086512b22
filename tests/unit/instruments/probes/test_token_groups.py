import dataclasses

import numpy as np
import pytest

from bitskept.instruments.probes.token_groups import (
    BANDS,
    WORD_CLASSES,
    are_words,
    frequency_bands,
    spans,
    word_classes,
)
from bitskept.instruments.states import encode

TEXT = "The unlocked cat, it sat the 42!"


def test_bands_at_their_edges():
    counts = np.array([0, 1, 2, 3, 10, 11, 100, 101, 10**6])
    expected = ["unseen", "1-2", "1-2", "3-10", "3-10", "11-100", "11-100", "over 100", "over 100"]
    assert frequency_bands(counts).tolist() == expected
    assert set(expected) == set(BANDS.values())


WORD_PIECES = [
    ("The", "function word"),
    ("un", "piece of a word"),
    ("##lock", "piece of a word"),
    ("##ed", "piece of a word"),
    ("cat", "content word"),
    (",", "punctuation"),
    ("it", "function word"),
    ("sat", "content word"),
    ("the", "function word"),
    ("42", "number"),
    ("!", "punctuation"),
]
WITH_SPACES = [  # a space that belongs to a token is ignored
    ("the", "function word"),
    ("Ġcat", "content word"),
    ("Ġ", "punctuation"),
    ("s", "piece of a word"),
    ("at", "piece of a word"),
    ("Ġ42", "number"),
    (",", "punctuation"),
    ("Ġthe", "function word"),
    ("Ġcat", "piece of a word"),
    ("s", "piece of a word"),
]


@pytest.mark.parametrize(
    ("family", "text", "expected"),
    [("bert", TEXT, WORD_PIECES), *((name, "the cat sat 42, the cats", WITH_SPACES) for name in ("llama", "gemma"))],
)
def test_classes_of_whole_words_and_their_pieces(tiny, family, text, expected):
    model = tiny(family)
    [classes] = word_classes([text], spans(model, [text], longest=34))
    assert list(zip(model.tokenizer.tokenize(text), classes, strict=True)) == expected


@pytest.mark.parametrize("family", ["bert", "mpnet", "llama", "gemma"])
def test_one_class_for_each_measured_token(tiny, family):
    texts = [TEXT, "", "the cat", "naïve 4½ — it's"]
    encoding = encode(tiny(family), texts)
    classes = word_classes(texts, spans(tiny(family), texts, longest=tiny(family).longest))
    assert [len(row) for row in classes] == [len(encoding.tokens(sentence)) for sentence in range(len(texts))]
    assert set().union(*classes) <= set(WORD_CLASSES)


def test_texts_are_cut_as_they_are_for_the_model(tiny):
    texts = [TEXT * 5, "it"]
    with pytest.warns(UserWarning, match="1 of 2 sentences"):
        encoding = encode(tiny("bert"), texts, longest=9)
    assert [len(row) for row in spans(tiny("bert"), texts, longest=9)] == list(map(sum, encoding.measured)) == [7, 1]


def test_a_tokenizer_without_offsets(tiny):
    class Slow:
        is_fast = False

    with pytest.raises(ValueError, match="the tokenizer of bert cannot tell which characters"):
        spans(dataclasses.replace(tiny("bert"), tokenizer=Slow()), [TEXT], longest=9)


@pytest.mark.parametrize(
    ("family", "wanted"),
    [("bert", ["The", "it", "the", "it"]), ("llama", ["Ġthe"])],  # there "it" and "The" are two tokens
)
def test_words_are_covered_whole_in_lower_case_or_not(tiny, family, wanted):
    text, model = "The unlocked cat, it sat the cats it", tiny(family)
    [whole] = are_words([text], spans(model, [text], longest=34), ["the", "It", "un", "unlocked"])
    tokens = model.tokenizer.tokenize(text)
    assert [token for token, is_one in zip(tokens, whole, strict=True) if is_one] == wanted


def test_a_word_between_signs_is_whole_and_one_between_letters_is_not():
    text = "un-un 4un unit"
    assert are_words([text], [[(0, 2), (3, 5), (7, 9), (10, 12)]], ["un"]) == [[True, True, True, False]]
