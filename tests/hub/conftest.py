"""A hub on loopback, a project and a home for all tests of this folder. Nothing here reaches a network.

`make test` serves one entry of the registry for each family, `make test-hub` (BITSKEPT_HUB=whole) all of them.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hub import repositories
from hub.server import Hub

TABLE = {}  # (family, step): "ok", or why not


@dataclass(frozen=True)
class Place:
    """A project with this project's registries and notebooks, its home and data folder, and the hub."""

    folder: Path
    hub: Hub

    @property
    def project(self):
        return self.folder / "project"

    @property
    def home(self):
        return self.folder / "home"

    @property
    def data(self):
        return self.folder / "data"

    @property
    def corpus(self):
        """The path of a text."""
        return self.folder / "text.txt"

    def variables(self, **others):
        """The environment of a command: the hub on loopback and no way to anywhere else."""
        names = {"ROOT": self.project, "HOME": self.home, "DATA": self.data}
        found = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        found |= {f"BITSKEPT_{name}": str(path) for name, path in names.items()}
        found |= {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": self.hub.address, "HF_HUB_DISABLE_XET": "1",
                  "HF_HOME": str(self.folder / "client"), "NO_PROXY": "127.0.0.1,localhost",
                  "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1", "PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_RETRIES": "0",
                  "JUPYTER_RUNTIME_DIR": str(self.folder / "jupyter")}  # fmt: skip
        return found | others

    def bitskept(self, *arguments, **others):
        """Run a command: the finished process, with what it printed."""
        command = [sys.executable, "-m", "bitskept", *arguments]
        return subprocess.run(
            command, cwd=self.project, env=self.variables(**others), capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """The place of all tests here, with its hub at work."""
    folder = tmp_path_factory.mktemp("hub")
    with Hub(folder / "served") as hub:
        found = Place(folder, hub)
        shutil.copytree(repositories.CHECKOUT / "params", found.project / "params", ignore=_lock)
        shutil.copytree(repositories.CHECKOUT / "notebooks", found.project / "notebooks")
        found.data.mkdir()
        lines = repositories.sentences(240)
        found.corpus.write_text("\n".join(lines) + "\n", "utf-8")
        for id in repositories.SERVED:
            repositories.put_model(hub, id)
        repositories.put_data_sets(hub, lines)
        yield found


def _lock(_folder, names):
    return [name for name in names if name.endswith(".lock")]


@pytest.fixture(scope="session")
def fetched(place):
    """The place, after `bitskept fetch` of everything that is served; and what that printed."""
    done = place.bitskept("fetch", *repositories.SERVED, "--accept-terms", *repositories.TERMS)
    return place, done


@pytest.fixture
def here(fetched, monkeypatch):
    """The place, entered by this process, which reads what was fetched and asks no hub."""
    found, _ = fetched
    for name, path in (("ROOT", found.project), ("HOME", found.home), ("DATA", found.data)):
        monkeypatch.setenv(f"BITSKEPT_{name}", str(path))
    monkeypatch.setenv("BITSKEPT_PROCESSES", "1")
    return found


@pytest.fixture(scope="session")
def cells():
    """The table of families and steps, which is shown at the end."""
    return TABLE


def pytest_terminal_summary(terminalreporter):
    if not (TABLE and (repositories.WHOLE or terminalreporter.verbosity > 0)):
        return
    steps = list(dict.fromkeys(step for _, step in TABLE))
    rows = [["family", *steps]]
    rows += [
        [family, *(TABLE.get((family, step), "-") for step in steps)] for family in dict.fromkeys(f for f, _ in TABLE)
    ]
    terminalreporter.section("families of the hub")
    terminalreporter.write_line(repositories.table(rows))
