"""Means over runs that were repeated with other seeds and measured on the same items. Both seeds and items are samples,
and an interval has to account for both.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import t

from bitskept.theory.checks import Numbers, at_least, finite


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
    numbers = (np.array([number], float) for number in (mean, between, runs, item_error))
    return Mean(mean, *(float(number[0]) for number in ends_over_runs(*numbers, items)))


def contrast_of_means(
    groups: Sequence[Float[np.ndarray, "_"]], signs: Sequence[float | int], item_error: float
) -> Mean:
    """The sum of each group's mean times its sign, such as the difference of two means for the signs 1 and -1;
    `item_error` is the standard error of this sum over items.

    The variances of the means over runs and that over items add. The law is Student's with the degrees of freedom of
    the sum (Welch 1947): (sum)² / Σ [(s²/R)² / (R - 1)], with the s² and R of each group. Where neither runs nor items
    differ, there is no interval. ValueError for a group of fewer than 2 runs, and as `mean_over_runs`.
    """
    for values in groups:
        at_least("the number of runs", len(values), 2)
        finite("each value", values)
    at_least("item_error", item_error, 0)
    parts = [sign**2 * values.var(ddof=1) / len(values) for sign, values in zip(signs, groups, strict=True)]
    mean = float(sum(sign * values.mean() for sign, values in zip(signs, groups, strict=True)))
    ends = _ends(mean, [*parts, item_error**2], [*(len(values) - 1 for values in groups), np.inf])
    return Mean(mean, *map(float, ends))


def ends_over_runs(
    mean: Float[np.ndarray, " quantity"],
    between: Float[np.ndarray, " quantity"],
    runs: Float[np.ndarray, " quantity"],
    item_error: Float[np.ndarray, " quantity"],
    items: float | int | Float[np.ndarray, " quantity"],
) -> tuple[Float[np.ndarray, " quantity"], ...]:
    """The interval (low, high) and p of `mean_over_runs` for many means; `between` is the variance of each that comes
    from its runs, s²/R, and 0 for one run. NaN where an argument is NaN.
    """
    return _ends(mean, [between, item_error**2], [np.maximum(1, runs - 1), items - 1])


def _ends(mean: Numbers, variances: Sequence[Numbers], freedoms: Sequence[Numbers]) -> tuple[Numbers, ...]:
    """The interval and p of a mean whose variance is the sum of these, each with its degrees of freedom."""
    variance = sum(variances)
    with np.errstate(divide="ignore", invalid="ignore"):
        # As shares of the variance, whose squares cannot overflow.
        doubt = sum((part / variance) ** 2 / freedom for part, freedom in zip(variances, freedoms, strict=True))
        freedom, error = 1 / np.maximum(doubt, 1e-12), np.where(variance > 0, np.sqrt(variance), np.nan)
        half, p = t.ppf(0.975, freedom) * error, 2 * t.sf(abs(mean) / error, freedom)
    return mean - half, mean + half, p
