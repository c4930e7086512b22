"""Resampling of whole sentences, because the tokens of a sentence are not independent; and rank correlations over units
(models, checkpoints) with intervals and p-values.
"""

import numpy as np
from jaxtyping import Float, Num, Shaped
from scipy.stats import norm, rankdata

from bitskept.theory.checks import above, at_least, finite, rate

Values = Num[np.ndarray, " unit"]
Controls = Num[np.ndarray, " unit"] | Num[np.ndarray, "unit control"] | None

BLOCK = 2**22
"""Sentences drawn at once, over all replicates of a block, which limits memory to a few tens of megabytes."""


def cluster_bootstrap(
    numerators: Num[np.ndarray, "*quantities cluster"],
    sizes: Num[np.ndarray, " cluster"],
    *,
    replicates: int = 1000,
    seed: int,
) -> Float[np.ndarray, " replicates *quantities"]:
    """Replicates of the ratios sum(numerators) / sum(sizes) with clusters (sentences) resampled with replacement
    (Efron and Tibshirani 1993).

    `numerators` holds the sum of each quantity (errors, surprisals, ...) in each cluster, `sizes` its tokens. All
    quantities of a replicate, and of every call with the same seed and number of clusters, share one draw of clusters.
    So differences between layers, maxima or a bound of the mean can be formed from the replicates
    (`intervals.derived_interval`). A replicate that draws only clusters of size 0 is NaN. ValueError for values that
    are not finite, negative sizes, no tokens at all, or fewer than one replicate.
    """
    check_clusters(numerators, sizes)
    at_least("replicates", replicates, 1)
    columns = np.vstack([numerators.reshape(-1, len(sizes)), sizes]).astype(float)
    sums = drawn_sums(columns, replicates, seed)
    with np.errstate(invalid="ignore"):
        ratios = sums[:, :-1] / sums[:, -1:]
    return ratios.reshape(replicates, *numerators.shape[:-1])


def check_clusters(numerators: Num[np.ndarray, "*quantities cluster"], sizes: Num[np.ndarray, " cluster"]) -> None:
    """ValueError for values that are not finite, negative sizes, and no tokens at all."""
    finite("numerators", numerators)
    at_least("sizes", sizes, 0)
    above("the sum of sizes", sizes.sum(), 0)


def drawn_sums(
    columns: Float[np.ndarray, "column cluster"], replicates: int, seed: int
) -> Float[np.ndarray, "{replicates} column"]:
    """The sum of each column over clusters that are drawn with replacement, as many as there are. A seed and a number
    of clusters always give the same draws.
    """
    rng, clusters = np.random.default_rng(seed), columns.shape[1]
    sums = np.empty((replicates, len(columns)))
    step = max(1, BLOCK // clusters)
    for start in range(0, replicates, step):
        rows = min(step, replicates - start)
        drawn = rng.integers(clusters, size=(rows, clusters)) + clusters * np.arange(rows)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters)
        sums[start : start + rows] = weights.astype(float) @ columns.T
    return sums


def percentiles(
    replicates: Float[np.ndarray, " replicates *quantities"],
) -> tuple[float | Float[np.ndarray, " *quantities"], float | Float[np.ndarray, " *quantities"]]:
    """The ends (low, high) that leave 2.5 % of the values on either side, over the first axis and without NaN; NaN
    where there is no value.

    As an interval of an estimate they are too narrow over few clusters: see `intervals`.
    """
    known = ~np.isnan(replicates)
    if not known.any(axis=0).all():
        replicates = np.where(known.any(axis=0), replicates, 0.0)
    quantile = np.nanquantile if np.isnan(replicates).any() else np.quantile  # the latter is several times faster
    low, high = quantile(replicates, [(1 - 0.95) / 2, (1 + 0.95) / 2], axis=0)
    return np.where(known.any(axis=0), low, np.nan)[()], np.where(known.any(axis=0), high, np.nan)[()]


def spearman(x: Values, y: Values) -> float:
    """Spearman's rank correlation: the correlation of the ranks, ties at their mean rank (Spearman 1904).

    ValueError for values that are not finite, fewer than 4 units, and an x or y that is constant.
    """
    return partial_spearman(x, y, None)


def partial_spearman(x: Values, y: Values, given: Controls) -> float:
    """The rank correlation of x and y without what the controls `given` (one, or one per column) explain: that of the
    residuals of least squares with an intercept on the controls' ranks.

    For one control it is (r_xy - r_xg r_yg) / sqrt((1 - r_xg²)(1 - r_yg²)), from the three rank correlations.
    ValueError as `spearman`; each control needs one more unit, and must not determine the ranks of x or y.
    """
    return float(_correlation(*partial_ranks(x, y, given)))


def partial_ranks(
    x: Values, y: Values, given: Controls
) -> tuple[Float[np.ndarray, " unit"], Float[np.ndarray, " unit"]]:
    """What is left of the ranks of x and y without what the controls explain: the residuals of `partial_spearman`,
    which is their correlation. ValueError as there.
    """
    rank_x, rank_y, controls = _ranked(x, y, given)
    return _residuals(rank_x, controls), _residuals(rank_y, controls)


def rank_interval(correlation: float, units: int) -> tuple[float, float]:
    """The 95 % interval (low, high) of a rank correlation over so many units: artanh(r) with a standard error of
    √((1 + r²/2) / (units - 3)) (Bonett and Wright 2000).

    It needs no resampling, which fails for few units: with normal values whose correlation is 0.9 the percentiles of
    a bootstrap cover it .59 (4 units) to .89 (6) of the time, this interval .94 to 1 from 4 units on. A correlation of
    ±1, which few units may show by chance, is taken for ±(1 - 1 / units²), but lies in its interval. ValueError for
    fewer than 4 units, and for a correlation beyond ±1.
    """
    at_least("the number of units", units, 4)
    at_least("1 - |correlation|", 1 - abs(correlation), -1e-12)
    most = 1 - 1 / units**2
    centre = np.arctanh(np.clip(correlation, -most, most))
    reach = norm.ppf(0.975) * np.sqrt((1 + correlation**2 / 2) / (units - 3))
    return min(correlation, float(np.tanh(centre - reach))), max(correlation, float(np.tanh(centre + reach)))


def permutation_p(
    x: Values,
    y: Values,
    given: Controls = None,
    *,
    within: Shaped[np.ndarray, " unit"] | None = None,
    permutations: int = 9999,
    seed: int,
) -> float:
    """The two-sided p-value of no (partial) rank correlation, (1 + count) / (1 + permutations), where count is how many
    random permutations give a correlation at least as far from 0 (Phipson and Smyth 2010).

    Without `given` the ranks of y are permuted, which is an exact test. With it their residuals are permuted (Freedman
    and Lane 1983), which is exact only in the limit of many units. If `within` names a group for each unit, values are
    permuted inside groups alone; have the groups among the controls too, or their differences count as a correlation.
    ValueError as `partial_spearman`, and for fewer than one permutation.
    """
    at_least("permutations", permutations, 1)
    rank_x, rank_y, controls = _ranked(x, y, given)
    left_x, left_y = _residuals(rank_x, controls), _residuals(rank_y, controls)
    random, shuffled = np.random.default_rng(seed), np.tile(left_y, (permutations, 1))
    groups = np.zeros(len(x)) if within is None else within
    for group in [np.flatnonzero(groups == name) for name in np.unique(groups)]:
        shuffled[:, group] = random.permuted(shuffled[:, group], axis=1)
    # Freedman and Lane add the prediction of y from the controls; taking residuals would remove it again.
    null = _correlation(left_x, _residuals(shuffled, controls))
    count = (np.abs(null) >= abs(_correlation(left_x, left_y)) - 1e-12).sum()  # equal up to rounding counts as equal
    return float((1 + count) / (1 + permutations))


def detectable_correlation(units: int, controls: int = 0, tests: int = 1) -> float:
    """The smallest rank correlation that is significant 80 % of the time: two-sided, at the strictest of Holm's steps
    over so many `tests`, given so many `controls`. NaN for too few units.

    artanh(r) has a standard error of about √(1.06 / (units - controls - 3)) (Fieller, Hartley and Pearson 1957).
    """
    free = units - controls - 3
    if free < 1:
        return float("nan")
    return float(np.tanh((norm.isf(0.025 / tests) + norm.ppf(0.8)) * np.sqrt(1.06 / free)))


def holm(p: Num[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """p-values adjusted for their number by the step-down method of Holm (1979).

    If all values of at most alpha are called significant, the probability that any of them is so by chance is at most
    alpha, however the tests depend on each other. The i-th smallest of m becomes the largest of (m-j+1) p_(j), j ≤ i,
    at most 1. ValueError for values outside [0, 1].
    """
    rate("each p-value", p)
    order = np.argsort(p)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(np.arange(len(p), 0, -1) * p[order]))
    return adjusted


def _ranked(x: Values, y: Values, given: Controls) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ranks of x and y [unit] and of the controls [unit, control]. ValueError if they cannot be correlated."""
    controls = np.empty((len(x), 0)) if given is None else given.reshape(len(given), -1)
    if not len(x) == len(y) == len(controls):
        raise ValueError(f"x, y and given must be of the same units, but have {len(x)}, {len(y)}, {len(controls)}.")
    number = controls.shape[1]
    at_least(f"the number of units with {number} controls" if number else "the number of units", len(x), 4 + number)
    for name, values in (("x", x), ("y", y), ("given", controls)):
        finite(name, values)
    ranks = rankdata(x), rankdata(y), rankdata(controls, axis=0)
    for name, values, rank in zip("xy", (x, y), ranks[:2], strict=True):
        if not _residuals(rank, ranks[2]).any():
            why = f"is {values[0]} for all units" if np.ptp(values) == 0 else "has ranks that those of given fix"
            raise ValueError(f"{name} {why}, so nothing of it is left to correlate.")
    return ranks


def _residuals(
    values: Float[np.ndarray, "*#batch unit"], controls: Float[np.ndarray, "*#batch unit control"]
) -> np.ndarray:
    """The residuals of least squares on the controls and an intercept; exactly 0 where only rounding is left."""
    design = np.concatenate([np.ones((*controls.shape[:-1], 1)), controls], axis=-1)
    residuals = values - (design @ (np.linalg.pinv(design) @ values[..., None]))[..., 0]
    size = (residuals**2).sum(-1, keepdims=True)
    return np.where(size > 1e-12 * (values**2).sum(-1, keepdims=True), residuals, 0)


def _correlation(x: Float[np.ndarray, "*#batch unit"], y: Float[np.ndarray, "*#batch unit"]) -> float | np.ndarray:
    """The correlation of centred values, NaN where one of them is 0 throughout."""
    with np.errstate(invalid="ignore"):
        return np.clip((x * y).sum(-1) / np.sqrt((x**2).sum(-1) * (y**2).sum(-1)), -1, 1)
