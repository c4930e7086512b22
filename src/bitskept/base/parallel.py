"""Jobs side by side: one process a core, with one thread each, which suits small networks better than one process with
all cores.

On a GPU jobs run one at a time, and so they do in processes that train one model together.
"""

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import TypeVar

from bitskept.base import provenance

Job = TypeVar("Job")
Result = TypeVar("Result")
PROCESSES = "BITSKEPT_PROCESSES"
"""The most processes that may run side by side."""
THREADS = [f"{library}_NUM_THREADS" for library in ("OMP", "MKL", "OPENBLAS", "BLIS", "NUMEXPR", "NUMBA")]
"""What tells a library how many threads it may use."""
MEMORY = 3 * 2**30
"""Bytes that a small job may take, its libraries included. No more jobs run side by side than there is memory for."""


def each_stored(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    is_stored: Callable[[Job], bool],
    cost: Callable[[Job], float] | None = None,
    memory: Callable[[Job], int] | None = None,
    progress: str | None = None,
) -> list[Result]:
    """`each` for a function that keeps its results: those that `is_stored` finds are read here, which takes less time
    than starting a process.

    The rest is computed with one thread a job, even if only one job is left: sums by two threads differ in the last
    digits. `memory` is the most bytes that a job takes (default: `MEMORY`).
    """
    missing = [place for place, job in enumerate(jobs) if not is_stored(job)]
    at_once = side_by_side(len(jobs), max(map(memory, jobs)) if memory else MEMORY) if missing else 1
    computed = each(function, [jobs[place] for place in missing], cost=cost, at_once=at_once, progress=progress)
    results = dict(zip(missing, computed, strict=True))
    return [results[place] if place in results else function(job) for place, job in enumerate(jobs)]


def each(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    cost: Callable[[Job], float] | None = None,
    at_once: int | None = None,
    progress: str | None = None,
) -> list[Result]:
    """The results of a module's function for all jobs, in their order; jobs of the highest `cost` start first.

    `at_once` processes work side by side (default: `side_by_side`). With one, the work is done in this process, with
    all its threads. The first error of a job is raised here, and no further job starts. Jobs end with this process,
    however it ends.
    """
    from tqdm import tqdm

    order = sorted(enumerate(jobs), key=lambda item: -cost(item[1])) if cost else list(enumerate(jobs))
    at_once = side_by_side(len(jobs)) if at_once is None else at_once
    here = ((place, function(job)) for place, job in order)
    done = here if at_once < 2 else _in_processes(function, order, at_once)
    results = dict(tqdm(done, total=len(jobs), desc=progress, disable=progress is None or not jobs, leave=False))
    return [results[place] for place in range(len(jobs))]


def side_by_side(jobs: int, memory: int = MEMORY) -> int:
    """How many of so many jobs, of so many bytes each, run at once: as many as cores, memory and BITSKEPT_PROCESSES
    allow; one on a GPU.
    """
    import psutil

    cores = provenance.cores()
    most = os.environ.get(PROCESSES, str(cores))
    if not most.isdecimal() or int(most) < 1:
        raise ValueError(f"{PROCESSES} must be a number of processes, at least 1, but is {most!r}")
    if jobs < 2 or int(os.environ.get("WORLD_SIZE", 1)) > 1 or _gpu():
        return 1
    return max(1, min(jobs, int(most), cores, psutil.virtual_memory().total // memory))


def memory_of(weights: int) -> int:
    """Bytes of a job with a model of so many weights: four times the weights as numbers of four bytes, and `MEMORY`."""
    return MEMORY + 16 * weights


def _gpu() -> bool:
    if version("torch").endswith("+cpu"):  # a build without GPUs, which takes seconds to import
        return False
    import torch

    return torch.cuda.is_available()


def _in_processes(
    function: Callable[[Job], Result], order: Sequence[tuple[int, Job]], at_once: int
) -> Iterator[tuple[int, Result]]:
    from concurrent.futures import as_completed

    from joblib.externals.loky.process_executor import ProcessPoolExecutor, TerminatedWorkerError

    settings = {name: value for name, value in os.environ.items() if name.startswith("BITSKEPT_")}
    settings[PROCESSES] = "1"  # a job that has jobs of its own does them one at a time
    # joblib.Parallel would keep the processes, their memory and their semaphores until this one ends; and if it was
    # killed, as a notebook's kernel that takes long to end, there were warnings of leaked semaphores and lost files.
    # All of them watch from their start: one that never gets a job would outlive this process by minutes.
    pool = ProcessPoolExecutor(at_once, initializer=end_with, initargs=(os.getpid(),), env=dict.fromkeys(THREADS, "1"))
    try:
        for future in as_completed([pool.submit(_job, function, place, job, settings) for place, job in order]):
            yield future.result()
    except TerminatedWorkerError as error:
        raise MemoryError(
            f"one of {at_once} processes side by side was killed, as the system does when memory runs out: set "
            f"{PROCESSES}=1 and run this again; what was finished is kept"
        ) from error
    finally:
        pool.shutdown(wait=True, kill_workers=True)
        del pool
        gc.collect()  # its semaphores end with it, and it is part of cycles


def _job(function: Callable[[Job], Result], place: int, job: Job, settings: dict[str, str]) -> tuple[int, Result]:
    import torch

    torch.set_num_threads(1)
    for name in [name for name in os.environ if name.startswith("BITSKEPT_")]:
        del os.environ[name]
    os.environ.update(settings)
    return place, function(job)


def end_with(parent: int) -> None:
    """End this process within a second of its parent.

    A killed process cannot end its children, and whoever starts it again must not meet them at work.
    """
    if not any(thread.name == _watch.__name__ for thread in threading.enumerate()):
        threading.Thread(target=_watch, args=(parent,), name=_watch.__name__, daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
