"""How long a training run is, at which rate it learns, and in which order it sees its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int


@dataclass(frozen=True)
class Schedule:
    """`steps` updates of `batch` items each, taken in order, in `accumulate` equal parts.

    The learning rate rises over the first `warmup` steps to `rate` and falls in a cosine to 0. A checkpoint is written
    every `save_every` steps, and the measure of the caller taken at step 0, every `measure_every` steps and the last.
    """

    steps: int
    batch: int
    rate: float
    accumulate: int = 1
    warmup: int = 0
    weight_decay: float = 0.0
    save_every: int = 20
    measure_every: int = 50

    @classmethod
    def usual(cls, steps: int, batch: int, rate: float, **others: Any) -> Schedule:
        """The rate rises over the first twentieth of the steps, and the learning curve is taken eight times."""
        return cls(steps, batch, rate, warmup=-(-steps // 20), measure_every=-(-steps // 8), **others)

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulate", "save_every", "measure_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")
        if self.batch % self.accumulate:
            raise ValueError(f"a batch of {self.batch} items does not fall into {self.accumulate} equal parts")
        if not self.rate > 0:
            raise ValueError(f"the learning rate must be above 0, but is {self.rate}")


def in_order(
    lengths: Int[np.ndarray, " item"], schedule: Schedule, *, seed: int, window: int = 16
) -> Int[np.ndarray, " drawn"]:
    """Indices of the items for `steps * batch` places: all items in a random order, then again in another.

    Within windows of so many batches items go with others of like length, which leaves little padding; the batches of
    a window come in random order. The order depends on lengths, schedule and seed alone, so that whatever is trained
    with the same three sees the same data.
    """
    if not len(lengths):
        raise ValueError("there is nothing to train on")
    random_order, needed = np.random.default_rng(seed), schedule.steps * schedule.batch
    passes = -(-needed // len(lengths))
    drawn = np.concatenate([random_order.permutation(len(lengths)) for _ in range(passes)])[:needed]
    for start in range(0, needed, window * schedule.batch):
        part = drawn[start : start + window * schedule.batch]
        batches = part[np.argsort(lengths[part], kind="stable")].reshape(-1, schedule.batch)
        drawn[start : start + len(part)] = batches[random_order.permutation(len(batches))].ravel()
    return drawn
