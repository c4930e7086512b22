"""The bytes of a text that some of its tokens stand for, in UTF-8.

A tokenizer says which characters a token covers. A text that is cut to a number of tokens may end inside a character:
an emoji has four bytes and often as many tokens. Of such a character only the bytes of the tokens that were read count.
"""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from bitskept.sources.language_model import LanguageModel

BYTE = re.compile("<0x[0-9A-F]{2}>")


def scored_bytes(
    model: LanguageModel, texts: Sequence[str], scored: Sequence[Bool[np.ndarray, " _token"]]
) -> list[int]:
    """The UTF-8 bytes of the scored part of each text: from the end of the token before it to the end of its last.

    The scored tokens follow each other; if no token of the text comes after them, the part ends where the text does.
    Inside a character the count is exact for tokens of bytes, as of byte-level tokenizers, and where bytes stand in
    for unknown characters; other tokens count one byte a letter, but all of a character at most what it has.

    ValueError for a text that is not scored whole, if the tokenizer does not say where its tokens are.
    """
    fast = model.tokenizer.is_fast
    options = {"return_special_tokens_mask": True, "return_offsets_mapping": fast, "truncation": False}
    encoded = model.tokenize(list(texts), **options)
    sizes = []
    for row, (text, mask) in enumerate(zip(texts, scored, strict=True)):
        inside = np.flatnonzero(np.asarray(encoded["special_tokens_mask"][row]) == 0)
        places = np.searchsorted(inside, np.flatnonzero(mask))  # among the tokens that are not special
        if not len(places):
            sizes.append(0)
        elif len(places) == len(inside):
            sizes.append(len(text.encode()))
        elif fast:
            pieces = model.tokenizer.convert_ids_to_tokens([encoded["input_ids"][row][place] for place in inside])
            spans = [encoded["offset_mapping"][row][place] for place in inside]
            start, end = (_bytes_until(text, pieces, spans, place) for place in (int(places[0]) - 1, int(places[-1])))
            sizes.append(end - start)
        else:
            raise ValueError(
                f"the tokenizer of {model.id} does not say where in a text its tokens are, so the bytes of a part of a "
                "text cannot be counted: take texts that need not be cut"
            )
    return sizes


def _bytes_until(text: str, pieces: Sequence[str], spans: Sequence[tuple[int, int]], last: int) -> int:
    """The bytes from the start of a text to the end of its token `last` (-1 for none)."""
    if last < 0:
        return 0
    if last + 1 == len(spans):
        return len(text.encode())
    whole = len(text[: spans[last][1]].encode())
    if spans[last][1] <= spans[last + 1][0]:
        return whole
    first = last  # of the tokens that share characters with the one before them
    while first and spans[first][0] < spans[first - 1][1]:
        first -= 1
    before = text[: spans[first - 1][1]] if first else ""
    return min(whole, len(before.encode()) + sum(map(_size, pieces[first : last + 1])))


def _size(piece: str) -> int:
    # Byte-level tokenizers write each byte as a letter. "▁" alone is the start of a text, where no byte is.
    return 1 if BYTE.fullmatch(piece) else len(piece.lstrip("▁"))
