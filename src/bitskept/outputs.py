"""Where the figures of a profile and the tables behind them are, and how files get there."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from bitskept import root

REDRAW = "BITSKEPT_REDRAW"  # set where figures are drawn from kept tables, not from what was just computed


def folders(profile: str) -> tuple[Path, Path]:
    """Where the figures and the tables of a profile are. Only the laptop profile's are committed.

    Figures that are redrawn from kept tables (`bitskept.redraw`) go to a folder of their own.
    """
    build = root() / "build" / profile
    pictures, tables = build / "figures", build / "results"
    if profile == "laptop":
        pictures, tables = root() / "figures", root() / "results" / "laptop"
    return build / "redrawn" if os.environ.get(REDRAW) else pictures, tables


def places(name: str, profile: str) -> tuple[Path, Path]:
    """`folders`, for a figure of this name; ValueError where it is not a plain file name."""
    if not name.replace("_", "").isalnum():
        raise ValueError(f"the name of a figure has letters, digits and underscores only, not {name!r}")
    return folders(profile)


def origin(name: str, *, profile: str) -> dict[str, Any]:
    """Where the numbers behind a figure came from, as it was kept. FileNotFoundError where they are not there."""
    pictures, tables = places(name, profile)
    for path in (pictures / f"{name}.json", tables / f"{name}.csv"):
        if not path.is_file():
            raise FileNotFoundError(
                f"figure {name} was not made yet, {path} is missing: make figures PROFILE={profile}"
            )
    return json.loads((pictures / f"{name}.json").read_text("utf-8"))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a killed run leaves the one that was there before. The caller holds its lock.

    OSError that names it where it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        message = f"{error.strerror}: {path} could not be written. Free some space, or see who may write there, and run"
        raise OSError(error.errno, f"{message} this again") from error
