"""Means over runs that were repeated with other seeds and measured on the same items. Both seeds and items are samples,
and an interval has to account for both.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import t

from bitskept.theory.checks import at_least, finite


class Mean(NamedTuple):
    """A mean over runs, its 95 % interval, and the two-sided p-value of a mean of 0."""

    estimate: float
    low: float
    high: float
    p: float


def mean_over_runs(values: Float[np.ndarray, " run"], item_error: float, items: float | int = np.inf) -> Mean:
    """The mean of a quantity over runs; `item_error` is the standard error of this mean that comes from the `items`.

    The two variances add: s²/R between the R runs, and item_error². The law is Student's, with the degrees of freedom
    of the sum (Welch 1947; Satterthwaite 1946): (sum)² / [(s²/R)² / (R - 1) + item_error⁴ / (items - 1)], from R - 1 if
    the runs dominate to items - 1 if the items do. If the effect of single items differs between runs, this variance is
    counted twice, so the interval is too wide rather than too narrow. One run shows nothing about other seeds: its
    interval is that of the items. Where neither runs nor items differ, there is no interval and no p (NaN).

    ValueError for no run, fewer than 2 items, values that are not finite, and an error that is negative or not finite.
    """
    at_least("the number of runs", len(values), 1)
    at_least("1 - 1 / items", 1 - 1 / items, 0.5)
    finite("each value", values)
    at_least("item_error", item_error, 0)
    runs, mean = len(values), float(values.mean())
    between = float(values.var(ddof=1)) / runs if runs > 1 else 0.0
    variance = between + item_error**2
    if variance == 0:
        return Mean(mean, np.nan, np.nan, np.nan)
    # As shares of the variance, whose squares cannot overflow.
    shares = between / variance, item_error**2 / variance
    doubt = (shares[0] ** 2 / (runs - 1) if runs > 1 else 0.0) + shares[1] ** 2 / (items - 1)
    freedom = 1 / doubt if doubt > 1e-12 else np.inf
    error = np.sqrt(variance)
    half = t.ppf(0.975, freedom) * error
    return Mean(mean, mean - half, mean + half, float(2 * t.sf(abs(mean) / error, freedom)))
