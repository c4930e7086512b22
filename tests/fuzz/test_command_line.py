"""What is typed after `bitskept`. How to search longer: see conftest.py."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bitskept
from bitskept.run.command_line import main

slow = settings.get_profile("slow")
COMMANDS = ("fetch", "run", "redraw", "measure", "tune", "grow")
WORDS = [
    "--profile", "--profile=smoke", "--profile=../x", "--profile=~no-such-user/x.yaml", "smoke", "--write-back",
    "--notebook", "--accept-terms", "--help", "-h", "--", "-", "--p", "02", "²", "٣", "1" * 5000, "0x1", "99",
    "00_tour", "gpt2@../x", "gpt2", "", ".", "..", "~no-such-user", "\0", "\udcff", "\n", "--version", "👩‍👩‍👧",
    "x" * 100_000, "02_layer_sweep.ipynb", "causal ", "CON", "@file",
]  # fmt: skip


@slow
@given(
    command=st.sampled_from(COMMANDS), words=st.lists(st.sampled_from(WORDS) | st.text(max_size=8), max_size=4),
    nonsense=st.sampled_from(["no such thing", "~no-such-user/x", "²", "\udcff", "x" * 100_000, "../\0"]),
)  # fmt: skip
@example(command="run", words=[], nonsense="²")
@example(command="run", words=["--profile", "smoke"], nonsense="1" * 5000)
@example(command="measure", words=["--profile=smoke"], nonsense="x" * 100_000)
def test_junk_ends_in_a_message_and_a_status(command, words, nonsense, place):
    (place / "project" / "notebooks" / "02_layer_sweep.ipynb").write_text("{}")  # none of these may reach it
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            status = main([command, *words, "--", nonsense] if "--" not in words else [command, nonsense, *words])
        except SystemExit as stop:  # argparse's own
            status = stop.code
    message = said.getvalue()
    assert status in ((0, 1, 2) if {"--help", "-h", "--version"} & set(words) else (1, 2))
    assert "Traceback" not in message
    assert status == 0 or "bitskept" in message
    assert len(message) < 6_000 + 2 * len(" ".join([*words, nonsense]))


@pytest.mark.skipif(os.name != "posix", reason="arguments are bytes on POSIX only")
@pytest.mark.parametrize("variable", [None, "BITSKEPT_HOME", "BITSKEPT_DATA", "BITSKEPT_ROOT"])
def test_bytes_that_are_not_text_and_folders_that_do_not_exist(variable, place):
    """As the shell hands them over, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(Path(bitskept.__file__).parents[1])}
    wanted = [b"fetch", b"\xff\xfe\x80"]
    if variable:
        environment[variable], wanted = "~no-such-user/there", [b"fetch", b"lee", b"c4"]
    run = subprocess.run(
        [sys.executable, "-m", "bitskept", *wanted], capture_output=True, env=environment, timeout=120, check=False
    )
    told = run.stderr.decode("utf-8", "replace")
    assert run.returncode == 2
    assert told.startswith("bitskept: ")
    assert (variable or r"\udcff\udcfe\udc80") in told
    assert told.count("\n") == 1
