import os
import signal
import sys
import time

import pytest

from bitskept import processes

JOBS = {"first": 3, "second": 1, "third": 2}
NAMED = "BITSKEPT_TEST_OF_PROCESSES"


def squared(number, line):
    return number**2, line, os.getpid(), os.environ.get(NAMED)


@pytest.mark.parametrize("at_once", [1, 2])
def test_each_job_gives_its_result_and_has_the_settings_of_now(at_once, monkeypatch):
    monkeypatch.setenv(NAMED, "now")
    found = list(processes.each(squared, JOBS, at_once))
    assert sorted(square for square, *_ in found) == [1, 4, 9]
    assert {line for _, line, *_ in found} == ({1, 2} if at_once == 2 else {None})
    assert {process == os.getpid() for _, _, process, _ in found} == {at_once == 1}
    assert {setting for *_, setting in found} == {"now"}


def fail(what, _):
    if what == "error":
        raise ValueError("this one is wrong")
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(300)


@pytest.mark.parametrize("at_once", [1, 2])
def test_an_error_is_raised_here_and_ends_the_others(at_once):
    started = time.monotonic()
    with pytest.raises(ValueError, match="this one is wrong"):
        list(processes.each(fail, {"first": "error", "second": "wait"}, at_once))
    assert time.monotonic() - started < 200


def test_one_that_is_killed_is_named():
    with pytest.raises(ChildProcessError, match=r"second ended without a result.*BITSKEPT_PROCESSES=1"):
        list(processes.each(fail, {"first": "wait", "second": "kill"}, 2))


def in_good_order(folder, _):
    try:
        (folder / "begun").touch()
        time.sleep(300)
    except KeyboardInterrupt:
        (folder / "ended").touch()
        raise


def first_begun(folder, line):
    if line == 1:
        while not (folder / "begun").exists():
            time.sleep(0.05)
        return "enough"
    return in_good_order(folder, line)


def test_who_stops_asking_ends_them_in_good_order(tmp_path):
    asked = processes.each(first_begun, {"first": tmp_path, "second": tmp_path}, 2)
    assert next(asked) == "enough"
    asked.close()
    assert (tmp_path / "ended").exists()


def imported(_, __):
    return "bitskept.graph" in sys.modules, [kernel.pid for kernel in processes.waiting]


@pytest.mark.skipif(not processes.FORKS, reason="elsewhere processes begin anew")
def test_they_begin_with_what_notebooks_import_and_a_kernel_that_waits():
    for there, kernels in processes.each(imported, JOBS, 2):
        assert there
        (pid,) = kernels
        with pytest.raises(ProcessLookupError):  # nobody told it which
            os.kill(pid, 0)
