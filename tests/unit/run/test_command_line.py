"""The command line: what it prints, its exit status, and what it refuses before anything is done."""

import os
import signal
import sys
from pathlib import Path

import pytest

from bitskept import __version__
from bitskept.run import batch, command_line, jobs, redraw
from bitskept.run.run_record import Run

TIMES = ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:10+00:00")


@pytest.fixture(autouse=True)
def own_signals():
    """The command line sets the handler of SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as stop:
        command_line.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"bitskept {__version__}\n"


def test_a_run_ends_with_a_summary_and_the_places_of_what_it_made(toy, capsys, monkeypatch):
    runs = [Run("00_drawing", True, *TIMES, 10.0, 12.5, 1, 2, 3.5), Run("04_idle", True, *TIMES, 0.5, 0.2, 0, 0, 0.0)]
    monkeypatch.setattr(batch, "run", lambda profile, names, write_back: runs)
    assert command_line.main(["run", "--profile", "smoke"]) == 0
    first, drawing, idle, total, *places = capsys.readouterr().out.splitlines()
    assert first.split("  ")[0] == "notebook"
    assert drawing.split() == ["00_drawing", "10.0", "2", "1"]
    assert idle.split() == ["04_idle", "0.5", "0", "0"]
    assert total.split() == ["all", "10.5", "2", "1"]
    build = toy / "build" / "smoke"
    assert [place.split()[-1] for place in places] == [
        str(build / name) for name in ("figures", "results", "notebooks", "results/run.json")
    ]


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (KeyboardInterrupt(), 130, "\nbitskept: interrupted; what was finished is kept for the next run\n"),
        (ValueError("a wrong value"), 2, "bitskept: a wrong value\n"),
        (KeyError("no such name"), 2, "bitskept: no such name\n"),
        (OSError("the disk is full"), 1, "bitskept: the disk is full\n"),
        (MemoryError(), 1, "bitskept: MemoryError\n"),
        (batch.NotebookError(Path("a"), "1: x", "y"), 1, "notebook: a\ncell:     1: x\nerror:    y\n"),
    ],
)
def test_errors_end_in_a_message_and_a_status(toy, capsys, monkeypatch, error, status, told):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(batch, "run", fail)
    assert command_line.main(["run", "--profile", "smoke"]) == status
    assert capsys.readouterr().err == told


def test_a_kill_is_an_interrupt(toy, monkeypatch):
    monkeypatch.setattr(batch, "run", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
    assert command_line.main(["run", "--profile", "smoke"]) == 130


@pytest.mark.parametrize("command", ["run", "redraw", "measure", "tune", "grow", "jobs"])
def test_any_profile_can_be_named_and_one_that_does_not_exist_is_refused(toy, capsys, command):
    assert command_line.main([command, "--profile", "mine"]) == 2
    assert "there is no profile 'mine': choose laptop, paper, smoke, or name a file" in capsys.readouterr().err


def test_redrawn_figures_are_counted(toy, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(redraw, "redraw", lambda profile, names: [tmp_path / "a.png", tmp_path / "a.svg"])
    assert command_line.main(["redraw", "--profile", "smoke"]) == 0
    assert capsys.readouterr().out == f"2 files in {tmp_path}\n"


@pytest.mark.parametrize("command", ["measure", "tune", "grow"])
def test_a_command_does_its_jobs_and_no_others(project, checkout, capsys, monkeypatch, command):
    (project / "params").rmdir()
    (project / "params").symlink_to(checkout / "params")
    done = []
    monkeypatch.setattr(jobs, "run", lambda chosen: done.extend(chosen) or {})
    assert command_line.main([command, "--profile", "smoke"]) == 0
    assert done
    assert {job.command for job in done} == {command}
    assert capsys.readouterr().out.startswith(f"{len(done)} done, or done before: {done[0].name}")
    done.clear()
    notebook = {"measure": "02", "tune": "03", "grow": "05"}[command]
    assert command_line.main([command, "--profile", "smoke", "--notebook", notebook]) == 0
    assert {job.notebook[:2] for job in done} == {notebook}
    assert command_line.main([command, "--profile", "smoke", "nothing"]) == 2
    assert "no job of this profile is named 'nothing'" in capsys.readouterr().err


def test_failed_jobs_are_listed_at_the_end(project, checkout, capsys, monkeypatch):
    (project / "params").rmdir()
    (project / "params").symlink_to(checkout / "params")
    monkeypatch.setattr(jobs, "run", lambda chosen: {chosen[0].name: "it broke"})
    assert command_line.main(["measure", "--profile", "smoke"]) == 1
    assert "bitskept: 1 failed; the others are in the store\n  02.sweep.minilm-l6: it broke" in capsys.readouterr().err


def test_an_unknown_id_is_refused_before_anything_is_fetched(home, capsys):
    assert command_line.main(["fetch", "minilm-l6", "speches"]) == 2
    message = "there is no model or corpus 'speches', in the registry or as a path; nearest: speeches"
    assert message in capsys.readouterr().err
    assert not home.exists()


@pytest.mark.parametrize(("kind", "id"), [("models", "smollm2-135m"), ("corpora", "speeches"), ("tasks", "simlex999")])
def test_the_catalogues_are_listed(home, capsys, kind, id):
    assert command_line.main([kind]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("id ")
    assert any(line.split()[0] == id for line in lines)


def test_columns_have_numbers_to_the_right():
    assert command_line.columns([{"id": "a", "n": 1}, {"id": "long", "n": 100}]) == "id      n\na       1\nlong  100"


def test_a_pipe_that_is_closed_is_no_error(home, monkeypatch):
    def closed(_):
        raise BrokenPipeError

    monkeypatch.setattr(command_line, "show", closed)
    monkeypatch.setattr(sys, "stderr", open(os.devnull, "w"))  # noqa: SIM115
    assert command_line.main(["models"]) == 1
