"""The command line: `bitskept models | corpora | tasks | fetch | run | measure | tune | grow`."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bitskept import __version__

if TYPE_CHECKING:
    from bitskept.batch import Run

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
        help="execute notebooks with the parameters of a profile",
        description="Execute notebooks with the parameters of params/PROFILE.yaml, into build/PROFILE/notebooks/.",
    )
    run.add_argument("--profile", choices=("smoke", "laptop", "paper"), default="laptop", help="default: laptop")
    run.add_argument("--write-back", action="store_true", help="laptop: also put the outputs into notebooks/")
    run.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="as 02_layer_sweep or 02 (default: all)")

    measure = commands.add_parser(
        "measure",
        help="measure models for the correlations, one after the other",
        description="Measure the models of 04_ib_correlations into the store, passing over those that are in it. "
        "Several machines can share the list, and their stores be copied together.",
    )
    measure.add_argument("--profile", choices=("smoke", "laptop", "paper"), default="laptop", help="default: laptop")
    measure.add_argument("models", nargs="*", metavar="MODEL", help="ids (default: all that the profile names)")

    tune = commands.add_parser(
        "tune",
        help="train what the fine-tuning notebook compares",
        description="Train all arms and seeds of 03_fine_tuning, passing over those that are there. On several GPUs: "
        "accelerate launch -m bitskept tune --profile paper. The notebook then finds the tuned models.",
    )
    tune.add_argument("--profile", choices=("smoke", "laptop", "paper"), default="laptop", help="default: laptop")

    grow = commands.add_parser(
        "grow",
        help="train the twins whose training the notebook on dynamics follows",
        description="Train the twins of 05_training_dynamics, passing over those that are there, side by side on the "
        "cores of a CPU and one after the other on a GPU. Several machines can share them by name, and their folders "
        "BITSKEPT_HOME/models/twins be copied together.",
    )
    grow.add_argument("--profile", choices=("smoke", "laptop", "paper"), default="laptop", help="default: laptop")
    grow.add_argument("twins", nargs="*", metavar="TWIN", help="causal, masked, ... (default: all of the profile)")
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status. What goes wrong is told in a message, never in a traceback."""
    chosen = parser().parse_args(arguments)
    try:
        if chosen.command == "run":
            run(chosen.profile, chosen.notebooks, chosen.write_back)
        elif chosen.command == "measure":
            measure(chosen.profile, chosen.models)
        elif chosen.command == "tune":
            tune(chosen.profile)
        elif chosen.command == "grow":
            grow(chosen.profile, chosen.twins)
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
        print(f"bitskept: {error.args[0] if error.args else error}", file=sys.stderr)
        return MISUSE
    except (OSError, RuntimeError) as error:
        print(error if type(error).__name__ == "NotebookError" else f"bitskept: {error}", file=sys.stderr)
        return FAILURE
    return 0


def run(profile: str, notebooks: list[str], write_back: bool) -> None:
    """Execute notebooks and print what each took. The parameter file is read before anything heavy is imported."""
    from bitskept import params

    params.load(profile)
    from bitskept import batch

    print(summary(batch.run(profile, notebooks, write_back=write_back)))


def measure(profile: str, ids: list[str]) -> None:
    """Measure models for the correlations of notebook 04. RuntimeError, at the end, that tells which failed and why."""
    from bitskept import params
    from bitskept.sources import registry, unknown

    section = params.load(profile)["04_ib_correlations"]
    known = registry("models")
    for one in ids:
        if one.partition("@")[0] not in known and not Path(one).expanduser().exists():
            raise unknown("model", one, known)
    from bitskept.measure import jobs

    if failures := jobs.run(section, ids):
        reasons = [f"  {id}: {reason}" for id, reason in failures.items()]
        raise RuntimeError("\n".join([f"{len(failures)} failed; the other models are in the store", *reasons]))


def tune(profile: str) -> None:
    """Train all runs of notebook 03, one after the other, and print their ids."""
    from bitskept import params

    section = params.load(profile)["03_fine_tuning"]
    from bitskept.training import comparison

    runs, _ = comparison.tune(section)
    print("\n".join(runs["id"]))


def grow(profile: str, names: list[str]) -> None:
    """Train the twins of notebook 05 and print the ids of the last checkpoints; LookupError for a name that is none."""
    from bitskept import params

    section = params.load(profile)["05_training_dynamics"]
    if wrong := [name for name in names if name not in section.twins]:
        raise LookupError(f"the {profile} profile has no twin {wrong[0]}: choose from {', '.join(section.twins)}")
    from bitskept.training import dynamics

    checkpoints, _ = dynamics.grow(section, names)
    print("\n".join(checkpoints.loc[checkpoints["step"] == section.steps, "id"]))


def summary(runs: "list[Run]") -> str:
    """One line a notebook: seconds, and what came from the store."""
    lines = [f"{'notebook':24}{'seconds':>9}{'from store':>12}{'computed':>10}{'computing s':>13}"]
    for one in runs:
        counts = f"{one.from_store:12d}{one.computed:10d}"
        lines.append(f"{one.stem:24}{one.seconds:9.1f}{counts}{one.computing_seconds:13.1f}")
    return "\n".join(lines)


def show(kind: str) -> None:
    """Print the catalogue of models, of corpora or of tasks."""
    from importlib import import_module

    print(import_module(f"bitskept.sources.{kind}").catalogue().to_string(index=False))


def fetch(ids: list[str], accept_terms: list[str]) -> None:
    """Download models, corpora and tasks by id; LookupError, before anything is downloaded, for an id that is none."""
    from bitskept import params
    from bitskept.sources import corpora, models, registry, tasks, unknown

    sweep = params.load("laptop")["02_layer_sweep"]
    others = dict.fromkeys(registry("corpora"), corpora) | dict.fromkeys(registry("tasks"), tasks)
    known = {**registry("models"), **others}
    chosen = ids or [*sweep.models, sweep.corpus]
    for one in chosen:
        if one.partition("@")[0] not in known and not Path(one).expanduser().exists():
            raise unknown("model or corpus", one, known)
    for one in chosen:
        others[one].fetch(one) if one in others else models.fetch(one, accept_terms=accept_terms or sweep.accept_terms)
        print(f"{one} is here")


if __name__ == "__main__":
    sys.exit(main())
