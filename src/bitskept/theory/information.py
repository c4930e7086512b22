"""Entropy, mutual information and total correlation of discrete laws, in bits, and their estimates from counts.

A joint law is an array with one axis a variable, whose entries are probabilities. Every function takes the axes of
the variables it speaks of and sums the others out. Definitions: Cover and Thomas, Elements of Information Theory,
chapter 2; total correlation: Watanabe 1960.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Num
from numpy.lib.array_utils import normalize_axis_tuple
from scipy.special import entr

Axes = int | tuple[int, ...]
Law = Float[np.ndarray, "..."]
Numbers = int | float | np.number | Num[np.ndarray, "..."]
"""A number, or an array of numbers that broadcasts with the others."""
Bits = float | Float[np.ndarray, "..."]
"""A number of bits, or an array of such numbers."""

TOLERANCE = 1e-9
"""How far a law's sum may be from 1: well above the rounding of float64 over a million entries, well below any real
mistake.
"""


def check_law(law: Law, name: str = "law") -> Law:
    """The law itself, if its entries are finite, not negative, and sum to 1 within 1e-9; otherwise a ValueError."""
    if not np.isfinite(law).all():
        raise ValueError(f"{name} must hold finite probabilities, but has {law[~np.isfinite(law)].flat[0]}.")
    if (law < 0).any():
        raise ValueError(f"{name} must hold probabilities, but has the negative entry {law.min()}.")
    if abs(law.sum() - 1) > TOLERANCE:
        raise ValueError(f"{name} must sum to 1 within {TOLERANCE}, but sums to {law.sum()}: divide it by its sum.")
    return law


def check_counts(counts: Num[np.ndarray, "*batch classes"], name: str = "counts") -> Num[np.ndarray, "*batch classes"]:
    """The counts themselves, if they are whole, not negative, and not all 0 along the last axis; otherwise a
    ValueError.
    """
    if not np.isfinite(counts).all():
        raise ValueError(f"{name} must be finite, but has {counts[~np.isfinite(counts)].flat[0]}.")
    if (counts < 0).any():
        raise ValueError(f"{name} must not be negative, but has {counts.min()}.")
    samples, classes = counts.sum(-1), (counts > 0).sum(-1)
    if not (samples > 0).all():
        raise ValueError(f"{name} must hold at least one sample, but sums to {samples.min()}.")
    # A sample names one class, so this can only be a law or weights handed over in place of counts.
    if (classes > samples).any():
        most = np.argmax(classes - samples)
        seen, total = classes.flat[most], samples.flat[most]
        raise ValueError(f"{name} has more classes than samples, {seen} against {total}: pass whole counts.")
    if (counts != np.round(counts)).any():
        raise ValueError(f"{name} must be whole numbers, but has {counts[counts != np.round(counts)].flat[0]}.")
    return counts


def _separate(law: Law, *groups: Axes) -> list[tuple[int, ...]]:
    """Each group of axes as a tuple counted from 0; no axis may belong to two groups."""
    tuples = [normalize_axis_tuple(group, law.ndim) for group in groups]
    flat = [axis for group in tuples for axis in group]
    if len(set(flat)) < len(flat):
        raise ValueError(f"the axes {tuples} overlap: one variable cannot stand on two sides.")
    return tuples


def _entropy(law: Law, axes: tuple[int, ...]) -> float:
    others = tuple(axis for axis in range(law.ndim) if axis not in axes)
    # Rounding may leave a law of one sure outcome a hair below 0.
    return max(0.0, float(entr(law.sum(axis=others)).sum() / np.log(2)))


def entropy(law: Law, axes: Axes | None = None) -> float:
    """H in bits of the variables on `axes` (all when None). Raises ValueError if `law` is not a law."""
    return _entropy(check_law(law), normalize_axis_tuple(range(law.ndim) if axes is None else axes, law.ndim))


def conditional_entropy(law: Law, axes: Axes, given: Axes) -> float:
    """H(X|Z) = H(X,Z) - H(Z) in bits, X on `axes`, Z on `given`.

    Raises ValueError if `law` is not a law or axes overlap.
    """
    x, z = _separate(check_law(law), axes, given)
    return _entropy(law, x + z) - _entropy(law, z)


def mutual_information(law: Law, x_axes: Axes, z_axes: Axes, given: Axes = ()) -> float:
    """I(X;Z|W) = H(X|W) + H(Z|W) - H(X,Z|W) in bits; W, on `given`, may be empty.

    Raises ValueError as `conditional_entropy`.
    """
    x, z, w = _separate(check_law(law), x_axes, z_axes, given)
    return _entropy(law, x + w) + _entropy(law, z + w) - _entropy(law, x + z + w) - _entropy(law, w)


def total_correlation(law: Law, axes: Axes | None = None) -> float:
    """TC(X) = sum_i H(X_i) - H(X) in bits, one variable X_i an axis of `axes` (all when None).

    Raises ValueError as `entropy`.
    """
    return conditional_total_correlation(law, tuple(range(law.ndim)) if axes is None else axes, ())


def conditional_total_correlation(law: Law, axes: Axes, given: Axes) -> float:
    """TC(X|Z) = sum_i H(X_i|Z) - H(X|Z) in bits, one X_i an axis of `axes`, Z on `given`.

    Raises ValueError as `conditional_entropy`.
    """
    x, z = _separate(check_law(law), axes, given)
    parts = sum(_entropy(law, (axis, *z)) for axis in x)
    return parts - _entropy(law, x + z) - (len(x) - 1) * _entropy(law, z)


def chain_rule(law: Law, x_axes: tuple[int, ...], z_axes: Axes) -> list[float]:
    """The terms I(X_i; Z | X_1..X_{i-1}) in bits, in the order of `x_axes`; their sum is I(X;Z).

    Raises ValueError as above.
    """
    return [mutual_information(law, axis, z_axes, given=x_axes[:i]) for i, axis in enumerate(x_axes)]


def plug_in(counts: Num[np.ndarray, "*batch classes"]) -> Bits:
    """The entropy in bits of the empirical law of `counts`, along the last axis.

    Its mean never exceeds the true entropy (Jensen), so a lower bound built on it errs on the safe side.
    Raises ValueError if a count is negative, not finite or not whole, or if there is no sample.
    """
    samples = check_counts(counts).sum(-1, keepdims=True)
    return (entr(counts / samples).sum(-1) / np.log(2))[()]


def miller_madow(counts: Num[np.ndarray, "*batch classes"]) -> Bits:
    """The plug-in entropy plus (classes seen - 1) / (2N ln 2) bits, its bias to first order (Miller 1955).

    An estimate, not a lower bound: with few samples a class it may still be far below the truth, or above it.
    Raises ValueError as `plug_in`.
    """
    return plug_in(counts) + ((counts > 0).sum(-1) - 1) / (2 * np.log(2) * counts.sum(-1))
