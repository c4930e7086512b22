"""The record of runs: what a notebook's run leaves in it, and that other notebooks' records stay."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from bitskept.base import provenance
from bitskept.run import run_record
from bitskept.run.run_record import Run


def ran(stem, finished=True, seconds=10.0):
    return Run(stem, finished, "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:10+00:00", seconds, 20.0, 1, 2, 3.5)


def read(profile="smoke"):
    return json.loads(run_record.file(profile).read_text("utf-8"))


def test_the_record_lies_beside_the_tables_and_says_where_a_notebook_ran(project):
    run_record.add("laptop", ran("00_tour"))
    folder = project / "results" / "laptop"
    assert [path.name for path in folder.iterdir()] == ["run.json"]
    record = json.loads((folder / "run.json").read_text())
    tour = record["notebooks"]["00_tour"]
    assert record["profile"] == "laptop"
    assert (tour["seconds"], tour["cpu_seconds"], tour["from_store"], tour["computed"]) == (10.0, 20.0, 1, 2)
    assert tour["versions"] == provenance.versions()
    assert tour["machine"] == provenance.machine()
    assert tour["commit"] == provenance.commit()


def test_the_last_run_of_a_notebook_replaces_the_one_before_and_leaves_the_others(project):
    for run in (ran("01_theory_bounds"), ran("00_tour"), ran("00_tour", finished=False, seconds=3.0)):
        run_record.add("smoke", run)
    notebooks = read()["notebooks"]
    assert [(stem, run["seconds"], run["finished"]) for stem, run in notebooks.items()] == [
        ("00_tour", 3.0, False),
        ("01_theory_bounds", 10.0, True),
    ]


def test_runs_that_end_at_the_same_time_are_all_written_down(project):
    stems = [f"{number:02d}" for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda stem: run_record.add("smoke", ran(stem)), stems))
    assert list(read()["notebooks"]) == stems


@pytest.mark.parametrize("content", ["{", "[]", '{"notebooks": 3}'])
def test_a_damaged_record_is_replaced_with_a_warning(project, content):
    run_record.file("smoke").parent.mkdir(parents=True)
    run_record.file("smoke").write_text(content)
    with pytest.warns(UserWarning, match=r"run\.json is damaged .*: starting a new one"):
        run_record.add("smoke", ran("00_tour"))
    assert list(read()["notebooks"]) == ["00_tour"]


def test_no_path_and_no_machine_is_named(project, home):
    run_record.add("laptop", ran("00_tour"))
    text = run_record.file("laptop").read_text()
    assert str(project) not in text
    assert str(home) not in text
    assert socket.gethostname() not in text


def test_each_result_counts_once_and_half_a_line_not_at_all(tmp_path):
    lines = [
        {"function": "sweep", "digest": "a", "from_store": True, "seconds": 0.1},
        {"function": "sweep", "digest": "a", "from_store": True, "seconds": 0.1},
        {"function": "sweep", "digest": "b", "from_store": False, "seconds": 2.5},
        {"function": "sweep", "digest": "b", "from_store": True, "seconds": 0.1},  # computed, and then read again
        {"function": "tasks", "digest": "c", "from_store": False, "seconds": 1.0},
    ]
    log = tmp_path / "log"
    log.write_text("\n".join(map(json.dumps, lines)) + '\n{"function": "sw')
    assert run_record.count_results(log) == (1, 2, 3.5)
