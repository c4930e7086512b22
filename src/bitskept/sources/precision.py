"""Where a model runs and in which dtype."""

import json
import os
import time
import timeit
from pathlib import Path

import torch

from bitskept.locks import alone
from bitskept.sources.packages import scratch, set_aside
from bitskept.store import home


def resolve_device(device: str) -> torch.device:
    """The device that "auto" stands for: the GPU where there is one."""
    return torch.device(device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu")


def resolve_dtype(dtype: str, device: torch.device) -> str:
    """The dtype that "auto" stands for: bfloat16 on a GPU; on a CPU the faster one, measured once a machine and
    remembered, so that every rerun takes the same."""
    if dtype != "auto":
        return dtype
    if device.type != "cpu":
        return "bfloat16"
    machine = f"{torch.cpu.get_capabilities().get('cpu_name', '')} x{os.cpu_count()} torch {torch.__version__}"
    path = home() / "dtype.json"
    if machine not in _known(path):
        with alone(path, "the faster dtype to be measured"):
            known = _known(path)
            if machine not in known:  # no other process has measured it meanwhile
                seconds = {number: _block_seconds(number) for number in (torch.float32, torch.bfloat16)}
                known[machine] = "bfloat16" if seconds[torch.float32] > 1.2 * seconds[torch.bfloat16] else "float32"
                with scratch(path) as work:
                    (work / "dtype").write_text(json.dumps(known, indent=1), "utf-8")
                    os.replace(work / "dtype", path)
    return _known(path)[machine]


def _known(path: Path) -> dict[str, str]:
    try:
        known = json.loads(path.read_text("utf-8"))
        if all(name in ("float32", "bfloat16") for name in known.values()):
            return known
        raise ValueError("no dtype")
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, TypeError):
        set_aside(path, "is damaged")
        return {}


@torch.inference_mode()
def _block_seconds(number: torch.dtype) -> float:
    """Shortest time that one transformer block took for 256 tokens, tried for half a second."""
    block = torch.nn.TransformerEncoderLayer(512, 8, 2048, batch_first=True, device="meta").to_empty(device="cpu")
    for weight in block.to(number).eval().parameters():
        weight.fill_(0.01)  # not drawn: the global random state stays as it was
    states = torch.ones(4, 64, 512, dtype=number)
    times, until = [], time.perf_counter() + 0.5
    while time.perf_counter() < until or len(times) < 2:  # the first one warms up
        times.append(timeit.timeit(lambda: block(states), number=1))
    return min(times)
