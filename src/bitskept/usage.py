"""CPU time and memory of the processes that this one starts."""

import threading
import time
from collections.abc import Collection

import psutil

SECONDS, SHARE = 1.0, 0.02  # between two looks at least, and of a core that looking may take


class Usage:
    """`with Usage() as usage:` `usage.cpu_seconds`, `usage.peak_memory` (bytes) of the processes begun below this one.

    What is there before does not count, but for `also`, the ids of some that are to. They are looked at once a second,
    less often where there is much to look at. Memory is the sum over the processes at one time; where the system tells
    (Linux), a page that several share counts in parts. A process that lived for less than a second may be missed by
    both.
    """

    def __init__(self, also: Collection[int] = ()) -> None:
        self._also = also
        self.peak_memory = 0
        self._seen: dict[tuple[int, float], float] = {}
        self._ended = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> "Usage":
        there = psutil.Process().children(recursive=True)
        self._others = {process for process in there if process.pid not in self._also}
        self._before = _waited_for()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._ended = _waited_for() - self._before

    @property
    def cpu_seconds(self) -> float:
        """Each of the two is too little: what was seen lacks the last second, what was waited for the orphans."""
        return max(self._ended, sum(self._seen.values()))

    def _look_on(self) -> None:
        pause = SECONDS
        while not self._over.wait(pause):
            started, memory = time.thread_time(), 0
            for process in set(psutil.Process().children(recursive=True)) - self._others:
                try:
                    times = process.cpu_times()
                    self._seen[process.pid, process.create_time()] = times.user + times.system
                    memory += _held(process)
                except psutil.Error:  # it has just ended
                    continue
            self.peak_memory = max(self.peak_memory, memory)
            pause = max(SECONDS, (time.thread_time() - started) / SHARE)


def _held(process: psutil.Process) -> int:
    try:
        held = process.memory_full_info()
    except psutil.AccessDenied:  # macOS tells it of oneself only
        return process.memory_info().rss
    return getattr(held, "pss", held.uss)


def _waited_for() -> float:
    times = psutil.Process().cpu_times()
    return times.children_user + times.children_system
