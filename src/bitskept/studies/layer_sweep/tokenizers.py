"""What the tokenizers of the compared models share, and what they make of the text."""

import re
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd

from bitskept.sources import corpora, model_files
from bitskept.sources.tokenizer_files import read_tokenizer
from bitskept.studies.layer_sweep.section import LayerSweep
from bitskept.theory.information import plug_in

WORD = re.compile(r"(?<![\w'’])[^\W\d_]+(?![\w'’])")
FRAME = "a {} a"
"""Where a word is tokenised: after a space, as in running text."""


def shared_words(section: LayerSweep) -> tuple[str, ...]:
    """The words of the swept sentences that are one token for every model, in alphabetical order.

    Only words in small letters: a model that ignores case has one token for "the" and "The", another has two.
    """
    words = sorted({word for text in _texts(section) for word in WORD.findall(text) if word.islower()})
    for tokenizer in _tokenizers(section).values():
        words = [word for word, single in zip(words, _single(tokenizer, words), strict=True) if single]
    return tuple(words)


def table(section: LayerSweep) -> pd.DataFrame:
    """One row per model: whether it ignores case (a text and the same in small letters have the same tokens), the
    characters per token, and the plug-in entropy of a token, in bits, as it is and after tokens that differ in case
    alone are taken for one.
    """
    texts, rows = _texts(section), []
    for model, tokenizer in _tokenizers(section).items():
        ids = _ids(tokenizer, texts)
        tokens = pd.Series(tokenizer.convert_ids_to_tokens(np.concatenate(ids).astype(int).tolist()))
        rows.append(
            {
                "model": model,
                "ignores case": ids == _ids(tokenizer, [text.lower() for text in texts]),
                "characters per token": sum(map(len, texts)) / len(tokens),
                "H(X)": plug_in(tokens.value_counts().to_numpy()),
                "H(X) without case": plug_in(tokens.str.lower().value_counts().to_numpy()),
            }
        )
    return pd.DataFrame(rows)


def _texts(section: LayerSweep) -> list[str]:
    number = section.train_sentences + section.validation_sentences + section.test_sentences
    return list(corpora.load(section.corpus, sentences=number, seed=section.seed)["text"])


def _tokenizers(section: LayerSweep) -> dict[str, Any]:
    """The tokenizer of each model, that of an adapter being its base's. A model that cannot be had is left out: a job
    on another model does not fail for it, and the notebook says so.
    """
    tokenizers = {}
    for model in section.models:
        with suppress(OSError, RuntimeError, ValueError, LookupError):
            folder = model_files.fetch(model, accept_terms=section.accept_terms)
            if base := model_files.base_of(folder):
                folder = model_files.fetch(base, accept_terms=section.accept_terms)
            tokenizers[model] = read_tokenizer(folder)
    return tokenizers


def _ids(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    return tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]


def _single(tokenizer: Any, words: list[str]) -> list[bool]:
    """Whether each word is one token of this tokenizer."""
    start = FRAME.index("{")
    options = {"add_special_tokens": False, "return_offsets_mapping": True, "verbose": False}
    encoded = tokenizer([FRAME.format(word) for word in words], **options) if words else {"input_ids": []}
    single = []
    for word, ids, spans in zip(words, encoded["input_ids"], encoded["offset_mapping"] if words else [], strict=True):
        inside = [id for id, (first, end) in zip(ids, spans, strict=True) if first < start + len(word) and end > start]
        single.append(len(inside) == 1 and inside[0] != tokenizer.unk_token_id)
    return single
