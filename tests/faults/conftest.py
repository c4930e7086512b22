"""Homes and projects of their own for what goes wrong: real models by hard links, the smoke profile in small."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from faults.places import CHECKOUT, NEEDED, NOTEBOOKS, SMALL, WHOLE, Place

from bitskept.base import store


@pytest.fixture(scope="session")
def whole():
    """Whether it is the smoke profile as it is, or in small."""
    return WHOLE


@pytest.fixture(scope="session")
def notebooks():
    """The notebooks that are run."""
    return NOTEBOOKS


@pytest.fixture(scope="session")
def cache():
    """The folder of models and texts that the checkout uses, with what is needed here in it."""
    fetched = subprocess.run(
        [sys.executable, "-m", "bitskept", "fetch", *NEEDED], cwd=CHECKOUT, capture_output=True, text=True
    )
    if fetched.returncode:
        pytest.skip(f"no model to work with: {fetched.stderr.strip()[-300:]}")
    return store.home()


@pytest.fixture(scope="session")
def make_home(cache, tmp_path_factory):
    """make_home(NAME): a home with models and texts and nothing else."""

    def make(name: str) -> Path:
        home = tmp_path_factory.mktemp(name) / "home"
        for one in ("wheels", *(f"models/{id}" for id in NEEDED if (cache / "models" / id).is_dir())):
            shutil.copytree(cache / one, home / one, copy_function=_link)
        return home

    return make


@pytest.fixture(scope="session")
def make_project(tmp_path_factory):
    """make_project(NAME): a project of its own with the notebooks and parameters of this one."""

    def make(name: str) -> Path:
        project = tmp_path_factory.mktemp(name) / "project"
        shutil.copytree(CHECKOUT / "params", project / "params")
        shutil.copytree(CHECKOUT / "notebooks", project / "notebooks", ignore=shutil.ignore_patterns(".*"))
        (project / "tmp").mkdir()
        smoke = project / "params" / "smoke.yaml"
        sections = yaml.safe_load(smoke.read_text("utf-8"))
        for stem, values in SMALL.items() if not WHOLE else ():
            section = sections[stem]
            mappings = section.keys() & {"training", "language"}
            nested = {name: section[name] | values.get(name, {}) for name in mappings}
            section |= values | nested
        smoke.write_text(yaml.safe_dump(sections), "utf-8")
        return project

    return make


@pytest.fixture(scope="session")
def two_batches(make_home, make_project):
    """Two batches of the same notebooks, started at once on one home. Neither is ever killed."""
    home = make_home("shared")
    places = [Place(home, make_project(f"batch{number}")) for number in range(2)]
    runs = [place.start(*NOTEBOOKS) for place in places]
    yield dict(zip(runs, places, strict=True))
    for run, place in zip(runs, places, strict=True):
        for process in [*place.processes(), run]:
            process.kill()
        run.wait()


@pytest.fixture
def place(make_home, make_project):
    """A home and a project where nothing was run yet."""
    return Place(make_home("own"), make_project("own"))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
