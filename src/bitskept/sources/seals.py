"""Hashes of the files in a folder that was made here, stored in it, to find damage before it affects a result."""

import json
from pathlib import Path
from typing import Any

from bitskept.base.files import sha256
from bitskept.sources.packages import SourceError, sha256_once

SEAL = "bitskept.json"


def seal(folder: Path, **facts: Any) -> None:
    """Record the SHA-256 of each file of a finished folder, and facts about it."""
    hashes = {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.is_file() and path.name != SEAL}
    (folder / SEAL).write_text(json.dumps(facts | {"sha256": hashes}, indent=1), "utf-8")


def broken(folder: Path) -> list[str]:
    """The files of a sealed folder that are missing or have changed; none for a folder without a seal.

    Each process reads a file once, and again if its size or time of change differs.
    """
    if not (path := folder / SEAL).is_file():
        return [SEAL] if path.exists() else []
    try:
        hashes = json.loads(path.read_text("utf-8")).get("sha256", {})
        return [name for name, digest in hashes.items() if not _has_digest(folder / name, digest)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return [SEAL]


def check(folder: Path) -> None:
    """SourceError if files of a sealed folder are `broken`."""
    if wrong := broken(folder):
        raise SourceError(
            f"{folder} is damaged ({', '.join(wrong)}): remove {folder} and run this again, which makes it "
            f"anew. If you changed it yourself, remove {SEAL} from it"
        )


def _has_digest(path: Path, digest: str) -> bool:
    return path.is_file() and sha256_once(path) == digest
