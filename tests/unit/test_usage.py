import os
import subprocess
import sys
import time

import pytest

from bitskept.usage import Usage

WORK = "import time; full = b'x' * 300_000_000; end = time.process_time() + 1.5\nwhile time.process_time() < end: pass"
IN_A_CHILD = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {WORK!r}], check=True)"


@pytest.mark.skipif(os.name != "posix", reason="other systems do not tell what ended processes took")
@pytest.mark.parametrize("script", [WORK, IN_A_CHILD])
def test_time_and_memory_of_processes_and_of_theirs(script):
    with Usage() as usage:
        subprocess.run([sys.executable, "-c", script], check=True)
    assert 1.5 <= usage.cpu_seconds < 15
    assert 300e6 <= usage.peak_memory < 600e6


def test_what_this_process_itself_takes_does_not_count():
    mine = b"x" * 300_000_000
    with Usage() as usage:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(2)"], check=True)
    assert mine
    assert 1e6 < usage.peak_memory < 200e6


def test_what_was_there_before_does_not_count():
    other = subprocess.Popen([sys.executable, "-c", WORK])
    with Usage() as usage:
        while other.poll() is None:
            time.sleep(0.1)
    assert usage.peak_memory == 0


def test_but_what_is_named_does():
    other = subprocess.Popen([sys.executable, "-c", WORK])
    with Usage(also=[other.pid]) as usage:
        while other.poll() is None:
            time.sleep(0.1)
    assert usage.peak_memory > 300e6
    assert usage.cpu_seconds > 1
