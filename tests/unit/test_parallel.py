import os
import signal
import subprocess
import sys
import textwrap
import time

import pandas as pd
import psutil
import pytest

from bitskept import parallel, store


def square(number):
    return number**2


def fail_at_two(number):
    if number == 2:
        raise ValueError("2 is too much")
    return number


def settings(_):
    import torch

    return os.getpid(), torch.get_num_threads(), os.environ.get("BITSKEPT_HOME")


@pytest.fixture(params=[1, 2])
def processes(request, monkeypatch):
    """One process, or two side by side."""
    monkeypatch.setenv(parallel.PROCESSES, str(request.param))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    return request.param


def test_results_come_in_the_order_of_the_jobs_whatever_their_cost(processes):
    jobs = [3, 1, 4, 1, 5]
    assert parallel.each(square, jobs, cost=lambda job: -job) == [9, 1, 16, 1, 25]
    assert parallel.each(square, []) == []


def test_the_costliest_jobs_are_begun_first(monkeypatch):
    monkeypatch.setenv(parallel.PROCESSES, "1")
    begun = []
    parallel.each(begun.append, [1, 3, 2], cost=float)
    assert begun == [3, 2, 1]


def test_an_error_of_a_job_is_raised_here(processes):
    with pytest.raises(ValueError, match="2 is too much"):
        parallel.each(fail_at_two, [1, 2, 3])


def test_processes_have_one_thread_and_the_settings_of_now(processes, monkeypatch):
    for folder in ("first", "second"):
        monkeypatch.setenv("BITSKEPT_HOME", folder)
        found = parallel.each(settings, [0, 1])
        assert {home for _, _, home in found} == {folder}
    if processes == 2:
        assert os.getpid() not in {process for process, _, _ in found}
        assert {threads for _, threads, _ in found} == {1}


def stored_square(number):
    table = store.stored("square", 1, {"number": number}, lambda: pd.DataFrame({"process": [os.getpid()]}))
    return number**2, table["process"].item()


def test_what_is_stored_is_read_here_and_only_the_rest_is_computed_elsewhere(home, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setenv(parallel.PROCESSES, "2")
    stored_square(1)
    first = parallel.each_stored(stored_square, [2, 1, 3])
    assert [square for square, _ in first] == [4, 1, 9]
    assert [process == os.getpid() for _, process in first] == [False, True, False]
    monkeypatch.setattr(parallel, "each", None)
    assert parallel.each_stored(stored_square, [2, 1, 3]) == first


def test_a_job_that_is_left_is_done_as_it_would_have_been_among_all(home, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setenv(parallel.PROCESSES, "2")
    stored_square(1)
    (_, there), (_, left) = parallel.each_stored(stored_square, [1, 2])
    assert (there == os.getpid(), left == os.getpid()) == (True, False)


@pytest.mark.parametrize("wrong", ["0", "-1", "many", ""])
def test_a_number_of_processes_that_is_none_is_refused(monkeypatch, wrong):
    monkeypatch.setenv(parallel.PROCESSES, wrong)
    with pytest.raises(ValueError, match="BITSKEPT_PROCESSES must be a number of processes, at least 1, but is"):
        parallel.each(square, [1])


def test_no_more_run_side_by_side_than_there_is_memory_for(home, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setenv(parallel.PROCESSES, "2")
    all_there_is = psutil.virtual_memory().total
    assert parallel.side_by_side(2, all_there_is // 2) == 2
    assert parallel.side_by_side(2, all_there_is) == parallel.side_by_side(2, 2 * all_there_is) == 1
    found = parallel.each_stored(stored_square, [1, 2], memory=lambda number: number * all_there_is // 2)
    assert {process for _, process in found} == {os.getpid()}


def test_processes_that_train_together_do_one_job_at_a_time(monkeypatch):
    monkeypatch.setenv(parallel.PROCESSES, "2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert parallel.side_by_side(2) == 1


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
    asked = f"parallel.each(long_jobs.wait, [{str(tmp_path)!r}] * {jobs}, at_once=2)"
    code = f"import os, long_jobs; from bitskept import parallel; os.sched_getaffinity = lambda _: {{0, 1}}; {asked}"
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
