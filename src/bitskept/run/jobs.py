"""All jobs of a profile: one list, for this machine and for an engine that spreads them over others."""

import gc
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

from bitskept import error_text, root
from bitskept.base import publishing
from bitskept.base.parallel import each, memory_of, side_by_side
from bitskept.base.params import Section, nearest
from bitskept.instruments.job import Job
from bitskept.instruments.states import cut_as_planned
from bitskept.run.notebooks import figure_functions
from bitskept.studies.bottleneck import over_runs
from bitskept.studies.bottleneck.section import model_jobs

Sections = Mapping[str, Section]
ANY_MODEL = "04_ib_correlations"
"""The notebook whose measurements can be done for a model that no section names."""
READS = {ANY_MODEL: (over_runs.FILE,)}
"""The tables of other notebooks that a notebook shows."""
SIDE_BY_SIDE = ("02_layer_sweep", "03_fine_tuning", "05_training_dynamics")
"""The notebooks that compute side by side, with one thread each (`parallel.each_stored`); twins always are."""


def jobs(sections: Sections, more: Sequence[str] = ()) -> list[Job]:
    """All jobs of a profile's sections; a job comes after those that it needs. `more` names models: one that no job
    measures is measured for notebook 04.
    """
    found = []
    for section in sections.values():
        module = import_module(type(section).__module__)
        found += getattr(module, "jobs", lambda section: [])(section)
    known = {name for job in found for name in job.known_as}
    for model in [name for name in dict.fromkeys(more) if name not in known]:
        if ANY_MODEL not in sections:
            raise LookupError(f"{model} is not in this profile, which has no section {ANY_MODEL} to measure it for")
        found += model_jobs(sections[ANY_MODEL], model)
    names = {job.name for job in found}
    return [replace(job, needs=tuple(need for need in job.needs if need in names)) for job in found]


def select(found: Sequence[Job], names: Collection[str], notebook: str | None = None) -> list[Job]:
    """The jobs of a notebook (its number; default: all) that have one of these names: that of the job, of its model or
    run, or of its twin. Without names, all. LookupError, with the nearest names, for a name that no job has.
    """
    chosen = [job for job in found if notebook is None or job.notebook.startswith(notebook)]
    known = {name for job in chosen for name in job.known_as if name}
    for name in names:
        if name not in known:
            raise LookupError(f"no job of {notebook or 'this profile'} is named {name!r}{nearest(name, sorted(known))}")
    return [job for job in chosen if not names or job.known_as & set(names)]


def run(chosen: Sequence[Job]) -> dict[str, str]:
    """Do jobs, and return by name why those that failed did. One that fails stops no other, and what was finished is
    kept. Jobs that their notebook does side by side are done side by side here, each with one thread.
    """
    small = [job for job in chosen if _one_thread(job)]
    large = [job for job in chosen if not _one_thread(job)]
    memory = max((memory_of(job.parameters) for job in small), default=1)
    at_once = side_by_side(max(2, len(small)), memory)  # one that is left alone gets one thread as well
    try:
        reasons = each(_attempt, small, cost=lambda job: job.parameters, at_once=at_once, progress="jobs")
    except MemoryError as error:  # a process was killed: which of the jobs are done, only the store knows
        reasons = [str(error)] * len(small)
    reasons += each(_attempt, large, at_once=1, progress="jobs")
    return {job.name: reason for job, reason in zip([*small, *large], reasons, strict=True) if reason}


def _attempt(job: Job) -> str | None:
    """Do a job; its error in a line if it fails, with its kind if the words were not written for a reader."""
    try:
        with cut_as_planned():
            job.work()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever one model raises, the others are measured
        line = error_text(error).splitlines()[0]
        in_words = isinstance(error, ValueError | OSError | RuntimeError) or type(error) is LookupError
        return line if in_words or line == type(error).__name__ else f"{type(error).__name__}: {line}"
    finally:
        gc.collect()  # a model has cycles, and the next one needs the memory
    return None


def listing(sections: Sections) -> dict[str, Any]:
    """All jobs and notebooks of a profile as plain JSON, for an engine that runs them; paths are relative to the
    project.
    """
    found = jobs(sections)
    columns = ("name", "command", "arguments", "notebook", "parameters", "needs", "optional", "key")
    listed = [{name: getattr(job, name) for name in columns} | {"one_thread": _one_thread(job)} for job in found]
    return {"jobs": listed, "notebooks": {stem: _notebook(section, found) for stem, section in sections.items()}}


def _one_thread(job: Job) -> bool:
    return job.notebook in SIDE_BY_SIDE or job.twin is not None


def _notebook(section: Section, found: Sequence[Job]) -> dict[str, Any]:
    """What a notebook reads and leaves, its parameters, and the weights of the largest model that it needs."""
    stem, names = section.notebook, figure_functions(section.notebook)
    pictures, tables = (folder.relative_to(root()) for folder in publishing.folders(section.profile))
    return {
        "parameters": max((job.parameters for job in found if job.notebook == stem and not job.optional), default=0),
        "key": section.model_dump(),
        "reads": [str(tables / name) for name in READS.get(stem, ())],
        "pictures": [f"{pictures / name}.{suffix}" for name in names for suffix in ("png", "svg", "json")],
        "tables": [f"{tables / name}.csv" for name in names],
    }
