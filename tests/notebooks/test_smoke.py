"""The notebooks as the smoke profile runs them, and as a reader may run them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from pictures import picture_data

from bitskept.base import params, publishing, store
from bitskept.run import jobs
from bitskept.run.notebooks import SECTIONS, figure_functions

CHECKOUT = Path(__file__).parents[2]
CHEAP = "01_theory_bounds"


@pytest.fixture(scope="module")
def smoke():
    """The build folder of the smoke profile, whose notebooks the command line has run with the checkout's cache."""
    command = [sys.executable, "-m", "bitskept", "run", "--profile", "smoke"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return CHECKOUT / "build" / "smoke"


def test_every_notebook_runs_to_its_end_and_leaves_no_widget(smoke):
    for stem in SECTIONS:
        notebook = nbformat.read(smoke / "notebooks" / f"{stem}.ipynb", as_version=4)
        assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code"), stem
        assert "widgets" not in notebook.metadata, f"{stem}: a progress bar that is a widget can hang a notebook"


def test_the_figures_are_redrawn_from_their_tables_alone(smoke, tmp_path):
    """Without a model, a text, a stored result or a network, and what they show is the same."""
    nothing = {"BITSKEPT_HOME": str(tmp_path / "home"), "PIP_INDEX_URL": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "bitskept", "redraw", "--profile", "smoke"]
    done = subprocess.run(command, cwd=CHECKOUT, env=os.environ | nothing, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "home").exists()
    for name in [name for stem in SECTIONS for name in figure_functions(stem)]:
        redrawn = smoke / "redrawn" / f"{name}.svg"
        assert picture_data(redrawn) == picture_data(smoke / "figures" / f"{name}.svg"), name
        assert f"redrawn from the kept table {name}.csv" in redrawn.read_text("utf-8")


def read_log(path):
    """The results in a log, as (function, digest), and those of them that were computed."""
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    computed = [line for line in lines if not line["from_store"]]
    return tuple({(line["function"], line["digest"]) for line in chosen} for chosen in (lines, computed))


@pytest.mark.parametrize("stem", list(SECTIONS)[2:])
@pytest.mark.filterwarnings("ignore:.* is left out")
def test_jobs_leave_nothing_to_the_notebook_but_to_read(smoke, stem, tmp_path, monkeypatch):
    """They ask the store for what the notebook asks for, so that they can be done on any number of machines."""
    monkeypatch.setenv("BITSKEPT_PROCESSES", "1")
    monkeypatch.setenv(store.RUN_LOG, str(tmp_path / "log"))
    found = jobs.jobs(params.load("smoke", SECTIONS))
    assert jobs.run(jobs.select(found, [], notebook=stem[:2])) == {}
    by_jobs, computed = read_log(tmp_path / "log")
    by_notebook, _ = read_log(smoke / "logs" / f"{stem}.jsonl")
    assert by_jobs == by_notebook
    assert not computed


def test_the_smoke_copies_give_the_same_checked_outputs_again(smoke, tmp_path):
    """nbval in a pytest of its own, without this project's settings."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    options = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=1200", "--nbval-kernel-startup-timeout=120"]
    command = [sys.executable, "-m", "pytest", "-c", tmp_path / "pytest.ini", "-p", "no:cacheprovider", "-q", *options]
    copies = [smoke / "notebooks" / f"{stem}.ipynb" for stem in SECTIONS]
    done = subprocess.run([*command, *copies], env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


# ---- run by a reader ----


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A project of its own, with the parameters and the cheapest notebook of this one."""
    folder = tmp_path / "project"
    shutil.copytree(CHECKOUT / "params", folder / "params")
    (folder / "notebooks").mkdir()
    shutil.copy(CHECKOUT / "notebooks" / f"{CHEAP}.ipynb", folder / "notebooks")
    monkeypatch.setenv("BITSKEPT_ROOT", str(folder))
    monkeypatch.setenv("BITSKEPT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(publishing.RUN, raising=False)
    return folder


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "build" not in path.parts}


def papermill(folder, *parameters):
    """Plain papermill, with its own engine and the kernel that is registered as python3."""
    notebook, out = folder / "notebooks" / f"{CHEAP}.ipynb", folder / "build" / "out.ipynb"
    out.parent.mkdir(exist_ok=True)
    words = [word for name, value in parameters for word in ("-p", name, value)]
    command = [sys.executable, "-m", "papermill", str(notebook), str(out), *words, "--cwd", str(notebook.parent)]
    return subprocess.run([*command, "--no-progress-bar"], capture_output=True, text=True, check=False)


def test_parameters_of_ones_own_are_explored_and_not_published(copy):
    before = contents(copy)
    done = papermill(copy, ("profile", "smoke"), ("repetitions", "50"))
    assert done.returncode == 0, done.stderr[-2000:]
    assert contents(copy) == before
    names = figure_functions(CHEAP)
    made = {path.stem for path in (copy / "build" / "custom" / "figures").glob("*.png")}
    assert made == set(names)
    origin = json.loads((copy / "build" / "custom" / "figures" / f"{next(iter(names))}.json").read_text())
    assert origin["parameters"]["repetitions"] == 50
    assert "widgets" not in nbformat.read(copy / "build" / "out.ipynb", as_version=4).metadata


def test_a_misspelt_parameter_is_refused_by_the_notebook_itself(copy):
    done = papermill(copy, ("profile", "smoke"), ("repetitoins", "5"))
    assert done.returncode != 0
    assert "repetitoins = 5: unknown name; did you mean repetitions?" in done.stderr
    assert not (copy / "build" / "custom").exists()


def test_run_all_leaves_everything_that_is_committed_as_it_is(copy):
    pytest.importorskip("nbconvert")
    path = copy / "notebooks" / f"{CHEAP}.ipynb"
    path.write_text(path.read_text("utf-8").replace('profile = \\"laptop\\"', 'profile = \\"smoke\\"'), "utf-8")
    before = contents(copy)
    options = ["--execute", "--to", "notebook", "--output-dir", str(copy / "build"), "--output", "out.ipynb"]
    command = [sys.executable, "-m", "nbconvert", str(path), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert contents(copy) == before
