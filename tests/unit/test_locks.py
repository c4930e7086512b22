import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import pytest

from bitskept import locks

HOLDS = """
import sys, time
from pathlib import Path
from bitskept.locks import alone
with alone(Path(sys.argv[1]), "the thing"):
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
        environment = os.environ | {"PYTHONPATH": str(Path(locks.__file__).parents[1])}
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
        assert started[-1].stdout.readline() == "held\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_who_comes_second_waits_is_told_and_finds_what_the_first_made(hold, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(locks, "TOLD_AFTER", 0.1)
    hold(1)
    with locks.alone(tmp_path / "folder" / "thing", "the twin one"):
        assert (tmp_path / "folder" / "thing").exists()
    assert capsys.readouterr().err == "bitskept: waiting for the twin one, which another process is making\n"
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["thing"]  # no lock is left lying about


def test_a_short_wait_is_not_told(hold, tmp_path, capsys):
    hold(0.2)
    with locks.alone(tmp_path / "folder" / "thing", "it"):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_the_lock_of_a_dead_process_blocks_nobody(hold, tmp_path, capsys):
    holder = hold(600)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == [".thing.lock"]
    began = time.monotonic()
    with locks.alone(tmp_path / "folder" / "thing", "it"):
        pass
    assert time.monotonic() - began < locks.TOLD_AFTER
    assert not list((tmp_path / "folder").iterdir())


def test_an_error_while_it_is_held_gives_it_back(tmp_path):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), locks.alone(tmp_path / "thing", "it"):
            raise ZeroDivisionError


def test_a_file_system_without_locks_is_told_and_used(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with pytest.warns(UserWarning, match="has no file locks: do not run two batches"):  # noqa: SIM117
        with locks.alone(tmp_path / "thing", "it"):
            (tmp_path / "thing").touch()
    assert (tmp_path / "thing").exists()
