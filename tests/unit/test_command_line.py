"""The command line and the batch runs, on small notebooks with kernels of their own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

import nbformat
import pytest
import yaml

from bitskept import __main__ as command_line
from bitskept import __version__, batch, outputs, parallel, params, provenance, store


class Tiny(params.Section):
    seed: int


class Drawing(Tiny):
    figures: ClassVar[tuple[str, ...]] = ("line",)


SECTIONS = {"00_drawing": Drawing, "01_failing": Tiny, "02_dying": Tiny, "03_waiting": Tiny, "04_idle": Drawing}
PARAMETERS = 'profile = "laptop"\nseed = 0'
DRAW = """import matplotlib.pyplot as plt
import pandas as pd
from bitskept import figures
from bitskept.store import stored
table = stored("square", 1, {"seed": seed}, lambda: pd.DataFrame({"x": [0, 1, 2], "y": [0, 1, 4 + seed]}))
fig, axes = plt.subplots()
axes.plot(table.x, table.y)
figures.keep("line", table, profile=profile, parameters={"seed": seed})
figures.save(fig, "line", profile=profile)"""
CELLS = {
    "00_drawing": ["import sys; print('bar', file=sys.stderr)\nsys.executable", DRAW],
    "01_failing": ["x = 1", "# the next line fails\nraise ValueError('wrong\\nmore')"],
    "02_dying": ["import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"],
    "03_waiting": ["import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))", "time.sleep(600)"],
    "04_idle": ["1 + 1"],
}


@pytest.fixture
def notebooks(project, monkeypatch):
    """The project filled with the small notebooks and two profiles."""
    for stem, cells in CELLS.items():
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
        notebook.cells = [nbformat.v4.new_code_cell(source) for source in (PARAMETERS, *cells)]
        notebook.cells[0].metadata["tags"] = ["parameters"]
        nbformat.write(notebook, project / "notebooks" / f"{stem}.ipynb")
    for profile in ("smoke", "laptop"):
        values = {stem: {"profile": profile, "seed": 1} for stem in SECTIONS}
        (project / "params" / f"{profile}.yaml").write_text(yaml.safe_dump(values))
    for stem, section in SECTIONS.items():
        monkeypatch.setitem(params.SECTIONS, stem, section)
    return project / "notebooks"


def test_help_and_version_need_nothing_heavy():
    script = "import sys; from bitskept.__main__ import parser; parser().format_help(); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment()
    )
    assert not {"torch", "pandas", "matplotlib", "pydantic", "papermill", "transformers"} & set(loaded.stdout.split())
    with pytest.raises(SystemExit) as stop:
        command_line.main(["--version"])
    assert stop.value.code == 0
    assert __version__ == "0.1.0"


def test_a_run_leaves_copies_figures_tables_and_a_summary(notebooks, project, capsys):
    assert command_line.main(["run", "--profile", "smoke", "0"]) == 0
    build = project / "build" / "smoke"
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("notebook")
    assert [line.split()[0] for line in told[1:3]] == ["00_drawing", "all"]
    assert [line.split()[-1] for line in told[3:]] == [
        str(build / name) for name in ("figures", "results", "notebooks", "results/run.json")
    ]
    executed = nbformat.read(build / "notebooks" / "00_drawing.ipynb", as_version=4)
    assert sys.executable in executed.cells[2].outputs[-1].data["text/plain"], "the kernel is to be this interpreter's"
    assert (build / "figures" / "line.png").is_file()
    assert (build / "results" / "line.csv").read_text() == "x,y\n0,0\n1,1\n2,5\n"
    assert not (project / "figures").exists()


def test_a_run_is_written_down_and_so_is_one_that_fails(notebooks, project):
    batch.run("smoke", ["00_drawing"])
    with pytest.raises(batch.NotebookError):
        batch.run("smoke", ["01_failing"])
    written = json.loads((project / "build" / "smoke" / "results" / "run.json").read_text())["notebooks"]
    assert {stem: one["finished"] for stem, one in written.items()} == {"00_drawing": True, "01_failing": False}
    drawing = written["00_drawing"]
    assert [(one["function"], one["from_store"]) for one in drawing["results"]] == [("square", False)]
    assert drawing["cpu_seconds"] > 0
    assert drawing["peak_memory_bytes"] > 50e6, "matplotlib and pandas alone take more"
    assert (project / "build" / "smoke" / "logs" / "01_failing.jsonl").read_text() == ""


@pytest.fixture
def two_cores(monkeypatch):
    """Notebooks run two at a time, whatever the machine."""
    monkeypatch.setenv(parallel.PROCESSES, "2")
    monkeypatch.setattr(batch, "side_by_side", lambda jobs: min(jobs, 2))


def test_notebooks_side_by_side_leave_what_each_leaves_alone(notebooks, project, two_cores):
    (alone,) = batch.run("laptop", ["00_drawing"])
    shutil.copy(notebooks / "00_drawing.ipynb", notebooks / "01_failing.ipynb")
    drawn = (project / "figures" / "line.png").read_bytes()
    first, second = batch.run("laptop", ["00_drawing", "01_failing"])
    assert (first.stem, second.stem) == ("00_drawing", "01_failing")
    assert [one["digest"] for one in first.results] == [one["digest"] for one in alone.results]
    assert (first.computed, second.computed) == (0, 0)
    assert (project / "figures" / "line.png").read_bytes() == drawn
    written = json.loads((project / "results" / "laptop" / "run.json").read_text())
    assert set(written["notebooks"]) == {"00_drawing", "01_failing"}
    assert store.TURN not in os.environ


def test_what_is_drawn_names_the_commit_that_its_batch_began_with(notebooks, project, monkeypatch):
    monkeypatch.setattr(provenance, "commit", lambda: "begun")
    batch.run("laptop", ["00_drawing"], write_back=True)
    assert json.loads((project / "figures" / "line.json").read_text())["commit"] == "begun"
    assert provenance.COMMIT not in os.environ


def test_the_bar_of_a_notebook_that_runs_alone_is_not_put_on_that_of_the_batch(notebooks, monkeypatch):
    bars = []
    monkeypatch.setattr(batch, "execute", lambda *_, progress_bar: bars.append(progress_bar))
    batch._run(True, batch.Execution(notebooks / "03_waiting.ipynb", {}, (), "smoke", False), None)
    assert bars == [{"desc": "03_waiting", "leave": False, "position": None}]


def test_the_first_of_several_to_fail_ends_the_others(notebooks, project, two_cores):
    with pytest.raises(batch.NotebookError, match="DeadKernelError"):
        batch.run("smoke", ["02_dying", "03_waiting", "04_idle"])
    pid = notebooks / "pid"
    if pid.is_file() and pid.read_text():  # it had come so far
        wait_until(lambda: not is_running(int(pid.read_text())))
    written = json.loads((project / "build" / "smoke" / "results" / "run.json").read_text())["notebooks"]
    assert not written["02_dying"]["finished"]
    assert "03_waiting" not in written


def test_a_second_run_takes_its_results_from_the_store_and_can_be_written_back(notebooks, project):
    (first,) = batch.run("laptop", ["00_drawing"])
    committed = (notebooks / "00_drawing.ipynb").read_text()
    (second,) = batch.run("laptop", ["00_drawing"], write_back=True)
    assert (first.from_store, first.computed) == (0, 1)
    assert (second.from_store, second.computed) == (1, 0)
    before, after = nbformat.reads(committed, as_version=4), nbformat.read(notebooks / "00_drawing.ipynb", as_version=4)
    assert [cell.source for cell in after.cells] == [cell.source for cell in before.cells]
    assert [cell.execution_count for cell in after.cells] == [1, 2, 3]
    assert [output.output_type for output in after.cells[1].outputs] == ["execute_result"], "stderr is not for readers"
    assert [set(output.data) for output in after.cells[2].outputs] == [{"image/png", "text/plain"}], "shown once"
    assert "papermill" not in (notebooks / "00_drawing.ipynb").read_text()
    with pytest.raises(ValueError, match="does not go with smoke"):
        batch.run("smoke", write_back=True)


@pytest.mark.parametrize(
    ("stem", "cell", "error"),
    [
        ("01_failing", "2: # the next line fails", "ValueError: wrong"),
        ("02_dying", "1: import os, signal", "DeadKernelError: Kernel died"),
    ],
)
def test_a_failure_is_told_in_three_lines(notebooks, capfd, stem, cell, error):
    assert command_line.main(["run", "--profile", "smoke", stem]) == 1
    told = capfd.readouterr().err.strip().splitlines()
    assert told == [f"notebook: {notebooks / stem}.ipynb", f"cell:     {cell}", f"error:    {error}"]


def test_a_declared_figure_that_is_missing_empty_or_old_fails_the_run(notebooks, project):
    folder, _ = outputs.folders("smoke")
    folder.mkdir(parents=True)
    for suffix in ("png", "svg", "json"):
        (folder / f"line.{suffix}").write_text("from before")
    with pytest.raises(batch.NotebookError, match=r"line\.png is not written in this run"):
        batch.run("smoke", ["04_idle"])
    before = batch.stamps(["line"], "smoke")
    (folder / "line.png").write_text("")
    with pytest.raises(batch.NotebookError, match=r"line\.png is missing or empty"):
        batch.check_figures(Path("04_idle.ipynb"), before, batch.stamps(["line"], "smoke"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["00_drawings"], "there is no notebook 00_drawings; did you mean 00_drawing?"),
        (["77"], "there is no notebook 77; there are 00_drawing, 01_failing, 02_dying, 03_waiting, 04_idle"),
    ],
)
def test_an_unknown_notebook_is_told_with_the_nearest(notebooks, capsys, arguments, message):
    assert command_line.main(["run", "--profile", "smoke", *arguments]) == 2
    assert capsys.readouterr().err == f"bitskept: {message}\n"


def test_a_typo_in_the_parameters_is_told_before_a_kernel_starts(notebooks, project, capsys):
    file = project / "params" / "smoke.yaml"
    file.write_text("00_drawing: {profile: smoke, sede: 1}")
    assert command_line.main(["run", "--profile", "smoke"]) == 2
    assert f"{file}: 00_drawing.sede = 1: unknown name; did you mean seed?" in capsys.readouterr().err
    assert not (project / "build").exists()


def test_notebooks_are_chosen_by_name_number_or_file_and_keep_their_order(notebooks):
    chosen = batch.select(["notebooks/04_idle.ipynb", "1"], SECTIONS, notebooks)
    assert [path.stem for path in chosen] == ["01_failing", "04_idle"]
    assert [path.stem for path in batch.select([], SECTIONS, notebooks)] == sorted(CELLS)
    with pytest.raises(LookupError, match="no notebook in"):
        batch.select([], {}, notebooks)


def test_an_id_that_is_not_registered_is_told_before_anything_is_fetched(home, capsys):
    assert command_line.main(["fetch", "minilm-l6", "speches"]) == 2
    assert (
        "there is no model or corpus 'speches', in the registry or as a path; nearest: speeches"
        in capsys.readouterr().err
    )
    assert not home.exists()


@pytest.mark.parametrize(("kind", "id"), [("models", "smollm2-135m"), ("corpora", "speeches"), ("tasks", "simlex999")])
def test_the_catalogues_are_listed_without_anything_heavy(home, kind, id):
    script = f"import sys; from bitskept.__main__ import main; main([{kind!r}]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment())
    *listed, loaded = done.stdout.splitlines()
    assert any(line.startswith(id) for line in listed)
    assert not {"torch", "numpy", "pandas", "datasets", "transformers", "huggingface_hub"} & set(loaded.split())


INTERRUPTED = """
import sys
from bitskept import params
from bitskept.__main__ import main
class Tiny(params.Section):
    seed: int
params.SECTIONS.clear()
params.SECTIONS.update({stem: Tiny for stem in sys.argv[2:]})
sys.exit(main(["run", "--profile", "smoke", "03", *sys.argv[1].split()]))
"""


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize(("sent", "others"), [(signal.SIGINT, ""), (signal.SIGTERM, ""), (signal.SIGINT, "04")])
def test_an_interrupted_run_ends_with_one_message_and_no_kernel(notebooks, sent, others):
    command = [sys.executable, "-c", INTERRUPTED, others, *SECTIONS]
    # Whoever runs the tests in the background may have SIGINT ignored, which a child would inherit.
    options = {"start_new_session": True, "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(), **options) as run:
        try:
            pid = notebooks / "pid"
            wait_until(lambda: run.poll() is not None or (pid.is_file() and pid.read_text()))
            os.killpg(run.pid, sent) if sent == signal.SIGINT else run.send_signal(sent)
            _, told = run.communicate(timeout=60)
        finally:
            run.kill()
    assert run.returncode == 130
    told = [line for line in told.strip().splitlines() if not line.startswith("04_idle: ")]
    assert told == ["bitskept: interrupted; what was finished is kept for the next run"]
    wait_until(lambda: not is_running(int(pid.read_text())))


def wait_until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.05)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def environment():
    return os.environ | {"PYTHONPATH": str(Path(batch.__file__).parents[1])}
