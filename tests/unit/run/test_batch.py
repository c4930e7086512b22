"""What a batch does around the execution of notebooks."""

import json
import shutil
import sys
import time

import nbformat
import pytest
import yaml

from bitskept.base import provenance, publishing
from bitskept.run import batch, notebooks, readme, run_record


@pytest.fixture
def executed(toy, monkeypatch):
    """The calls of `batch.execute`, (stem, parameters, environment), which executes nothing here."""
    calls = []

    def execute(notebook, copy, parameters):
        names = (publishing.RUN, provenance.COMMIT, "BITSKEPT_ROOT")
        calls.append((notebook.stem, parameters, {name: batch.os.environ[name] for name in names}))
        shutil.copy(notebook, copy)

    monkeypatch.setattr(batch, "execute", execute)
    monkeypatch.delenv(publishing.RUN, raising=False)
    return calls


def test_notebooks_run_in_order_with_their_profile_as_the_only_parameter(executed, toy, capsys):
    runs = batch.run("smoke", ["3", "01_failing"])
    assert [run.stem for run in runs] == ["01_failing", "03_waiting"]
    assert [(stem, parameters) for stem, parameters, _ in executed] == [
        ("01_failing", {"profile": "smoke"}),
        ("03_waiting", {"profile": "smoke"}),
    ]
    settings = {publishing.RUN: "smoke", provenance.COMMIT: provenance.commit() or "", "BITSKEPT_ROOT": str(toy)}
    assert [environment for _, _, environment in executed] == [settings] * 2
    assert publishing.RUN not in batch.os.environ
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "2 notebooks with the profile smoke: how long it takes is not known.",
        "01_failing: started, 1 of 2",
        "01_failing: done in 1 min",
        "03_waiting: started, 2 of 2",
        "03_waiting: done in 1 min",
    ]


def test_a_parameter_file_of_ones_own_gives_its_name_to_the_folders(executed, toy, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({"03_waiting": {"seed": 2}}))
    batch.run(str(file))
    assert [(stem, parameters) for stem, parameters, _ in executed] == [("03_waiting", {"profile": str(file)})]
    assert (toy / "build" / "mine" / "notebooks" / "03_waiting.ipynb").is_file()
    assert list(json.loads(run_record.file("mine").read_text())["notebooks"]) == ["03_waiting"]


def test_wrong_parameters_and_names_are_refused_before_anything_runs(executed, toy):
    with pytest.raises(LookupError, match=r"there is no notebook 00_drawings; did you mean 00_drawing"):
        batch.run("smoke", ["03", "00_drawings"])
    (toy / "params" / "smoke.yaml").write_text("00_drawing: {sede: 1}")
    with pytest.raises(ValueError, match=r"smoke\.yaml: 00_drawing\.sede = 1: unknown name; did you mean seed\?"):
        batch.run("smoke")
    assert executed == []
    assert not (toy / "build").exists()


def test_the_readme_says_what_the_laptop_profile_found(executed, toy):
    (toy / "README.md").write_text(before := f"{readme.START}\nold\n{readme.END}\n")
    batch.run("smoke", ["03"])
    assert (toy / "README.md").read_text() == before
    batch.run("laptop", ["03"])
    assert (toy / "README.md").read_text() == f"{readme.START}\n{readme.END}\n"


def test_only_laptop_outputs_of_a_checkout_are_written_back(executed, toy):
    with pytest.raises(ValueError, match="--write-back does not go with smoke"):
        batch.run("smoke", write_back=True)
    (toy / "notebooks").rename(toy / "elsewhere")  # and not into the notebooks that an installed package brings along
    with pytest.raises(ValueError, match="--write-back needs a checkout: there is no folder notebooks/ in"):
        batch.run("laptop", write_back=True)
    assert executed == []


def test_a_figure_that_is_missing_empty_or_old_fails_the_run(executed, toy):
    folder, _ = publishing.folders("smoke")
    with pytest.raises(batch.NotebookError, match=r"04_line\.png is missing or empty"):
        batch.run("smoke", ["04"])
    folder.mkdir(parents=True)
    for suffix in ("png", "svg", "json"):
        (folder / f"04_line.{suffix}").write_text("from before")
    with pytest.raises(batch.NotebookError, match=r"04_line\.png is not written in this run"):
        batch.run("smoke", ["04"])
    (folder / "04_line.png").write_text("")
    with pytest.raises(batch.NotebookError, match=r"04_line\.png is missing or empty"):
        batch.run("smoke", ["04"])
    assert not json.loads(run_record.file("smoke").read_text())["notebooks"]["04_idle"]["finished"]


def test_a_failure_ends_the_batch_and_is_written_down(toy, monkeypatch):
    def fail(notebook, copy, parameters):
        raise batch.NotebookError(notebook, "2: x", "ValueError: wrong")

    monkeypatch.setattr(batch, "execute", fail)
    with pytest.raises(batch.NotebookError) as error:
        batch.run("smoke", ["1", "3"])
    notebook = toy / "notebooks" / "01_failing.ipynb"
    assert str(error.value).splitlines() == [
        f"notebook: {notebook}",
        "cell:     2: x",
        "error:    ValueError: wrong",
    ]
    written = json.loads(run_record.file("smoke").read_text())["notebooks"]
    assert {stem: run["finished"] for stem, run in written.items()} == {"01_failing": False}


# ---- outputs written back ----


def test_outputs_are_copied_without_progress_bars_timings_and_marks(toy):
    notebook, copy = toy / "notebooks" / "01_failing.ipynb", toy / "copy.ipynb"
    run = nbformat.read(notebook, as_version=4)
    run.metadata["papermill"] = {"duration": 3}
    run.cells.insert(1, nbformat.v4.new_code_cell("profile = 2", metadata={"tags": [batch.INJECTED]}))
    for count, cell in enumerate(run.cells, start=7):
        cell.metadata["papermill"] = {"duration": 1}
        cell.outputs = [
            nbformat.v4.new_output("stream", name="stderr", text="100%|"),
            nbformat.v4.new_output("execute_result", {"text/plain": str(count)}, execution_count=count),
        ]
    nbformat.write(run, copy)
    before = nbformat.read(notebook, as_version=4)
    batch.copy_outputs(copy, notebook)
    after = nbformat.read(notebook, as_version=4)
    assert [(cell.id, cell.source) for cell in after.cells] == [(cell.id, cell.source) for cell in before.cells]
    assert [cell.execution_count for cell in after.cells] == [1, 2, 3]
    assert [[output.data["text/plain"] for output in cell.outputs] for cell in after.cells] == [["7"], ["9"], ["10"]]
    assert "papermill" not in notebook.read_text()
    assert notebook.read_text().endswith("}\n")


def test_a_notebook_that_was_changed_while_it_ran_is_not_overwritten(toy):
    notebook, copy = toy / "notebooks" / "01_failing.ipynb", toy / "copy.ipynb"
    shutil.copy(toy / "notebooks" / "00_drawing.ipynb", copy)
    before = notebook.read_bytes()
    with pytest.raises(ValueError, match="was changed while it ran: run it again"):
        batch.copy_outputs(copy, notebook)
    assert notebook.read_bytes() == before


def test_messages_for_the_user_are_passed_on_and_nothing_else(capsys):
    batch.UserMessages().write(" 10%|\nbitskept: waiting for a result\nother\n")
    assert capsys.readouterr().err == "bitskept: waiting for a result\n"


# ---- the list of notebooks ----


def test_a_long_notebook_is_heard_of(tmp_path, monkeypatch, capsys):
    log = tmp_path / "log.jsonl"
    computed = '{"function": "f", "digest": "a", "from_store": false, "seconds": 3.0}'
    log.write_text(f'{computed}\n{{"function": "f", "digest": "b", "from_store": true}}\n')
    monkeypatch.setattr(batch, "PERIOD", 0.05)
    with batch._told_now_and_then("02_layer_sweep", log, lambda passed: f", {passed > 0.04} left"):
        time.sleep(0.5)
    told = capsys.readouterr().err.splitlines()
    assert len(told) >= 2
    assert set(told) == {"02_layer_sweep: 0 min so far, 1 results computed, 1 from the store, True left"}
    time.sleep(0.2)
    assert capsys.readouterr().err == "", "it ends with the notebook"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with batch._told_now_and_then("02_layer_sweep", log, lambda passed: ""):
        time.sleep(0.7)
    told = capsys.readouterr().err.splitlines()
    assert 1 <= len(told) <= 2, "a terminal has a progress bar as well: a tenth of the lines"


def test_notebooks_are_chosen_by_name_number_or_file_and_keep_their_order(toy):
    stems = notebooks.SECTIONS
    chosen = notebooks.select(["notebooks/04_idle.ipynb", "1"], stems)
    assert [path.stem for path in chosen] == ["01_failing", "04_idle"]
    assert [path.stem for path in notebooks.select([], stems)] == sorted(stems)
    with pytest.raises(LookupError, match="there is no notebook 77; known: 00_drawing, 01_failing"):
        notebooks.select(["77"], stems)
    with pytest.raises(LookupError, match=r"no notebook in .* has a section in the parameter file"):
        notebooks.select([], {})


def test_the_figures_of_a_notebook_are_the_public_functions_of_its_room(toy):
    assert list(notebooks.figure_functions("00_drawing")) == ["00_line"]
    assert list(notebooks.figure_functions("04_idle")) == ["04_line"]
    assert notebooks.figure_functions("01_failing") == {}
