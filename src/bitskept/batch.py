"""Notebooks run in batches: papermill executes each with its section of the profile, and its figures are checked."""

import logging
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bitskept import environment, outputs, params, processes, provenance, root, run_record
from bitskept.parallel import side_by_side
from bitskept.run_record import Batch, Run
from bitskept.sources.packages import FULL
from bitskept.store import RUN_LOG, TURN
from bitskept.usage import Usage

INJECTED = "injected-parameters"  # papermill's tag of the cell it adds
WIDGET = "application/vnd.jupyter.widget-view+json"


class NotebookError(RuntimeError):
    """A notebook that failed; the message has three lines: notebook, cell, error."""

    def __init__(self, notebook: Path, cell: str, error: str) -> None:
        super().__init__(notebook, cell, error)

    def __str__(self) -> str:
        return "notebook: {}\ncell:     {}\nerror:    {}".format(*self.args)


class Told:
    """Where papermill writes what cells and their jobs say on stderr: what is for the user is passed on."""

    def write(self, text: str) -> None:
        for line in text.splitlines():
            if line.startswith("bitskept: "):
                tqdm.write(line, file=sys.stderr)

    def flush(self) -> None:
        sys.stderr.flush()


def select(names: Sequence[str], sections: Mapping[str, Any], folder: Path) -> list[Path]:
    """The notebooks of these names (a stem, or its number), in order; without names, all that have a section.

    LookupError, with the nearest names, for one that is not there.
    """
    there = {path.stem: path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")) if path.stem in sections}
    if not there:
        raise LookupError(f"no notebook in {folder} has a section in the parameter file")
    chosen = set()
    for name in names:
        wanted = Path(name).name.removesuffix(".ipynb")
        number = f"{int(wanted):02d}_" if re.fullmatch("[0-9]{1,2}", wanted) else None
        found = [stem for stem in there if stem == wanted or (number and stem.startswith(number))]
        if not found:
            near = get_close_matches(wanted, list(there), n=1)
            advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(there)}"
            raise LookupError(f"there is no notebook {name}; {advice}")
        chosen.update(found)
    return [path for stem, path in there.items() if not names or stem in chosen]


def run(
    profile: str, names: Sequence[str] = (), *, write_back: bool = False, sections: Mapping[str, Any] = params.SECTIONS
) -> list[Run]:
    """Execute notebooks into `build/PROFILE/notebooks/`; how they ran, in their order. The first failure ends the run
    as NotebookError.

    The parameter file is validated first (ParameterError). With `write_back`, the outputs of the laptop profile go
    into the committed notebooks as well. Each run is written down (`run_record`), one that failed too, but not those
    beside it that its failure ends.
    """
    if write_back and profile != "laptop":
        raise ValueError(f"notebooks are committed with their laptop outputs; --write-back does not go with {profile}")
    chosen = params.load(profile, sections=sections)
    batch, notebooks = Batch(profile), select(names, chosen, root() / "notebooks")
    jobs = [
        Execution(notebook, chosen[notebook.stem].model_dump(), chosen[notebook.stem].figures, profile, write_back)
        for notebook in notebooks
    ]
    terminal, done = sys.stderr.isatty(), {}
    bars = tqdm(total=len(jobs), unit="notebook", desc=f"profile {profile}", disable=not terminal)
    begun = environment({provenance.COMMIT: provenance.commit() or ""})
    with bars, begun, closing(_each(jobs, progress=terminal)) as ended:
        for ran, error in ended:
            with suppress(OSError) if error else nullcontext():  # a full disk, say: what stopped the notebook is told
                batch.add(ran)
            if error:
                raise error
            done[ran.stem] = ran
            bars.update()
            if not terminal:
                print(f"{ran.stem}: {ran.seconds:.0f} s", file=sys.stderr, flush=True)
    return [done[notebook.stem] for notebook in notebooks]


@dataclass(frozen=True)
class Execution:
    """One notebook to be executed with these parameters, and the figures that it is to make."""

    notebook: Path
    parameters: dict[str, Any]
    figures: Sequence[str]
    profile: str
    write_back: bool


def _each(jobs: Sequence[Execution], *, progress: bool) -> Iterator[tuple[Run, BaseException | None]]:
    """How each job ended, as they end: side by side, in processes of their own, where there are cores for it.

    What is in the store is drawn side by side; whatever has to be computed is computed by one notebook at a time, with
    all cores (`store.turn`).
    """
    at_once = side_by_side(len(jobs))
    turn = {TURN: str(root() / "build" / jobs[0].profile / "turn")} if at_once > 1 else {}
    with environment(turn):
        yield from processes.each(partial(_run, progress), {job.notebook.stem: job for job in jobs}, at_once)


def _run(progress: bool, job: Execution, line: int | None) -> tuple[Run, BaseException | None]:
    """Execute one notebook and check its figures: how it ran, and what it failed of. `line` is that of its bar on the
    terminal; None: where tqdm has room.
    """
    build, stem = root() / "build" / job.profile, job.notebook.stem
    executed, log = build / "notebooks" / job.notebook.name, build / "logs" / f"{stem}.jsonl"
    for path in (executed, log):
        path.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    started, clock, error = run_record.now(), time.perf_counter(), None
    usage = Usage(also=[kernel.pid for kernel in processes.waiting])
    before = stamps(job.figures, job.profile)
    bar = {"desc": stem, "leave": False, "position": line} if progress else False
    try:
        with usage, environment({RUN_LOG: str(log), "BITSKEPT_ROOT": str(root())}):
            execute(job.notebook, executed, job.parameters, progress_bar=bar)
        check_figures(job.notebook, before, stamps(job.figures, job.profile))
        if job.write_back:
            copy_outputs(executed, job.notebook)
    except BaseException as found:
        if line is not None and isinstance(found, KeyboardInterrupt):  # whoever wrote it down has ended
            raise
        error = found
    seconds, taken = time.perf_counter() - clock, (usage.cpu_seconds, usage.peak_memory)
    return Run(stem, error is None, started, run_record.now(), seconds, *taken, run_record.results(log)), error


def execute(
    notebook: Path, executed: Path, parameters: dict[str, Any], *, progress_bar: dict[str, Any] | bool = False
) -> None:
    """Run one notebook, in its own folder, into a copy. NotebookError where a cell or the kernel fails; OSError, and no
    copy, where the disk is full.
    """
    import papermill
    from nbclient.exceptions import CellControlSignal
    from papermill.exceptions import PapermillExecutionError

    from bitskept.kernel import ENGINE, OwnKernel

    executed.unlink(missing_ok=True)
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what it would log is in the NotebookError
    try:
        papermill.execute_notebook(
            notebook,
            executed,
            parameters,
            kernel_name="python3",
            language="python",
            engine_name=ENGINE,
            cwd=notebook.parent,
            kernel_manager_class=OwnKernel,
            stderr_file=Told(),
            progress_bar=progress_bar,
        )
    except KeyboardInterrupt:
        # The interrupted kernel fails its cell when nobody waits for it any more, which asyncio would tell at exit.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        raise
    except PapermillExecutionError as error:
        reason = f"{error.ename}: {_first_line(error.evalue)}"
        raise NotebookError(notebook, _stopped_cell(notebook, executed), reason) from None
    except OSError as error:
        if error.errno not in FULL:
            raise
        executed.unlink(missing_ok=True)
        message = f"the disk is full under {executed.parent}: free some space and run this again"
        raise OSError(error.errno, f"{message}; what was finished is kept") from error
    except (CellControlSignal, RuntimeError) as error:  # a kernel that died or did not start
        reason = f"{type(error).__name__}: {_first_line(str(error))}"
        raise NotebookError(notebook, _stopped_cell(notebook, executed), reason) from None


def check_figures(notebook: Path, before: dict[Path, int | None], after: dict[Path, int | None]) -> None:
    """NotebookError where a declared figure is missing, empty, or still the one from before the run."""
    for path, stamp in after.items():
        if stamp is None or stamp == before[path]:
            what = "missing or empty" if stamp is None else "not written in this run"
            raise NotebookError(notebook, "-", f"the declared figure {path} is {what}")


def copy_outputs(executed: Path, notebook: Path) -> None:
    """Put the outputs of an executed copy into its notebook, without timings, progress bars and papermill's marks."""
    import nbformat

    target = nbformat.read(notebook, as_version=4)
    source = nbformat.read(executed, as_version=4)
    run_cells = [cell for cell in source.cells if INJECTED not in cell.metadata.get("tags", [])]
    count = 0
    for cell, run_cell in zip(target.cells, run_cells, strict=True):
        if cell.source != run_cell.source:
            raise ValueError(f"{notebook} was changed while it ran: run it again")
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        cell.metadata.pop("execution", None)
        cell.metadata.pop("papermill", None)
        cell.outputs = [output for output in run_cell.outputs if not _is_progress(output)]
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = count
    target.metadata.pop("papermill", None)
    target.metadata["language_info"] = {"name": "python"}
    target.metadata["kernelspec"] = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    target.metadata.pop("widgets", None)
    if any(WIDGET in output.get("data", {}) for cell in target.cells for output in cell.get("outputs", [])):
        target.metadata["widgets"] = source.metadata["widgets"]
    temporary = notebook.with_name(f".{notebook.name}.tmp")
    nbformat.write(target, temporary)
    temporary.replace(notebook)


def _is_progress(output: Any) -> bool:
    if output.output_type == "stream":
        return output.name == "stderr"
    data = output.get("data", {})
    return WIDGET in data and "%|" in data.get("text/plain", "")


def stamps(
    names: Sequence[str], profile: str, suffixes: Sequence[str] = ("png", "svg", "json")
) -> dict[Path, int | None]:
    """When each file of these figures was written (nanoseconds), None where it is missing or empty."""
    pictures, _ = outputs.folders(profile)
    paths = [pictures / f"{name}.{suffix}" for name in names for suffix in suffixes]
    return {path: path.stat().st_mtime_ns if path.is_file() and path.stat().st_size else None for path in paths}


def _stopped_cell(notebook: Path, executed: Path) -> str:
    """Index (from 0, in the notebook as committed) and first line of the cell that the executed copy stopped in."""
    import nbformat

    sources = [cell.source for cell in nbformat.read(notebook, as_version=4).cells]
    cells = nbformat.read(executed, as_version=4).cells if executed.is_file() else []
    begun = [cell.source for cell in cells if cell.metadata.get("papermill", {}).get("start_time")]
    if not begun:
        return "- (before the first cell)"
    index = sources.index(begun[-1]) if begun[-1] in sources else "parameters"
    return f"{index}: {_first_line(begun[-1])}"


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
