"""From sums of soft assignments to information with intervals: raw, above its floor, and without limit of data.

With c states a label's entropy is H_c(Z|x), and that of c random states h(c). Three figures, in bits, a label set:

- raw: sum p(x) [H(Z) - H_c(Z|x)], as Conklin 2025 (arXiv 2505.23960) has it; the fewer states a label has, the higher.
- corrected: sum p(x) [h(c) - H_c(Z|x)]. Matched counts: 0 for noise. Too low where labels have few states, and 0 for
  those that occur once, so it rises with the amount of text.
- extrapolated: sum p(x) [H(Z) - H(Z|x)], with H(Z|x) as it would be for ever more states. Random states go from h(1) to
  H(Z) as c grows, and have gone all but a share lambda(c) = (H(Z) - h(c)) / (H(Z) - h(1)) of that way; a label's states
  are taken to go from their own mean entropy to H(Z|x) as fast. Labels that occur once show nothing of this and are
  taken to be like those that occur two or three times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float16, Int
from torch import Tensor

from bitskept.measure.floor import Floor
from bitskept.measure.labels import LabelSet
from bitskept.theory.statistics import cluster_bootstrap

REPLICATES = 1000
TILE = 128
"""Distributions whose logarithms are taken at once: as many as a processor's cache holds."""
TINY = torch.finfo(torch.float32).tiny
RARE = 3
"""Labels that occur once count as those of two to so many occurrences."""


@dataclass(frozen=True)
class Figure:
    """An estimate in bits, and bootstrap replicates of it over sentences."""

    estimate: Float[np.ndarray, " layer"]
    draws: Float[np.ndarray, "replicate layer"]


@dataclass(frozen=True)
class Information:
    """What states tell about a label set, in bits (see above); `unique` is the share of places whose label occurs once.

    `extrapolated` is NaN where no label occurs twice.
    """

    raw: Figure
    corrected: Figure
    extrapolated: Figure
    unique: float


@dataclass(frozen=True)
class Sums:
    """Of each row: the summed assignments, the entropy of their mean, and the sum of their own entropies, in bits."""

    assigned: Float[Tensor, "row layer anchor"]
    entropies: Float[np.ndarray, "row layer"]
    members: Float[np.ndarray, "row layer"]


class Held:
    """Assignments of some whole sentences, and the share that each has in H(Z) and in h(c).

    The entropy of a mean is the mean of its members' cross-entropies with it, so that is a member's share in it: the
    infinitesimal jackknife (Efron and Tibshirani 1993). What is held stands for all `sentences`.
    """

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
        # One draw of sentences for every figure, so that differences and ratios of replicates are replicates. A
        # replicate is linear in the sums of the sentences: these are its weights, less those of the mean.
        drawn = cluster_bootstrap(np.eye(len(sizes)), sizes, replicates=REPLICATES, seed=0)
        self._weights = np.sqrt(len(sizes) / sentences) * (drawn - 1 / len(places))
        each = np.arange(len(places))
        self._whole = self._by_sentence(self.cross_entropy(mean[None], 0 * each, each) - floor.entropy)
        self.own = self._with_others(1)
        """The entropy of each assignment."""
        grouped = (self._with_others(size) if size > 1 else self.own for size in floor.sizes)
        self._grouped = np.array(
            [self._by_sentence(own - value) for own, value in zip(grouped, floor.values, strict=True)]
        )

    def _by_sentence(self, shares: Float[np.ndarray, "held layer"]) -> Float[np.ndarray, "sentence layer"]:
        return _summed(shares, self._clusters, self._weights.shape[1])

    def cross_entropy(
        self, sums: Float[Tensor, "row layer anchor"], rows: Int[np.ndarray, " some"], some: Int[np.ndarray, " some"]
    ) -> Float[np.ndarray, "some layer"]:
        """Of some assignments, each with the distribution in its row."""
        found = np.empty((len(some), sums.shape[1]))
        for start in range(0, len(some), TILE):
            tile = slice(start, start + TILE)
            law, others = self._laws(some[tile]), sums.index_select(0, torch.from_numpy(rows[tile]).to(sums.device))
            found[tile] = _cross_entropy(law, others).cpu().numpy()
        return found

    def _laws(self, some: Int[np.ndarray, " some"]) -> Float[Tensor, "some layer anchor"]:
        return self.assigned.index_select(0, torch.from_numpy(some).to(self.assigned.device)).float()

    def _with_others(self, size: int | np.integer) -> Float[np.ndarray, "held layer"]:
        """The cross-entropy of each with the mean of a random group of so many that it is in."""
        repeats = max(1, 16 // size) if size > 1 else 1
        step, total = max(TILE // size, 1) * size, np.zeros((len(self.places), self.assigned.shape[1]))
        one = np.empty_like(total)
        for _ in range(repeats):
            # The last group is filled up with others.
            order = np.resize(self.random.permutation(len(self.places)), -(-len(self.places) // size) * size)
            for start in range(0, len(order), step):
                chosen = order[start : start + step]
                groups = self._laws(chosen).unflatten(0, (-1, size))
                one[chosen] = _cross_entropy(groups, groups.mean(1, keepdim=True)).flatten(0, 1).cpu().numpy()
            total += one
        return total / repeats

    def figure(
        self,
        estimate: Float[np.ndarray, " layer"],
        shares: Float[np.ndarray, "held layer"],
        of_entropy: Float[np.ndarray, " layer"],
        of_floor: Float[np.ndarray, "size layer"],
        error: Float[np.ndarray, " layer"],
    ) -> Figure:
        """An estimate with replicates. `shares` are the parts that the held places have in it for given H(Z) and h(c);
        `of_entropy` and `of_floor` its derivatives by these; `error` a standard error from other sources.
        """
        sums = self._by_sentence(shares) + of_entropy * self._whole
        sums += np.einsum("sl,scl->cl", of_floor, self._grouped)
        noise = self.noise @ (of_floor * self.floor.errors) + error * self.random.standard_normal((REPLICATES, 1))
        return Figure(estimate, estimate + self._weights @ sums + noise)


def information(
    labels: LabelSet,
    seen: Int[np.ndarray, " place"],
    single: Float[np.ndarray, " layer"],
    sums: Sums,
    held: Held,
    *,
    equal: bool,
) -> Information:
    """Of one label set. `seen` are the places so far, `single` sums the entropies of those whose label occurs once in
    the whole text. With `equal` each label weighs the same; otherwise as often as it occurs.
    """
    counts = np.bincount(labels.labels[seen], minlength=labels.unique + 1)
    strata = _Strata(labels.row, counts, single, sums, equal)
    sizes, mass, floor = strata.sizes, strata.mass, held.floor
    entropy, expected, map_ = floor.entropy, floor(sizes), floor.weights(sizes)
    label = labels.labels[held.places]
    stratum = strata.of_label[label]
    conditional, row = strata.conditional[stratum], np.append(labels.row, -1)[label]
    conditional[row >= 0] = held.cross_entropy(sums.assigned, row[row >= 0], np.flatnonzero(row >= 0))
    conditional[label == labels.unique] = held.own[label == labels.unique]

    def figure(
        mass: np.ndarray, level: np.ndarray, of_whole: np.ndarray, of_own: np.ndarray, *slopes: np.ndarray
    ) -> Figure:
        """sum of mass x (level - of_whole H(Z|x) + of_own own entropy)."""
        weight = (mass / strata.places)[stratum, None] * len(seen)
        shares = level[stratum] - of_whole[stratum] * conditional + of_own[stratum] * held.own
        estimate = mass @ (level - of_whole * strata.conditional + of_own * strata.own)
        return held.figure(estimate, weight * shares, *slopes, strata.error(mass, of_whole, of_own))

    ones, none = np.ones_like(expected), np.zeros_like(expected)
    slope = np.repeat((mass @ map_)[:, None], len(entropy), 1)
    raw = figure(mass, ones * entropy, ones, none, np.ones_like(entropy), 0 * slope)
    corrected = figure(mass, expected, ones, none, 1 - slope.sum(0), slope)

    repeated = sizes > 1
    unique = float(counts[-1] + (counts[:-1] == 1).sum()) / len(seen)
    if not repeated.any():
        missing = Figure(np.full_like(entropy, np.nan), np.full_like(raw.draws, np.nan))
        return Information(raw, corrected, missing, unique)
    rare = repeated & (sizes <= RARE) if (repeated & (sizes <= RARE)).any() else repeated
    moved = mass * repeated + mass[~repeated].sum() * mass * rare / mass[rare].sum()
    way = entropy - floor.values[0]
    left = np.where(repeated[:, None], (entropy - expected) / way, 0.0)
    done = 1 - left
    # The derivative by lambda, and of lambda by h at each size and by H(Z).
    steep = moved[:, None] * -(strata.conditional - strata.own) / done**2
    of_floor = -np.einsum("cl,cs->sl", steep, map_) / way
    of_floor[0] += (steep * left).sum(0) / way
    of_entropy = 1 + (steep * (map_.sum(1, keepdims=True) - left)).sum(0) / way
    extrapolated = figure(moved, ones * entropy, 1 / done, left / done, of_entropy, of_floor)
    return Information(raw, corrected, extrapolated, unique)


class _Strata:
    """Labels by the number of their states: all figures depend on sums over labels of equal count only.

    Labels that have no row are taken to be as those of their count that have one, on average; where there is none, as
    those of the nearest counts.
    """

    def __init__(
        self,
        row: Int[np.ndarray, " repeated"],
        counts: Int[np.ndarray, " label"],
        single: Float[np.ndarray, " layer"],
        sums: Sums,
        equal: bool,
    ) -> None:
        # The last entry stands for all labels that occur once in the text: as many labels as places.
        sizes = np.append(counts[:-1], 1)
        sizes[-1] = 1 if counts[-1] else 0
        self.sizes, of_label = np.unique(sizes[sizes > 0], return_inverse=True)
        self.of_label = np.full(len(sizes), -1)
        self.of_label[sizes > 0] = of_label
        number = np.bincount(of_label, minlength=len(self.sizes))
        if counts[-1]:
            number[0] += counts[-1] - 1
        self.places = number * self.sizes
        weights = number if equal else self.places
        self.mass = weights / weights.sum()
        known = (row >= 0) & (counts[:-1] > 0)
        self._stratum, rows = self.of_label[:-1][known], row[known]
        self._values = sums.entropies[rows], sums.members[rows] / counts[:-1][known, None]
        self._known = np.bincount(self._stratum, minlength=len(self.sizes)).astype(float)
        self._lacking = 1 - (self._known + (self.sizes == 1) * counts[-1]) / number
        self.conditional, self.own = (self._mean(values, single, counts[-1]) for values in self._values)

    def _mean(
        self, values: np.ndarray, single: np.ndarray, singles: int | np.integer
    ) -> Float[np.ndarray, "stratum layer"]:
        total = _summed(values, self._stratum, len(self.sizes))
        number = self._known.copy()
        if singles:
            total[0] += single
            number[0] += singles
        there = number > 0
        mean = total / np.maximum(number, 1)[:, None]
        for layer in mean.T:
            layer[~there] = np.interp(np.log(self.sizes[~there]), np.log(self.sizes[there]), layer[there])
        return mean

    def error(self, mass: np.ndarray, of_whole: np.ndarray, of_own: np.ndarray) -> Float[np.ndarray, " layer"]:
        """The standard error that labels without a row leave in a figure."""
        if not self._lacking.any():
            return np.zeros(of_whole.shape[1])
        entropies, own = self._values
        values = -of_whole[self._stratum] * (entropies - self.conditional[self._stratum])
        values += of_own[self._stratum] * (own - self.own[self._stratum])
        squares = _summed(values**2, self._stratum, len(self.sizes))
        several = np.maximum(self._known, 1)[:, None]
        # Where a stratum has hardly a known label, the spread over all of them stands in.
        variance = np.where(
            self._known[:, None] > 2, squares / np.maximum(several - 1, 1), squares.sum(0) / len(values)
        )
        return np.sqrt((((mass * self._lacking)[:, None]) ** 2 * variance / several).sum(0))


def _summed(
    values: Float[np.ndarray, "value layer"], rows: Int[np.ndarray, " value"], number: int
) -> Float[np.ndarray, "row layer"]:
    """The sum of the values of each row: NumPy's `add.at`, ten times as fast."""
    sums = torch.zeros(number, values.shape[1], dtype=torch.float64)
    return sums.index_add_(0, torch.from_numpy(rows), torch.from_numpy(values)).numpy()


def entropy(law: Float[Tensor, "*rows anchor"]) -> Float[Tensor, "*rows"]:
    """In bits."""
    return -(law * law.clamp(min=TINY).log2_()).sum(-1)


def mean_entropy(sums: Float[Tensor, "row layer anchor"]) -> Float[np.ndarray, "row layer"]:
    """The entropy of the mean of what is summed in each row, in bits; 0 where nothing is."""
    means = (tile / tile.sum(-1, keepdim=True).clamp(min=1e-30) for tile in sums.split(TILE))
    return np.concatenate([entropy(tile).cpu().numpy() for tile in means]).astype(float)


def _cross_entropy(law: Float[Tensor, "*rows anchor"], sums: Float[Tensor, "*others anchor"]) -> Float[Tensor, "*rows"]:
    """-sum law log2 q, where q is proportional to `sums`; what neither has any of counts for nothing."""
    logs = sums.clamp(min=TINY).log2_()
    logs -= sums.sum(-1, keepdim=True).clamp_(min=TINY).log2_()
    return -(law * logs).sum(-1)
