"""A job: part of a notebook's work, usually on one model, that a batch or a cluster can do before the notebook runs.

A job leaves its results in the store, where the notebook finds them.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from bitskept.base.files import on_disk, sha256
from bitskept.instruments.measurement import Measurement, texts_of
from bitskept.sources import corpora, data_files, facts, prompts, registry, tasks
from bitskept.sources.random_weights import Weights

DESCRIPTIVE = ("what", "licence", "parameters", "kind")
"""Fields of a registry entry that are for readers only."""
LONGEST_NAME = 100
"""Characters of a subject in the name of a job, which is that of a file as well."""


@dataclass(frozen=True)
class Job:
    """One measurement of one model (`measure`), one fine-tuning run (`tune`) or one twin (`grow`).

    `subject` is the model, or the name of the run, and `parameters` its approximate number of weights. `key` changes
    whenever the results would change: with the plan, the version of a function, the model or the text. `needs` names
    the jobs that come first. A notebook can run without the `optional` jobs. `work` does the job, and passes at
    most `tokens` tokens through the model (0 where this is not known).
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
    tokens: int = 0

    @property
    def name(self) -> str:
        """NN.MEASUREMENT.SUBJECT. Of a subject that has a path in it, which no file name can have, the name at its end,
        after part of its hash.
        """
        subject = self.subject
        if re.search(r"[^\w.@-]", subject) or len(subject) > LONGEST_NAME:
            end = re.sub(r"[^\w.@-]+", "-", Path(subject).name)[-LONGEST_NAME:]
            subject = f"{sha256(subject.encode())[:8]}-{end}"
        return f"{self.notebook[:2]}.{self.measurement}.{subject}"

    @property
    def arguments(self) -> list[str]:
        """The arguments of `bitskept` that do this job and no other, without the profile."""
        return [self.command, self.name if self.command == "measure" else self.subject]

    @property
    def known_as(self) -> set[str | None]:
        """The names by which it can be selected: the name of the job, of its model or run, and of the twin."""
        return {self.name, self.subject, self.twin}


def measuring(
    notebook: str,
    name: str,
    model: str,
    measurements: Sequence[tuple[Measurement, Any]],
    terms: Collection[str],
    *,
    weights: Sequence[int | Weights | None] = (None,),
) -> Job:
    """The job of measuring a model by each of these plans; `weights` are the seeds of random copies, or
    their seeds and scales.
    """

    def work() -> None:
        for measure, plan in measurements:
            for copy in weights:
                measure(model, plan, weights=copy, accept_terms=terms)

    texts = list(dict.fromkeys(text for _, plan in measurements for text in texts_of(plan)))
    key = key_of([measure.asks(plan) for measure, plan in measurements], texts=texts, model=model)
    key |= {"weights": [asdict(copy) if isinstance(copy, Weights) else copy for copy in weights]}
    return Job("measure", notebook, name, model, size(model), key, work)


def size(model: str) -> int:
    """The approximate number of a model's weights: from the registry, or from its files at 4 bytes per weight."""
    if entry := registry("models").get(model.partition("@")[0]):
        return entry["parameters"]
    return sum(path.stat().st_size for path in (on_disk(model) or Path()).glob("*.safetensors")) // 4


def key_of(
    measurements: Sequence[tuple[str, int, Any]], *, texts: Collection[str], model: str | None = None
) -> dict[str, Any]:
    """The key of a job: name, version and plan of each measurement; the model; the corpora and tasks."""
    plans = [
        [name, version, plan if isinstance(plan, dict | list) else asdict(plan)] for name, version, plan in measurements
    ]
    return {
        "plans": plans,
        "model": _origin("models", model) if model else None,
        "reading": [corpora.READING, prompts.READING, tasks.READING],
        "texts": [_origin("tasks" if text in registry("tasks") else "corpora", text) for text in texts],
    }


def _origin(kind: str, id: str) -> list[Any]:
    """What identifies a model, corpus or task, which may not have been fetched yet: its entry and its local files."""
    for source, written in ((prompts, prompts.QUESTIONS), (facts, facts.FACTS)):
        if id == written:
            return [id, source.fingerprint(id)]
    entry = registry(kind).get(id.partition("@")[0])
    if entry is None:
        path = on_disk(id)
        return [id, _files([path] if path and path.is_file() else sorted(path.glob("*")) if path else [])]
    identifying = {name: value for name, value in entry.items() if name not in DESCRIPTIVE}
    parts = map(partial(_origin, kind), entry.get("mixed", ()))
    return [id, identifying, _files(data_files(entry)), *parts]


def _files(paths: Sequence[Path]) -> list[list[Any]]:
    return [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in paths]
