"""The floor of soft information: h(c), the expected entropy of the mean of c random states, in bits.

A label that means nothing but has only c states lowers the entropy from H(Z) to h(c). How far depends on c alone, so
one curve gives the floor of every label set.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num


@dataclass(frozen=True)
class Floor:
    """h(c) at every layer, between the sizes at which it was measured.

    H(Z) - h(c) is nearly V (1/c - 1/N): a mean of c of the N states varies the less, the larger c is. V is interpolated
    over log c, and stays as it is beyond the largest measured size, where that is exact to first order (delta method).
    """

    entropy: Float[np.ndarray, " layer"]
    sizes: Int[np.ndarray, " size"]
    values: Float[np.ndarray, "size layer"]
    errors: Float[np.ndarray, "size layer"]
    states: int

    @classmethod
    def measured(
        cls,
        entropy: Float[np.ndarray, " layer"],
        single: Float[np.ndarray, " layer"],
        gains: dict[int, Float[np.ndarray, "group layer"]],
        states: int,
    ) -> Floor:
        """From H(Z), the mean entropy h(1) of single states, and what groups of random states gain over it.

        `gains[c]` holds, for each group of c states, the entropy of their mean less the mean of their entropies: h(1)
        is known exactly, and h(c) = h(1) + mean gain is far more exact than a mean over the groups' entropies.
        """
        sizes = sorted(size for size in gains if size < states)
        means = [single, *(single + gains[size].mean(0) for size in sizes)]
        errors = [np.zeros_like(single)]
        # Wide where groups hold most of the states there are: they then leave less to chance than this.
        errors += [gains[size].std(0, ddof=1) / np.sqrt(len(gains[size])) for size in sizes]
        return cls(entropy, np.array([1, *sizes]), np.array(means), np.array(errors), states)

    def weights(self, counts: Num[np.ndarray, " label"]) -> Float[np.ndarray, "label size"]:
        """The linear map from measured to wanted: h(c) = H + weights @ (values - H)."""
        place = np.interp(np.log(counts), np.log(self.sizes), np.arange(len(self.sizes)))
        left = np.minimum(place.astype(int), max(len(self.sizes) - 2, 0))
        right = np.minimum(left + 1, len(self.sizes) - 1)
        part = place - left
        lack = (1 / counts - 1 / self.states).clip(0)
        scaled = lack[:, None] / (1 / self.sizes - 1 / self.states)
        weights = np.zeros((len(counts), len(self.sizes)))
        rows = np.arange(len(counts))
        weights[rows, right] = part * scaled[rows, right]
        weights[rows, left] += (1 - part) * scaled[rows, left]
        return weights

    def __call__(self, counts: Num[np.ndarray, " label"]) -> Float[np.ndarray, "label layer"]:
        """h(c) at each count, in bits; H(Z) from c = N on."""
        return self.entropy + self.weights(counts) @ (self.values - self.entropy)
