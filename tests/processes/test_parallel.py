"""Jobs side by side, in processes."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from bitskept.base import parallel


@pytest.fixture
def two_cores(monkeypatch):
    """A machine with two cores, both of which may be used."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setenv(parallel.PROCESSES, "2")


def fail_at_two(number):
    if number == 2:
        raise ValueError("2 is too much")
    return number


def killed_at_two(number):
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def process(_):
    return os.getpid()


def settings(_):
    import torch

    nested = parallel.each(process, [0, 1])  # jobs of a job are done in its own process
    return {os.getpid(), *nested}, torch.get_num_threads(), os.environ.get("BITSKEPT_HOME")


def test_an_error_of_a_job_is_raised_here(two_cores):
    with pytest.raises(ValueError, match="2 is too much"):
        parallel.each(fail_at_two, [1, 2, 3])


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
@pytest.mark.filterwarnings("ignore:A worker stopped")
def test_a_process_that_the_system_kills_is_explained(two_cores):
    with pytest.raises(MemoryError, match=r"one of 2 processes side by side was killed, .*: set BITSKEPT_PROCESSES=1"):
        parallel.each(killed_at_two, [1, 2, 3])
    assert parallel.each(fail_at_two, [1, 3]) == [1, 3]  # the next call has processes of its own


def test_processes_have_one_thread_and_the_settings_of_this_call(two_cores, monkeypatch):
    for folder in ("first", "second"):
        monkeypatch.setenv("BITSKEPT_HOME", folder)
        found = parallel.each(settings, [0, 1])
        assert {home for _, _, home in found} == {folder}
        assert all(len(processes) == 1 and os.getpid() not in processes for processes, _, _ in found)
        assert {threads for _, threads, _ in found} == {1}


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_nothing_is_left_of_processes_whose_jobs_are_done(tmp_path):
    """Even if the process that had them is killed afterwards, as a notebook's kernel may be."""
    (tmp_path / "short_jobs.py").write_text("def double(number):\n    return 2 * number\n")
    code = (
        "import os, signal, short_jobs; from bitskept.base import parallel; os.sched_getaffinity = lambda _: {0, 1}; "
        "print(parallel.each(short_jobs.double, [1, 2, 3], at_once=2), flush=True); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("[2, 4, 6]\n", "")  # the streams are open until the last child has ended


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
@pytest.mark.parametrize("jobs", [2, 1])
def test_processes_end_with_one_that_is_killed_whether_they_have_a_job_or_none(tmp_path, jobs):
    (tmp_path / "long_jobs.py").write_text(
        textwrap.dedent("""
            import os, pathlib, time

            def wait(folder):
                pathlib.Path(folder, str(os.getpid())).touch()
                time.sleep(300)
        """)
    )
    call = f"parallel.each(long_jobs.wait, [{str(tmp_path)!r}] * {jobs}, at_once=2)"
    code = (
        f"import os, long_jobs; from bitskept.base import parallel; os.sched_getaffinity = lambda _: {{0, 1}}; {call}"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path), parallel.PROCESSES: "2"}
    begun = set()
    main = subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=tmp_path)
    try:
        assert wait_for(lambda: len(workers(tmp_path)) == jobs, seconds=120)
        begun = {child.pid for child in psutil.Process(main.pid).children(recursive=True)}
        assert len(begun) > 2, "the two, and what loky tracks resources with"
        main.send_signal(signal.SIGKILL)
        main.wait(timeout=10)
        assert wait_for(lambda: not any(map(alive, begun)), seconds=30)
    finally:
        for process in (main.pid, *begun):
            if alive(process):
                os.kill(process, signal.SIGKILL)


def workers(folder):
    return [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{process}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False
