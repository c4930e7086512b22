"""Estimates with bootstrap replicates over sentences, from the assignments of a sample of sentences.

The entropy of a mean distribution is the mean of its members' cross-entropies with it. So a member's cross-entropy is
its share in the estimate, and resampling these shares is a bootstrap to first order: the infinitesimal jackknife
(Efron and Tibshirani 1993).
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float16, Int
from torch import Tensor

from bitskept.instruments.soft_entropy.assignments import TILE, cross_entropy, sum_rows
from bitskept.instruments.soft_entropy.floor import Floor
from bitskept.theory.intervals import widening
from bitskept.theory.statistics import cluster_bootstrap

REPLICATES = 1000


@dataclass(frozen=True)
class Estimate:
    """A value in bits, and bootstrap replicates of it over sentences, moved away from it by `intervals.widening`;
    NaN for too few sentences.
    """

    value: Float[np.ndarray, " layer"]
    draws: Float[np.ndarray, "replicate layer"]


class Held:
    """The assignments of some whole sentences, which stand for all `sentences`, and their shares in H(Z) and h(c)."""

    def __init__(
        self,
        places: Int[np.ndarray, " held"],
        assigned: Float16[Tensor, "held layer anchor"],
        owners: Int[np.ndarray, " held"],
        sentences: int,
        mean: Float[Tensor, "layer anchor"],
        floor: Floor,
        seed: int,
    ) -> None:
        self.places, self.assigned, self.floor = places, assigned, floor
        _, self._clusters = np.unique(owners, return_inverse=True)
        sizes = np.bincount(self._clusters)
        self.random = np.random.default_rng(seed)
        self.noise = self.random.standard_normal((REPLICATES, len(floor.sizes)))
        # All estimates share one draw of sentences, so that differences and ratios of replicates are replicates. A
        # replicate is linear in the sums of the sentences: these are its weights, minus those of the mean.
        drawn = cluster_bootstrap(np.eye(len(sizes)), sizes, replicates=REPLICATES, seed=0)
        self._weights = widening(len(sizes)) * np.sqrt(len(sizes) / sentences) * (drawn - 1 / len(places))
        each = np.arange(len(places))
        self._entropy = self._by_sentence(self.cross_entropy(mean[None], 0 * each, each) - floor.entropy)
        self.entropies = self._with_others(1)
        """The entropy of each assignment."""
        grouped = (self._with_others(size) if size > 1 else self.entropies for size in floor.sizes)
        self._floor = np.array([self._by_sentence(h - value) for h, value in zip(grouped, floor.values, strict=True)])

    def _by_sentence(self, shares: Float[np.ndarray, "held layer"]) -> Float[np.ndarray, "sentence layer"]:
        return sum_rows(shares, self._clusters, self._weights.shape[1])

    def cross_entropy(
        self,
        sums: Float[Tensor, "row layer anchor"],
        rows: Int[np.ndarray, " chosen"],
        chosen: Int[np.ndarray, " chosen"],
    ) -> Float[np.ndarray, "chosen layer"]:
        """The cross-entropies of the chosen assignments, each with the distribution in its row of `sums`."""
        result = np.empty((len(chosen), sums.shape[1]))
        for start in range(0, len(chosen), TILE):
            tile = slice(start, start + TILE)
            others = sums.index_select(0, torch.from_numpy(rows[tile]).to(sums.device))
            result[tile] = cross_entropy(self._laws(chosen[tile]), others).cpu().numpy()
        return result

    def _laws(self, chosen: Int[np.ndarray, " chosen"]) -> Float[Tensor, "chosen layer anchor"]:
        return self.assigned.index_select(0, torch.from_numpy(chosen).to(self.assigned.device)).float()

    def _with_others(self, size: int | np.integer) -> Float[np.ndarray, "held layer"]:
        """The cross-entropy of each assignment with the mean of a random group of this size that it belongs to."""
        repeats = max(1, 16 // size) if size > 1 else 1
        step, total = max(TILE // size, 1) * size, np.zeros((len(self.places), self.assigned.shape[1]))
        once = np.empty_like(total)
        for _ in range(repeats):
            # The last group is completed with members of others.
            order = np.resize(self.random.permutation(len(self.places)), -(-len(self.places) // size) * size)
            for start in range(0, len(order), step):
                chosen = order[start : start + step]
                groups = self._laws(chosen).unflatten(0, (-1, size))
                once[chosen] = cross_entropy(groups, groups.mean(1, keepdim=True)).flatten(0, 1).cpu().numpy()
            total += once
        return total / repeats

    def estimate(
        self,
        value: Float[np.ndarray, " layer"],
        shares: Float[np.ndarray, "held layer"],
        by_entropy: Float[np.ndarray, " layer"],
        by_floor: Float[np.ndarray, "size layer"],
        error: Float[np.ndarray, " layer"],
    ) -> Estimate:
        """A value with replicates. `shares` are the parts that the held places have in it at given H(Z) and h(c);
        `by_entropy` and `by_floor` its derivatives by these; `error` a standard error from other sources.
        """
        sums = self._by_sentence(shares) + by_entropy * self._entropy
        sums += np.einsum("sl,scl->cl", by_floor, self._floor)
        noise = self.noise @ (by_floor * self.floor.errors) + error * self.random.standard_normal((REPLICATES, 1))
        return Estimate(value, value + self._weights @ sums + noise)
