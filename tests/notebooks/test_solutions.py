"""The pages of solutions: their code runs, and prints what stands below it; nothing of them is in the notebooks."""

import re
from pathlib import Path

import nbformat
import pytest

from bitskept.base.exercises import NotYet
from bitskept.base.publishing import folders, read_table
from bitskept.run import solutions
from bitskept.studies.bounds import exercises as bounds
from bitskept.studies.inside import exercises as inside

CHECKOUT = Path(__file__).parents[2]
NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
GRADES = "○◐●"
FOLD = re.compile(r"<details>\n<summary>Exercise (\d+) (.) [^\n]*</summary>\n\n(.*?)</details>\n", re.DOTALL)
EXERCISE = re.compile(r"^(\d+)\. (.) (.*?)(?=^\d|\Z)", re.DOTALL | re.MULTILINE)

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def exercises(path):
    """The exercises of a notebook, as (number, grade, text), and the cells that check them."""
    cells = nbformat.read(path, as_version=4).cells
    (start,) = [number for number, cell in enumerate(cells) if "## Exercises" in cell.source]
    checks = [cell for cell in cells[start:] if cell.cell_type == "code"]
    return EXERCISE.findall(cells[start].source.partition("## Exercises")[2]), checks


@each
def test_the_code_of_its_solutions_prints_what_the_page_says(path):
    text = solutions.page(path.stem).read_text("utf-8")
    assert solutions.renewed(text) == text, "run make solutions, and look whether the words still fit"


@each
def test_every_exercise_has_its_solution_folded_away(path):
    text = solutions.page(path.stem).read_text("utf-8")
    folds = FOLD.findall(text)
    given, _ = exercises(path)
    assert [fold[:2] for fold in folds] == [exercise[:2] for exercise in given]
    assert [number for number, _, _ in given] == [str(place + 1) for place in range(len(given))]
    rest = FOLD.sub("", text)
    assert "details" not in rest
    assert len(rest.split()) < 100, "a solution in plain sight"


@each
def test_its_exercises_go_from_warm_up_to_project(path):
    given, _ = exercises(path)
    grades = [grade for _, grade, _ in given]
    assert grades == sorted(grades, key=GRADES.index)
    assert set(grades) == set(GRADES)


@each
def test_a_checked_exercise_refuses_a_wrong_result_and_takes_that_of_the_page(path):
    given, checks = exercises(path)
    assert len(checks) == sum("cell checks" in text for _, _, text in given) >= 1
    page = solutions.page(path.stem).read_text("utf-8")
    assert page.count("That is right.") == len(checks)
    for cell in checks:
        assert [line.partition(" = ")[2] for line in cell.source.splitlines() if line.startswith("my_")] == ["None"]
        number = re.match(r"# Exercise (\d+)", cell.source)[1]
        (name,) = re.findall(r"^exercises\.(\w+)\(", cell.source, re.MULTILINE)
        (solution,) = [text for place, _, text in FOLD.findall(page) if place == number]
        assert f"exercises.{name}(" in solution
        wrong = page.replace(f"exercises.{name}(", f"exercises.{name}(-99 if True else ")
        with pytest.raises(AssertionError, match=r"-99 is not right yet\. \w+"):
            solutions.renewed(wrong)


def test_a_result_by_a_common_mistake_is_refused_though_it_is_close():
    bounds.proved_bits(2.85, error=1 / 3, alphabet=50)
    with pytest.raises(NotYet):  # log2 of all types in place of the wrong ones
        bounds.proved_bits(2.844, error=1 / 3, alphabet=50)
    distortions = read_table(CHECKOUT / "results" / "laptop" / "07_dimension.csv")
    inside.power(-0.49, distortions)
    with pytest.raises(NotYet):  # what theory says, and not a fit
        inside.power(-0.5, distortions)


def test_what_code_prints_replaces_what_stood_below_it():
    text = "Some.\n\n```python\nx = 2\n```\n\n```python\nprint(x)\nx + 1\n```\n\n```text\nold\n```\n\nMore.\n"
    assert solutions.renewed(text) == text.replace("old", "2\n3")
    assert solutions.renewed(solutions.renewed(text)) == solutions.renewed(text)


def test_pages_follow_the_tables(project):
    """After a run with other numbers, the page has them."""
    _, tables = folders("laptop")
    tables.mkdir(parents=True)
    page = solutions.page("00_tour")
    page.parent.mkdir(parents=True)
    code = "from bitskept.base import publishing\n_, tables = publishing.folders('laptop')\n"
    code += "publishing.read_table(tables / '00_x.csv')['a'].sum()\n"
    page.write_text(f"```python\n{code}```\n", "utf-8")
    for number in (1, 2):
        (tables / "00_x.csv").write_text(f"a\n{number}\n")
        solutions.update("00_tour")
        assert page.read_text("utf-8").endswith(f"```text\n{number}\n```\n")
    solutions.update("01_theory_bounds")
