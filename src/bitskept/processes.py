"""Processes that run notebooks side by side, and the kernel of each.

Where the system can, both are forked from one process that has imported what notebooks import: that takes some five
seconds, which are then spent once and not for each notebook.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from multiprocessing import connection, forkserver, get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from bitskept import environment

Job = TypeVar("Job")
Result = TypeVar("Result")

FORKS = sys.platform == "linux"  # macOS cannot fork what has used its frameworks, Windows not at all
PRELOADED = "bitskept.preloaded"
BACKEND = {"MPLBACKEND": os.environ.get("MPLBACKEND", "module://matplotlib_inline.backend_inline")}
"""What ipykernel sets for a kernel, and matplotlib reads when it is imported."""
ASKING = ("tqdm.auto", "tqdm.autonotebook")
"""What asks when it is imported whether that is in a notebook. So does pandas, see below."""


def prepare() -> None:
    """Have what notebooks import imported, while this process does something else. Once is enough."""
    if not FORKS:
        return
    forkserver.set_forkserver_preload([PRELOADED])
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: it is not what a user interrupts
    try:
        with environment(BACKEND):
            forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


def each(function: Callable[[Job, int | None], Result], jobs: Mapping[str, Job], at_once: int) -> Iterator[Result]:
    """What `function(job, line)` gives for each job, as they end, so many at a time in processes of their own. `line`,
    from 1 to `at_once`, tells those that run at the same time apart.

    A single one at a time is done here, in their order, and its `line` is None. The first error of any job is raised
    here; ChildProcessError where one ended without a result. Whoever stops asking, for an error or otherwise, ends
    those that run: they get a KeyboardInterrupt.
    """
    if at_once < 2:
        yield from (function(job, None) for job in jobs.values())
        return
    from tqdm import tqdm

    prepare()
    context = get_context("forkserver" if FORKS else "spawn")
    tqdm.set_lock(lock := context.RLock())
    waiting, running, lines = list(jobs.items()), {}, list(range(1, at_once + 1))
    try:
        while waiting or running:
            while waiting and lines:
                (name, job), line = waiting.pop(0), lines.pop(0)
                receiver, sender = context.Pipe(duplex=False)
                work = (function, job, line, lock, sender, dict(os.environ))
                process = context.Process(target=_work, args=work, name=name)
                process.start()
                sender.close()
                running[receiver] = process, line
            for receiver in connection.wait(list(running)):
                process, line = running[receiver]
                result = _received(receiver, process)
                del running[receiver]
                lines.append(line)
                yield result
    finally:
        for process, _ in running.values():
            process.terminate()
        for receiver, (process, _) in running.items():
            process.join()
            receiver.close()


def _received(receiver: Any, process: BaseProcess) -> Any:
    try:
        result, error = receiver.recv()
    except EOFError:
        process.join()
        advice = "the system may have wanted its memory, of which BITSKEPT_PROCESSES=1 needs less"
        message = f"{process.name} ended without a result (status {process.exitcode}): {advice}"
        result, error = None, ChildProcessError(message)
    process.join()
    receiver.close()
    if error:
        raise error
    return result


def _work(function: Callable, job: Any, line: int, lock: Any, sender: Any, settings: dict[str, str]) -> None:
    """In a process of its own. It is its parent that a user interrupts, and that ends it by SIGTERM."""
    from tqdm import tqdm

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.clear()
    os.environ.update(settings)
    with _waiting_kernel() if FORKS else nullcontext():  # forked while there is no other thread
        threading.Thread(target=_end_with_parent, daemon=True).start()
        tqdm.set_lock(lock)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            outcome = function(job, line), None
        except KeyboardInterrupt:  # nobody is waiting any more
            return
        except Exception as error:
            outcome = None, error
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        sender.send(outcome)


def _end_with_parent() -> None:
    connection.wait([parent_process().sentinel])
    os._exit(1)


class Kernel:
    """A kernel that waits to be told which. Of `subprocess.Popen` it has what jupyter_client asks of one."""

    stdin = stdout = stderr = None

    def __init__(self) -> None:
        context = get_context("fork")
        orders, self._orders = context.Pipe(duplex=False)
        self._process = context.Process(target=_become_kernel, args=(orders, self._orders))
        self._process.start()
        orders.close()
        self.pid: int = self._process.pid

    def begin(self, arguments: list[str], environment: dict[str, str], folder: str) -> None:
        """Become the ipykernel of these arguments, environment variables and folder."""
        self._orders.send((arguments, environment, folder))

    def dismiss(self) -> None:
        """End, if it still waits."""
        self._orders.close()

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self.poll()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


waiting: list[Kernel] = []
"""The kernel that waits beside this process, if one does."""


@contextmanager
def _waiting_kernel() -> Iterator[None]:
    waiting.append(kernel := Kernel())
    try:
        yield
    finally:
        kernel.dismiss()
        waiting.clear()


def _become_kernel(orders: Any, others_end: Any) -> None:
    others_end.close()
    os.setsid()  # interrupted with all that it started, and not by whoever interrupts a batch
    try:
        arguments, settings, folder = orders.recv()
    except EOFError:
        return
    orders.close()
    os.environ.clear()
    os.environ.update(settings)
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDWR), 2)
    for name in ASKING:
        sys.modules.pop(name, None)
    import pandas
    from ipykernel.kernelapp import IPKernelApp

    pandas.set_option("display.max_columns", 20)  # its default in a notebook; in a terminal as many as fit
    signal.signal(signal.SIGINT, signal.default_int_handler)
    IPKernelApp.launch_instance([*arguments, f"--IPKernelApp.parent_handle={os.getppid()}"])
