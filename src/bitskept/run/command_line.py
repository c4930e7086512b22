"""The command line: `bitskept models | corpora | tasks | fetch | run | redraw | measure | tune | grow | jobs`."""

import argparse
import json
import signal
import sys
from typing import TYPE_CHECKING, Any

from bitskept import __version__, error_text

if TYPE_CHECKING:
    from bitskept.run.run_record import Run

FAILURE, MISUSE, INTERRUPTED = 1, 2, 130


def parser() -> argparse.ArgumentParser:
    """The arguments; nothing heavy is imported for `--help`."""
    top = argparse.ArgumentParser(
        prog="bitskept",
        description="How many bits about its input does a language model keep, layer by layer?",
        epilog="Environment: BITSKEPT_HOME, folder of models, texts and results (default: .cache/ in the checkout); "
        "BITSKEPT_ROOT, folder of build/, figures/ and results/ (default: the checkout, or else the current folder); "
        "BITSKEPT_DATA, your own folder of data, searched before any hub; BITSKEPT_PROCESSES, the "
        "most jobs that run side by side (default: as many as cores and memory allow).",
    )
    top.add_argument("--version", action="version", version=f"bitskept {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, summary: str, description: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=summary, description=description)
        profile = "smoke, laptop, paper, the name of another file in params/, or a path (default: laptop)"
        command.add_argument("--profile", default="laptop", metavar="PROFILE", help=profile)
        return command

    commands.add_parser("models", help="list the models: what is here, size, licence, source")
    commands.add_parser("corpora", help="list the texts: what is here, size, licence, source")
    commands.add_parser("tasks", help="list the tasks that models are judged by: what is here, licence, source")

    fetch = commands.add_parser("fetch", help="download models and texts", description="Download models and texts.")
    fetch.add_argument("ids", nargs="*", metavar="ID", help="a model, a text or a task (default: those of laptop)")
    fetch.add_argument(
        "--accept-terms", nargs="+", default=[], metavar="TERMS", help="terms that you accept, such as: gemma"
    )

    run = add(
        "run",
        "execute notebooks with the parameters of a profile",
        "Execute notebooks with the parameters of a profile, into build/PROFILE/notebooks/.",
    )
    run.add_argument("--write-back", action="store_true", help="laptop only: also put the outputs into notebooks/")
    redraw = add(
        "redraw",
        "draw the figures again from their tables",
        "Draw the figures again from their tables, without a model, a text or a training run, into "
        "build/PROFILE/redrawn/.",
    )
    for command in (run, redraw):
        command.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="as 02_layer_sweep or 02 (default: all)")

    more = "What is in the store is not done again. Several machines can share the list and then merge their stores. "
    measure = add(
        "measure",
        "measure what the notebooks need from models",
        more + "A model that the profile does not name is measured for 04_ib_correlations.",
    )
    tune = add(
        "tune",
        "train the models that the notebook on fine-tuning compares",
        more + "On several GPUs: accelerate launch -m bitskept tune --profile paper.",
    )
    grow = add("grow", "train the small models that the notebook on training dynamics follows", more)
    for command in (measure, tune, grow):
        if command is measure:
            dry = "only say how many models, gigabytes and about how many hours it would take"
            command.add_argument("--dry-run", action="store_true", help=dry)
        command.add_argument("--notebook", metavar="NN", help="only what this notebook needs, as 02 (default: all)")
        command.add_argument("names", nargs="*", metavar="NAME", help="a model, run, twin or job (default: all)")

    add(
        "jobs",
        "print the jobs of a profile as JSON",
        "Print the jobs of a profile and its notebooks as JSON, for an engine that runs them: each is one call of "
        "measure, tune or grow. The Snakefile reads it.",
    )
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status. Errors end in a message, never in a traceback."""
    chosen = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's or a shell's kill is an interrupt as well
    try:
        if chosen.command == "run":
            run(chosen.profile, chosen.notebooks, chosen.write_back)
        elif chosen.command == "redraw":
            redraw(chosen.profile, chosen.notebooks)
        elif chosen.command in ("measure", "tune", "grow"):
            dry_run = getattr(chosen, "dry_run", False)
            work(chosen.command, chosen.profile, chosen.names, chosen.notebook, dry_run=dry_run)
        elif chosen.command == "jobs":
            jobs(chosen.profile)
        elif chosen.command == "fetch":
            fetch(chosen.ids, chosen.accept_terms)
        else:
            show(chosen.command)
    except KeyboardInterrupt:
        print("\nbitskept: interrupted; what was finished is kept for the next run", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `bitskept models | head`
        sys.stderr.close()
        return FAILURE
    except (ValueError, LookupError) as error:
        print(f"bitskept: {error_text(error)}", file=sys.stderr)
        return MISUSE
    except (OSError, RuntimeError, MemoryError) as error:
        is_notebook = type(error).__name__ == "NotebookError"
        print(error if is_notebook else f"bitskept: {error_text(error)}", file=sys.stderr)
        return FAILURE
    return 0


def run(profile: str, names: list[str], write_back: bool) -> None:
    """Execute notebooks and print a summary."""
    from bitskept.base import params

    path = params.find(profile)  # before anything heavy is imported
    from bitskept.run import batch

    print(summary(path.stem, batch.run(profile, names, write_back=write_back)))


def redraw(profile: str, names: list[str]) -> None:
    """Draw figures from their tables and print where they are."""
    from bitskept.run import redraw

    pictures = redraw.redraw(profile, names)
    print(f"{len(pictures)} files in {pictures[0].parent}")


def work(command: str, profile: str, names: list[str], notebook: str | None, *, dry_run: bool = False) -> None:
    """Do the jobs of a command, or only say what they take (`dry_run`). RuntimeError, at the end, that says which
    failed and why.
    """
    from bitskept.base import params
    from bitskept.base.files import on_disk
    from bitskept.run import jobs, notebooks
    from bitskept.sources import registry

    sections = params.load(profile, notebooks.SECTIONS)
    models = [name for name in names if name.partition("@")[0] in registry("models") or on_disk(name)]
    found = [job for job in jobs.jobs(sections, models) if job.command == command]
    chosen = jobs.select(found, names, notebook)
    if dry_run:
        from bitskept.run.forecast import forecast

        print(forecast(chosen))
        return
    if failures := jobs.run(chosen):
        reasons = [f"  {name}: {reason}" for name, reason in failures.items()]
        raise RuntimeError("\n".join([f"{len(failures)} failed; the others are in the store", *reasons]))
    print(f"{len(chosen)} done, or done before: {', '.join(job.name for job in chosen)}")


def jobs(profile: str) -> None:
    """Print the jobs and notebooks of a profile as JSON."""
    from bitskept.base import params
    from bitskept.run import jobs, notebooks

    print(json.dumps(jobs.listing(params.load(profile, notebooks.SECTIONS))))


def summary(profile: str, runs: "list[Run]") -> str:
    """A line for each notebook (seconds, results computed and from the store), one for all, and where everything is."""
    from bitskept import root
    from bitskept.base import publishing
    from bitskept.run import run_record

    rows = [
        {
            "notebook": run.stem,
            "seconds": run.seconds,
            "computed": run.computed,
            "from store": run.from_store,
        }
        for run in runs
    ]
    total = {name: round(sum(row[name] for row in rows), 1) for name in rows[0] if name != "notebook"}
    total = {"notebook": "all"} | total
    places = (*publishing.folders(profile), root() / "build" / profile / "notebooks", run_record.file(profile))
    lines = zip(("figures", "tables", "notebooks as run", "record"), places, strict=True)
    return "\n".join(
        [columns([*rows, total] if len(rows) > 1 else rows), *(f"{what + ':':18}{place}" for what, place in lines)]
    )


def show(kind: str) -> None:
    """Print the catalogue of models, of corpora or of tasks."""
    from bitskept.sources import corpora, model_files, tasks

    print(columns({"models": model_files, "corpora": corpora, "tasks": tasks}[kind].catalogue()))


def columns(rows: list[dict[str, Any]]) -> str:
    """Rows as lines of text under the names of their columns, numbers to the right (pandas takes long to import)."""
    lines = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = [str.rjust if isinstance(value, int | float) else str.ljust for value in rows[0].values()]
    return "\n".join(
        "  ".join(side(cell, width) for side, cell, width in zip(sides, line, widths, strict=True)).rstrip()
        for line in lines
    )


def fetch(ids: list[str], accept_terms: list[str]) -> None:
    """Download models, corpora and tasks by id. One that cannot be had stops no other; the errors come at the end.

    Before anything is downloaded: LookupError for an unknown id, ValueError for a BITSKEPT_HOME or BITSKEPT_DATA that
    is no folder.
    """
    from bitskept import named_folder
    from bitskept.base import params
    from bitskept.base.files import on_disk
    from bitskept.base.store import home
    from bitskept.sources import corpora, model_files, registry, tasks, unknown

    sweep = params.read_yaml(params.find("laptop"))["02_layer_sweep"]
    others = dict.fromkeys(registry("corpora"), corpora) | dict.fromkeys(registry("tasks"), tasks)
    known = {**registry("models"), **others}
    chosen = ids or [*sweep["models"], sweep["corpus"]]
    for id in chosen:
        if id.partition("@")[0] not in known and not on_disk(id):
            raise unknown("model or corpus", id, known)
    home()  # folders that cannot be are said once, not with every id
    named_folder("BITSKEPT_DATA")
    failures = []
    for id in chosen:
        try:
            if id in others:
                others[id].fetch(id)
            else:
                model_files.fetch(id, accept_terms=accept_terms or sweep["accept_terms"])
            print(f"{id} is here")
        except (OSError, RuntimeError, ValueError, LookupError) as error:
            failures.append((id, error))
    if len(failures) == 1:
        raise failures[0][1]
    if failures:
        reasons = [f"  {id}: {error_text(error)}" for id, error in failures]
        raise RuntimeError("\n".join([f"{len(failures)} cannot be had; the others are here", *reasons]))
