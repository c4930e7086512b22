"""Groups of tokens, to see which are forgotten: by how often their type occurs in training, by word
class, and by whether they are one of the words that all models have as one token."""

from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Int

from bitskept.sources.language_model import LanguageModel

BANDS = {0: "unseen", 1: "1-2", 3: "3-10", 11: "11-100", 101: "over 100"}
"""The smallest training count of each band."""
Spans = Sequence[tuple[int, int]]
"""The characters of a text that each of its tokens covers: the first, and the one after the last."""
WORD_CLASSES = ("punctuation", "number", "function word", "content word", "piece of a word")


def frequency_bands(counts: Int[np.ndarray, " token"]) -> np.ndarray:
    """The band of each token, from the number of times that its type occurs in the training sentences."""
    names = np.array(list(BANDS.values()))
    return names[np.searchsorted(list(BANDS), counts, side="right") - 1]


def spans(model: LanguageModel, texts: Sequence[str], longest: int) -> list[Spans]:
    """The characters that each measured token of each text covers, from start to end; the space before a word, which
    some tokenizers include, is left out. ValueError for a tokenizer that does not give the characters of a token.
    """
    if not model.tokenizer.is_fast:
        raise ValueError(f"the tokenizer of {model.id} cannot tell which characters a token covers")
    options = {"return_offsets_mapping": True, "return_special_tokens_mask": True}
    encoded = model.tokenize(list(texts), truncation=True, max_length=longest, **options)
    return [
        [_without_spaces(text, *span) for span, special in zip(offsets, mask, strict=True) if not special]
        for text, offsets, mask in zip(texts, encoded["offset_mapping"], encoded["special_tokens_mask"], strict=True)
    ]


def _without_spaces(text: str, start: int, end: int) -> tuple[int, int]:
    surface = text[start:end]
    return end - len(surface.lstrip()), start + len(surface.rstrip())


def word_classes(texts: Sequence[str], spans: Sequence[Spans]) -> list[list[str]]:
    """The class of each token of each text, from the characters that it covers (`spans`) and those next to them.

    Function words are scikit-learn's English stop words. Tokenizers cut text differently, so the same class holds
    different tokens in different models.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS  # here, because it takes a second to import

    return [
        [_word_class(text, start, end, ENGLISH_STOP_WORDS) for start, end in row]
        for text, row in zip(texts, spans, strict=True)
    ]


def are_words(texts: Sequence[str], spans: Sequence[Spans], words: Collection[str]) -> list[list[bool]]:
    """Whether each token of each text covers exactly one of these words, in lower case or not."""
    words = {word.lower() for word in words}
    return [
        [text[start:end].lower() in words and not _within_a_word(text, start, end) for start, end in row]
        for text, row in zip(texts, spans, strict=True)
    ]


def _word_class(text: str, start: int, end: int, function_words: Collection[str]) -> str:
    surface = text[start:end]
    if not any(character.isalnum() for character in surface):
        return "punctuation"
    if any(character.isdigit() for character in surface):
        return "number"
    if _within_a_word(text, start, end):
        return "piece of a word"
    return "function word" if surface.lower() in function_words else "content word"


def _within_a_word(text: str, start: int, end: int) -> bool:
    return (start > 0 and text[start - 1].isalpha()) or (end < len(text) and text[end].isalpha())
