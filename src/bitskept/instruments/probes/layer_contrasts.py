"""Does the curve over the layers rise or fall? Differences between two layers, chosen among all pairs or beforehand."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from bitskept.theory.contrasts import Contrast, strongest
from bitskept.theory.intervals import ONE_SIDED
from bitskept.theory.statistics import cluster_bootstrap

REPLICATES = 5000
"""Enough that the smallest p, 1/5001, stays below .05 in a family of 200 tests."""


def contrast_rows(
    layers: Sequence[int],
    bits: Float[np.ndarray, "layer sentence"],
    sizes: Float[np.ndarray, " sentence"],
    *,
    other_costs: Float[np.ndarray, " layer"] | None,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """The strongest rise and fall of the curve sum(bits) / sum(sizes), each between the layers `other` and `layer`.

    `rise` is that of a later layer above an earlier one, over all pairs; `forgetting` that of any layer above the last,
    `late_forgetting` that of a layer in the second half above the last. Interval, p and `detectable` allow for the
    choice of the pair (`theory.contrasts`); `detectable` is (c + 0.84) standard errors, where c of them are half the
    interval. `peak_rise` and `peak_fall` are the differences of the peak to the first and to the last layer. The peak
    is the layer between these two that costs the fewest bits on other items (`other_costs`); so the interval is an
    ordinary one, p one-sided, and `detectable` (1.645 + 0.84) standard errors. No costs, no such rows. A curve of fewer
    than three layers has no shape.
    """
    last = len(layers) - 1
    if last < 2:
        return
    estimates = bits.sum(axis=1) / sizes.sum()
    replicates = cluster_bootstrap(bits, sizes, replicates=REPLICATES, seed=seed)

    def contrast(high: np.ndarray, low: np.ndarray) -> Contrast:
        return strongest(estimates[high] - estimates[low], replicates[:, high] - replicates[:, low], len(sizes))

    earlier, later = np.triu_indices(len(layers), 1)
    rise = contrast(later, earlier)
    yield _row("rise", layers[later[rise.place]], layers[earlier[rise.place]], rise, rise.detectable)
    for quantity, start in (("forgetting", 0), ("late_forgetting", len(layers) // 2)):
        fall = contrast(np.arange(start, last), np.array([last]))
        yield _row(quantity, layers[start + fall.place], layers[last], fall, fall.detectable)
    if other_costs is None:
        return
    peak = 1 + int(other_costs[1:-1].argmin())
    for quantity, end in (("peak_rise", 0), ("peak_fall", last)):
        difference = contrast(np.array([peak]), np.array([end]))
        yield _row(quantity, layers[peak], layers[end], difference, ONE_SIDED * difference.error)


def _row(quantity: str, layer: int, other: int, contrast: Contrast, detectable: float) -> dict[str, Any]:
    ends = {"low": contrast.low, "high": contrast.high, "p": contrast.p, "detectable": detectable}
    return {"quantity": quantity, "layer": layer, "other": other, "estimate": contrast.estimate} | ends
