"""Runs that are killed while they write to the store."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bitskept.base import store

KEY = {"model": "tiny"}
TABLE = pd.DataFrame({"estimate": [1.0]})
KILLED = """
import os, signal, sys
import pandas as pd
from bitskept.base import files, store
syncs = []
def killing(path):
    syncs.append(path)
    if len(syncs) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
files._sync = killing
store.stored("measure", 1, {"model": "tiny"}, lambda: pd.DataFrame({"estimate": [1.0]}))
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")


def kill_at(sync, home):
    environment = os.environ | {"BITSKEPT_HOME": str(home), "PYTHONPATH": str(Path(store.__file__).parents[2])}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(sync)], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL


@pytest.mark.parametrize(("sync", "committed"), [(1, False), (2, False), (3, False), (4, True)])
def test_a_killed_run_leaves_a_whole_entry_or_none(home, sync, committed):
    kill_at(sync, home)
    assert store.has("measure", 1, KEY) == committed
    compute = (lambda: pytest.fail("it was there")) if committed else (lambda: TABLE)
    assert store.stored("measure", 1, KEY, compute).equals(TABLE)
    assert not list(home.rglob("*.damaged"))


def test_what_a_killed_run_left_of_an_entry_is_removed_when_it_is_written(home):
    kill_at(2, home)
    folder = home / "store" / "measure"
    assert any(path.name.startswith(".partial") for path in folder.iterdir())
    store.stored("measure", 1, KEY, lambda: TABLE)
    assert [path.name for path in folder.iterdir()] == [store.digest("measure", 1, KEY)]
