"""Trained models on disk: each run has a folder whose name depends on all of its inputs, and is trained only once."""

import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from accelerate import PartialState

from bitskept.base import store
from bitskept.base.files import commit, locked, scratch
from bitskept.sources.seals import check, seal

CURVE = "curve.json"
"""The learning curve of a run."""
BITS = "bits per token"
UNITS = {
    "loss": BITS,
    "held_out": "bits per byte",
    "named": "share",
    "cross_entropy": BITS,
    "masked_cross_entropy": BITS,
}


@dataclass(frozen=True)
class Run:
    """A training run and its folder, BITSKEPT_HOME/models/`id`. A run that writes its folder in several steps is
    finished when all its `parts` exist. `function`, `version` and `key` are as in `store.stored`.
    """

    function: str
    version: int
    key: dict[str, Any]
    name: str
    parts: Sequence[str] = ()

    @property
    def id(self) -> str:
        """The name of the folder: the name of the run and a digest of everything that it depends on."""
        return f"{self.name}-{store.digest(self.function, self.version, self.key)[:12]}"

    @property
    def folder(self) -> Path:
        """Where the run is stored."""
        return store.home() / "models" / self.id

    def is_finished(self) -> bool:
        """Whether the folder and all its parts exist."""
        return self.folder.exists() and all((self.folder / part).exists() for part in self.parts)

    def curve(self, train: Callable[[Path], None]) -> pd.DataFrame:
        """The learning curve (`write_curve`) of a run. If it is missing, `train(folder)` trains it now; if another
        process is training it, this waits. SourceError if the folder is damaged.
        """
        started, finished = time.perf_counter(), self.is_finished()
        if not finished or PartialState().num_processes > 1:  # processes that train together wait for each other
            with _locked_together(self.folder, self.id):
                if not (finished := self.is_finished()):
                    train(self.folder)
        if PartialState().is_main_process:
            shutil.rmtree(checkpoint_folder(self.folder), ignore_errors=True)
        store.log(self.function, self.id[-12:], finished, time.perf_counter() - started)
        check(self.folder)
        return pd.read_json(self.folder / CURVE, orient="records")


@contextmanager
def _locked_together(folder: Path, what: str) -> Iterator[None]:
    """The lock of a folder, held by the first of the processes that train one model together, for all of them."""
    processes = PartialState()
    with locked(folder, what) if processes.is_main_process else nullcontext():
        processes.wait_for_everyone()
        yield


def checkpoint_folder(folder: Path) -> Path:
    """Where a run that will be stored in `folder` has its checkpoints until it is finished."""
    return folder.with_name(f"{folder.name}.training")


def write_sealed(target: Path, write: Callable[[Path], object]) -> None:
    """Make a sealed folder with the files that `write(folder)` writes, all or none. The caller holds its lock."""
    with scratch(target) as work:
        made = work / target.name
        made.mkdir()
        write(made)
        seal(made)
        commit(made, target)


def write_curve(log: Sequence[dict[str, int | float]], folder: Path) -> None:
    """Write the records of a training run (`loop.train`) as its learning curve: step, quantity, estimate, unit."""
    rows = [
        # The Trainer's loss is in nats.
        {"step": record["step"], "quantity": name, "estimate": record[name] / (math.log(2) if name == "loss" else 1)}
        for record in log
        for name in UNITS.keys() & record.keys()
    ]
    table = pd.DataFrame(rows).sort_values(["quantity", "step"], ignore_index=True)
    table = table.assign(unit=table["quantity"].map(UNITS))
    (folder / CURVE).write_text(table.to_json(orient="records"), "utf-8")
