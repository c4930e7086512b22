"""What numbers and times come from, beside parameters: the code, the packages and the machine, without its name."""

import os
import platform
import re
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bitskept import CHECKOUT, __version__

PACKAGES = (
    "torch", "transformers", "tokenizers", "datasets", "numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "peft",
    "accelerate", "sentencex", "matplotlib", "seaborn", "papermill",
)  # fmt: skip
COMMIT = "BITSKEPT_COMMIT"  # the commit that a batch began with: it writes notebooks while others still run


@cache
def commit() -> str | None:
    """The commit of the checkout, "-dirty" where anything but figures and results differs from it; None without one.
    In a batch, that of its beginning.
    """
    if (known := os.environ.get(COMMIT)) is not None:
        return known or None
    if CHECKOUT is None:
        return None

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=30)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", ".", ":!figures", ":!results")
        return git("rev-parse", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def versions() -> dict[str, str | None]:
    """The versions of Python, of Bits Kept and of what it computes with; None for a package that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version(), "bitskept": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


@cache
def machine() -> dict[str, Any]:
    """System, CPU, cores that may be used, memory (bytes) and GPUs. torch is not asked: its import takes seconds."""
    import psutil

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cores": cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": _gpus(),
    }


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> str:
    listed = Path("/proc/cpuinfo")
    named = re.search(r"^model name\s*: (.*)", listed.read_text("utf-8") if listed.is_file() else "", re.MULTILINE)
    return named[1] if named else platform.processor() or platform.machine()


def _gpus() -> list[str]:
    if not (command := shutil.which("nvidia-smi")):
        return []
    try:
        asked = [command, "--query-gpu=name", "--format=csv,noheader"]
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=30).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return []
