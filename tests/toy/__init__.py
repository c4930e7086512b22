"""Two rooms and five small notebooks, for tests of what runs notebooks: nothing is measured, and one draws a figure."""

import os

import nbformat
import pytest
import yaml

from bitskept.run import notebooks
from toy.drawing.section import Drawing, Idle
from toy.plain.section import Dying, Failing, Waiting

SECTIONS = {kind.notebook: kind for kind in (Drawing, Failing, Dying, Waiting, Idle)}
DRAW = """from bitskept.base.publishing import Publisher
from toy.drawing import figures
from toy.drawing.section import Drawing, squares
section = Drawing.read(globals())
show = Publisher(section)
table = squares(section)
show(figures.line, table)"""
CELLS = {
    "00_drawing": ["import sys; print('bar', file=sys.stderr)\nsys.executable", DRAW],
    "01_failing": ["x = 1", "# the next line fails\nraise ValueError('wrong\\nmore')"],
    "02_dying": ["import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"],
    "03_waiting": ["import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))", "time.sleep(600)"],
    "04_idle": ["1 + 1"],
}


def write_notebook(folder, stem, cells):
    """A notebook of these code cells after one with the parameters."""
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in ('profile = "laptop"', *cells)]
    notebook.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(notebook, folder / f"{stem}.ipynb")


@pytest.fixture
def toy(project, monkeypatch, checkout):
    """The project with the small notebooks and their profiles, smoke and laptop."""
    for stem, cells in CELLS.items():
        write_notebook(project / "notebooks", stem, cells)
    for profile in ("smoke", "laptop"):
        (project / "params" / f"{profile}.yaml").write_text(yaml.safe_dump({stem: {"seed": 1} for stem in SECTIONS}))
    monkeypatch.setattr(notebooks, "SECTIONS", SECTIONS)
    monkeypatch.setenv("PYTHONPATH", str(checkout / "tests"), prepend=os.pathsep)
    return project
