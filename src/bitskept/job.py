"""One job of a graph: what it measures or trains, what it needs, and what says whether it has to be done again."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from bitskept import told
from bitskept.sources import corpora, data_files, on_disk, prompts, registry, tasks

DESCRIPTIVE = ("what", "licence", "parameters", "kind")
"""What an entry of a registry says to readers alone."""


@dataclass(frozen=True)
class Job:
    """One measurement of one model (`measure`), one fine-tuning run (`tune`) or one twin (`grow`).

    `subject` is the model, or the name of the run. `needs` are the names of jobs that have to come first. A notebook
    does without jobs that are `optional`, and says so. `work` does the job.
    """

    command: Literal["measure", "tune", "grow"]
    notebook: str
    measurement: str
    subject: str
    parameters: int
    key: dict[str, Any] = field(repr=False)
    work: Callable[[], object] = field(repr=False, compare=False)
    needs: tuple[str, ...] = ()
    optional: bool = False
    twin: str | None = None

    @property
    def name(self) -> str:
        """NN.MEASUREMENT.SUBJECT, fit for a file."""
        return re.sub(r"[^\w.@-]+", "-", f"{self.notebook[:2]}.{self.measurement}.{self.subject}")

    @property
    def arguments(self) -> list[str]:
        """Those of `bitskept` that do this job alone, the profile left out."""
        return [self.command, self.name if self.command == "measure" else self.subject]

    @property
    def known_as(self) -> set[str | None]:
        """What it can be chosen by: its name, its model or run, and the twin."""
        return {self.name, self.subject, self.twin}


def select(found: Sequence[Job], names: Collection[str], notebook: str | None = None) -> list[Job]:
    """The jobs that measure these models or runs, or all of a twin's, or have these names; LookupError for a name that
    none has. Without names all. Of one notebook, by its number, if it is given.
    """
    chosen = [job for job in found if notebook is None or job.notebook.startswith(notebook)]
    for name in names:
        if not any(name in job.known_as for job in chosen):
            raise LookupError(f"no job of {notebook or 'this profile'} is of {name!r}: `bitskept jobs` lists them")
    return [job for job in chosen if not names or job.known_as & set(names)]


def run(chosen: Sequence[Job]) -> dict[str, str]:
    """Do jobs one after the other, and return why those that failed did, by name. All that was finished is kept."""
    from tqdm.auto import tqdm

    from bitskept.measure.states import cut_as_planned

    failures = {}
    with tqdm(chosen, unit="job", disable=len(chosen) < 2) as bar, cut_as_planned():
        for job in bar:
            bar.set_postfix_str(job.name)
            try:
                job.work()
            except (LookupError, MemoryError, OSError, RuntimeError, ValueError) as error:
                failures[job.name] = told(error).splitlines()[0]
            gc.collect()  # a model has cycles, and the next one needs the room
    return failures


def size(model: str) -> int:
    """About the number of a model's weights: as the registry says, or as so many bytes of float32 hold."""
    if entry := registry("models").get(model.partition("@")[0]):
        return entry["parameters"]
    return sum(path.stat().st_size for path in (on_disk(model) or Path()).glob("*.safetensors")) // 4


def origin(kind: str, id: str) -> list[Any]:
    """What says whether a model, a corpus or a task is still the same, though it may not be here yet."""
    if id == prompts.QUESTIONS:
        return [id, prompts.fingerprint(id)]
    entry = registry(kind).get(id.partition("@")[0])
    if entry is None:
        path = on_disk(id)
        return [id, _files([path] if path and path.is_file() else sorted(path.glob("*")) if path else [])]
    said = {name: value for name, value in entry.items() if name not in DESCRIPTIVE}
    return [id, said, _files(data_files(entry)), *(origin(kind, part) for part in entry.get("mixed", ()))]


def _files(paths: Sequence[Path]) -> list[list[Any]]:
    return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in paths]


def key_of(
    asked: Sequence[tuple[ModuleType, Any]], *, texts: Collection[str], model: str | None = None
) -> dict[str, Any]:
    """What measures, its version and its plan; the model; and the corpora and tasks."""
    plans = [[module.__name__.rpartition(".")[2], module.VERSION, plan] for module, plan in asked]
    return {
        "plans": [[*names, plan if isinstance(plan, dict | list) else asdict(plan)] for *names, plan in plans],
        "model": origin("models", model) if model else None,
        "reading": [corpora.READING, prompts.READING, tasks.READING],
        "texts": [origin("tasks" if text in registry("tasks") else "corpora", text) for text in texts],
    }


def bound(function: Callable[..., Any], *values: Any, **names: Any) -> Callable[[], Any]:
    return lambda: function(*values, **names)
