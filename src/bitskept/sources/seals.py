"""Hashes of what a folder that was made here holds, kept in it: a byte that changes later is found before it counts."""

import json
from pathlib import Path
from typing import Any

from bitskept.sources.packages import SourceError, sha256, sha256_once

SEAL = "bitskept.json"


def seal(folder: Path, **facts: Any) -> None:
    """Write down the SHA-256 of each file of a finished folder, and facts about it."""
    hashes = {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.is_file() and path.name != SEAL}
    (folder / SEAL).write_text(json.dumps(facts | {"sha256": hashes}, indent=1), "utf-8")


def broken(folder: Path) -> list[str]:
    """The files of a sealed folder that are missing or are not as they were written; of any other folder none."""
    try:
        hashes = json.loads((folder / SEAL).read_text("utf-8")).get("sha256", {})
        return [name for name, written in hashes.items() if not _is(folder / name, written)]
    except FileNotFoundError:
        return []
    except (ValueError, AttributeError):
        return [SEAL]


def check(folder: Path, whole: Path | None = None) -> None:
    """SourceError where files of a sealed folder are broken; `whole` is what to remove then, if it is more."""
    if wrong := broken(folder):
        raise SourceError(
            f"{folder} is damaged ({', '.join(wrong)}): remove {whole or folder} and run this again, which makes it "
            f"anew. If you changed it yourself, remove {SEAL} from it"
        )


def _is(path: Path, written: str) -> bool:
    return path.is_file() and sha256_once(path) == written
