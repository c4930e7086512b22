"""Groups of tokens, to see which are forgotten: by how often their type occurs in training, and by word class."""

from collections.abc import Collection, Sequence

import numpy as np
from jaxtyping import Int

from bitskept.sources.language_model import LanguageModel

BANDS = {0: "unseen", 1: "1-2", 3: "3-10", 11: "11-100", 101: "over 100"}
"""The smallest training count of each band."""
WORD_CLASSES = ("punctuation", "number", "function word", "content word", "piece of a word")


def frequency_bands(counts: Int[np.ndarray, " token"]) -> np.ndarray:
    """The band of each token, from the number of times that its type occurs in the training sentences."""
    names = np.array(list(BANDS.values()))
    return names[np.searchsorted(list(BANDS), counts, side="right") - 1]


def word_classes(model: LanguageModel, texts: Sequence[str], longest: int) -> list[list[str]]:
    """The class of each measured token of each text, from the characters that it covers and those next to them.

    Function words are scikit-learn's English stop words. Tokenizers cut text differently, so the same class holds
    different tokens in different models. ValueError for a tokenizer that does not give the characters of a token.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS  # here, because it takes a second to import

    if not model.tokenizer.is_fast:
        raise ValueError(f"the tokenizer of {model.id} cannot tell which characters a token covers")
    options = {"return_offsets_mapping": True, "return_special_tokens_mask": True}
    encoded = model.tokenize(list(texts), truncation=True, max_length=longest, **options)
    return [
        [_word_class(text, *span, ENGLISH_STOP_WORDS) for span, special in zip(spans, mask, strict=True) if not special]
        for text, spans, mask in zip(texts, encoded["offset_mapping"], encoded["special_tokens_mask"], strict=True)
    ]


def _word_class(text: str, start: int, end: int, function_words: Collection[str]) -> str:
    surface = text[start:end]
    # Some tokenizers include the space before a word.
    start, end = end - len(surface.lstrip()), start + len(surface.rstrip())
    surface = surface.strip()
    if not any(character.isalnum() for character in surface):
        return "punctuation"
    if any(character.isdigit() for character in surface):
        return "number"
    if (start > 0 and text[start - 1].isalpha()) or (end < len(text) and text[end].isalpha()):
        return "piece of a word"
    return "function word" if surface.lower() in function_words else "content word"
