"""The notebooks as they are committed, and as the smoke profile runs them."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from pictures import picture_data

from bitskept import graph, job, params

CHECKOUT = Path(__file__).parents[2]
NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
LONGEST_CELL, LONGEST_DEF = 12, 4  # lines
MACHINE_PATH = re.compile(r"(?<![\w.])/(home|root|Users|tmp|var|usr|opt|mnt)/|[A-Z]:\\\\")

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    notebook = nbformat.read(path, as_version=4)
    return notebook, [cell for cell in notebook.cells if cell.cell_type == "code"]


def tree(cell):
    return ast.parse(TransformerManager().transform_cell(cell.source))


def test_there_are_notebooks_and_each_has_its_parameters():
    assert NOTEBOOKS, "there is no notebook"
    assert {path.stem for path in NOTEBOOKS} <= set(params.SECTIONS)


@each
def test_it_is_committed_with_outputs_that_tell_of_no_error_and_no_machine(path):
    notebook, cells = read(path)
    assert notebook.metadata.kernelspec.name == "python3"
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run it with --write-back"
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs
    for output in outputs:
        assert output.output_type != "error"
        assert output.get("name") != "stderr"
        shown = output.get("text", "") + str(
            {kind: data for kind, data in output.get("data", {}).items() if "image" not in kind}
        )
        assert not MACHINE_PATH.search(shown), f"a path of one machine is shown: {shown[:300]}"
        assert " at 0x" not in shown, f"an address is shown, which tells a reader nothing: {shown[:300]}"


@each
def test_its_cells_are_short(path):
    for cell in read(path)[1]:
        if "parameters" not in cell.metadata.get("tags", []):  # one line a parameter, as many as there are
            assert len(cell.source.splitlines()) <= LONGEST_CELL, f"too long for one idea:\n{cell.source}"
        for node in ast.walk(tree(cell)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < LONGEST_DEF, f"{node.name} belongs into the package"


@each
def test_its_parameters_are_literals_and_equal_the_laptop_profile(path):
    tagged = [cell for cell in read(path)[1] if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1, "one cell is to be tagged `parameters`"
    values = {}
    for statement in tree(tagged[0]).body:
        assert isinstance(statement, ast.Assign), f"line {statement.lineno} is not `name = literal`"
        values[statement.targets[0].id] = ast.literal_eval(statement.value)
    assert values == params.load("laptop", folder=CHECKOUT / "params")[path.stem].model_dump()


@each
def test_it_has_a_cell_whose_output_is_checked(path):
    assert any("# NBVAL_CHECK_OUTPUT" in cell.source for cell in read(path)[1])


@pytest.fixture(scope="module")
def smoke():
    """The folder of the notebooks that the smoke profile has run, by the command line, with the checkout's cache."""
    command = [sys.executable, "-m", "bitskept", "run", "--profile", "smoke"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return CHECKOUT / "build" / "smoke" / "notebooks"


def test_the_smoke_profile_runs_every_notebook(smoke):
    stems = {path.stem for path in NOTEBOOKS}
    assert {path.stem for path in smoke.glob("*.ipynb")} >= stems
    for path in NOTEBOOKS:
        cells = read(smoke / path.name)[1]
        assert all(cell.execution_count for cell in cells), f"{path.stem} was not run to its end"


def test_the_figures_of_the_smoke_profile_are_redrawn_from_their_tables_alone(smoke, tmp_path):
    """Without a model, a text, a stored result or a network, and what they show is the same."""
    nothing = {"BITSKEPT_HOME": str(tmp_path / "home"), "PIP_INDEX_URL": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "bitskept", "redraw", "--profile", "smoke"]
    done = subprocess.run(command, cwd=CHECKOUT, env=os.environ | nothing, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "home").exists()
    for name in [name for path in NOTEBOOKS for name in params.SECTIONS[path.stem].figures]:
        redrawn = smoke.parent / "redrawn" / f"{name}.svg"
        assert picture_data(redrawn) == picture_data(smoke.parent / "figures" / f"{name}.svg"), name
        assert f"redrawn from the kept table {name}.csv" in redrawn.read_text("utf-8")


def asked(log):
    """What a run asked the store for, and all of it that was not there."""
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    missing = [line for line in lines if not line["from_store"]]
    return tuple({(line["function"], line["digest"]) for line in some} for some in (lines, missing))


@pytest.mark.parametrize("stem", graph.MEASURED)
@pytest.mark.filterwarnings("ignore:preference information is left out")
def test_jobs_ask_for_what_their_notebook_asks_for(smoke, stem, tmp_path, monkeypatch):
    """Whoever has the jobs done first, on any number of machines, leaves nothing to the notebook but to read it."""
    monkeypatch.setenv("BITSKEPT_PROCESSES", "1")
    monkeypatch.setenv("BITSKEPT_RUN_LOG", str(tmp_path / "log"))
    jobs = graph.jobs(params.load("smoke", folder=CHECKOUT / "params"))
    assert job.run(job.select(jobs, [], notebook=stem[:2])) == {}
    by_jobs, computed = asked(tmp_path / "log")
    by_notebook, _ = asked(smoke.parent / "logs" / f"{stem}.jsonl")
    assert by_jobs == by_notebook
    assert not computed


def test_the_smoke_copies_give_the_same_checked_outputs_again(smoke, tmp_path):
    """nbval in a pytest of its own, without this project's settings."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    options = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=1200", "--nbval-kernel-startup-timeout=120"]
    command = [sys.executable, "-m", "pytest", "-c", tmp_path / "pytest.ini", "-p", "no:cacheprovider", "-q", *options]
    copies = [smoke / path.name for path in NOTEBOOKS]
    done = subprocess.run([*command, *copies], env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
