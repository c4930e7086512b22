"""How many dimensions keep the distances between m points: the lemma of Johnson and Lindenstrauss, and the distortion
of Gaussian projections.

Dasgupta and Gupta (2003, theorem 2.1): for 0 < eps < 1 and k ≥ 4 ln m / (eps²/2 - eps³/3) there is a map of any m
points into k dimensions that keeps every squared distance within a factor of 1 ± eps. The short form 8 ln m / eps² is
its limit for small eps. It is smaller than the theorem's dimension, by a factor of 1 - 2 eps / 3, so it does not follow
from it. It does follow for distances that are not squared: a Gaussian projection into so many dimensions fails there
with a probability below m^-4, by the Chernoff bounds of the chi-square law.

Both depend on m only through ln m. They ignore the points themselves, even the dimension in which these lie and all
distances are exact. Both are sufficient, neither is necessary: points near a plane need fewer dimensions.
"""

from collections.abc import Sequence
from math import ceil, log

import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import pdist

from bitskept.theory.checks import at_least, between, finite
from bitskept.theory.statistics import percentiles


def dasgupta_gupta(points: int, distortion: float) -> int:
    """The dimension 4 ln m / (eps²/2 - eps³/3), rounded up: it suffices for m points at a distortion eps of squared
    distances. ValueError for fewer than 2 points, and for eps not between 0 and 1.
    """
    _check(points, distortion)
    return ceil(4 * log(points) / (distortion**2 / 2 - distortion**3 / 3))


def short_form(points: int, distortion: float) -> int:
    """The dimension 8 ln m / eps², rounded up: the limit of `dasgupta_gupta` for small eps. ValueError as there."""
    _check(points, distortion)
    return ceil(8 * log(points) / distortion**2)


def _check(points: int, distortion: float) -> None:
    at_least("points", points, 2)
    between("distortion", distortion, 0, 1)


def distortions(
    points: Float[np.ndarray, "point dim"], dimensions: Sequence[int], *, seeds: Sequence[int]
) -> dict[int, Float[np.ndarray, "seed pair"]]:
    """|‖f(u) - f(v)‖² / ‖u - v‖² - 1| of each pair of points, for a Gaussian projection f per dimension and seed.

    The projections of a seed are nested: the first columns of one matrix. Pairs of equal points stay equal and are left
    out. ValueError for points that are not finite or all equal, and without valid dimensions or seeds.
    """
    finite("points", points)
    if not len(dimensions) or min(dimensions) < 1 or not len(seeds):
        raise ValueError(f"give dimensions of 1 or more and a seed at least, not {dimensions} and {seeds}.")
    before = pdist(points.astype(float), "sqeuclidean")
    apart = before > 0
    if not apart.any():
        raise ValueError(f"all of {len(points)} points are equal: there is no distance to keep.")
    found = {int(dimension): np.empty((len(seeds), int(apart.sum()))) for dimension in dimensions}
    for place, seed in enumerate(seeds):
        matrix = np.random.default_rng(seed).standard_normal((points.shape[1], max(found)))
        projected, after, done = points @ matrix, np.zeros(len(before)), 0
        for dimension in sorted(found):
            after += pdist(projected[:, done:dimension], "sqeuclidean")
            found[dimension][place], done = abs(after[apart] / before[apart] / dimension - 1), dimension
    return found


def table(
    points: Float[np.ndarray, "point dim"], dimensions: Sequence[int], *, seeds: Sequence[int]
) -> dict[str, np.ndarray]:
    """The largest and the median of the `distortions`, as the columns of a table with a row per dimension and quantity.

    `quantity` is "max_distortion" or "median_distortion" over pairs, `estimate` the mean over seeds. `low` and `high`
    hold 95 % of the seeds: the spread of single projections, not the error of the mean. `n` is the number of pairs.
    """
    rows = []
    for dimension, ratios in distortions(points, dimensions, seeds=seeds).items():
        for name, values in (("max_distortion", ratios.max(1)), ("median_distortion", np.median(ratios, 1))):
            rows.append((dimension, name, values.mean(), *percentiles(values), ratios.shape[1]))
    names = ("dimension", "quantity", "estimate", "low", "high", "n")
    return dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))
