"""From sums of soft assignments to information with intervals: raw, above its floor, and in the limit of much data.

The states of a label x with count c have a mean of entropy H_c(Z|x); c random states have h(c). Three estimates, in
bits, for a label set:

- raw: sum p(x) [H(Z) - H_c(Z|x)], as in Conklin 2025 (arXiv 2505.23960); higher for labels with fewer states.
- corrected: sum p(x) [h(c) - H_c(Z|x)], where counts match: 0 for noise. Too low where labels have few states, and 0
  for those that occur once, so it rises with the amount of text.
- extrapolated: sum p(x) [H(Z) - H(Z|x)], with H(Z|x) in the limit of infinitely many states. Random states go from h(1)
  to H(Z) as c grows; at c, the share lambda(c) = (H(Z) - h(c)) / (H(Z) - h(1)) of that way remains. A label's states
  are assumed to go from their mean entropy to H(Z|x) at the same pace. Labels that occur once give no information on
  this and are assumed to be like those that occur two or three times.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from bitskept.instruments.soft_entropy.assignments import sum_rows
from bitskept.instruments.soft_entropy.influence import Estimate, Held
from bitskept.instruments.soft_entropy.labels import LabelSet

RARE = 3
"""Labels that occur once are assumed to be like those that occur from two to this many times."""


@dataclass(frozen=True)
class Information:
    """The information of states about a label set, in bits (see above); `unique` is the share of places whose label
    occurs once.

    `extrapolated` is NaN if no label occurs twice.
    """

    raw: Estimate
    corrected: Estimate
    extrapolated: Estimate
    unique: float


@dataclass(frozen=True)
class Sums:
    """For each row: the summed assignments, the entropy of their mean, and the sum of their entropies, in bits."""

    assigned: Float[Tensor, "row layer anchor"]
    entropies: Float[np.ndarray, "row layer"]
    members: Float[np.ndarray, "row layer"]


def information(
    labels: LabelSet,
    seen: Int[np.ndarray, " place"],
    single: Float[np.ndarray, " layer"],
    sums: Sums,
    held: Held,
    *,
    equal: bool,
) -> Information:
    """The information about one label set. `seen` are the places so far; `single` is the sum of the entropies of those
    whose label occurs once in the whole text. With `equal` all labels have the same weight, otherwise they are weighted
    by frequency.
    """
    counts = np.bincount(labels.labels[seen], minlength=labels.unique + 1)
    strata = _Strata(labels.row, counts, single, sums, equal)
    sizes, mass, floor = strata.sizes, strata.mass, held.floor
    entropy, expected, to_sizes = floor.entropy, floor(sizes), floor.weights(sizes)
    label = labels.labels[held.places]
    stratum = strata.of_label[label]
    conditional, row = strata.conditional[stratum], np.append(labels.row, -1)[label]
    conditional[row >= 0] = held.cross_entropy(sums.assigned, row[row >= 0], np.flatnonzero(row >= 0))
    conditional[label == labels.unique] = held.entropies[label == labels.unique]

    def estimate(mass: np.ndarray, level: np.ndarray, a: np.ndarray, b: np.ndarray, *slopes: np.ndarray) -> Estimate:
        """sum of mass x (level - a H_c(Z|x) + b mean entropy of single states), over strata."""
        weight = (mass / strata.places)[stratum, None] * len(seen)
        shares = level[stratum] - a[stratum] * conditional + b[stratum] * held.entropies
        value = mass @ (level - a * strata.conditional + b * strata.members)
        return held.estimate(value, weight * shares, *slopes, strata.error(mass, a, b))

    ones, none = np.ones_like(expected), np.zeros_like(expected)
    slope = np.repeat((mass @ to_sizes)[:, None], len(entropy), 1)
    raw = estimate(mass, ones * entropy, ones, none, np.ones_like(entropy), 0 * slope)
    corrected = estimate(mass, expected, ones, none, 1 - slope.sum(0), slope)

    repeated = sizes > 1
    unique = float(counts[-1] + (counts[:-1] == 1).sum()) / len(seen)
    if not repeated.any():
        missing = Estimate(np.full_like(entropy, np.nan), np.full_like(raw.draws, np.nan))
        return Information(raw, corrected, missing, unique)
    rare = repeated & (sizes <= RARE) if (repeated & (sizes <= RARE)).any() else repeated
    moved = mass * repeated + mass[~repeated].sum() * mass * rare / mass[rare].sum()
    way = entropy - floor.values[0]
    ahead = np.where(repeated[:, None], (entropy - expected) / way, 0.0)
    done = 1 - ahead
    # The derivative by lambda, and those of lambda by h at each size and by H(Z).
    steep = moved[:, None] * -(strata.conditional - strata.members) / done**2
    by_floor = -np.einsum("cl,cs->sl", steep, to_sizes) / way
    by_floor[0] += (steep * ahead).sum(0) / way
    by_entropy = 1 + (steep * (to_sizes.sum(1, keepdims=True) - ahead)).sum(0) / way
    extrapolated = estimate(moved, ones * entropy, 1 / done, ahead / done, by_entropy, by_floor)
    return Information(raw, corrected, extrapolated, unique)


class _Strata:
    """Labels by the number of their states, as every estimate depends only on sums over labels of equal count.

    Labels that have no row are assumed to be like those of their count that have one, on average, or like those of the
    nearest counts if no label of that count has a row.
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
        sizes = np.append(counts[:-1], min(counts[-1], 1))
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
        self.conditional, self.members = (self._mean(values, single, counts[-1]) for values in self._values)

    def _mean(
        self, values: Float[np.ndarray, "known layer"], single: Float[np.ndarray, " layer"], singles: int | np.integer
    ) -> Float[np.ndarray, "stratum layer"]:
        total = sum_rows(values, self._stratum, len(self.sizes))
        number = self._known.copy()
        if singles:
            total[0] += single
            number[0] += singles
        there = number > 0
        mean = total / np.maximum(number, 1)[:, None]
        for layer in mean.T:
            layer[~there] = np.interp(np.log(self.sizes[~there]), np.log(self.sizes[there]), layer[there])
        return mean

    def error(
        self,
        mass: Float[np.ndarray, " stratum"],
        a: Float[np.ndarray, "stratum layer"],
        b: Float[np.ndarray, "stratum layer"],
    ) -> Float[np.ndarray, " layer"]:
        """The standard error of an estimate due to labels without a row."""
        if not self._lacking.any():
            return np.zeros(a.shape[1])
        entropies, members = self._values
        values = -a[self._stratum] * (entropies - self.conditional[self._stratum])
        values += b[self._stratum] * (members - self.members[self._stratum])
        squares = sum_rows(values**2, self._stratum, len(self.sizes))
        several = np.maximum(self._known, 1)[:, None]
        # Where a stratum has at most two known labels, the spread over all strata is used instead.
        variance = np.where(
            self._known[:, None] > 2, squares / np.maximum(several - 1, 1), squares.sum(0) / len(values)
        )
        return np.sqrt((((mass * self._lacking)[:, None]) ** 2 * variance / several).sum(0))
