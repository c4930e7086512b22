"""What cells of the notebook check."""

from itertools import count
from typing import Any

import numpy as np

from bitskept.base.exercises import check
from bitskept.theory import bounds


def proved_bits(result: Any, *, error: float, alphabet: int) -> None:
    """Exercise 1: the bits that a probe's error proves about equally likely types."""
    hint = "H(X) is log2 of the number of types. Take off h_b(Pe), and Pe times log2 of the number of wrong types."
    check(result, float(bounds.fano(np.log2(alphabet), error, alphabet)), within=0.005, hint=hint)


def sentences_needed(result: Any, *, delta: float, bits: float) -> None:
    """Exercise 4: how many sentences it takes until the deviation of a certificate's entropy is at most `bits`."""
    hint = (
        "Half of δ goes to the entropy, hence the 2 in ln(2/δ). Try numbers of sentences until "
        "(log2 N + log2 e) √(ln(2/δ) / 2N) is so small."
    )
    right = next(n for n in count(2) if _deviation(n, delta / 2) <= bits)
    check(result, right, within=0.01 * right, hint=hint)


def _deviation(samples: int, delta: float) -> float:
    """What McDiarmid's inequality takes off an entropy, in bits; it is the same for all samples of a size."""
    all_different = np.ones(samples)
    return float(np.log2(samples) - bounds.entropy_limit(all_different, delta))
