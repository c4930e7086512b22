"""The floor of soft information: h(c), the expected entropy of the mean of c random states, in bits.

A label that means nothing but has only c states lowers the entropy from H(Z) to h(c). How far depends only on c, so one
curve gives the floor of every label set. It is measured on random groups of states.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from bitskept.instruments.soft_entropy.assignments import mean_entropy

GROUP_SIZES = (2, 4, 8, 16, 32, 64, 128, 256)
"""The sizes c of groups of random states for which h is measured."""
GROUPS = 256
"""The most random groups of each size in each portion of a text; there may be too few places for them."""


class RandomGroups:
    """Random places of a text, sorted into groups of each size, and the sums of their assignments."""

    def __init__(
        self,
        candidates: Int[np.ndarray, " candidate"],
        places: int,
        like: Float[Tensor, "layer anchor"],
        random: np.random.Generator,
    ) -> None:
        pool = random.permutation(candidates)[: GROUPS * GROUP_SIZES[-1]]
        self._slot = np.full(places, -1, np.int32)
        self._slot[pool] = np.arange(len(pool))
        self._group_of: dict[int, Int[np.ndarray, " slot"]] = {}
        rows = 0
        for size in GROUP_SIZES:
            number = min(GROUPS, len(pool) // size)
            if number > 1:
                self._group_of[size] = np.full(len(pool), -1, np.int32)
                chosen = random.permutation(len(pool))[: number * size]
                self._group_of[size][chosen] = rows + np.arange(len(chosen)) // size
                rows += number
        self._sums = like.new_zeros(rows, *like.shape)
        self._entropies = like.new_zeros(rows, len(like))
        self._counts = np.zeros(rows, np.int64)

    def add(
        self,
        assigned: Float[Tensor, "token layer anchor"],
        entropies: Float[Tensor, "token layer"],
        places: Int[np.ndarray, " token"],
    ) -> None:
        """Add the assignments of some places, and their entropies."""
        slot = self._slot[places]
        for group_of in self._group_of.values():
            rows = np.where(slot >= 0, group_of[slot], -1)
            add_rows(self._sums, assigned, rows)
            add_rows(self._entropies, entropies, rows)
            self._counts += np.bincount(rows + 1, minlength=len(self._counts) + 1)[1:]

    def gains(self) -> dict[int, Float[np.ndarray, "group layer"]]:
        """For each size, the entropy of each group's mean minus the mean of its entropies. Groups that lost a member,
        whose state had no direction, are left out."""
        if not self._group_of:
            return {}
        members = self._entropies.cpu().numpy() / np.maximum(self._counts, 1)[:, None]
        gains = mean_entropy(self._sums) - members
        rows = {size: np.unique(group_of[group_of >= 0]) for size, group_of in self._group_of.items()}
        return {size: gains[of_size[self._counts[of_size] == size]] for size, of_size in rows.items()}


def add_rows(sums: Float[Tensor, "row ..."], values: Float[Tensor, "token ..."], rows: np.ndarray) -> None:
    """Add each value to its row; -1 for a value that has no row."""
    kept = rows >= 0
    sums.index_add_(0, torch.from_numpy(rows[kept]).to(sums.device), select(values, kept))


def select(values: Float[Tensor, "token ..."], flags: np.ndarray) -> Float[Tensor, "kept ..."]:
    """The values whose flag is set."""
    if flags.all():
        return values
    return values.index_select(0, torch.from_numpy(np.flatnonzero(flags)).to(values.device))


@dataclass(frozen=True)
class Floor:
    """h(c) at every layer, interpolated between the sizes at which it was measured.

    H(Z) - h(c) is nearly V (1/c - 1/N), as a mean of c of the N states varies less for larger c. V is
    interpolated over log c; beyond the largest measured size it stays as it is, which is exact to first order there
    (delta method).
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

        `gains[c]` holds, for each group of c states, the entropy of their mean minus the mean of their entropies. As
        h(1) is known exactly, h(c) = h(1) + mean gain is far more exact than a mean over the groups' entropies.
        """
        sizes = sorted(size for size in gains if size < states)
        means = [single, *(single + gains[size].mean(0) for size in sizes)]
        errors = [np.zeros_like(single)]
        # Too wide where groups contain most of all states, because then less is left to chance.
        errors += [gains[size].std(0, ddof=1) / np.sqrt(len(gains[size])) for size in sizes]
        return cls(entropy, np.array([1, *sizes]), np.array(means), np.array(errors), states)

    def weights(self, counts: Num[np.ndarray, " label"]) -> Float[np.ndarray, "label size"]:
        """The linear map from the measured values to those at `counts`: h(c) = H + weights @ (values - H)."""
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
