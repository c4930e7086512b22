"""The notebooks as they are committed: complete, readable, and safe to run in any order."""

import ast
import inspect
import re
from collections import defaultdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from matplotlib.figure import Figure

from bitskept.run.notebooks import SECTIONS, figure_functions

CHECKOUT = Path(__file__).parents[2]
NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
LONGEST_CELL, LONGEST_DEF, LONGEST_LINE = 12, 4, 100
USUAL_CELL = 6  # lines, the median at most
DRAWING, DRAWING_SHARE = re.compile(r"\b(plt|axes|ax|sns|figure|panels?)\b[.,\[( ]"), 0.1
MACHINE_PATH = re.compile(r"(?<![\w.])/(home|root|Users|tmp|var|usr|opt|mnt)/|[A-Z]:\\\\")

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    notebook = nbformat.read(path, as_version=4)
    return notebook, [cell for cell in notebook.cells if cell.cell_type == "code"]


def tree(cell):
    return ast.parse(TransformerManager().transform_cell(cell.source))


def tagged(cells, tag):
    return [cell for cell in cells if tag in cell.metadata.get("tags", [])]


OWN_NAMES = ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.AugAssign


def bound(cell):
    """The names that a cell binds for later cells: not those inside comprehensions, functions and classes."""
    names, waiting = set(), list(tree(cell).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif not isinstance(node, OWN_NAMES):
            waiting += ast.iter_child_nodes(node)
    return names


def test_every_notebook_has_its_room_and_its_parameters():
    assert [path.stem for path in NOTEBOOKS] == list(SECTIONS)


@each
def test_it_is_committed_with_outputs_without_errors_and_without_traces_of_a_machine(path):
    notebook, cells = read(path)
    assert notebook.metadata.kernelspec.name == "python3"
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run it with --write-back"
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs
    for output in outputs:
        assert output.output_type != "error"
        assert output.get("name") != "stderr"
        texts = {kind: data for kind, data in output.get("data", {}).items() if "image" not in kind}
        shown = output.get("text", "") + str(texts)
        assert not MACHINE_PATH.search(shown), f"a path of one machine is shown: {shown[:300]}"
        assert " at 0x" not in shown, f"an address is shown, which tells a reader nothing: {shown[:300]}"


@each
def test_the_profile_is_all_that_its_parameters_cell_sets(path):
    cells = read(path)[1]
    assert [cells.index(cell) for cell in tagged(cells, "parameters")] == [0]
    assert cells[1] in tagged(cells, "setup")
    assert ast.dump(tree(cells[0])) == ast.dump(ast.parse('profile = "laptop"'))


@each
def test_its_cells_are_short(path):
    cells = read(path)[1]
    lines = [len(cell.source.splitlines()) for cell in cells]
    assert median(lines) <= USUAL_CELL
    for cell in cells:
        assert len(cell.source.splitlines()) <= LONGEST_CELL, f"too long for one idea:\n{cell.source}"
        for line in cell.source.splitlines():
            assert len(line) <= LONGEST_LINE, f"too long to read on a slide: {line}"
        for node in ast.walk(tree(cell)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < LONGEST_DEF, f"{node.name} belongs into the package"


@each
def test_its_figures_are_drawn_in_the_package(path):
    lines = [line for cell in read(path)[1] for line in cell.source.splitlines() if line.strip()]
    drawing = [line for line in lines if DRAWING.search(line)]
    assert len(drawing) < DRAWING_SHARE * len(lines), "\n".join(drawing)


@each
def test_it_shows_every_figure_of_its_room_once(path):
    calls = [node for cell in read(path)[1] for node in ast.walk(tree(cell)) if isinstance(node, ast.Call)]
    shown = [ast.unparse(call.args[0]) for call in calls if ast.unparse(call.func) in ("show", "show_twins")]
    assert sorted(shown) == sorted(f"figures.{draw.__name__}" for draw in figure_functions(path.stem).values())


@each
def test_its_live_cell_explores_the_figure_of_its_room(path):
    calls = [node for cell in read(path)[1] for node in ast.walk(tree(cell)) if isinstance(node, ast.Call)]
    explored = [ast.unparse(call.args[0]) for call in calls if ast.unparse(call.func) == "explore"]
    live = f"{SECTIONS[path.stem].__module__.rpartition('.')[0]}.live"
    figures = inspect.getmembers(import_module(live), _draws) if find_spec(live) else []
    assert explored == [f"live.{name}" for name, _ in figures]


def _draws(function):
    return inspect.isfunction(function) and function.__annotations__.get("return") is Figure


@each
def test_its_cells_can_be_run_in_any_order(path):
    """No name means one thing in one cell and another in the next, and none hides a parameter."""
    places = defaultdict(list)
    for number, cell in enumerate(read(path)[1]):
        for name in bound(cell) - {"_"}:
            places[name].append(number)
    assert not {name: numbers for name, numbers in places.items() if len(numbers) > 1}
    hidden = set(places) & set(SECTIONS[path.stem].model_fields) - {"profile"}
    assert not hidden, "write section.NAME to use a parameter"


@each
def test_it_has_a_cell_whose_output_is_checked(path):
    assert any("# NBVAL_CHECK_OUTPUT" in cell.source for cell in read(path)[1])


def test_the_committed_figures_and_tables_are_those_of_the_notebooks():
    names = {name for stem in SECTIONS for name in figure_functions(stem)}
    for folder, suffix in (("figures", "png"), ("figures", "svg"), ("figures", "json"), ("results/laptop", "csv")):
        assert {path.stem for path in (CHECKOUT / folder).glob(f"*.{suffix}")} == names, f"{folder}/*.{suffix}"
