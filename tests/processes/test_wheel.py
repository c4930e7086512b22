"""The wheel brings along what a run needs, and results go into a folder of the user's, not into the package."""

import json
import os
import shutil
import subprocess
import sys
from zipfile import ZipFile

import pytest

BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
RUN = """
import json, sys
from pathlib import Path
import bitskept
from bitskept.run import batch, command_line, notebooks
batch.execute = lambda notebook, copy, parameters: copy.write_text(json.dumps([str(notebook), parameters]))
notebooks.figure_functions = lambda stem: {}
sys.exit(command_line.main(["run", "01", "--profile", "smoke"]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory, checkout):
    """A folder with the package as `pip wheel .` packs it."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = shutil.copytree(
        checkout / "src", folder / "project" / "src", symlinks=True, ignore=shutil.ignore_patterns("*.egg-info")
    )
    for name in ("params", "notebooks"):
        (copy.parent / name).symlink_to(checkout / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(checkout / name, copy.parent)
    subprocess.run([sys.executable, "-c", BUILD, folder], cwd=copy.parent, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    ZipFile(wheel).extractall(folder / "installed")
    return folder / "installed"


def test_it_has_every_profile_registry_and_notebook(installed, checkout):
    for kind, pattern in (("params", "*.yaml"), ("notebooks", "*.ipynb")):
        packed = {path.name: path.read_bytes() for path in (installed / "bitskept" / "project" / kind).iterdir()}
        assert packed == {path.name: path.read_bytes() for path in (checkout / kind).glob(pattern)}


def test_a_run_outside_a_checkout_writes_into_the_current_folder_alone(installed, tmp_path):
    before = sorted(installed.rglob("*"))
    environment = {name: value for name, value in os.environ.items() if name != "BITSKEPT_ROOT"}
    environment |= {
        "PYTHONPATH": str(installed),
        "BITSKEPT_HOME": str(tmp_path / "home"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    mine = tmp_path / "mine"
    mine.mkdir()
    subprocess.run([sys.executable, "-c", RUN], cwd=mine, env=environment, check=True, capture_output=True)
    notebook, parameters = json.loads((mine / "build" / "smoke" / "notebooks" / "01_theory_bounds.ipynb").read_text())
    assert notebook == str(installed / "bitskept" / "project" / "notebooks" / "01_theory_bounds.ipynb")
    assert parameters == {"profile": "smoke"}
    assert {path.name for path in mine.iterdir()} == {"build"}
    assert sorted(installed.rglob("*")) == before
