"""`bitskept run` killed at ten random moments: what was finished is kept, and the tables are the same in the end."""

import ctypes
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from glob import glob

import pytest
from compare_tables import differences

from bitskept.run.notebooks import figure_functions

KILLS = 10
GONE_IN = 30  # seconds: kernels and jobs check twice a second that their parent is there; the machine may be busy
SUBREAPER = 36  # of prctl: orphans become children of this process
RESULTS = {  # that each notebook stores, at least: of the profile in small, and as it is
    False: {"03_fine_tuning": 8, "05_training_dynamics": 64},
    True: {
        "00_tour": 1, "01_theory_bounds": 1, "02_layer_sweep": 4, "03_fine_tuning": 37, "04_ib_correlations": 5,
        "05_training_dynamics": 171, "06_semantic_information": 16, "07_inside_a_transformer": 14,
        "08_uncertainty_at_the_output": 20,
    },
}  # fmt: skip

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and adopts orphans, as Linux has it")


@pytest.fixture
def adopts_orphans():
    """As a desktop session does: orphans do not become children of process 1."""
    libc = ctypes.CDLL(None)
    assert libc.prctl(SUBREAPER, 1, 0, 0, 0) == 0
    yield
    libc.prctl(SUBREAPER, 0, 0, 0, 0)


def marks(place):
    """The files that show how far a run has come: results, checkpoints of twins, tables, pictures."""
    finished = {
        place.home: ("store/*/*/entry.json", "models/tuned/*/curve.json", "models/twins/*/step-*"),
        place.build: ("results/*.csv", "figures/*"),
    }
    # A folder that is renamed while it is searched has no marks yet, which `Path.glob` would take for an error.
    return {path for folder, patterns in finished.items() for one in patterns for path in glob(one, root_dir=folder)}


def moments(notebooks, whole, draw):
    """KILLS pairs of a notebook and a number of marks: when it has left so many, it is killed. One is drawn from each
    tenth of the whole way.
    """
    ways = {stem: RESULTS[whole][stem] + 4 * len(figure_functions(stem)) for stem in notebooks}
    drawn = [(part + draw.random()) / KILLS * 0.95 * sum(ways.values()) for part in range(KILLS)]
    found = []
    for mark in drawn:
        for stem, way in ways.items():
            if mark < way:
                found.append((stem, int(mark)))
                break
            mark -= way
    return found


def computed(place, stem):
    """The digests of what the last run of a notebook computed and stored."""
    log = place.build / "logs" / f"{stem}.jsonl"
    lines = log.read_text().splitlines() if log.is_file() else []
    found = [json.loads(line) for line in lines if line.endswith("}")]  # a kill may cut one short
    return [one["digest"] for one in found if not one["from_store"]]


def kill_when(place, stem, start, mark, delay):
    """Start a run, kill it when it has left so many marks, and wait until its kernel and its jobs have ended too."""
    run = place.start(stem)
    while run.poll() is None and len(marks(place) - start) < mark:
        time.sleep(0.05)
    time.sleep(delay)
    assert run.poll() is None, f"it ended before it was killed, with {len(marks(place) - start)} marks:\n{place.told()}"
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    until = time.monotonic() + GONE_IN
    while left := place.processes():
        assert time.monotonic() < until, f"these outlive it: {[process.cmdline() for process in left]}"
        time.sleep(0.1)


def test_ten_kills_change_nothing(two_batches, place, notebooks, whole, adopts_orphans):
    draw, done = random.Random(11), Counter()
    plan = moments(notebooks, whole, draw)
    assert len(plan) == KILLS
    for stem in notebooks:
        start = marks(place)
        for mark in [mark for one, mark in plan if one == stem]:
            kill_when(place, stem, start, mark, delay=draw.random() / 2)
            done.update(computed(place, stem))
        run = place.start(stem)
        assert run.wait() == 0, place.told()
        done.update(computed(place, stem))
    # An empty lock may stay, if a kill fell between the end of the work and the end of its lock: it blocks nobody.
    assert [path for path in place.leftovers() if not path.endswith(".lock")] == []
    assert [digest for digest, times in done.items() if times > 1] == [], "finished work was done again"
    assert "damaged" not in place.told()
    tables = place.build / "results"
    pictures = {path.name for path in (place.build / "figures").iterdir()}
    assert pictures == {f"{name}.{kind}" for stem in notebooks for name in figure_functions(stem)
                        for kind in ("png", "svg", "json")}  # fmt: skip
    for run, undisturbed in two_batches.items():
        assert run.wait() == 0, undisturbed.told()
        assert differences(undisturbed.build / "results", tables) == []
