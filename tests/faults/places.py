"""Homes and projects where things may go wrong, and runs in them."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

CHECKOUT = Path(__file__).parents[2]
WHOLE = os.environ.get("BITSKEPT_FAULTS") == "whole"  # the smoke profile as it is, every notebook: an hour or so
NOTEBOOKS = sorted(path.stem for path in (CHECKOUT / "notebooks").glob("[0-9]*.ipynb"))
if not WHOLE:
    NOTEBOOKS = ["03_fine_tuning", "05_training_dynamics"]
SMALL = {
    "03_fine_tuning": {
        "tuning": {
            "minilm-l6": {
                "arms": ["recoverability", "continued"],
                "first_rate_arms": [],
                "rates": [1e-3],
                "seeds": [0],
                "steps": 3,
                "checkpoints": [],
                "dose_tasks": [],
                "batch": 8,
            }
        },
        "measuring": {
            "minilm-l6": {
                "train_sentences": 30,
                "validation_sentences": 10,
                "test_sentences": 10,
                "layers": 3,
                "items": 10,
            }
        },
        "curve_sentences": 5,
        "tasks": ["wordsim353"],
        "data_tasks": [],
    },
    "05_training_dynamics": {
        "language": {"seeds": [0], "factors": {"replaced": [0]}},
        "twins": ["next token", "BERT's rule"],
        "other_twins": {},
        "varied": ["next token"],
        "training": {"steps": 4, "sentences": 32, "test_sentences": 10},
        "train_sentences": 30,
        "smaller_train_sentences": [15],
        "validation_sentences": 10,
        "soft_sentences": 20,
        "anchors": 10,
        "tasks": ["wordsim353"],
        "data_tasks": [],
        "items": 10,
    },
}
NEEDED = ["minilm-l6", "mixed", "wordsim353"] + (["smollm2-135m"] if WHOLE else [])
NO_NETWORK = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "HF_HUB_OFFLINE": "1"}


def environment(home: Path, project: Path | None = None) -> dict[str, str]:
    """No network, and one place for everything that may be left behind."""
    # PYTEST_: ipykernel reads these, and then drops what the processes of a notebook print.
    ours = ("BITSKEPT_", "PIP_", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    own = {"BITSKEPT_HOME": str(home), "PYTHONPATH": str(CHECKOUT / "tests")}
    if project:
        own |= {
            "BITSKEPT_ROOT": str(project),
            "TMPDIR": str(project / "tmp"),
            "JUPYTER_RUNTIME_DIR": str(project / "tmp"),
        }
    return kept | NO_NETWORK | own


@dataclass(frozen=True)
class Place:
    """A home, a project, and what is run there."""

    home: Path
    project: Path

    @property
    def build(self) -> Path:
        """Where the smoke profile's results go."""
        return self.project / "build" / "smoke"

    def start(self, *notebooks: str) -> subprocess.Popen:
        """`bitskept run --profile smoke`, the leader of a process group."""
        for stem in notebooks:  # this run may be killed before it starts its own log
            (self.build / "logs" / f"{stem}.jsonl").unlink(missing_ok=True)
        with (self.project / "told.log").open("a") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "bitskept", "run", "--profile", "smoke", *notebooks],
                env=environment(self.home, self.project), cwd=self.project, stdout=file, stderr=file,
                start_new_session=True,
            )  # fmt: skip

    def told(self) -> str:
        """What all runs printed."""
        return (self.project / "told.log").read_text()

    def processes(self) -> list[psutil.Process]:
        """All that runs for this project: batches, kernels and their jobs."""
        found = []
        for process in psutil.process_iter():
            try:
                own = process.environ().get("BITSKEPT_ROOT") == str(self.project)
                found += [process] if own and process.status() != psutil.STATUS_ZOMBIE else []
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def leftovers(self) -> list[str]:
        """Files that no run leaves that ended well."""
        patterns = (".partial-*", ".*.tmp", ".*.lock", "*.training", "*.damaged")
        folders = (self.home, self.project / "build")
        return [str(path) for folder in folders for pattern in patterns for path in folder.rglob(pattern)]
