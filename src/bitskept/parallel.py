"""Jobs side by side: one process a core, one thread each, which small networks use better than one process all cores.

A GPU serves one job at a time, and so do processes that train one model together.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import TypeVar

from bitskept import provenance, store

Job = TypeVar("Job")
Result = TypeVar("Result")
PROCESSES = "BITSKEPT_PROCESSES"  # at most so many side by side
MEMORY = 3 * 2**30
"""Bytes that a small job may take: more do not run side by side than there is memory for."""


def each_stored(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    cost: Callable[[Job], float] | None = None,
    memory: Callable[[Job], int] | None = None,
    progress: str | None = None,
) -> list[Result]:
    """`each` for a function whose work goes to the store (`store.stored`, `store.may_compute`).

    What is there is read here, one after the other, which takes less than to begin a process that would. What is left
    is done as it would have been with all the others, be it a single job: a sum by two threads is not that by one.
    `memory` is the bytes that a job takes, at most; default: `MEMORY`.
    """
    found: dict[int, Result] = {}
    for place, job in enumerate(jobs):
        with suppress(store.Absent), store.only_reading():
            found[place] = function(job)
    left = [place for place in range(len(jobs)) if place not in found]
    if left:
        at_once = side_by_side(len(jobs), max(map(memory, jobs)) if memory else MEMORY)
        with store.turn():
            computed = each(function, [jobs[place] for place in left], cost=cost, at_once=at_once, progress=progress)
        found |= zip(left, computed, strict=True)
    return [found[place] for place in range(len(jobs))]


def each(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    cost: Callable[[Job], float] | None = None,
    at_once: int | None = None,
    progress: str | None = None,
) -> list[Result]:
    """What a function of a module gives for each job, in their order. Those of the highest `cost` are begun first.

    One at a time is done in this process, with its threads; default: as many at once as there are, or can be side by
    side. The first error of any job is raised here, and no further job is begun. Jobs end with this process, however it
    ends.
    """
    from tqdm.auto import tqdm

    order = sorted(enumerate(jobs), key=lambda one: -cost(one[1])) if cost else list(enumerate(jobs))
    results: dict[int, Result] = {}
    if at_once is None:
        at_once = side_by_side(len(jobs))
    with tqdm(total=len(jobs), desc=progress, disable=progress is None, leave=False) as bar:
        done = (
            ((place, function(job)) for place, job in order) if at_once < 2 else _in_processes(function, order, at_once)
        )
        for place, result in done:
            results[place] = result
            bar.update()
    return [results[place] for place in range(len(jobs))]


def side_by_side(jobs: int, memory: int = MEMORY) -> int:
    """How many of so many jobs at once, of so many bytes each: as many as cores, as memory allows and
    BITSKEPT_PROCESSES says; one on a GPU.
    """
    import psutil

    cores = provenance.cores()
    most = os.environ.get(PROCESSES, str(cores))
    if not most.isdecimal() or int(most) < 1:
        raise ValueError(f"{PROCESSES} must be a number of processes, at least 1, but is {most!r}")
    if jobs < 2 or int(os.environ.get("WORLD_SIZE", 1)) > 1 or _gpu():
        return 1
    return max(1, min(jobs, int(most), cores, psutil.virtual_memory().total // memory))


def _gpu() -> bool:
    if version("torch").endswith("+cpu"):  # a build that knows of none, and takes seconds to import
        return False
    import torch

    return torch.cuda.is_available()


def _in_processes(
    function: Callable[[Job], Result], order: Sequence[tuple[int, Job]], at_once: int
) -> Iterator[tuple[int, Result]]:
    from joblib import Parallel, delayed, parallel_config

    # Processes outlive a call, and what they inherited may have changed.
    settings = {name: value for name, value in os.environ.items() if name.startswith("BITSKEPT_")}
    with parallel_config("loky", n_jobs=at_once, inner_max_num_threads=1):
        # From their start: one that gets no job would wait for one long after this process was killed.
        work = Parallel(return_as="generator_unordered", initializer=end_with, initargs=(os.getpid(),))
        yield from work(delayed(_job)(function, place, job, settings) for place, job in order)


def _job(function: Callable[[Job], Result], place: int, job: Job, settings: dict[str, str]) -> tuple[int, Result]:
    import torch

    torch.set_num_threads(1)
    for name in [name for name in os.environ if name.startswith("BITSKEPT_")]:
        del os.environ[name]
    os.environ.update(settings)
    return place, function(job)


def end_with(parent: int) -> None:
    """From now on this process ends with its parent, within a second.

    A process that was killed tells its children nothing, and who starts it again must not meet them at their work.
    """
    if not any(thread.name == _watch.__name__ for thread in threading.enumerate()):
        threading.Thread(target=_watch, args=(parent,), name=_watch.__name__, daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
