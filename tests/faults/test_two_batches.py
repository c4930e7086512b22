"""Two batches at once on one home."""

import json
import os
import subprocess
import sys
from collections import Counter

from compare_tables import differences
from faults.places import environment
from toy import write_notebook

from bitskept.base import files, store


def test_two_batches_share_the_work_and_agree(two_batches):
    for run, place in two_batches.items():
        assert run.wait() == 0, place.told()
        assert place.leftovers() == []
    one, other = (place.build for place in two_batches.values())
    assert differences(one / "results", other / "results") == []
    computed = Counter()
    for build in (one, other):
        for log in (build / "logs").glob("*.jsonl"):
            lines = [json.loads(line) for line in log.read_text().splitlines()]
            computed.update(line["digest"] for line in lines if not line["from_store"])
    assert len(computed) > 60
    assert [digest for digest, times in computed.items() if times > 1] == [], "the same was computed by both"


CELL = """import squares
from bitskept.base import parallel
parallel.each(squares.square, [1, 2])"""
SQUARES = """
import pandas as pd
from bitskept.base.store import stored

def square(number):
    return stored("square", 1, {"number": number}, lambda: pd.DataFrame({"square": [number**2]}))
"""
RUN = """
import sys, toy
from bitskept.run import command_line, notebooks
notebooks.SECTIONS = toy.SECTIONS
sys.exit(command_line.main(["run", "--profile", "smoke"]))
"""


def test_whoever_waits_in_a_batch_learns_what_for(tmp_path):
    """A job of a notebook, in a process of its own, needs a result that this process seems to be computing."""
    for folder in ("params", "notebooks", "tmp"):
        (tmp_path / folder).mkdir()
    (tmp_path / "params" / "smoke.yaml").write_text("01_failing: {seed: 1}")
    (tmp_path / "tmp" / "squares.py").write_text(SQUARES)
    write_notebook(tmp_path / "notebooks", "01_failing", [CELL])
    own = environment(tmp_path / "home", tmp_path)
    own |= {"PYTHONPATH": os.pathsep.join([own["PYTHONPATH"], str(tmp_path / "tmp")])}
    entry = tmp_path / "home" / "store" / "square" / store.digest("square", 1, {"number": 2})
    with files.locked(entry, "it"):
        run = subprocess.Popen([sys.executable, "-c", RUN], env=own, stderr=subprocess.PIPE, text=True)
        announced, started, told = (run.stderr.readline() for _ in range(3))
    _, rest = run.communicate()
    assert announced.startswith("01_failing with the profile smoke")
    assert started == "01_failing: started\n"
    assert told == "bitskept: waiting for a result of square, which another process is making\n", told + rest
    assert run.returncode == 0, rest
    assert sorted(path.name for path in entry.parent.iterdir() if path.name.startswith(".")) == []
