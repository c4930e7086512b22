"""The length of a training run, its learning rate, and the order of its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from bitskept.instruments.measurement import at_least
from bitskept.instruments.states import Encoding

WINDOW = 16
"""Batches among which items are sorted by length."""


@dataclass(frozen=True)
class Schedule:
    """`steps` updates of `batch` items each, taken in order, in `accumulate` equal parts.

    The learning rate rises to `rate` over the first `warmup` steps and falls to 0 along a cosine; `beta2` is the decay
    of AdamW's mean of squared gradients (Loshchilov and Hutter 2019). Checkpoints are written every
    `save_every` steps; the caller's measure is taken at step 0, every `measure_every` steps and the last.
    """

    steps: int
    batch: int
    rate: float
    accumulate: int = 1
    warmup: int = 0
    weight_decay: float = 0.0
    beta2: float = 0.999
    save_every: int = 20
    measure_every: int = 50

    @classmethod
    def usual(cls, steps: int, batch: int, rate: float, **others: Any) -> Schedule:
        """The rate rises over the first twentieth of the steps, and the learning curve is measured eight times."""
        return cls(steps, batch, rate, warmup=-(-steps // 20), measure_every=-(-steps // 8), **others)

    def __post_init__(self) -> None:
        at_least(self, steps=1, batch=1, accumulate=1, save_every=1, measure_every=1)
        if self.batch % self.accumulate:
            raise ValueError(f"a batch of {self.batch} items cannot be split into {self.accumulate} equal parts")
        if not self.rate > 0:
            raise ValueError(f"the learning rate must be above 0, but is {self.rate}")


def check_run(curve: int, held_out: int, hidden: float) -> None:
    """ValueError for values of a run's plan that do not fit together."""
    if not 1 <= curve <= held_out:
        raise ValueError(f"the learning curve takes 1 to {held_out} (held_out) sentences, not {curve}")
    if not 0 < hidden < 1:
        raise ValueError(f"hidden must lie between 0 and 1, but is {hidden}")


def training_items(
    encoding: Encoding, sentences: Sequence[int], schedule: Schedule, *, seed: int
) -> list[dict[str, int]]:
    """The items for `loop.train`: {"sentence": its place in the encoding, "draw": its number}, `in_order`."""
    order = in_order(np.array([len(encoding.ids[sentence]) for sentence in sentences]), schedule, seed=seed)
    return [{"sentence": sentences[index], "draw": draw} for draw, index in enumerate(order)]


def in_order(lengths: Int[np.ndarray, " item"], schedule: Schedule, *, seed: int) -> Int[np.ndarray, " drawn"]:
    """Indices of the items for `steps * batch` places: all items in a random order, then all again in another.

    Within windows of `WINDOW` batches, items of similar length share a batch, which leaves little padding; the batches
    of a window come in random order. Runs with the same lengths, schedule and seed see the same data. ValueError
    for no items.
    """
    if not len(lengths):
        raise ValueError("there is nothing to train on")
    random_order, needed = np.random.default_rng(seed), schedule.steps * schedule.batch
    passes = -(-needed // len(lengths))
    drawn = np.concatenate([random_order.permutation(len(lengths)) for _ in range(passes)])[:needed]
    for start in range(0, needed, WINDOW * schedule.batch):
        part = drawn[start : start + WINDOW * schedule.batch]
        batches = part[np.argsort(lengths[part], kind="stable")].reshape(-1, schedule.batch)
        drawn[start : start + len(part)] = batches[random_order.permutation(len(batches))].ravel()
    return drawn
