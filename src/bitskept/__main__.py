"""The command line: `bitskept models | corpora | tasks | fetch | run | redraw | measure | tune | grow | jobs`."""

import argparse
import json
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from bitskept import __version__, told

if TYPE_CHECKING:
    from bitskept.run_record import Run

FAILURE, MISUSE, INTERRUPTED = 1, 2, 130


def parser() -> argparse.ArgumentParser:
    """The arguments; nothing heavy is imported for `--help`."""
    top = argparse.ArgumentParser(
        prog="bitskept",
        description="How many bits about its input does a language model keep, layer by layer?",
        epilog="Environment: BITSKEPT_HOME, the folder of models, text and results (default: .cache/ in the checkout); "
        "BITSKEPT_DATA, your own folder of data, looked at before any hub; BITSKEPT_PROCESSES, how many jobs run side "
        "by side at most (default: as many as there are cores and memory for).",
    )
    top.add_argument("--version", action="version", version=f"bitskept {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    profile = argparse.ArgumentParser(add_help=False)
    profile.add_argument("--profile", choices=("smoke", "laptop", "paper"), default="laptop", help="default: laptop")

    commands.add_parser("models", help="list the models: what is here, size, licence, source")
    commands.add_parser("corpora", help="list the texts: what is here, size, licence, source")
    commands.add_parser("tasks", help="list what models are judged by: what is here, licence, source")

    fetch = commands.add_parser("fetch", help="download models and texts", description="Download models and texts.")
    fetch.add_argument("ids", nargs="*", metavar="ID", help="a model, a text or a task (default: as in laptop)")
    fetch.add_argument(
        "--accept-terms", nargs="+", default=[], metavar="TERMS", help="terms that you accept, as: gemma"
    )

    run = commands.add_parser(
        "run",
        parents=[profile],
        help="execute notebooks with the parameters of a profile",
        description="Execute notebooks with the parameters of params/PROFILE.yaml, into build/PROFILE/notebooks/.",
    )
    run.add_argument("--write-back", action="store_true", help="laptop: also put the outputs into notebooks/")
    run.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="as 02_layer_sweep or 02 (default: all)")

    redraw = commands.add_parser(
        "redraw",
        parents=[profile],
        help="draw the figures again from the tables that are kept",
        description="Draw the figures again from the kept tables, without a model, a text or a training run, into "
        "build/PROFILE/redrawn/.",
    )
    redraw.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="as 02_layer_sweep or 02 (default: all)")

    measure = commands.add_parser(
        "measure",
        parents=[profile],
        help="measure what the notebooks ask of models, one after the other",
        description="Measure what the notebooks ask of models into the store, passing over what is in it. Several "
        "machines can share the list, and their stores be copied together. A model that the profile does not name is "
        "measured for 04_ib_correlations.",
    )
    measure.add_argument("--notebook", metavar="NN", help="only what this one asks, as 02 (default: all)")
    measure.add_argument("models", nargs="*", metavar="MODEL", help="ids, runs, or names of jobs (default: all)")

    tune = commands.add_parser(
        "tune",
        parents=[profile],
        help="train what the fine-tuning notebook compares",
        description="Train the arms and seeds of 03_fine_tuning, passing over those that are there. On several GPUs: "
        "accelerate launch -m bitskept tune --profile paper. The notebook then finds the tuned models.",
    )
    tune.add_argument("runs", nargs="*", metavar="RUN", help="as MODEL-ARM-SEED (default: all of the profile)")

    grow = commands.add_parser(
        "grow",
        parents=[profile],
        help="train the twins whose training the notebook on dynamics follows",
        description="Train the twins of 05_training_dynamics, passing over those that are there, side by side on the "
        "cores of a CPU and one after the other on a GPU. Several machines can share them by name, and their folders "
        "BITSKEPT_HOME/models/twins be copied together.",
    )
    grow.add_argument("twins", nargs="*", metavar="TWIN", help="as causal or causal-0 (default: all of the profile)")

    commands.add_parser(
        "jobs",
        parents=[profile],
        help="print, as JSON, the jobs that a profile consists of",
        description="Print the jobs of a profile and their notebooks as JSON, for an engine that runs them: each is "
        "one call of measure, tune or grow. The Snakefile reads it.",
    )
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status. What goes wrong is told in a message, never in a traceback."""
    chosen = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's or a shell's kill is an interrupt as well
    try:
        if chosen.command == "run":
            run(chosen.profile, chosen.notebooks, chosen.write_back)
        elif chosen.command == "redraw":
            redraw(chosen.profile, chosen.notebooks)
        elif chosen.command == "measure":
            measure(chosen.profile, chosen.models, chosen.notebook)
        elif chosen.command == "tune":
            tune(chosen.profile, chosen.runs)
        elif chosen.command == "grow":
            grow(chosen.profile, chosen.twins)
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
        print(f"bitskept: {told(error)}", file=sys.stderr)
        return MISUSE
    except (OSError, RuntimeError, MemoryError) as error:
        print(error if type(error).__name__ == "NotebookError" else f"bitskept: {told(error)}", file=sys.stderr)
        return FAILURE
    return 0


def run(profile: str, notebooks: list[str], write_back: bool) -> None:
    """Execute notebooks and print what each took. The parameter file is read before anything heavy is imported."""
    from bitskept import params

    params.load(profile)
    clock = time.perf_counter()
    _prepare(notebooks)
    from bitskept import batch

    runs = batch.run(profile, notebooks, write_back=write_back)
    print(summary(profile, runs, time.perf_counter() - clock))


def _prepare(notebooks: list[str]) -> None:
    """Several notebooks need what takes long to import, and so does this process, at the same time."""
    from bitskept import processes

    if len(notebooks) != 1:
        processes.prepare()


def redraw(profile: str, notebooks: list[str]) -> None:
    """Draw figures from kept tables and print where they are."""
    _prepare(notebooks)
    from bitskept import redraw

    pictures = redraw.redraw(profile, notebooks)
    print(f"{len(pictures)} files in {pictures[0].parent}")


def measure(profile: str, names: list[str], notebook: str | None) -> None:
    """Measure what notebooks ask of models. RuntimeError, at the end, that tells which failed and why."""
    from bitskept import params
    from bitskept.sources import on_disk, registry

    sections = params.load(profile)
    known = registry("models")
    more = [one for one in names if one.partition("@")[0] in known or on_disk(one)]
    from bitskept import graph, job

    found = [one for one in graph.jobs(sections, more) if one.command == "measure"]
    if failures := job.run(job.select(found, names, notebook)):
        reasons = [f"  {name}: {reason}" for name, reason in failures.items()]
        raise RuntimeError("\n".join([f"{len(failures)} failed; the others are in the store", *reasons]))


def tune(profile: str, names: list[str]) -> None:
    """Train the runs of notebook 03, or those named, and print their ids; LookupError for a name that is none."""
    from bitskept import params

    section = params.load(profile)["03_fine_tuning"]
    from bitskept.training import comparison

    _named(
        names, [comparison.run_name(plan) for plan in comparison.plans(section)], f"the {profile} profile has no run"
    )
    runs, _ = comparison.tune(section, names)
    print("\n".join(runs["id"]))


def grow(profile: str, names: list[str]) -> None:
    """Train the twins of notebook 05, or those named, and print the ids of the last checkpoints; LookupError for a name
    that is none.
    """
    from bitskept import params

    section = params.load(profile)["05_training_dynamics"]
    from bitskept.training import dynamics

    runs = [dynamics.run_name(section, *one) for one in dynamics.plans(section)]
    _named(names, [*section.twins, *section.varied, *runs], f"the {profile} profile has no twin")
    checkpoints, _ = dynamics.grow(section, names)
    print("\n".join(checkpoints.loc[checkpoints["step"] == section.steps, "id"]))


def _named(names: list[str], known: list[str], without: str) -> None:
    if wrong := [name for name in names if name not in known]:
        raise LookupError(f"{without} {wrong[0]}: choose from {', '.join(dict.fromkeys(known))}")


def jobs(profile: str) -> None:
    """Print the jobs and notebooks of a profile as JSON."""
    from bitskept import params

    sections = params.load(profile)
    from bitskept import graph

    print(json.dumps(graph.listing(sections)))


def summary(profile: str, runs: "list[Run]", seconds: float) -> str:
    """A line a notebook (time, results from the store and computed, memory), one for all, which took so many seconds,
    and where everything is.
    """
    from bitskept import outputs, root, run_record

    rows = [
        {
            "notebook": one.stem,
            "seconds": round(one.seconds, 1),
            "CPU seconds": round(one.cpu_seconds, 1),
            "peak MB": round(one.peak_memory / 1e6),
            "from store": one.from_store,
            "computed": one.computed,
            "computing s": round(one.computing_seconds, 1),
        }
        for one in runs
    ]
    total = {name: round(sum(row[name] for row in rows), 1) for name in rows[0] if name != "notebook"}
    total |= {"seconds": round(seconds, 1), "peak MB": max(row["peak MB"] for row in rows)}
    where = (*outputs.folders(profile), root() / "build" / profile / "notebooks", run_record.file(profile))
    lines = zip(("figures", "tables", "notebooks as run", "record"), where, strict=True)
    return "\n".join(
        [columns([*rows, {"notebook": "all"} | total]), *(f"{what + ':':18}{path}" for what, path in lines)]
    )


def show(kind: str) -> None:
    """Print the catalogue of models, of corpora or of tasks."""
    from bitskept.sources import corpora, model_files, tasks

    print(columns({"models": model_files, "corpora": corpora, "tasks": tasks}[kind].catalogue()))


def columns(rows: list[dict[str, Any]]) -> str:
    """Rows as lines of text under the names of their columns, numbers to the right; pandas takes longer to import."""
    lines = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = [str.rjust if isinstance(value, int | float) else str.ljust for value in rows[0].values()]
    return "\n".join(
        "  ".join(side(cell, width) for side, cell, width in zip(sides, line, widths, strict=True)).rstrip()
        for line in lines
    )


def fetch(ids: list[str], accept_terms: list[str]) -> None:
    """Download models, corpora and tasks by id; LookupError, before anything is downloaded, for an id that is none."""
    from bitskept import params
    from bitskept.sources import corpora, model_files, on_disk, registry, tasks, unknown

    sweep = params.load("laptop")["02_layer_sweep"]
    others = dict.fromkeys(registry("corpora"), corpora) | dict.fromkeys(registry("tasks"), tasks)
    known = {**registry("models"), **others}
    chosen = ids or [*sweep.models, sweep.corpus]
    for one in chosen:
        if one.partition("@")[0] not in known and not on_disk(one):
            raise unknown("model or corpus", one, known)
    for one in chosen:
        if one in others:
            others[one].fetch(one)
        else:
            model_files.fetch(one, accept_terms=accept_terms or sweep.accept_terms)
        print(f"{one} is here")


if __name__ == "__main__":
    sys.exit(main())
