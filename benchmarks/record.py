"""The record of the benchmarks: a JSON line for each run of a script, with its numbers and what they came from."""

import argparse
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bitskept.base import provenance

FILE = Path(__file__).resolve().parents[1] / "results" / "benchmarks.jsonl"


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that all scripts have."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="smaller: a few minutes at most on two cores")
    options.add_argument("--record", type=Path, default=FILE, help="gets a line (default: results/benchmarks.jsonl)")
    return options


def in_child(script: str, *arguments: str) -> int:
    """The number that a script prints in a process of its own: a process does not give memory back to the system."""
    command = [sys.executable, script, *arguments]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def append(benchmark: str, options: argparse.Namespace, numbers: Any) -> None:
    """Append a line: benchmark, date, options, numbers, load (processes a core), commit, versions and machine.

    The load tells how far to trust the seconds: above 1 this script had to share the cores.
    """
    busy = {"load": round(os.getloadavg()[0] / provenance.cores(), 2)} if hasattr(os, "getloadavg") else {}
    line = {
        "benchmark": benchmark,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": {name: value for name, value in vars(options).items() if name != "record"},
        "numbers": numbers,
        **busy,
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "machine": provenance.machine(),
    }
    options.record.parent.mkdir(parents=True, exist_ok=True)
    with options.record.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
