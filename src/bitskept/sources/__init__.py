"""What is measured: language models and texts, from every source."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from bitskept import named_folder, shipped
from bitskept.base import params
from bitskept.base.files import on_disk, sha256
from bitskept.base.store import home
from bitskept.sources.entries import KINDS

Entry = dict[str, Any]


def registry(name: str) -> dict[str, Entry]:
    """The entries of `params/NAME.yaml` by id. ParameterError lists what is wrong in the file."""
    path = shipped(f"params/{name}.yaml")
    try:
        return _entries(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise params.ParameterError(f"{path}: it cannot be read ({error.strerror})") from None


@cache
def _entries(path: Path, _changed: int) -> dict[str, Entry]:
    entries, wrong = params.read_yaml(path), []
    for id, entry in entries.items():
        if re.fullmatch(r"\w[\w.-]{0,99}", id):
            wrong += params.validated(id, entry, KINDS[path.stem])[1]
        else:
            wrong.append(f"{params.shown(id)} is no name: use letters, digits, dots and dashes")
    params.refuse(path, wrong)
    return entries


def catalogue_row(id: str, entry: Entry, columns: Collection[str], packages: Sequence[Entry], here: str) -> Entry:
    """Some columns of an entry for readers: fields of the registry, and its `size`, `source` and `here`."""
    source = f"hub {entry['hub']}" if "hub" in entry else entry.get("by_hand") or " + ".join(entry.get("mixed", []))
    if packages:
        more = f" and {len(packages) - 1} more" if len(packages) > 1 else ""
        source = f"package {packages[0]['package']} {packages[0]['version']}{more}"
    size = f"{sum(package['bytes'] for package in packages) / 1e6:.0f} MB" if packages else ""
    values = entry | {"id": id, "size": size, "source": source, "here": here}
    return {name: values[name] for name in columns}


def short_hash(source: Any) -> str:
    """16 hexadecimal digits for plain JSON."""
    return sha256(json.dumps(source, sort_keys=True).encode())[:16]


def data_files(entry: Entry) -> list[Path]:
    """The files of an entry in the user's own folder BITSKEPT_DATA; none unless all of them are there."""
    folder = named_folder("BITSKEPT_DATA")
    files = [folder / name for name in entry.get("data", [])] if folder else []
    return files if all((path := on_disk(file)) and path.is_file() for file in files) else []


def unknown(what: str, identifier: str, known: Mapping[str, Any]) -> LookupError:
    """The error for an id that is neither in a registry nor on disk; it offers the nearest names."""
    shown = identifier if len(identifier) <= 200 else f"{identifier[:200]}..."
    near = get_close_matches(shown.lower(), list(known), n=3, cutoff=0.5) or list(known)[:5]
    return LookupError(f"there is no {what} {shown!r}, in the registry or as a path; nearest: {', '.join(near)}")


def advice(id: str, entry: Entry) -> str:
    """How to get an entry that is not here."""
    if "parameters" in entry:  # a model
        by_hand = f"put its files (config.json, tokenizer, safetensors) into {home() / 'models' / id}"
    elif names := entry.get("data", []):
        listed = " and ".join(names) if len(names) < 4 else f"{names[0]} and {len(names) - 1} others"
        by_hand = f"name a folder with {listed} in BITSKEPT_DATA"
    else:
        return f"run `bitskept fetch {id}` with a network"
    if "by_hand" in entry:
        return f"get {entry['by_hand']} and {by_hand}"
    return f"run `bitskept fetch {id}` with a network, or {by_hand}"
