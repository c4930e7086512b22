import os

import psutil
import pytest

from bitskept.base import parallel


@pytest.fixture
def two_cores(monkeypatch):
    """A machine with two cores, both of which may be used."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setenv(parallel.PROCESSES, "2")


@pytest.fixture
def started(monkeypatch):
    """What would be done in processes of its own: (jobs, processes) of each call; done here."""
    calls = []

    def record(function, order, at_once):
        calls.append(([job for _, job in order], at_once))
        return ((place, function(job)) for place, job in order)

    monkeypatch.setattr(parallel, "_in_processes", record)
    return calls


def square(number):
    return number**2


def test_results_come_in_the_order_of_the_jobs_and_the_costliest_starts_first(two_cores, started):
    assert parallel.each(square, [3, 1, 4], cost=float) == [9, 1, 16]
    assert started == [([4, 3, 1], 2)]
    assert parallel.each(square, []) == []


def test_with_one_process_the_work_is_done_here(two_cores, started, monkeypatch):
    assert parallel.each(square, [3, 1], at_once=1) == [9, 1]
    monkeypatch.setenv(parallel.PROCESSES, "1")
    assert parallel.each(square, [3, 1]) == [9, 1]
    assert started == []


def test_what_is_stored_is_read_here_and_only_the_rest_is_computed_elsewhere(two_cores, started):
    computed = parallel.each_stored(square, [2, 1, 3], is_stored=lambda number: number == 1)
    assert computed == [4, 1, 9]
    assert started == [([2, 3], 2)]
    assert parallel.each_stored(square, [2, 1], is_stored=lambda _: True) == [4, 1]
    assert len(started) == 1


def test_a_job_that_is_left_gets_one_thread_as_it_would_among_all(two_cores, started):
    assert parallel.each_stored(square, [1, 2], is_stored=lambda number: number == 1) == [1, 4]
    assert started == [([2], 2)]


def test_no_more_run_side_by_side_than_there_is_memory_for(two_cores, started):
    total = psutil.virtual_memory().total
    assert parallel.side_by_side(2, total // 2) == 2
    assert parallel.side_by_side(2, total) == parallel.side_by_side(2, 2 * total) == 1
    options = {"is_stored": lambda _: False, "memory": lambda number: number * total // 2}
    assert parallel.each_stored(square, [1, 2], **options) == [1, 4]
    assert started == []


def test_processes_that_train_together_do_one_job_at_a_time(two_cores, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert parallel.side_by_side(2) == 1


@pytest.mark.parametrize("wrong", ["0", "-1", "many", ""])
def test_a_wrong_number_of_processes_is_refused(monkeypatch, wrong):
    monkeypatch.setenv(parallel.PROCESSES, wrong)
    with pytest.raises(ValueError, match="BITSKEPT_PROCESSES must be a number of processes, at least 1, but is"):
        parallel.each(square, [1])
