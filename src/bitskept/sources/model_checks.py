"""What the files of a model claim, held against what they are, before memory is taken for it."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bitskept.params import shown
from bitskept.sources.packages import SourceError

MOST = 1_000  # layers, experts or labels: each makes objects in memory before any weight is read
COUNTS = re.compile("(layers?|experts|labels|block_count|expert_count)$")
DENSEST = 8  # weights in a byte of a file: no format writes a weight in less than a bit


@contextmanager
def readable(what: Path | str) -> Iterator[None]:
    """Whatever the libraries raise that read a model ends in a SourceError that names what was read."""
    try:
        yield
    except (SourceError, MemoryError):
        raise
    except BaseException as error:
        # A panic in the tokenizers' Rust is no Exception; a GPU that is full is not the fault of the files.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if type(error).__name__ == "OutOfMemoryError":
            raise
        reason = f"{type(error).__name__}: {' '.join(str(error).split()):.300}"
        raise SourceError(f"{what} cannot be read ({reason}): get a complete copy") from error


def check_sizes(folder: Path, bytes_each: int, *, random: bool = False) -> None:
    """SourceError where config.json asks for more than the weights there, or this machine's memory, can hold.

    `bytes_each` is what a weight takes in memory. With `random` the folder needs no weights.
    """
    import transformers

    path = folder / "config.json"
    with readable(path):
        content = json.loads(path.read_text("utf-8"))
        if not isinstance(content, dict):
            raise SourceError(f"{path} is no mapping of names to values: get a complete copy")
        _check_counts(path, _numbers(content))
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        files = list(folder.glob("*.safetensors"))
        if not (files or random):
            raise SourceError(f"{folder} holds no *.safetensors file, and pickled weights are never loaded")
        held = None if random else sum(file.stat().st_size for file in files)
        _check_weights(path, config, held, bytes_each)


def check_adapter(folder: Path, description: str, weights: str) -> None:
    """SourceError where an adapter asks for more than its weights are: a rank takes memory before they are read."""
    from safetensors import safe_open

    if not (folder / weights).is_file():
        raise SourceError(f"{folder} has no {weights}, and pickled weights are never loaded")
    with readable(path := folder / description):
        content = json.loads(path.read_text("utf-8"))
        with safe_open(folder / weights, "numpy") as file:
            most = max([MOST, *(size for name in file.keys() for size in file.get_slice(name).get_shape())])  # noqa: SIM118
        for name, value in _numbers(content):
            if isinstance(value, int) and value > most:
                raise SourceError(f"{path}: {name} = {shown(value)} fits none of its weights: get a complete copy")


def check_gguf(path: Path, name: str) -> None:
    """The same of a GGUF file, whose weights are read as float32. `name` is what it is called in messages."""
    import gguf
    import transformers

    fields = gguf.GGUFReader(path).fields
    _check_counts(name, ((name, fields[name].contents()) for name in fields if COUNTS.search(name)))
    config = transformers.AutoConfig.from_pretrained(path.parent, gguf_file=path.name, trust_remote_code=False)
    _check_weights(name, config, path.stat().st_size, 4)


def check_tokenizer(folder: Path, tokenizer: Any, network: Any) -> None:
    """SourceError where a tokenizer does not go with a network: it has other tokens, or no limit that can be kept."""
    rows = network.get_input_embeddings().num_embeddings
    known = tokenizer("It is so.")["input_ids"]
    if hasattr(tokenizer, "backend_tokenizer"):  # without the tokens added to it: some have more than the network knows
        known += tokenizer.backend_tokenizer.get_vocab(with_added_tokens=False).values()
    if known and max(known) >= rows:
        raise SourceError(
            f"the tokenizer in {folder} knows a token {max(known)}, and the network has embeddings of {rows:,}: they "
            "do not belong together"
        )
    limit = tokenizer.model_max_length
    if not isinstance(limit, int | float) or limit < 1:
        raise SourceError(
            f"{folder / 'tokenizer_config.json'}: model_max_length = {limit!r:.80} is no number of tokens"
        )


def _numbers(values: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of a mapping and of those inside it."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            yield name, value
            yield from _numbers(value)


def _check_counts(what: Path | str, values: Iterator[tuple[str, Any]]) -> None:
    for name, value in values:
        if isinstance(value, int) and COUNTS.search(name) and value > MOST:
            raise SourceError(
                f"{what}: {name} = {shown(value)} is more than any model has ({MOST:,}): get a complete copy"
            )


def _check_weights(what: Path | str, config: Any, held: int | None, bytes_each: int) -> None:
    import psutil
    import torch
    import transformers

    if not config.get_text_config().num_hidden_layers > 0:
        raise SourceError(f"{what}: num_hidden_layers = {config.num_hidden_layers}: a model has a layer at least")
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        network = transformers.AutoModel.from_config(config, trust_remote_code=False)
    weights = sum(one.numel() for one in (*network.parameters(), *network.buffers()))
    if held is not None and weights > DENSEST * held:
        raise SourceError(
            f"{what} describes {weights:,} weights, and the files of weights have {held:,} bytes: get a complete copy"
        )
    if (needed := weights * bytes_each) > (memory := psutil.virtual_memory().total):
        raise SourceError(
            f"{what} describes {weights:,} weights, which take {needed / 1e9:,.0f} GB of memory, and this machine has "
            f"{memory / 1e9:,.0f} GB: take a smaller model, or a larger machine"
        )
