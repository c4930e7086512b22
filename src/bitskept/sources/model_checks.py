"""Checks of a model's files before memory is allocated: do its descriptions fit its weights and this machine?"""

import itertools
import json
import logging
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bitskept.base.params import shown
from bitskept.sources.loaded_files import weight_files
from bitskept.sources.packages import SourceError

MOST = 1_000  # layers, experts or labels: each makes objects in memory before any weight is read
COUNTS = re.compile("(layers?|experts|labels|depths?|blocks|replace)$")
MODULES = 100_000  # parts of a network, such as a linear map: the largest models have some thousands
# In transformers' log. Its warning of an "incorrect regex pattern" comes for every older Mistral, right or wrong.
NOT_READ = re.compile("corrupted|will NOT tie|newly initialized|Could not (extract|reorder)")
FLOATS = ("F64", "F32", "F16", "BF16")
DENSEST = 8  # weights in a byte of a file: no format uses less than one bit for a weight


@contextmanager
def readable(what: Path | str, advice: str = "get a complete copy") -> Iterator[None]:
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
        raise SourceError(f"{what} cannot be read ({reason}): {advice}") from error


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
        files = [] if random else [folder / name for name in weight_files(folder)]
        if missing := [file.name for file in files if not file.is_file()]:
            raise SourceError(
                f"{folder} has no {missing[0]}, and pickled weights are never loaded: get a complete copy"
            )
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if not config.get_text_config().num_hidden_layers > 0:
            raise SourceError(f"{path}: num_hidden_layers = {config.num_hidden_layers}: a model has at least one layer")
        if config.is_encoder_decoder:
            raise SourceError(
                f"{path}: model_type = {config.model_type} is an encoder and a decoder, which read two texts: take a "
                "model of one of the two kinds"
            )
        with torch.random.fork_rng(devices=[]), torch.device("meta"), _of_limited_size(path):
            network = transformers.AutoModel.from_config(config, trust_remote_code=False)
        if network.main_input_name != "input_ids":
            raise SourceError(
                f"{path}: model_type = {config.model_type} reads {network.main_input_name}, not text: take a language "
                "model"
            )
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


@contextmanager
def _of_limited_size(path: Path) -> Iterator[None]:
    """SourceError as soon as a network that is being built has more than `MODULES` parts, whatever number in its
    description asks for them.
    """
    from torch.nn.modules.module import register_module_module_registration_hook

    number = itertools.count(1)

    def count(*_: Any) -> None:
        if next(number) > MODULES:
            more = f"describes a network of more than {MODULES:,} parts, which is more than any model has"
            raise SourceError(f"{path} {more}: get a complete copy")

    hook = register_module_module_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def heard(what: Path | str) -> Iterator[None]:
    """SourceError if transformers writes to its log that something in the files is not used as it should be. What its
    report of missing and unexpected weights says is checked where they are loaded.
    """
    messages: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
    log = logging.getLogger("transformers")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
    if wrong := [message for message in messages if NOT_READ.search(message) and "LOAD REPORT" not in message]:
        raise SourceError(f"{what} is read only in part ({' '.join(wrong[0].split()):.300}): get a complete copy")


@contextmanager
def quiet() -> Iterator[None]:
    """Without the log of transformers, whose level is restored: when a model is loaded it says what was not."""
    import transformers

    log = transformers.utils.logging
    level = log.get_verbosity()
    log.set_verbosity_error()
    try:
        yield
    finally:
        log.set_verbosity(level)


def check_formats(folder: Path, unused: Collection[str]) -> None:
    """SourceError for weights in a format of quantisation that config.json does not mention: transformers would take
    the codes for weights.
    """
    from safetensors import safe_open

    for path in (folder / name for name in weight_files(folder) if not name.endswith(".json")):
        with safe_open(path, "numpy") as file:
            for name in sorted(set(file.keys()) - set(unused)):
                if name.endswith("weight") and (kind := file.get_slice(name).get_dtype()) not in FLOATS:
                    raise SourceError(
                        f"{name} in {path} is stored as {kind}, and config.json has no quantization_config to read it "
                        "by: get a copy in float32, bfloat16 or float16"
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
    """Names and values of a mapping and of the mappings inside it; for a list, its elements under its name."""
    if isinstance(content, Mapping):
        for name, value in content.items():
            for each in value if isinstance(value, list) else [value]:
                yield name, each
                yield from _values(each)
