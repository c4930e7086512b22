"""Intervals for means over tokens, by resampling whole sentences: tokens of one sentence are not independent. Rank
correlations over units (models, checkpoints) with intervals and p-values.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Num
from scipy.stats import rankdata

Values = Num[np.ndarray, " unit"]
Controls = Num[np.ndarray, " unit"] | Num[np.ndarray, "unit control"] | None

BLOCK = 2**22
"""Sentences drawn at once, over all replicates of a block: bounds the memory to some tens of megabytes."""


def cluster_bootstrap(
    numerators: Num[np.ndarray, "*quantities cluster"],
    sizes: Num[np.ndarray, " cluster"],
    *,
    replicates: int = 1000,
    seed: int,
) -> Float[np.ndarray, " replicates *quantities"]:
    """Replicates of the ratios sum(numerators) / sum(sizes) when the clusters (sentences) are drawn anew with
    replacement.

    `numerators` holds a cluster's sum of each quantity (errors, surprisals, ... [..., cluster]), `sizes` its number
    of tokens. All quantities of a replicate, and of every call with the same seed and number of clusters, share one
    draw of clusters, so differences between layers, maxima or a bound of the mean can be formed from the
    replicates. A replicate that draws only clusters of size 0 is NaN. Efron and Tibshirani 1993. Raises ValueError
    for values that are not finite, negative sizes, no tokens at all, or fewer than one replicate.
    """
    if not np.isfinite(numerators).all():
        raise ValueError(f"numerators must be finite, but has {numerators[~np.isfinite(numerators)].flat[0]}.")
    if not (np.isfinite(sizes) & (sizes >= 0)).all() or not sizes.sum() > 0:
        raise ValueError(f"sizes must be token counts of at least 0, and not all 0, but is {sizes}.")
    if replicates < 1:
        raise ValueError(f"replicates must be at least 1, but is {replicates}.")
    rng, clusters = np.random.default_rng(seed), len(sizes)
    columns = np.column_stack([numerators.reshape(-1, clusters).T, sizes]).astype(float)
    sums = np.empty((replicates, columns.shape[1]))
    step = max(1, BLOCK // clusters)
    for start in range(0, replicates, step):
        rows = min(step, replicates - start)
        drawn = rng.integers(clusters, size=(rows, clusters)) + clusters * np.arange(rows)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters)
        sums[start : start + rows] = weights.astype(float) @ columns
    with np.errstate(invalid="ignore"):
        ratios = sums[:, :-1] / sums[:, -1:]
    return ratios.reshape(replicates, *numerators.shape[:-1])


def interval(
    replicates: Float[np.ndarray, " replicates *quantities"], level: float = 0.95
) -> tuple[float | Float[np.ndarray, " *quantities"], float | Float[np.ndarray, " *quantities"]]:
    """The percentile interval (low, high) over the first axis; NaN replicates are left out.

    Raises ValueError unless 0 < level < 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, but is {level}.")
    quantile = np.nanquantile if np.isnan(replicates).any() else np.quantile  # which is several times faster
    low, high = quantile(replicates, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def spearman(x: Values, y: Values) -> float:
    """Spearman's rank correlation: the correlation of the ranks, ties at their mean rank (Spearman 1904).

    Raises ValueError for values that are not finite, fewer than 4 units, or an x or y that is the same everywhere.
    """
    return partial_spearman(x, y, None)


def partial_spearman(x: Values, y: Values, given: Controls) -> float:
    """The correlation of what the ranks of `given` (one control, or one a column) leave of those of x and of y: of the
    residuals of least squares with an intercept, which for one control is (r_xy - r_xg r_yg) / sqrt((1 - r_xg²)
    (1 - r_yg²)) of the three rank correlations.

    Raises ValueError as `spearman`; each control asks for one unit more, and must not fix the ranks of x or y.
    """
    rank_x, rank_y, controls = _checked(x, y, given)
    return float(_correlation(_residuals(rank_x, controls), _residuals(rank_y, controls)))


def bootstrap_interval(
    x: Values, y: Values, given: Controls = None, *, level: float = 0.95, replicates: int = 2000, seed: int
) -> tuple[float, float]:
    """The percentile interval (low, high) of `partial_spearman` (of `spearman` without `given`) when whole units are
    drawn anew with replacement, and ranked anew.

    Draws in which x, y or what the controls leave of them is constant have no correlation and are left out. With few
    units it is too narrow, as are all bootstrap intervals (Efron and Tibshirani 1993, chapter 13). Raises ValueError as
    `partial_spearman` and `interval`, and for fewer than one replicate.
    """
    _at_least_one("replicates", replicates)
    units = np.column_stack(_checked(x, y, given)).T  # ranks of ranks are the ranks
    drawn = np.random.default_rng(seed).integers(len(x), size=(replicates, len(x)))
    ranks = rankdata(units[:, drawn], axis=-1)
    controls = np.moveaxis(ranks[2:], 0, -1)
    values = _correlation(_residuals(ranks[0], controls), _residuals(ranks[1], controls))
    if np.isnan(values).all():
        raise ValueError(f"all of {replicates} replicates are constant in x or y: take more replicates or units.")
    low, high = interval(values, level)
    return float(low), float(high)


def permutation_p(x: Values, y: Values, given: Controls = None, *, permutations: int = 9999, seed: int) -> float:
    """The two-sided p-value of no (partial) rank correlation, (1 + count) / (1 + permutations), where count is how many
    random permutations give a correlation at least as far from 0 (Phipson and Smyth 2010).

    Without `given` the ranks of y are permuted, an exact test. With it their residuals are, and put back on what the
    controls predict (Freedman and Lane 1983), which is exact only as units become many. Raises ValueError as
    `partial_spearman`, and for fewer than one permutation.
    """
    _at_least_one("permutations", permutations)
    rank_x, rank_y, controls = _checked(x, y, given)
    left_x, left_y = _residuals(rank_x, controls), _residuals(rank_y, controls)
    shuffled = np.random.default_rng(seed).permuted(np.tile(left_y, (permutations, 1)), axis=1)
    # What the controls predict of y they take away again, so it need not be added.
    null = _correlation(left_x, _residuals(shuffled, controls))
    count = (np.abs(null) >= abs(_correlation(left_x, left_y)) - 1e-12).sum()  # equal but for rounding is as far
    return float((1 + count) / (1 + permutations))


def holm(p: Num[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """p-values adjusted for their number by Holm's step-down method (Holm 1979): those at most alpha may be called
    significant with a probability of at most alpha that any is so by chance, however the tests depend on each other.

    The i-th smallest of m becomes the largest of (m-j+1) p_(j), j ≤ i, at most 1. Raises ValueError for values outside
    [0, 1].
    """
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must lie between 0 and 1, but one is {p[~((p >= 0) & (p <= 1))][0]}.")
    order = np.argsort(p)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(np.arange(len(p), 0, -1) * p[order]))
    return adjusted


def _at_least_one(name: str, number: int) -> None:
    if number < 1:
        raise ValueError(f"{name} must be at least 1, but is {number}.")


def _checked(x: Values, y: Values, given: Controls) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ranks of x and y [unit] and of the controls [unit, control], if they can be correlated."""
    controls = np.empty((len(x), 0)) if given is None else given.reshape(len(given), -1)
    if not len(x) == len(y) == len(controls):
        raise ValueError(f"x, y and given must be of the same units, but have {len(x)}, {len(y)}, {len(controls)}.")
    needed = 4 + controls.shape[1]
    if len(x) < needed:
        with_controls = f" with {controls.shape[1]} controls" if controls.shape[1] else ""
        raise ValueError(f"a rank correlation{with_controls} needs at least {needed} units, but there are {len(x)}.")
    for name, values in (("x", x), ("y", y), ("given", controls)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} must be finite, but has {values[~np.isfinite(values)][0]}: leave the unit out.")
    ranks = rankdata(x), rankdata(y), rankdata(controls, axis=0)
    for name, values, rank in zip("xy", (x, y), ranks[:2], strict=True):
        if not _residuals(rank, ranks[2]).any():
            why = f"is {values[0]} for all units" if np.ptp(values) == 0 else "has ranks that those of given fix"
            raise ValueError(f"{name} {why}, so nothing of it is left to correlate.")
    return ranks


def _residuals(
    values: Float[np.ndarray, "*#batch unit"], controls: Float[np.ndarray, "*#batch unit control"]
) -> np.ndarray:
    """What least squares on the controls and an intercept leaves; exactly 0 where only rounding is left."""
    design = np.concatenate([np.ones((*controls.shape[:-1], 1)), controls], axis=-1)
    residuals = values - (design @ (np.linalg.pinv(design) @ values[..., None]))[..., 0]
    size = (residuals**2).sum(-1, keepdims=True)
    return np.where(size > 1e-12 * (values**2).sum(-1, keepdims=True), residuals, 0)


def _correlation(x: Float[np.ndarray, "*#batch unit"], y: Float[np.ndarray, "*#batch unit"]) -> float | np.ndarray:
    """The correlation of centred values, NaN where one of them is 0 throughout."""
    with np.errstate(invalid="ignore"):
        return np.clip((x * y).sum(-1) / np.sqrt((x**2).sum(-1) * (y**2).sum(-1)), -1, 1)
