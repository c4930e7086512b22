"""Hashes of what a folder that was made here holds, kept in it: a byte that changes later is found before it counts."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from bitskept.sources.packages import SourceError, sha256, sha256_once
from bitskept.store import home

SEAL = "bitskept.json"


def seal(folder: Path, **facts: Any) -> None:
    """Write down the SHA-256 of each file of a finished folder, and facts about it."""
    hashes = {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.is_file() and path.name != SEAL}
    (folder / SEAL).write_text(json.dumps(facts | {"sha256": hashes}, indent=1), "utf-8")


def written(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of a sealed folder, as they were written down; of any other folder none. ValueError for
    a seal that is damaged.
    """
    try:
        hashes = json.loads((folder / SEAL).read_text("utf-8")).get("sha256", {})
        return dict(hashes)
    except FileNotFoundError:
        return {}
    except (AttributeError, TypeError) as error:
        raise ValueError(f"{folder / SEAL} is damaged") from error


def broken(folder: Path, *, anew: bool = False) -> list[str]:
    """The files of a sealed folder that are missing or are not as they were written; of any other folder none.

    Files that were compared before, by whatever process, and have kept size and time of change since, are not compared
    again, unless `anew`: a byte that a failing disk changes, and not those two, is found when the files are loaded.
    """
    try:
        hashes = written(folder)
    except ValueError:
        return [SEAL]
    known, seen = _checked(folder), _stamps(folder, [SEAL, *hashes])
    if hashes and not anew:
        with suppress(OSError, ValueError):  # not compared yet, or the note is damaged
            if json.loads(known.read_text("utf-8")) == seen:
                return []
    wrong = [name for name, digest in hashes.items() if not _is(folder / name, digest)]
    if hashes and not wrong:
        _note(known, seen)
    return wrong


def check(folder: Path, whole: Path | None = None, *, anew: bool = False) -> None:
    """SourceError where files of a sealed folder are `broken`; `whole` is what to remove then, if it is more."""
    if wrong := broken(folder, anew=anew):
        raise SourceError(
            f"{folder} is damaged ({', '.join(wrong)}): remove {whole or folder} and run this again, which makes it "
            f"anew. If you changed it yourself, remove {SEAL} from it"
        )


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and sha256_once(path) == digest


def _checked(folder: Path) -> Path:
    """Where the sizes and times are that a folder's files had when they were compared."""
    return home() / "checked" / f"{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:24]}.json"


def _stamps(folder: Path, names: list[str]) -> dict[str, list[int]]:
    found = [(name, folder / name) for name in names]
    return {name: [path.stat().st_size, path.stat().st_mtime_ns] for name, path in found if path.is_file()}


def _note(path: Path, seen: dict[str, list[int]]) -> None:
    """What cannot be noted, on a full disk or where one may only read, is compared again."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(seen), "utf-8")
        temporary.replace(path)
