"""Locks between processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bitskept.base import files

HOLDS = """
import sys, time
from pathlib import Path
from bitskept.base.files import locked
with locked(Path(sys.argv[1]), "the thing"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
    Path(sys.argv[1]).touch()
"""


@pytest.fixture
def hold(tmp_path):
    """hold(SECONDS): another process that has the lock of `tmp_path / "folder" / "thing"`, and then makes it."""
    started = []

    def start(seconds):
        command = [sys.executable, "-c", HOLDS, str(tmp_path / "folder" / "thing"), str(seconds)]
        environment = os.environ | {"PYTHONPATH": str(Path(files.__file__).parents[2])}
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
        assert started[-1].stdout.readline() == "held\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_whoever_comes_second_waits_says_so_and_finds_what_the_first_made(hold, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(files, "QUIET_SECONDS", 0.1)
    hold(1)
    with files.locked(tmp_path / "folder" / "thing", "the twin one"):
        assert (tmp_path / "folder" / "thing").exists()
    assert capsys.readouterr().err == "bitskept: waiting for the twin one, which another process is making\n"
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["thing"]


def test_a_short_wait_is_not_mentioned(hold, tmp_path, capsys):
    hold(0.2)
    with files.locked(tmp_path / "folder" / "thing", "it"):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_the_lock_of_a_dead_process_blocks_nobody(hold, tmp_path):
    holder = hold(600)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == [".thing.lock"]
    began = time.monotonic()
    with files.locked(tmp_path / "folder" / "thing", "it"):
        pass
    assert time.monotonic() - began < files.QUIET_SECONDS
    assert not list((tmp_path / "folder").iterdir())
