"""Which files in a model's folder are loaded: these are downloaded, and these count for its fingerprint."""

import json
from pathlib import Path, PurePosixPath

from bitskept.sources.packages import SourceError

ADAPTER = "adapter_config.json"  # of a folder in peft's format: what to add to the weights of another model
ADAPTER_WEIGHTS = "adapter_model.safetensors"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"  # of weights in several files
DESCRIPTIONS = ("config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
# Which of them a tokenizer reads depends on its class and on what else is there: all that are there count.
VOCABULARIES = (
    "tokenizer.json", "tokenizer.*.json", "*.model", "vocab.txt", "vocab.json", "merges.txt", "tekken.json",
    "*.spm", "target_vocab.json", "vocab-*.json", "bpe.codes", "dict.txt", "entity_vocab.json", "emoji.json",
    "byte_maps.json", "word_shape.json", "word_pronunciation.json", "prophetnet.tokenizer",
)  # fmt: skip


def loaded(folder: Path) -> list[str]:
    """The files of a folder that are loaded with a model or an adapter, by their names within the folder.

    A tokenizer beside an adapter is not loaded: that of its base is. SourceError as `weight_files`.
    """
    patterns = (*DESCRIPTIONS, *VOCABULARIES) if (folder / "config.json").is_file() else (ADAPTER,)
    found = {path.name for pattern in patterns for path in folder.glob(pattern) if not path.name.startswith(".")}
    return sorted(name for name in {*found, *weight_files(folder)} if (folder / name).is_file())


def weight_files(folder: Path) -> list[str]:
    """The files that the weights are loaded from, whether or not they are there: one, or an index and those it names.

    SourceError for an index that cannot be read, or that leads out of the folder.
    """
    if not (folder / "config.json").is_file() and (folder / ADAPTER).is_file():
        return [ADAPTER_WEIGHTS]
    names = [_named(folder) or (WEIGHTS if (folder / WEIGHTS).is_file() or not (folder / INDEX).is_file() else INDEX)]
    if names[0].endswith(".index.json") and (folder / names[0]).is_file():
        path = folder / names[0]
        try:
            names += sorted(set(json.loads(path.read_text("utf-8"))["weight_map"].values()))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise SourceError(f"{path} names no files of weights ({error!r:.200}): get a complete copy") from error
    for name in names:
        if not isinstance(name, str) or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise SourceError(f"{folder}: its weights are in {name!r:.200}, outside the folder: get a complete copy")
    return names


def _named(folder: Path) -> str | None:
    """The file of weights that config.json names, as it may. A config.json that cannot be read is refused elsewhere."""
    try:
        named = json.loads((folder / "config.json").read_text("utf-8")).get("transformers_weights")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return named if isinstance(named, str) else None
