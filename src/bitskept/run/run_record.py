"""The record of a profile's runs, `run.json` beside its tables: the last run of each notebook, and where it ran.

It contains no path and no name of a machine.
"""

import json
import warnings
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bitskept import root
from bitskept.base import provenance, publishing
from bitskept.base.files import locked, write_whole


@dataclass(frozen=True)
class Run:
    """How a notebook ran: times in UTC, CPU seconds of its kernel and the kernel's children, how many results came
    `from_store` and how many were `computed`, and the seconds that computing took, summed over jobs side by side.
    """

    stem: str
    finished: bool
    started: str
    ended: str
    seconds: float
    cpu_seconds: float
    from_store: int
    computed: int
    computing_seconds: float


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def count_results(log: Path) -> tuple[int, int, float]:
    """From the log of a notebook (`store.RUN_LOG`): results that came from the store, results that were computed, and
    the seconds that computing took. Each result counts once; a line that a kill cut short is left out.
    """
    found = results(log)
    seconds = [taken for taken in found.values() if taken is not None]
    return len(found) - len(seconds), len(seconds), round(sum(seconds, 0.0), 1)


def results(log: Path) -> dict[tuple[str, str], float | None]:
    """Function and digest of each result in a log: the seconds that computing took, None if it came from the store."""
    computed: dict[tuple[str, str], float | None] = {}
    for line in log.read_text("utf-8").splitlines():
        try:
            result = json.loads(line)
        except ValueError:
            continue
        name = result["function"], result["digest"]
        if not result["from_store"]:
            computed[name] = result["seconds"]
        computed.setdefault(name, None)
    return computed


def log_file(profile: str, stem: str) -> Path:
    """The log of a notebook's last run with a profile."""
    return root() / "build" / profile / "logs" / f"{stem}.jsonl"


def file(profile: str) -> Path:
    """The record of a profile."""
    return publishing.folders(profile)[1] / "run.json"


def add(profile: str, run: Run) -> None:
    """Write down a run in place of the notebook's last one; those of the other notebooks stay."""
    path = file(profile)
    where = {"commit": provenance.commit(), "machine": provenance.machine(), "versions": provenance.versions()}
    with locked(path, "the record of the runs"):
        notebooks = read(profile) | {run.stem: asdict(run) | where}
        record = {"profile": profile, "notebooks": dict(sorted(notebooks.items()))}
        write_whole(path, (json.dumps(record, indent=1) + "\n").encode())


def read(profile: str) -> dict[str, Any]:
    """The last run of each notebook, by name. A record that is damaged is left, with a warning, for a new one."""
    path = file(profile)
    try:
        return dict(json.loads(path.read_text("utf-8"))["notebooks"])
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        warnings.warn(f"{path} is damaged ({error}): starting a new one", stacklevel=3)
    return {}
