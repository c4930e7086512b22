"""The command line as a process of its own: what it imports, and how it ends when it is interrupted."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = {"torch", "numpy", "pandas", "matplotlib", "pydantic", "papermill", "datasets", "transformers"}
HELP = "from bitskept.run.command_line import parser; parser().format_help()"
CATALOGUE = "from bitskept.run.command_line import main; main(['models'])"


@pytest.mark.parametrize(("code", "allowed"), [(HELP, set()), (CATALOGUE, {"pydantic"})], ids=["help", "models"])
def test_what_has_to_be_quick_imports_nothing_heavy(home, code, allowed):
    script = f"import sys; {code}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not (HEAVY - allowed) & set(done.stdout.splitlines()[-1].split())


INTERRUPTED = """
import sys, toy
from bitskept.run import command_line, notebooks
notebooks.SECTIONS = toy.SECTIONS
sys.exit(command_line.main(["run", "--profile", "smoke", "03", "04"]))
"""


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_with_one_message_and_no_kernel(toy, sent):
    # Whoever runs the tests in the background may have SIGINT ignored, which a child would inherit.
    options = {"start_new_session": True, "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED], stderr=subprocess.PIPE, text=True, **options) as run:
        try:
            pid = toy / "notebooks" / "pid"
            wait_until(lambda: run.poll() is not None or (pid.is_file() and pid.read_text()))
            os.killpg(run.pid, sent) if sent == signal.SIGINT else run.send_signal(sent)
            _, told = run.communicate(timeout=60)
        finally:
            run.kill()
    assert run.returncode == 130
    assert told.strip().splitlines() == [
        "2 notebooks with the profile smoke: how long it takes is not known.",
        "03_waiting: started, 1 of 2",
        "",
        "bitskept: interrupted; what was finished is kept for the next run",
    ]
    wait_until(lambda: not is_running(int(pid.read_text())))


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_kernel_ends_with_a_batch_that_is_killed(toy):
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED], stderr=subprocess.DEVNULL) as run:
        pid = toy / "notebooks" / "pid"
        wait_until(lambda: pid.is_file() and pid.read_text())
        run.kill()
    wait_until(lambda: not is_running(int(pid.read_text())))


def wait_until(true, seconds=120):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.05)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{pid}/stat").is_file() or Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][1] != "Z"
