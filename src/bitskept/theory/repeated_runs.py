"""Means over runs that were repeated with other seeds and measured on the same items. Both seeds and items are samples,
and an interval has to account for both.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import norm, t

from bitskept.theory.checks import at_least, finite


class Mean(NamedTuple):
    """A mean over runs, its 95 % interval, and the two-sided p-value of a mean of 0."""

    estimate: float
    low: float
    high: float
    p: float


def mean_over_runs(values: Float[np.ndarray, " run"], item_error: float) -> Mean:
    """The mean of a quantity over runs; `item_error` is the standard error of this mean that comes from the items.

    The two variances add: s²/R between the R runs, and item_error². The law is Student's, with the degrees of freedom
    of the sum (Welch 1947; Satterthwaite 1946): (R - 1) (sum)² / (s²/R)², from R - 1 if the runs dominate to infinity
    if the items do. If the effect of single items differs between runs, this variance is counted twice, so the interval
    is too wide rather than too narrow. One run shows nothing about other seeds: its interval is that of the items.

    ValueError for no run, values that are not finite, and an error that is negative or not finite.
    """
    at_least("the number of runs", len(values), 1)
    finite("each value", values)
    at_least("item_error", item_error, 0)
    runs, mean = len(values), float(values.mean())
    between = float(values.var(ddof=1)) / runs if runs > 1 else 0.0
    variance = between + item_error**2
    if variance == 0:
        return Mean(mean, mean, mean, float(mean == 0))
    # Beyond a million degrees of freedom the law is the normal one in every digit, and the square might overflow.
    ratio = variance / between if between > 1e-6 * variance else np.inf
    law, freedom = (t, [(runs - 1) * ratio**2]) if np.isfinite(ratio) else (norm, [])
    error = np.sqrt(variance)
    half = law.ppf(0.975, *freedom) * error
    return Mean(mean, mean - half, mean + half, float(2 * law.sf(abs(mean) / error, *freedom)))
