"""What is measured, wherever it comes from: language models and text."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from bitskept import named_folder, params, root
from bitskept.sources.entries import KINDS

Entry = dict[str, Any]


def registry(name: str) -> dict[str, Entry]:
    """The entries of `params/NAME.yaml`, by id. ParameterError lists what is wrong in it."""
    path = root() / "params" / f"{name}.yaml"
    try:
        return _entries(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise params.ParameterError(f"{path}: it cannot be read ({error.strerror})") from None


@cache
def _entries(path: Path, _changed: int) -> dict[str, Entry]:
    entries = params.read_yaml(path)
    wrong = [
        f"{params.shown(id)} is no name: take letters, digits, dots and dashes" for id in entries if not _named(id)
    ]
    kind = KINDS[path.stem]
    wrong += [line for id, entry in entries.items() if _named(id) for line in params.validated(id, entry, kind)[1]]
    params.refuse(path, wrong)
    return entries


def _named(id: str) -> bool:
    return re.fullmatch(r"\w[\w.-]{0,99}", id) is not None


def data_files(entry: Entry) -> list[Path]:
    """The files of an entry in BITSKEPT_DATA, the user's own folder, where all of them are there."""
    folder = named_folder("BITSKEPT_DATA")
    files = [folder / name for name in entry.get("data", [])] if folder else []
    return files if all((path := on_disk(file)) and path.is_file() for file in files) else []


def on_disk(id: str | Path) -> Path | None:
    """The file or folder at a path, `~` spelt out; None where nothing is, as for what can be no path."""
    try:
        path = Path(id).expanduser()
        return path if str(id) and path.exists() else None
    except (OSError, RuntimeError, ValueError):  # too long, a user that there is not, a folder that is closed to us
        return None


def unknown(what: str, identifier: str, known: Mapping[str, Any]) -> LookupError:
    """The error for an id that is neither in the registry nor on disk; it offers the nearest names."""
    shown = identifier if len(identifier) <= 200 else f"{identifier[:200]}..."
    near = get_close_matches(shown.lower(), list(known), n=3, cutoff=0.5) or list(known)[:5]
    return LookupError(f"there is no {what} {shown!r}, in the registry or as a path; nearest: {', '.join(near)}")
