"""Where numbers and times come from, apart from parameters: code, packages and machine (without its name)."""

import os
import platform
import re
import shutil
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bitskept import CHECKOUT, __version__

PACKAGES = (
    "torch", "transformers", "tokenizers", "datasets", "numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "peft",
    "accelerate", "sentencex", "matplotlib", "seaborn", "papermill",
)  # fmt: skip
COMMIT = "BITSKEPT_COMMIT"
"""Set by `bitskept run` to the commit that it began with: it may change notebooks, writing outputs into them."""


@cache
def commit() -> str | None:
    """The commit of the checkout, with "-dirty" if anything but figures and results differs from it; None without a
    checkout.
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


def versions() -> dict[str, str]:
    """The versions of Python, Bits Kept and the packages it computes with."""
    return {"python": platform.python_version(), "bitskept": __version__, **{name: version(name) for name in PACKAGES}}


@cache
def machine() -> dict[str, Any]:
    """System, CPU, usable cores, memory (bytes) and GPUs, without importing torch, which takes seconds."""
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
        query = [command, "--query-gpu=name", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return []
