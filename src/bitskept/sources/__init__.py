"""What is measured, wherever it comes from: language models and text."""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from bitskept import params, root

Entry = dict[str, Any]


def registry(name: str) -> dict[str, Entry]:
    """The entries of `params/NAME.yaml`, by id."""
    path = root() / "params" / f"{name}.yaml"
    return _entries(path, path.stat().st_mtime_ns)


@cache
def _entries(path: Path, _changed: int) -> dict[str, Entry]:
    return params.read_yaml(path)


def data_files(entry: Entry) -> list[Path]:
    """The files of an entry in BITSKEPT_DATA, the user's own folder, where all of them are there."""
    folder = os.environ.get("BITSKEPT_DATA")
    files = [Path(folder).expanduser() / name for name in entry.get("data", [])] if folder else []
    return files if all(path.is_file() for path in files) else []


def unknown(what: str, identifier: str, known: Mapping[str, Any]) -> LookupError:
    """The error for an id that is neither in the registry nor on disk; it offers the nearest names."""
    near = get_close_matches(identifier.lower(), list(known), n=3, cutoff=0.5) or list(known)[:5]
    return LookupError(f"there is no {what} {identifier!r}, in the registry or as a path; nearest: {', '.join(near)}")
