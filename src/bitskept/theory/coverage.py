"""Does the certificate keep its promise? The experiment is repeated on channels whose truth is known, and counted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from bitskept.theory import bounds, information
from bitskept.theory.channels import Channel, trials


class Coverage(NamedTuple):
    """How a bound fared on one channel: the share of repetitions in which it was at most the truth, and its mean.

    `bound` is "no limits" (Fano's bound with the estimates themselves put in), "H(X) known" (all of delta spent on the
    error rate) or "certificate". `bits` and `truth`, the channel's I(X;Z), are in bits.
    """

    channel: str
    samples: int
    delta: float
    bound: str
    coverage: float
    bits: float
    truth: float


def coverage(
    tasks: Sequence[Channel], sample_sizes: Sequence[int], deltas: Sequence[float], repetitions: int, seed: int
) -> list[Coverage]:
    """Repeats the experiment for each channel and number of independent samples: one row for every delta and bound.

    The deltas share their draws. Raises ValueError as `bounds.certificate`, and for fewer than one repetition.
    """
    if repetitions < 1:
        raise ValueError(f"repetitions must be at least 1, but is {repetitions}.")
    rng, rows = np.random.default_rng(seed), []
    for task, samples in product(tasks, sample_sizes):
        errors, counts = trials(task, samples, repetitions, rng)
        truth = float(task.mutual_information)
        estimate = bounds.fano(information.plug_in(counts), errors / samples, task.alphabet)
        for delta in deltas:
            # Beyond 1 - 1/|A| a limit on the error says nothing: see `bounds.certificate`.
            limit = np.minimum(bounds.error_limit(errors, samples, delta), 1 - 1 / task.alphabet)
            values = {
                "no limits": estimate,
                "H(X) known": bounds.fano(task.entropy, limit, task.alphabet),
                "certificate": bounds.certificate(errors, samples, task.alphabet, counts, delta),
            }
            for bound, bits in values.items():
                kept = float((bits <= truth).mean())
                rows.append(Coverage(task.name, samples, delta, bound, kept, float(bits.mean()), truth))
    return rows
