"""Groups of tokens, by which to ask what is forgotten: how often training had them, and what kind of word they are."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Int

from bitskept.sources.models import LanguageModel

BANDS = {0: "unseen", 1: "1-2", 3: "3-10", 11: "11-100", 101: "over 100"}
"""The smallest training count of each band."""
WORD_CLASSES = ("punctuation", "number", "function word", "content word", "piece of a word")


def frequency_bands(counts: Int[np.ndarray, " token"]) -> np.ndarray:
    """The band of each token, from the number of times that the training sentences had its type."""
    names = np.array(list(BANDS.values()))
    return names[np.searchsorted(list(BANDS), counts, side="right") - 1]


def word_classes(model: LanguageModel, texts: Sequence[str], longest: int) -> list[list[str]]:
    """The class of each measured token of each text, from the characters that it covers and those beside them.

    A function word is one of scikit-learn's English stop words. Tokenizers differ in where they cut, so classes of
    different models hold different tokens. ValueError for a tokenizer that does not know which characters a token
    covers.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS  # a second, for those who measure

    if not model.tokenizer.is_fast:
        raise ValueError(f"the tokenizer of {model.id} cannot tell which characters a token covers")
    encoded = model.tokenizer(
        list(texts),
        truncation=True,
        max_length=longest,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        verbose=False,
    )
    return [
        [_word_class(text, *span, ENGLISH_STOP_WORDS) for span, special in zip(spans, mask, strict=True) if not special]
        for text, spans, mask in zip(texts, encoded["offset_mapping"], encoded["special_tokens_mask"], strict=True)
    ]


def _word_class(text: str, start: int, end: int, function_words: Collection[str]) -> str:
    surface = text[start:end]
    start, end = end - len(surface.lstrip()), start + len(surface.rstrip())  # some tokenizers count spaces to a word
    surface = surface.strip()
    if not any(character.isalnum() for character in surface):
        return "punctuation"
    if any(character.isdigit() for character in surface):
        return "number"
    inside = (start > 0 and text[start - 1].isalpha()) or (end < len(text) and text[end].isalpha())
    if inside:
        return "piece of a word"
    return "function word" if surface.lower() in function_words else "content word"
