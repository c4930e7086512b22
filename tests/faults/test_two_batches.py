"""Two batches at once on one home."""

import json
import os
import subprocess
import sys
from collections import Counter

import nbformat
from compare_tables import differences
from faults.places import environment

from bitskept import locks, store


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
from bitskept import parallel
parallel.each(squares.square, [1, 2])"""
SQUARES = """
import pandas as pd
from bitskept.store import stored

def square(number):
    return stored("square", 1, {"number": number}, lambda: pd.DataFrame({"square": [number**2]}))
"""
RUN = """
import sys
from bitskept import params
from bitskept.__main__ import main
params.SECTIONS.clear()
params.SECTIONS["00_squares"] = params.Section
sys.exit(main(["run", "--profile", "smoke"]))
"""


def test_who_waits_in_a_batch_is_told_what_for(tmp_path):
    """A job of a notebook, in a process of its own, needs what this process seems to be computing."""
    for folder in ("params", "notebooks", "tmp"):
        (tmp_path / folder).mkdir()
    (tmp_path / "params" / "smoke.yaml").write_text("00_squares: {profile: smoke}")
    (tmp_path / "tmp" / "squares.py").write_text(SQUARES)
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in ('profile = "laptop"', CELL)]
    notebook.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(notebook, tmp_path / "notebooks" / "00_squares.ipynb")
    own = environment(tmp_path / "home", tmp_path)
    own |= {"PYTHONPATH": os.pathsep.join([own["PYTHONPATH"], str(tmp_path / "tmp")])}
    entry = tmp_path / "home" / "store" / "square" / store.digest("square", 1, {"number": 2})
    with locks.alone(entry, "it"):
        run = subprocess.Popen([sys.executable, "-c", RUN], env=own, stderr=subprocess.PIPE, text=True)
        told = run.stderr.readline()
    _, rest = run.communicate()
    assert told == "bitskept: waiting for a result of square, which another process is making\n", told + rest
    assert run.returncode == 0, rest
    assert sorted(path.name for path in entry.parent.iterdir() if path.name.startswith(".")) == []
