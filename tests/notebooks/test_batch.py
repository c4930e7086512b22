"""Small notebooks run by the command line, in kernels of their own."""

import json
import os
import subprocess
import sys

import nbformat
import pytest
from toy import write_notebook

from bitskept.base import publishing
from bitskept.run import batch, command_line

BARS = """from tqdm.auto import tqdm, trange
from huggingface_hub.utils import tqdm as hub_bar
from datasets.utils import tqdm as datasets_bar
from transformers.utils.logging import tqdm as transformers_bar
import bitskept.base.store
bars = [tqdm(range(2)), trange(2), hub_bar(range(2)), datasets_bar(range(2)), transformers_bar(range(2))]
[list(bar) for bar in bars]
[type(bar).__module__ for bar in bars]"""


@pytest.fixture(autouse=True)
def no_run(monkeypatch):
    monkeypatch.delenv(publishing.RUN, raising=False)


def test_a_run_leaves_copies_figures_and_tables_and_the_next_reads_the_store(toy, capsys):
    assert command_line.main(["run", "--profile", "smoke", "0"]) == 0
    build = toy / "build" / "smoke"
    executed = nbformat.read(build / "notebooks" / "00_drawing.ipynb", as_version=4)
    assert sys.executable in executed.cells[2].outputs[-1].data["text/plain"], "the kernel of this interpreter"
    assert (build / "figures" / "00_line.png").is_file()
    assert (build / "results" / "00_line.csv").read_text() == "x,y\n0,0\n1,0.333333\n2,5\n"
    assert not (toy / "figures").exists()
    assert capsys.readouterr().err.splitlines()[1] == "00_drawing: started"
    (again,) = batch.run("smoke", ["0"])
    assert (again.from_store, again.computed) == (1, 0)
    assert again.cpu_seconds > 0.5, "the kernel's"


def test_outputs_of_laptop_are_written_back(toy):
    batch.run("laptop", ["0"], write_back=True)
    assert (toy / "figures" / "00_line.png").is_file()
    notebook = nbformat.read(toy / "notebooks" / "00_drawing.ipynb", as_version=4)
    assert [cell.execution_count for cell in notebook.cells] == [1, 2, 3]
    assert [output.output_type for output in notebook.cells[1].outputs] == ["execute_result"], "no stderr"
    assert [set(output.data) for output in notebook.cells[2].outputs] == [{"image/png", "text/plain"}], "shown once"


@pytest.mark.parametrize(
    ("stem", "cell", "error"),
    [
        ("01_failing", "2: # the next line fails", "ValueError: wrong"),
        (
            "02_dying",
            "1: import os, signal",
            "the kernel died; if it ran out of memory, close other programs or set BITSKEPT_PROCESSES=1",
        ),
    ],
)
def test_a_failure_is_reported_in_three_lines(toy, capfd, stem, cell, error):
    assert command_line.main(["run", "--profile", "smoke", stem]) == 1
    _, started, *told = capfd.readouterr().err.strip().splitlines()
    assert started == f"{stem}: started"
    notebook = toy / "notebooks" / f"{stem}.ipynb"
    assert told == [f"notebook: {notebook}", f"cell:     {cell}", f"error:    {error}"]
    written = json.loads((toy / "build" / "smoke" / "results" / "run.json").read_text())["notebooks"]
    assert not written[stem]["finished"]


@pytest.mark.parametrize("options", [[], ["--engine", "bitskept"]])
def test_no_progress_bar_leaves_a_live_widget(toy, options):
    """A comm that stays alive can hang a notebook for ever (nbclient issue 312)."""
    write_notebook(toy / "notebooks", "05_bars", ["import bitskept", BARS])
    command = [sys.executable, "-m", "papermill", *options, "notebooks/05_bars.ipynb", "out.ipynb"]
    environment = os.environ | {"PYTHONWARNINGS": "error:::__main__"}
    subprocess.run([*command, "--no-progress-bar"], cwd=toy, env=environment, check=True, capture_output=True)
    executed = nbformat.read(toy / "out.ipynb", as_version=4)
    assert "widgets" not in executed.metadata
    assert "widget" not in json.dumps([cell.get("outputs") for cell in executed.cells])
