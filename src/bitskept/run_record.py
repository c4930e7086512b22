"""The record of a profile's runs, `run.json` beside its tables: for each notebook its last run.

What ran, what came from the store and what was computed, time, memory, versions, commit and machine; no path and no
name of a machine.
"""

import json
import re
import secrets
import time
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bitskept import outputs, provenance
from bitskept.locks import alone

Record = dict[str, Any]
DIGITS = 16  # of a result's digest, the name of its folder in the store


@dataclass(frozen=True)
class Run:
    """How one notebook ran: `results` has a dictionary for each result that it asked the store for, in that order
    (function, digest, from_store, seconds); times in UTC, memory in bytes, kernel and children together.
    """

    stem: str
    finished: bool
    started: str
    ended: str
    seconds: float
    cpu_seconds: float
    peak_memory: int
    results: list[Record]

    @property
    def from_store(self) -> int:
        """The number of results that came from the store."""
        return sum(one["from_store"] for one in self.results)

    @property
    def computed(self) -> int:
        """The number of results that were computed."""
        return len(self.results) - self.from_store

    @property
    def computing_seconds(self) -> float:
        """What computing them took, the sum over those that were computed side by side."""
        return sum((one["seconds"] for one in self.results if not one["from_store"]), 0.0)


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def results(log: Path) -> list[Record]:
    """What a notebook asked the store for, from its log (`store.RUN_LOG`), each result once; a line that a kill cut
    short is left out.
    """
    found: dict[str, Record] = {}
    for line in log.read_text("utf-8").splitlines():
        try:
            one = json.loads(line)
        except ValueError:
            continue
        known = found.get(one["digest"])
        if known is None or known["from_store"]:  # computed and then read again: it was computed
            found[one["digest"]] = one | {"digest": one["digest"][:DIGITS]}
    return list(found.values())


def file(profile: str) -> Path:
    """Where the record of a profile is."""
    return outputs.folders(profile)[1] / "run.json"


class Batch:
    """The notebooks that one call runs. Several calls may write to one record at the same time."""

    def __init__(self, profile: str) -> None:
        self._profile, self._runs = profile, []
        self._started, self._clock = now(), time.perf_counter()
        self._name = f"{self._started} {secrets.token_hex(2)}"
        self._origin = {
            "commit": provenance.commit(), "versions": provenance.versions(), "machine": provenance.machine(),
        }  # fmt: skip

    def add(self, run: Run) -> None:
        """Write down a run, in the place of the notebook's last one; the other notebooks' stay."""
        self._runs.append(run)
        path = file(self._profile)
        with alone(path, "the record of the runs"):
            known = _read(path)
            notebooks = known["notebooks"] | {run.stem: {"batch": self._name, **_described(run)}}
            used = {one["batch"] for one in notebooks.values()}
            batches = known["batches"] | {self._name: self._described()}
            record = {
                "profile": self._profile,
                "batches": {name: batches[name] for name in sorted(batches) if name in used},
                "notebooks": dict(sorted(notebooks.items())),
            }
            outputs.write_whole(path, _text(record).encode())

    def _described(self) -> Record:
        """Of the batch, up to now. Notebooks that ran side by side took less than the sum of their seconds."""
        return {
            "notebooks": [run.stem for run in self._runs],
            "started": self._started,
            "ended": self._runs[-1].ended,
            "seconds": round(time.perf_counter() - self._clock, 1),
            "cpu_seconds": round(sum(run.cpu_seconds for run in self._runs), 1),
            "peak_memory_bytes": max(run.peak_memory for run in self._runs),
            **self._origin,
        }


def _described(run: Run) -> Record:
    return {
        "finished": run.finished,
        "started": run.started,
        "ended": run.ended,
        "seconds": round(run.seconds, 1),
        "cpu_seconds": round(run.cpu_seconds, 1),
        "peak_memory_bytes": run.peak_memory,
        "from_store": run.from_store,
        "computed": run.computed,
        "computing_seconds": round(run.computing_seconds, 1),
        "results": run.results,
    }


def _read(path: Path) -> Record:
    try:
        known = json.loads(path.read_text("utf-8"))
        return {"notebooks": known["notebooks"], "batches": known["batches"]}
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError) as error:
        warnings.warn(f"{path} is damaged ({error}): begun anew", stacklevel=3)
    return {"notebooks": {}, "batches": {}}


def _text(known: Record) -> str:
    """JSON with a line for each result."""
    lines = json.dumps(known, indent=1)
    return re.sub(r'\{\s+("function"[^{}]*?)\s+\}', lambda found: "{" + " ".join(found[1].split()) + "}", lines) + "\n"
