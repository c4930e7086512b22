"""The tokenizer of a model, for which a text is nothing but text: no special token can be spelt in it."""

import re
from pathlib import Path
from typing import Any

from bitskept.sources.model_checks import check_tokenizer, heard, readable
from bitskept.sources.tokenizer_files import read_tokenizer

SPECIAL = [f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask")]


def load_tokenizer(folder: Path, network: Any) -> Any:
    """The tokenizer in a folder, with a padding token whose id the network knows.

    Special tokens that the network does not know are taken away. Padding is masked, so any token can stand for it. A
    text that is too long is cut at its end. SourceError for a tokenizer that cannot be read, or that does not belong to
    the network.
    """
    with readable(what := f"the tokenizer in {folder}"), heard(what):
        tokenizer = read_tokenizer(folder)
        check_tokenizer(folder, tokenizer, network)
        rows = network.get_input_embeddings().num_embeddings
        for name in SPECIAL:
            if (number := getattr(tokenizer, f"{name}_id")) is not None and number >= rows:
                setattr(tokenizer, name, None)
        tokenizer.split_special_tokens, tokenizer.truncation_side = True, "right"
        if tokenizer.is_fast:
            tokenizer.backend_tokenizer.encode_special_tokens = True
            _split_spelt(tokenizer)
        if tokenizer.pad_token is None:
            others = [token for token in tokenizer.all_special_ids if token < rows]
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(others[0] if others else 0)
    return tokenizer


def _split_spelt(tokenizer: Any) -> None:
    """Cut the first letter off a special token that is spelt in a text, where the tokenizer would still find it whole:
    the vocabulary of a unigram model holds special tokens among its pieces.
    """
    from tokenizers import Regex, pre_tokenizers

    backend = tokenizer.backend_tokenizer
    spelt = [
        token.content
        for number, token in tokenizer.added_tokens_decoder.items()
        if token.special and len(token.content) > 1 and _is_found(backend, number, token.content)
    ]
    if spelt:
        ways = "|".join(f"{re.escape(token[0])}(?={re.escape(token[1:])})" for token in spelt)
        split = pre_tokenizers.Split(Regex(ways), "isolated")
        before = backend.pre_tokenizer
        backend.pre_tokenizer = pre_tokenizers.Sequence([before, split]) if before else split


def _is_found(backend: Any, number: int, content: str) -> bool:
    """Whether a token comes out of a text in which it is spelt."""
    for text in (content, f"a {content} a", f"a{content}a"):
        encoded = backend.encode(text, add_special_tokens=False)
        spans = zip(encoded.ids, encoded.offsets, strict=True)
        if any(id == number and text[start:end].strip() == content for id, (start, end) in spans):
            return True
    return False
