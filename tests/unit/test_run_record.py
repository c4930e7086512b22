"""The record of runs: what a notebook's run leaves in it, and that other notebooks' records stay."""

import json
import multiprocessing
import socket

import pytest

from bitskept import outputs, provenance, run_record
from bitskept.run_record import Batch, Run

RESULTS = [
    {"function": "layer_sweep", "digest": "a" * 16, "from_store": True, "seconds": 0.1},
    {"function": "layer_sweep", "digest": "b" * 16, "from_store": False, "seconds": 2.5},
    {"function": "understanding", "digest": "c" * 16, "from_store": False, "seconds": 1.0},
]


def ran(stem, finished=True, seconds=10.0, memory=5):
    times = ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:10+00:00")
    return Run(stem, finished, *times, seconds, 2 * seconds, memory, RESULTS)


def read(profile="smoke"):
    return json.loads(run_record.file(profile).read_text("utf-8"))


def test_the_record_lies_beside_the_tables(project):
    Batch("laptop").add(ran("00_tour"))
    assert run_record.file("laptop") == project / "results" / "laptop" / "run.json"
    assert sorted(path.name for path in (project / "results" / "laptop").iterdir()) == ["run.json"]


def test_a_batch_and_its_notebooks_are_written_down(project):
    batch = Batch("smoke")
    batch.add(ran("00_tour", memory=7))
    batch.add(ran("02_layer_sweep", finished=False, seconds=5.0))
    record = read()
    [(name, described)] = record["batches"].items()
    assert described["notebooks"] == ["00_tour", "02_layer_sweep"]
    assert (described["cpu_seconds"], described["peak_memory_bytes"]) == (30.0, 7)
    assert described["seconds"] < 15.0, "the clock's, whatever notebooks took side by side"
    assert described["versions"] == provenance.versions()
    assert described["machine"] == provenance.machine()
    assert described["commit"] == provenance.commit()
    tour = record["notebooks"]["00_tour"]
    assert tour["batch"] == name
    assert tour["results"] == RESULTS
    assert (tour["from_store"], tour["computed"], tour["computing_seconds"]) == (1, 2, 3.5)
    assert [one["finished"] for one in record["notebooks"].values()] == [True, False]


def test_a_batch_of_some_notebooks_keeps_the_records_of_the_others(project):
    first, second = Batch("smoke"), Batch("smoke")
    first.add(ran("00_tour"))
    first.add(ran("01_theory_bounds"))
    second.add(ran("00_tour", seconds=3.0))
    record = read()
    assert {stem: one["seconds"] for stem, one in record["notebooks"].items()} == {
        "00_tour": 3.0,
        "01_theory_bounds": 10.0,
    }
    assert set(record["batches"]) == {one["batch"] for one in record["notebooks"].values()}
    assert len(record["batches"]) == 2
    second.add(ran("01_theory_bounds", seconds=4.0))
    assert len(read()["batches"]) == 1, "nothing is left of the first batch"


def test_several_at_once_lose_nothing(project):
    stems = [f"{number:02d}_notebook" for number in range(24)]
    # Not forked: other tests' threads may hold locks, which a copy of this process would wait for.
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        pool.map(add, [stems[start::3] for start in range(3)], chunksize=1)
    assert list(read()["notebooks"]) == stems


def add(stems):
    for stem in stems:
        Batch("smoke").add(ran(stem))


def test_a_damaged_record_is_told_and_begun_anew(project):
    _, tables = outputs.folders("smoke")
    tables.mkdir(parents=True)
    (tables / "run.json").write_text("{")
    with pytest.warns(UserWarning, match=r"run\.json is damaged \(.*\): begun anew"):
        Batch("smoke").add(ran("00_tour"))
    assert list(read()["notebooks"]) == ["00_tour"]


def test_it_names_no_path_and_no_machine_and_has_a_line_for_each_result(project, home):
    Batch("laptop").add(ran("00_tour"))
    text = run_record.file("laptop").read_text()
    for secret in (str(project), str(home), str(project.parent), f'"{socket.gethostname()}"'):
        assert secret not in text
    line = '{"function": "layer_sweep", "digest": "aaaaaaaaaaaaaaaa", "from_store": true, "seconds": 0.1}'
    assert [one.strip(" ,") for one in text.splitlines() if "aaaa" in one] == [line]


def test_a_log_that_a_kill_cut_short_is_read_up_to_there(tmp_path):
    log = tmp_path / "log"
    whole = {"function": "f", "digest": "d" * 64, "from_store": False, "seconds": 1.0}
    log.write_text(json.dumps(whole) + '\n{"function": "f", "dig')
    assert run_record.results(log) == [whole | {"digest": "d" * 16}]
