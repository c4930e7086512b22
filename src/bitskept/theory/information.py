"""Entropy, mutual information and total correlation of discrete laws, and their estimates from counts, in bits.

A joint law is an array with one axis per variable, whose entries are probabilities. Every function takes the axes of
its variables and sums out the others. None of these quantities is negative; rounding of nearly equal entropies cannot
make one so. Definitions: Cover and Thomas, Elements of Information Theory, chapter 2; total correlation: Watanabe 1960.
"""

from itertools import combinations

import numpy as np
from jaxtyping import Int
from numpy.lib.array_utils import normalize_axis_tuple
from scipy.special import entr

from bitskept.theory.checks import Bits, Counts, Law, check_counts, check_law

Axes = int | tuple[int, ...]


def entropy(law: Law, axes: Axes | None = None) -> float:
    """H of the variables on `axes` (default: all). ValueError if `law` is not a law."""
    law = check_law(law)
    return _entropy(law, normalize_axis_tuple(range(law.ndim) if axes is None else axes, law.ndim))


def conditional_entropy(law: Law, axes: Axes, given: Axes) -> float:
    """H(X|Z) = H(X,Z) - H(Z), X on `axes`, Z on `given`. ValueError if `law` is not a law or the axes overlap."""
    law = check_law(law)
    x, z = _separate(law, axes, given)
    return max(0.0, _entropy(law, x + z) - _entropy(law, z))


def mutual_information(law: Law, x_axes: Axes, z_axes: Axes, given: Axes = ()) -> float:
    """I(X;Z|W) = H(X|W) + H(Z|W) - H(X,Z|W), W on `given` (default: nothing). ValueError as `conditional_entropy`."""
    law = check_law(law)
    x, z, w = _separate(law, x_axes, z_axes, given)
    return max(0.0, _entropy(law, x + w) + _entropy(law, z + w) - _entropy(law, x + z + w) - _entropy(law, w))


def total_correlation(law: Law, axes: Axes | None = None) -> float:
    """TC(X) = sum_i H(X_i) - H(X), one variable X_i per axis of `axes` (default: all). ValueError as `entropy`."""
    return conditional_total_correlation(law, tuple(range(law.ndim)) if axes is None else axes, ())


def conditional_total_correlation(law: Law, axes: Axes, given: Axes) -> float:
    """TC(X|Z) = sum_i H(X_i|Z) - H(X|Z), one X_i per axis of `axes`, Z on `given`. ValueError as
    `conditional_entropy`.
    """
    law = check_law(law)
    x, z = _separate(law, axes, given)
    parts = sum(_entropy(law, (axis, *z)) for axis in x)
    return max(0.0, parts - _entropy(law, x + z) - (len(x) - 1) * _entropy(law, z))


def plug_in(counts: Counts) -> Bits:
    """The entropy of the observed frequencies, along the last axis.

    Its mean never exceeds the true entropy (Jensen), so a lower bound built on it errs on the safe side. ValueError for
    counts that are negative, not finite or not whole, or without a sample.
    """
    samples = check_counts(counts).sum(-1, keepdims=True)
    return (entr(counts / samples).sum(-1) / np.log(2))[()]


def miller_madow(counts: Counts) -> Bits:
    """The plug-in entropy plus its bias to first order, (classes seen - 1) / (2N ln 2) (Miller 1955).

    An estimate, not a lower bound: it may be above the true value, and far below it with few samples per class.
    ValueError as `plug_in`.
    """
    return plug_in(counts) + ((counts > 0).sum(-1) - 1) / (2 * np.log(2) * counts.sum(-1))


def ways_to_share(samples: int, classes: int) -> Int[np.ndarray, "way {classes}"]:
    """All counts that so many samples may have."""
    # Stars and bars: a star for each sample, and bars between the classes.
    places = samples + classes - 1
    bars = np.array([*combinations(range(places), classes - 1)], int)
    return np.diff(bars, axis=1, prepend=-1, append=places) - 1


def _separate(law: Law, *groups: Axes) -> list[tuple[int, ...]]:
    """Each group of axes as a tuple counted from 0; no axis may belong to two groups."""
    tuples = [normalize_axis_tuple(group, law.ndim) for group in groups]
    flat = [axis for group in tuples for axis in group]
    if len(set(flat)) < len(flat):
        raise ValueError(f"the axes {tuples} overlap: a variable cannot be on two sides.")
    return tuples


def _entropy(law: Law, axes: tuple[int, ...]) -> float:
    others = tuple(axis for axis in range(law.ndim) if axis not in axes)
    # Rounding may make the entropy of a law with one certain outcome slightly negative.
    return max(0.0, float(entr(law.sum(axis=others)).sum() / np.log(2)))
