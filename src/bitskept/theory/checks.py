"""Arguments that many functions check, and the types that they share."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Num

Law = Float[np.ndarray, "..."]
"""Probabilities of a joint law, one axis per variable."""
Numbers = int | float | np.number | Num[np.ndarray, "..."]
"""A number, or an array of numbers that broadcasts with the others."""
Bits = float | Float[np.ndarray, "..."]
"""A number of bits, or an array of such numbers."""
Counts = Num[np.ndarray, "*batch classes"]

TOLERANCE = 1e-9
"""How far the sum of a law may be from 1: well above the rounding of a million entries, well below any real mistake."""
ROUNDED = {np.dtype(np.float32): 5e-4, np.dtype(np.float16): 5e-2}
"""The same for laws in lower precision. The sum that a softmax divides by is rounded with each entry: with a vocabulary
of 128,000 types the probabilities in float32 sum to 1 within 1e-5, with a million within 1e-4."""


def valid(name: str, value: Numbers, wanted: str, test: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """`value` as float64 if all of it is finite and passes the test; otherwise a ValueError that names both."""
    array = np.asarray(value, dtype=float)
    right = np.isfinite(array) & test(array)
    if not right.all():
        raise ValueError(f"{name} must be {wanted}, but is {np.broadcast_to(array, right.shape)[~right][0]:g}.")
    return array


def at_least(name: str, value: Numbers, least: float | int) -> np.ndarray:
    """`value` as float64 if all of it is finite and not below `least`; otherwise a ValueError."""
    return valid(name, value, f"at least {least:g}", lambda v: v >= least)


def above(name: str, value: Numbers, limit: float | int) -> np.ndarray:
    """`value` as float64 if all of it is finite and above `limit`; otherwise a ValueError."""
    return valid(name, value, f"above {limit:g}", lambda v: v > limit)


def between(name: str, value: Numbers, low: float | int, high: float | int) -> np.ndarray:
    """`value` as float64 if all of it lies between the two, both excluded; otherwise a ValueError."""
    return valid(name, value, f"between {low:g} and {high:g}", lambda v: (v > low) & (v < high))


def rate(name: str, value: Numbers) -> np.ndarray:
    """`value` as float64 if all of it lies between 0 and 1, both included; otherwise a ValueError."""
    return valid(name, value, "a rate from 0 to 1", lambda v: (v >= 0) & (v <= 1))


def finite(name: str, values: Numbers) -> None:
    """ValueError unless all values are finite."""
    valid(name, values, "finite", np.isfinite)


def check_law(law: Law, name: str = "law") -> Law:
    """The law in float64 if its entries are finite, not negative, and sum to 1 within 1e-9; otherwise a ValueError.

    A law in float32 or float16, such as a network's softmax, may miss 1 by its rounding, and is divided by its sum.
    """
    law = np.asarray(law)
    exact = at_least(f"each probability of {name}", law, 0)
    tolerance = ROUNDED.get(law.dtype, TOLERANCE)
    total = exact.sum()
    if abs(total - 1) > tolerance:
        raise ValueError(f"{name} must sum to 1 within {tolerance:.2g}, but sums to {total}: divide it by its sum.")
    return exact / total if law.dtype in ROUNDED else exact


def check_counts(counts: Counts) -> Counts:
    """The counts themselves if they are whole, not negative, and not all 0 along the last axis; otherwise a ValueError.

    A law or weights passed in place of counts are refused as well, because they are not whole.
    """
    valid("counts", counts, "whole numbers of at least 0", lambda v: (v >= 0) & (v == np.round(v)))
    if not (counts.sum(-1) > 0).all():
        raise ValueError("counts must hold at least one sample, but sum to 0.")
    return counts
