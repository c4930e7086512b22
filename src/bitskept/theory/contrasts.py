"""The strongest of many contrasts, such as the differences between all pairs of layers: its test and its interval
account for the choice."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import norm
from scipy.stats import t as student

from bitskept.theory.intervals import LEAST, POWER, ROUNDING, widening


@dataclass(frozen=True)
class Contrast:
    """One of many contrasts: its place among those given, its estimate and standard error, half the width of its
    simultaneous 95 % interval (`reach`), the adjusted one-sided p-value that it is not above 0, and an interval, from
    `low` to `high`, for the largest of all true contrasts. NaN where nothing can be said."""

    place: int
    estimate: float
    error: float
    reach: float
    low: float
    high: float
    p: float

    @property
    def detectable(self) -> float:
        """The smallest true contrast at this place that would be seen 80 % of the time, beside all the others."""
        return self.reach + POWER * self.error


def strongest(
    estimates: Float[np.ndarray, " contrast"], replicates: Float[np.ndarray, "replicate contrast"], clusters: int
) -> Contrast:
    """The contrast that is most above 0 for sure, from a bootstrap over `clusters` (`statistics.cluster_bootstrap`),
    whose replicates have the same draws for all contrasts.

    Half the width of each interval is the 95 % point of the largest difference, in either direction and in standard
    errors, between a replicate and the estimate (Westfall and Young 1993; Romano and Wolf 2005). So the intervals hold
    the true values of all contrasts at once, and the largest true contrast lies between the highest of their lower ends
    (`low`) and the highest of their upper ends (`high`). The contrast with the highest lower end is returned or, where
    no lower end is above 0, the one with the highest estimate. `p` is the share of replicates, with one added, whose
    largest studentised difference is at least that of this contrast from 0. For few clusters, interval and p exchange a
    normal quantile for Student's and allow for the spread about a sample's own mean, as `intervals.widening` does. A
    contrast that does not vary is returned only if none does. Neither interval nor p in that case, and for fewer than
    `intervals.LEAST` clusters.

    Of 31 correlated layers that are all the same, some pair has p < .05 in .02 to .08 of samples (20 to 250 clusters
    of normal values; .02 with lognormal ones), and the interval covers 0 in .95 to .99. A rise of the size `detectable`
    between two of them is seen in .84: p is one-sided, half of the interval is not. Where a few clusters hold all of a
    difference, the interval is too short: it covered a rise that 1 % of 250 clusters held in .87.
    """
    spread = replicates.std(axis=0)
    varies = spread > ROUNDING * (1 + abs(estimates))
    if clusters < LEAST or not varies.any():
        place = int(estimates.argmax())
        return Contrast(place, float(estimates[place]), *[np.nan] * 5)
    drawn = (replicates[:, varies] - estimates[varies]) / spread[varies]
    root = np.sqrt(clusters / (clusters - 1))
    limit = student.isf(norm.sf(np.quantile(abs(drawn).max(axis=1), 0.95)), clusters - 1) * root
    reach = np.where(varies, limit * spread, 0)
    lows, highs = np.where(varies, estimates - reach, -np.inf), estimates + reach
    place = int((lows if lows.max() > 0 else np.where(varies, estimates, -np.inf)).argmax())
    value, error = float(estimates[place]), float(widening(clusters) * spread[place])
    observed = norm.isf(student.sf(value / spread[place] / root, clusters - 1))
    p = (1 + np.count_nonzero(drawn.max(axis=1) >= observed)) / (1 + len(drawn))
    return Contrast(place, value, error, float(reach[place]), float(lows.max()), float(highs.max()), p)
