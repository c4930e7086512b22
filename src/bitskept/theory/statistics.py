"""Intervals for means over tokens, by resampling whole sentences: tokens of one sentence are not independent."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Num

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
    low, high = np.nanquantile(replicates, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
