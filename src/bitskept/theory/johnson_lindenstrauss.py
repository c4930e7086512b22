"""How many dimensions keep the distances between m points: the lemma of Johnson and Lindenstrauss, and what Gaussian
projections do.

Dasgupta and Gupta (2003, theorem 2.1): for 0 < eps < 1 and k ≥ 4 ln m / (eps²/2 - eps³/3) there is a map of any m
points into k dimensions that keeps every squared distance within a factor of 1 ± eps. The short form 8 ln m / eps² is
what is left of it for small eps: less than what the theorem asks for, by a factor of 1 - 2 eps / 3, so that it does not
follow from it. It does follow for distances that are not squared: there a Gaussian projection into so many dimensions
fails with a probability below m^-4 (the Chernoff bounds of the chi-square law; `failure_bound` has its exact tails).

Both grow with ln m alone and know nothing of the points, not even their own dimension, where all distances are kept
without any projection. Both suffice and neither is needed: points near a plane fit into less.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import pdist
from scipy.stats import chi2

from bitskept.theory.statistics import interval


class Distortion(NamedTuple):
    """A table by columns, for `pandas.DataFrame(table._asdict())`: one row a dimension and quantity.

    `quantity` is "max_distortion" or "median_distortion" over pairs, `estimate` the mean over seeds, `low` and `high`
    hold 95 % of the seeds (the spread of single projections, not the error of the mean), `n` is the number of pairs.
    """

    dimension: np.ndarray
    quantity: np.ndarray
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray


def dasgupta_gupta(points: int, distortion: float) -> int:
    """The dimension 4 ln m / (eps²/2 - eps³/3), rounded up, that suffices for m points at a distortion eps of squared
    distances. Raises ValueError for fewer than 2 points, and eps not between 0 and 1.
    """
    _check(points, distortion)
    return ceil(4 * log(points) / (distortion**2 / 2 - distortion**3 / 3))


def short_form(points: int, distortion: float) -> int:
    """The dimension 8 ln m / eps², rounded up: that of `dasgupta_gupta` for small eps. ValueError as there."""
    _check(points, distortion)
    return ceil(8 * log(points) / distortion**2)


def pair_failure(dimension: int, distortion: float, *, squared: bool = True) -> float:
    """The probability that a Gaussian projection into k dimensions changes one squared distance (or one distance) by a
    factor outside 1 ± eps, exactly: the changed square is chi-square with k degrees of freedom, over k, whatever the
    pair. Raises ValueError for a dimension below 1, and eps not between 0 and 1.
    """
    _check(2, distortion)
    if dimension < 1:
        raise ValueError(f"dimension must be at least 1, but is {dimension}.")
    power, law = (1 if squared else 2), chi2(dimension)
    return float(law.cdf(dimension * (1 - distortion) ** power) + law.sf(dimension * (1 + distortion) ** power))


def failure_bound(points: int, dimension: int, distortion: float, *, squared: bool = True) -> float:
    """At most this is the probability that a Gaussian projection changes any of the pairs of m points so: the sum over
    pairs. Below 1 it proves that a projection exists. ValueError as `pair_failure`, and for fewer than 2 points.
    """
    _check(points, distortion)
    return min(1.0, points * (points - 1) / 2 * pair_failure(dimension, distortion, squared=squared))


def distortions(
    points: Float[np.ndarray, "point dim"], dimensions: Sequence[int], *, seeds: Sequence[int]
) -> dict[int, Float[np.ndarray, "seed pair"]]:
    """|‖f(u) - f(v)‖² / ‖u - v‖² - 1| of each pair of points, for one Gaussian projection f a dimension and seed.

    The projections of one seed are nested: the first rows of one matrix. Pairs of equal points, which stay equal, are
    left out. Raises ValueError for points that are not finite or all equal, and no or wrong dimensions or seeds.
    """
    if not np.isfinite(points).all():
        raise ValueError("points must be finite numbers.")
    if not len(dimensions) or min(dimensions) < 1 or not len(seeds):
        raise ValueError(f"give dimensions of 1 or more and a seed at least, not {dimensions} and {seeds}.")
    whole = pdist(points.astype(float), "sqeuclidean")
    apart = whole > 0
    if not apart.any():
        raise ValueError(f"of {len(points)} points no two are different: there is no distance to keep.")
    found = {int(one): np.empty((len(seeds), int(apart.sum()))) for one in dimensions}
    for place, seed in enumerate(seeds):
        matrix = np.random.default_rng(seed).standard_normal((points.shape[1], max(found)))
        projected, squares, done = points @ matrix, np.zeros(len(whole)), 0
        for one in sorted(found):
            squares += pdist(projected[:, done:one], "sqeuclidean")
            found[one][place], done = abs(squares[apart] / whole[apart] / one - 1), one
    return found


def table(points: Float[np.ndarray, "point dim"], dimensions: Sequence[int], *, seeds: Sequence[int]) -> Distortion:
    """The largest and the median distortion of the pairs, by dimension. ValueError as `distortions`."""
    rows = []
    for one, ratios in distortions(points, dimensions, seeds=seeds).items():
        for name, values in (("max_distortion", ratios.max(1)), ("median_distortion", np.median(ratios, 1))):
            rows.append((one, name, values.mean(), *interval(values), ratios.shape[1]))
    return Distortion(*map(np.array, zip(*rows, strict=True)))


def _check(points: int, distortion: float) -> None:
    if points < 2:
        raise ValueError(f"points must be at least 2, but is {points}: one has no distance to keep.")
    if not 0 < distortion < 1:
        raise ValueError(f"distortion must lie between 0 and 1, but is {distortion}.")
