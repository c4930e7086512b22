"""Figures drawn again from their tables, on a small notebook with a kernel of its own."""

from typing import ClassVar

import nbformat
import pytest
import yaml
from pictures import picture_data

from bitskept import batch, outputs, params, redraw


class Drawing(params.Section):
    figures: ClassVar[tuple[str, ...]] = ("line",)
    seed: int


SETUP = """import matplotlib.pyplot as plt
import pandas as pd
from bitskept import figures
figures.style()"""
COMPUTE = """import pathlib
pathlib.Path("computed").write_text("x")
table = pd.DataFrame({"x": [0, 1, 2], "y": [0, 1 / 3, 4 + seed]})
figures.keep("line", table, profile=profile, parameters={"profile": profile, "seed": seed})"""
DRAW = """table = figures.table("line", profile=profile)
figure, axes = plt.subplots(figsize=(4, 3))
axes.plot(table.x, table.y, label=f"seed {seed}")"""
SAVE = """axes.legend()
figures.save(figure, "line", profile=profile)"""


@pytest.fixture
def notebook(project, monkeypatch):
    """The project with one notebook that computes and draws, and a laptop profile."""
    cells = [
        ("profile = 'laptop'\nseed = 0", ["parameters"]),
        (SETUP, ["setup"]),
        (COMPUTE, []),
        (DRAW, []),
        (SAVE, []),
    ]
    book = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    book.cells = [nbformat.v4.new_code_cell(source, metadata={"tags": tags}) for source, tags in cells]
    book.cells.insert(2, nbformat.v4.new_markdown_cell("What it says is figures.save(all)."))
    nbformat.write(book, project / "notebooks" / "00_drawing.ipynb")
    values = {"00_drawing": {"profile": "laptop", "seed": 1}}
    (project / "params" / "laptop.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.setitem(params.SECTIONS, "00_drawing", Drawing)
    monkeypatch.delenv(outputs.REDRAW, raising=False)
    return project / "notebooks" / "00_drawing.ipynb"


def test_a_figure_is_redrawn_from_its_table_with_a_note_and_nothing_is_computed(notebook, project):
    batch.run("laptop", sections={"00_drawing": Drawing})
    (project / "notebooks" / "computed").unlink()
    # The parameters are those that the numbers were made with, whatever the profile says by now.
    (project / "params" / "laptop.yaml").write_text(yaml.safe_dump({"00_drawing": {"profile": "laptop", "seed": 7}}))
    pictures = redraw.redraw("laptop", sections={"00_drawing": Drawing})
    assert not (project / "notebooks" / "computed").exists()
    assert pictures == [project / "build" / "laptop" / "redrawn" / f"line.{suffix}" for suffix in ("png", "svg")]
    redrawn, drawn = pictures[1], project / "figures" / "line.svg"
    assert "redrawn from the kept table line.csv" in redrawn.read_text()
    assert "redrawn" not in drawn.read_text()
    assert "seed 1" in redrawn.read_text()
    assert len(picture_data(drawn)) > 20
    assert picture_data(redrawn) == picture_data(drawn)


def test_the_table_is_what_is_drawn(notebook, project):
    batch.run("laptop", sections={"00_drawing": Drawing})
    before = picture_data(project / "figures" / "line.svg")
    table = project / "results" / "laptop" / "line.csv"
    table.write_text(table.read_text().replace("1,0.333333", "1,3"))
    (_, redrawn) = redraw.redraw("laptop", sections={"00_drawing": Drawing})
    assert picture_data(redrawn) != before


def test_numbers_that_are_missing_are_named_with_the_way_out(notebook, project):
    with pytest.raises(FileNotFoundError, match=r"figure line was not made yet, .*line\.json .*make figures"):
        redraw.redraw("laptop", sections={"00_drawing": Drawing})
    assert not (project / "build").exists()


def test_a_figure_that_is_not_drawn_from_its_table_is_refused():
    cells = [nbformat.v4.new_code_cell(source) for source in (SETUP, COMPUTE, SAVE)]
    with pytest.raises(ValueError, match=r"does not read its numbers with figures\.table"):
        redraw.drawing(nbformat.v4.new_notebook(cells=cells))
