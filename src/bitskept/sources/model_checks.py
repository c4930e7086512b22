"""Checks of a model's files before memory is allocated: do its descriptions fit its weights and this machine?"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bitskept.base.params import shown
from bitskept.sources.packages import SourceError

MOST = 1_000  # layers, experts or labels: each makes objects in memory before any weight is read
COUNTS = re.compile("(layers?|experts|labels)$")
DENSEST = 8  # weights in a byte of a file: no format uses less than one bit for a weight


@contextmanager
def readable(what: Path | str) -> Iterator[None]:
    """Errors of the libraries that read a model as a SourceError that names what was read."""
    try:
        yield
    except (SourceError, MemoryError):
        raise
    except BaseException as error:
        # A panic in the tokenizers' Rust code is not an Exception; a full GPU is not caused by the files.
        panic = type(error).__name__ == "PanicException"
        if not (isinstance(error, Exception) or panic) or type(error).__name__ == "OutOfMemoryError":
            raise
        reason = f"{type(error).__name__}: {' '.join(str(error).split()):.300}"
        raise SourceError(f"{what} cannot be read ({reason}): get a complete copy") from error


def check_sizes(folder: Path, bytes_each: int, *, random: bool = False) -> None:
    """SourceError if config.json describes more weights than the files of weights, or this machine's memory, can hold.

    `bytes_each` is the memory of one weight. With `random` the folder needs no weights.
    """
    import psutil
    import torch
    import transformers

    path = folder / "config.json"
    with readable(path):
        content = json.loads(path.read_text("utf-8"))
        if not isinstance(content, dict):
            raise SourceError(f"{path} is no mapping of names to values: get a complete copy")
        for name, value in _values(content):
            if isinstance(value, int) and COUNTS.search(name) and value > MOST:
                more = f"{name} = {shown(value)} is more than any model has ({MOST:,})"
                raise SourceError(f"{path}: {more}: get a complete copy")
        files = list(folder.glob("*.safetensors"))
        if not (files or random):
            raise SourceError(f"{folder} holds no *.safetensors file, and pickled weights are never loaded")
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if not config.get_text_config().num_hidden_layers > 0:
            raise SourceError(f"{path}: num_hidden_layers = {config.num_hidden_layers}: a model has at least one layer")
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            network = transformers.AutoModel.from_config(config, trust_remote_code=False)
        weights = sum(tensor.numel() for tensor in (*network.parameters(), *network.buffers()))
        held = sum(file.stat().st_size for file in files)
        if not random and weights > DENSEST * held:
            more = f"describes {weights:,} weights, and the files of weights have {held:,} bytes"
            raise SourceError(f"{path} {more}: get a complete copy")
        if (needed := weights * bytes_each) > (memory := psutil.virtual_memory().total):
            raise SourceError(
                f"{path} describes {weights:,} weights, which take {needed / 1e9:,.0f} GB of memory, and this machine "
                f"has {memory / 1e9:,.0f} GB: take a smaller model, or a larger machine"
            )


def check_tokenizer(folder: Path, tokenizer: Any, network: Any) -> None:
    """SourceError if a tokenizer has tokens that the network does not know, or no usable limit."""
    rows = network.get_input_embeddings().num_embeddings
    known = tokenizer("It is so.")["input_ids"]
    if hasattr(tokenizer, "backend_tokenizer"):  # without added tokens: some tokenizers add more than the network knows
        known += tokenizer.backend_tokenizer.get_vocab(with_added_tokens=False).values()
    if known and max(known) >= rows:
        raise SourceError(
            f"the tokenizer in {folder} knows a token {max(known)}, and the network has embeddings of {rows:,}: they "
            "do not belong together"
        )
    limit = tokenizer.model_max_length
    if not isinstance(limit, int | float) or limit < 1:
        path = folder / "tokenizer_config.json"
        raise SourceError(f"{path}: model_max_length = {limit!r:.80} is no number of tokens")


def _values(content: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of a mapping and of the mappings inside it."""
    if isinstance(content, Mapping):
        for name, value in content.items():
            yield name, value
            yield from _values(value)
