"""Notebooks run one after the other through papermill, with the parameters of a profile; their figures are checked."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
from tqdm import tqdm

from bitskept import root, shipped
from bitskept.base import params, provenance, publishing
from bitskept.base.files import FULL, locked, write_whole, writing_explained
from bitskept.base.store import RUN_LOG
from bitskept.run import costs, forecast, notebooks, readme, run_record, solutions
from bitskept.run.run_record import Run

PERIOD = 60.0  # seconds
BAR = {
    "leave": False,
    "bar_format": "{desc}: {n_fmt} of {total_fmt} cells, {elapsed}",
}  # cells differ too much for more
INJECTED = "injected-parameters"  # papermill's tag of the cell that it adds


class NotebookError(RuntimeError):
    """A notebook that failed; the message has three lines: notebook, cell, error."""

    def __init__(self, notebook: Path, cell: str, error: str) -> None:
        super().__init__(notebook, cell, error)

    def __str__(self) -> str:
        return "notebook: {}\ncell:     {}\nerror:    {}".format(*self.args)


class UserMessages:
    """What papermill writes cells' stderr to: lines for the user are passed on, such as that a lock is waited for."""

    def write(self, text: str) -> None:
        for line in text.splitlines():
            if line.startswith("bitskept: "):
                _say(line)

    def flush(self) -> None:
        sys.stderr.flush()


def run(profile: str, names: Sequence[str] = (), *, write_back: bool = False) -> list[Run]:
    """Execute notebooks into `build/PROFILE/notebooks/`, and write down each run, a failed one too (`run_record`).

    All parameters are checked first (ParameterError). The first failure ends the batch as a NotebookError. With
    `write_back`, the outputs of the laptop profile go into the committed notebooks as well. What its tables say of the
    papers' claims goes into README.md in any case, and what solutions print goes onto their pages.
    """
    path = params.find(profile)
    if write_back and path.stem != "laptop":
        raise ValueError(f"--write-back does not go with {path.stem}: notebooks are committed with laptop outputs")
    if write_back and not (root() / "notebooks").is_dir():
        raise ValueError(f"--write-back needs a checkout: there is no folder notebooks/ in {root()}")
    sections = params.load(profile, notebooks.SECTIONS)
    chosen = notebooks.select(names, sections)
    stems, speed = [notebook.stem for notebook in chosen], forecast.core_speed()
    for line in costs.announcement(path.stem, {stem: sections[stem] for stem in stems}, speed):
        _say(line)
    times, is_cold = costs.expected(path.stem, stems, speed), costs.store_is_empty() and not names
    runs = []
    with _environment({provenance.COMMIT: provenance.commit() or ""}):
        for place, notebook in enumerate(chosen):
            left = partial(_left, times, stems[place:])
            number = f", {place + 1} of {len(chosen)}" if len(chosen) > 1 else ""
            _say(f"{notebook.stem}: started{number}{left(0.0)}")
            runs.append(_run(notebook, path, write_back, left))
            _say(f"{notebook.stem}: done in {costs.duration(runs[-1].seconds)}")
            if is_cold:
                costs.record(path.stem, notebook.stem, runs[-1].seconds, speed)
            if path.stem == "laptop":
                readme.update()
    if path.stem == "laptop":
        for notebook in chosen:
            solutions.update(notebook.stem)
    return runs


def _left(times: costs.Expected, stems: Sequence[str], passed: float) -> str:
    """The time left, `passed` seconds after the first of these notebooks was started; nothing if it is not known."""
    return f", {words} left in all" if (words := times.words(stems, passed)) else ""


def _run(notebook: Path, parameters: Path, write_back: bool, left: Callable[[float], str]) -> Run:
    """Execute one notebook, check its figures, and write down how it went."""
    profile, stem = parameters.stem, notebook.stem
    build, figures = root() / "build" / profile, notebooks.figure_functions(stem)
    executed, log = build / "notebooks" / notebook.name, run_record.log_file(profile, stem)
    write_whole(log, b"")
    with writing_explained(executed):
        executed.parent.mkdir(parents=True, exist_ok=True)
    settings = {RUN_LOG: str(log), publishing.RUN: profile, "BITSKEPT_ROOT": str(root())}
    registered = parameters == shipped(f"params/{profile}.yaml").resolve()
    started, clock, cpu, finished = run_record.now(), time.perf_counter(), _cpu_seconds(), False
    before = written(figures, profile)
    try:
        with _environment(settings), _told_now_and_then(stem, log, left):
            execute(notebook, executed, {"profile": profile if registered else str(parameters)})
        check_figures(notebook, before, written(figures, profile))
        if write_back:
            copy_outputs(executed, notebook)
        finished = True
    finally:
        taken = round(time.perf_counter() - clock, 1), round(_cpu_seconds() - cpu, 1)
        ran = Run(stem, finished, started, run_record.now(), *taken, *run_record.count_results(log))
        with nullcontext() if finished else suppress(OSError):  # what stopped the notebook is reported, not this
            run_record.add(profile, ran)
    return ran


def execute(notebook: Path, executed: Path, parameters: dict[str, Any]) -> None:
    """Run one notebook, in its own folder, into a copy. NotebookError if a cell or the kernel fails; OSError, and no
    copy, if the disk is full.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from bitskept.run import engine

    with writing_explained(executed):
        executed.unlink(missing_ok=True)
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # the NotebookError says what it would log
    try:
        papermill.execute_notebook(
            notebook,
            executed,
            parameters,
            engine_name=engine.NAME,
            kernel_name="python3",
            language="python",
            cwd=notebook.parent,
            stderr_file=UserMessages(),
            progress_bar=BAR | {"desc": notebook.stem} if sys.stderr.isatty() else False,
        )
    except KeyboardInterrupt:
        # The interrupted kernel fails its cell when nobody waits for it any more, and asyncio would say so at exit.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        raise
    except PapermillExecutionError as error:
        reason = f"{error.ename}: {_first_line(error.evalue)}"
        raise NotebookError(notebook, _stopped_cell(notebook, executed), reason) from None
    except DeadKernelError:
        reason = "the kernel died; if it ran out of memory, close other programs or set BITSKEPT_PROCESSES=1"
        raise NotebookError(notebook, _stopped_cell(notebook, executed), reason) from None
    except OSError as error:
        if error.errno not in FULL:
            raise
        executed.unlink(missing_ok=True)
        message = f"the disk is full under {executed.parent}: free some space and run this again"
        raise OSError(error.errno, f"{message}; what was finished is kept") from error
    except RuntimeError as error:  # a kernel that did not start, or stopped answering
        reason = f"{type(error).__name__}: {_first_line(str(error))}"
        raise NotebookError(notebook, _stopped_cell(notebook, executed), reason) from None


def written(names: Iterable[str], profile: str) -> dict[Path, int | None]:
    """When each file of these figures was written (nanoseconds), None if it is missing or empty."""
    folder, _ = publishing.folders(profile)
    paths = [folder / f"{name}.{suffix}" for name in names for suffix in ("png", "svg", "json")]
    return {path: path.stat().st_mtime_ns if path.is_file() and path.stat().st_size else None for path in paths}


def check_figures(notebook: Path, before: Mapping[Path, int | None], after: Mapping[Path, int | None]) -> None:
    """NotebookError if a figure of the notebook is missing, empty, or still the one from before the run."""
    for path, stamp in after.items():
        if stamp is None or stamp == before[path]:
            problem = "missing or empty" if stamp is None else "not written in this run"
            raise NotebookError(notebook, "-", f"the figure {path} is {problem}")


def copy_outputs(executed: Path, notebook: Path) -> None:
    """Put the outputs of an executed copy into its notebook, without timings, progress bars and papermill's marks."""
    target, source = (nbformat.read(path, as_version=4) for path in (notebook, executed))
    run_cells = [cell for cell in source.cells if INJECTED not in cell.metadata.get("tags", [])]
    if [cell.source for cell in target.cells] != [cell.source for cell in run_cells]:
        raise ValueError(f"{notebook} was changed while it ran: run it again")
    code_cells = [pair for pair in zip(target.cells, run_cells, strict=True) if pair[0].cell_type == "code"]
    for count, (cell, run_cell) in enumerate(code_cells, start=1):
        cell.execution_count = count
        for name in ("execution", "papermill"):
            cell.metadata.pop(name, None)
        cell.outputs = [output for output in run_cell.outputs if output.get("name") != "stderr"]
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    for name in ("papermill", "widgets"):
        target.metadata.pop(name, None)
    target.metadata["language_info"] = {"name": "python"}
    target.metadata["kernelspec"] = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    with locked(notebook, notebook.name):
        write_whole(notebook, (nbformat.writes(target).rstrip("\n") + "\n").encode())


def _stopped_cell(notebook: Path, executed: Path) -> str:
    """Index (from 0, in the notebook as committed) and first line of the cell that the executed copy stopped in."""
    sources = [cell.source for cell in nbformat.read(notebook, as_version=4).cells]
    cells = nbformat.read(executed, as_version=4).cells if executed.is_file() else []
    begun = [cell.source for cell in cells if cell.metadata.get("papermill", {}).get("start_time")]
    if not begun:
        return "- (before the first cell)"
    index = sources.index(begun[-1]) if begun[-1] in sources else "parameters"
    return f"{index}: {_first_line(begun[-1])}"


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _cpu_seconds() -> float:
    """CPU seconds of all children that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def _say(line: str) -> None:
    tqdm.write(line, file=sys.stderr)  # above progress bars
    sys.stderr.flush()


@contextmanager
def _told_now_and_then(stem: str, log: Path, left: Callable[[float], str]) -> Iterator[None]:
    """A line every `PERIOD` seconds says how far a notebook is and what is `left`; every tenth above a progress bar."""
    finished, began = threading.Event(), time.monotonic()
    period = 10 * PERIOD if sys.stderr.isatty() else PERIOD

    def tell() -> None:
        while not finished.wait(period):
            from_store, computed, _ = run_record.count_results(log)
            passed = time.monotonic() - began
            results = f"{computed} results computed, {from_store} from the store"
            _say(f"{stem}: {passed / 60:.0f} min so far, {results}{left(passed)}")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        finished.set()
        teller.join()


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
