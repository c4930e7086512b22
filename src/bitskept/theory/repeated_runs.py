"""Means over runs that were repeated with other seeds and measured on the same items: both the seeds and the items are
a sample, and an interval has to allow for either.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import norm, t


class Mean(NamedTuple):
    """A mean over runs, its 95 % interval, and the two-sided p-value of its being 0."""

    estimate: float
    low: float
    high: float
    p: float


def mean_over_runs(values: Float[np.ndarray, " run"], item_error: float) -> Mean:
    """The mean of a quantity over runs, where `item_error` is the standard error of that mean for want of items.

    The two variances add: s²/R between the R runs, and item_error². The law is Student's, with the degrees of freedom
    of the sum (Welch 1947; Satterthwaite 1946): (R - 1) (sum)² / (s²/R)², between R - 1 where the runs decide and
    infinity where the items do. Where runs differ in what they make of single items, that is counted twice, which makes
    the interval wide rather than narrow. One run tells nothing of other seeds: its interval is that of the items alone.

    ValueError for no run, values that are not finite, or an error that is negative.
    """
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(f"the values of the runs must be finite, and at least one, but are {values}")
    if not (np.isfinite(item_error) and item_error >= 0):
        raise ValueError(f"item_error must be at least 0, but is {item_error}")
    runs, mean = len(values), float(values.mean())
    between = float(values.var(ddof=1)) / runs if runs > 1 else 0.0
    variance = between + item_error**2
    if variance == 0:
        return Mean(mean, mean, mean, float(mean == 0))
    # Beyond a million the law is the normal one in every digit, and the square might overflow.
    ratio = variance / between if between > 1e-6 * variance else np.inf
    law, freedom = (t, [(runs - 1) * ratio**2]) if np.isfinite(ratio) else (norm, [])
    error = np.sqrt(variance)
    half = law.ppf(0.975, *freedom) * error
    return Mean(mean, mean - half, mean + half, float(2 * law.sf(abs(mean) / error, *freedom)))
