"""Soft entropy, and the information of states about labels, with the part that is owed to few samples taken off.

A state is assigned softly to m anchors on the sphere; the entropy of the mean assignment is the soft entropy H(Z), and
I = H(Z) - sum p(label) H(Z|label) (Conklin 2025, arXiv 2505.23960). A label with c states has a low entropy even if it
means nothing: that of c random states, h(c). So I has a floor, sum p(label) [H(Z) - h(c)], and what lies above it is
sum p(label) [h(c) - H(Z|label)]: the corrected information, 0 for noise whatever the counts.

One pass over the states serves every layer and every label set, and several sample sizes; states are never kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitskept.measure.floor import Floor
from bitskept.measure.labels import ABSENT, Labels
from bitskept.measure.soft_information import TILE, Figure, Held, Information, Sums, entropy, information, mean_entropy
from bitskept.theory.von_mises_fisher import temperature

GROUP_SIZES = (2, 4, 8, 16, 32, 64, 128, 256)
"""Numbers of random states for which h is measured."""
GROUPS = 256
"""So many random groups of each size are formed in each portion of a text, or as many as it has places for."""
HELD, HELD_PLACES = 128, 8192
"""The assignments of so many sentences, and places at most, are held for the intervals. Texts come in random order, so
these are random."""


@dataclass(frozen=True)
class Anchors:
    """Points on the unit sphere, and the temperature at which states are assigned to them."""

    points: Float[Tensor, "anchor dim"]
    temperature: float

    @classmethod
    def draw(
        cls, number: int, dim: int, *, seed: int, calibration: str = "exact", device: torch.device | str = "cpu"
    ) -> Anchors:
        """`number` points uniform on the sphere, with the calibrated temperature (`theory.von_mises_fisher`).

        The draw is that of soft-entropy 0.1.5's torch backend on a CPU. ValueError for fewer than 2 points.
        """
        eps = temperature(number, dim, calibration)
        points = torch.randn(number, dim, generator=torch.Generator().manual_seed(seed))
        return cls(torch.nn.functional.normalize(points, dim=1).to(device), eps)

    @torch.inference_mode()
    def assign(self, states: Iterable[Float[Tensor, "token dim"]]) -> Float[Tensor, "token layer anchor"]:
        """softmax(cosine / temperature), layer by layer: the probability of each anchor. NaN for a state of length 0.

        ValueError for a state that is not finite.
        """
        laws, lengths = [], []
        for layer in states:
            # In float32: in bfloat16 a cosine is off by as much as a temperature is wide.
            layer = layer.float()
            lengths.append(torch.linalg.vector_norm(layer, dim=1, keepdim=True))
            cosines = (layer @ self.points.T).mul_((lengths[-1] * self.temperature).reciprocal_())
            laws.append(torch.softmax(cosines, dim=1))
        if not (finite := torch.stack(lengths).isfinite()).all():
            entry = int((~finite).flatten(1).any(1).nonzero()[0])
            raise ValueError(
                f"the states at entry {entry} hold a value that is not finite: use float32 or leave it out"
            )
        return torch.stack(laws, dim=1)


@dataclass(frozen=True)
class SoftInformation:
    """H(Z) in bits at every layer with its replicates, the floor h(c), and the information of each label set.

    `places` have been measured; `left_out` had a state of length 0.
    """

    entropy: Figure
    floor: Floor
    sets: dict[str, Information]
    places: int
    left_out: int


class SoftEntropy:
    """Accumulates the soft assignments to one set of anchors, over all layers and label sets.

    `open` a portion of the text, `update` with its states (or `add` what they are assigned to), then `evaluate`: that
    gives all portions so far. Memory, in numbers of layers x anchors floats: the rows of `labels`, 2,048 for the floor,
    and half the places held.
    """

    def __init__(self, anchors: Anchors, labels: Labels, layers: int, *, seed: int = 0) -> None:
        self.anchors, self.labels, self.seed = anchors, labels, seed
        self._random = np.random.default_rng(seed)
        self._shape, self._device = (layers, len(anchors.points)), anchors.points.device
        self._sums = self._zeros(max(labels.rows, 1), *self._shape)
        self._members = self._zeros(max(labels.rows, 1), layers)
        self._total = self._zeros(*self._shape).double()
        self._entropies = self._zeros(layers).double()
        self._single = {name: self._zeros(layers).double() for name in labels.sets}
        self._gains: dict[int, list[np.ndarray]] = {}
        self._groups: dict[int, np.ndarray] = {}
        self._seen = np.zeros(len(labels.sentences), bool)
        self._measured = next(iter(labels.sets.values())).labels != ABSENT
        _, sentence = np.unique(labels.sentences[self._measured], return_inverse=True)
        self._holds = np.zeros_like(self._measured)
        self._holds[np.flatnonzero(self._measured)[:HELD_PLACES]] = sentence[:HELD_PLACES] < HELD
        self._held_places = np.empty(0, np.int64)
        self._held = torch.empty(int(self._holds.sum()), *self._shape, dtype=torch.float16, device=self._device)
        self._left_out = 0

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, device=self._device)

    def open(self, places: Int[np.ndarray, " place"]) -> None:
        """Begin a portion of the text, the given places: random ones of them are sorted into groups of each size."""
        pool = self._random.permutation(places[self._measured[places]])[: GROUPS * GROUP_SIZES[-1]]
        self._slot = np.full(len(self._seen), -1, np.int32)
        self._slot[pool] = np.arange(len(pool))
        self._groups, rows = {}, 0
        for size in GROUP_SIZES:
            number = min(GROUPS, len(pool) // size)
            if number > 1:
                self._groups[size] = np.full(len(pool), -1, np.int32)
                chosen = self._random.permutation(len(pool))[: number * size]
                self._groups[size][chosen] = rows + np.arange(len(chosen)) // size
                rows += number
        self._group_sums = self._zeros(rows, *self._shape)
        self._group_entropies = self._zeros(rows, self._shape[0])
        self._group_counts = np.zeros(rows, np.int64)

    def update(self, states: Iterable[Float[Tensor, "token dim"]], places: Int[np.ndarray, " token"]) -> None:
        """Add the states, layer by layer, of some places of this portion; places that are not measured are passed over,
        whatever their states. Otherwise as `add`; ValueError for states that are not finite.
        """
        kept = np.flatnonzero(self._measured[places])
        self.add(self.anchors.assign(layer.index_select(0, self._index(kept)) for layer in states), places[kept])

    @torch.inference_mode()
    def add(self, assigned: Float[Tensor, "token layer anchor"], places: Int[np.ndarray, " token"]) -> None:
        """Add what the anchors' `assign` gives of some places of this portion; those not measured are passed over.

        States of length 0 have no direction: their places are left out, counted, and warned of.
        """
        measured = self._measured[places]
        lost = measured & assigned[:, :, 0].isnan().any(1).cpu().numpy()
        if lost.any():
            warnings.warn(f"{lost.sum()} tokens have a state of length 0, without direction: left out", stacklevel=2)
            self._left_out += int(lost.sum())
        assigned, places = self._those(assigned, measured & ~lost), places[measured & ~lost]
        entropies = torch.cat([entropy(tile) for tile in assigned.split(TILE)])
        self._seen[places] = True
        self._total += assigned.sum(0)
        self._entropies += entropies.sum(0)
        for name, labels in self.labels.sets.items():
            found = labels.labels[places]
            rows = np.append(labels.row, -1)[found]
            self._add(self._sums, assigned, rows)
            self._add(self._members, entropies, rows)
            self._single[name] += self._those(entropies, found == labels.unique).sum(0)
        slot = self._slot[places]
        for group in self._groups.values():
            rows = np.where(slot >= 0, group[slot], -1)
            self._add(self._group_sums, assigned, rows)
            self._add(self._group_entropies, entropies, rows)
            self._group_counts += np.bincount(rows + 1, minlength=len(self._group_counts) + 1)[1:]
        if (holds := self._holds[places]).any():
            held = len(self._held_places)
            self._held_places = np.append(self._held_places, places[holds])
            self._held[held : len(self._held_places)] = self._those(assigned, holds)

    def _those(self, values: Tensor, flags: np.ndarray) -> Tensor:
        """The flagged ones."""
        return values if flags.all() else values.index_select(0, self._index(np.flatnonzero(flags)))

    def _index(self, numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(numbers).to(self._device)

    def _add(self, sums: Tensor, values: Tensor, rows: np.ndarray) -> None:
        """Add each value to its row; -1 for those that have none."""
        sums.index_add_(0, self._index(rows[rows >= 0]), self._those(values, rows >= 0))

    def _close(self) -> None:
        """End a portion. Groups that lost a member, having no direction, are dropped."""
        if not self._groups:
            return
        members = self._group_entropies.cpu().numpy() / np.maximum(self._group_counts, 1)[:, None]
        gains = mean_entropy(self._group_sums) - members
        for size, group in self._groups.items():
            rows = np.unique(group[group >= 0])
            self._gains.setdefault(size, []).append(gains[rows[self._group_counts[rows] == size]])
        self._groups, self._group_sums = {}, self._zeros(0, *self._shape)

    @torch.inference_mode()
    def evaluate(self, *, equal: bool = False) -> SoftInformation:
        """Entropy and information of all portions so far. With `equal` each label weighs the same, however frequent.

        Replicates are those of a bootstrap over sentences, to first order: the shares that the `HELD` sentences have in
        a figure are drawn anew and scaled to all sentences; the errors of h(c), and of sampling labels where memory
        does not hold all, are drawn along. ValueError for fewer than two tokens with a state.
        """
        self._close()
        places = int(self._seen.sum())
        if places < 2:
            raise ValueError(f"soft information needs at least 2 tokens with a state, but has {places}")
        if not len(self._held_places):
            raise ValueError(f"open a portion with some of the first {HELD} sentences first: intervals come from these")
        mean = self._total / places
        single = (self._entropies / places).cpu().numpy()
        gains = {size: np.concatenate(parts) for size, parts in self._gains.items()}
        floor = Floor.measured(
            entropy(mean).cpu().numpy(), single, {size: part for size, part in gains.items() if len(part) > 1}, places
        )
        seen = np.flatnonzero(self._seen)
        owners = self.labels.sentences
        at, sentences = self._held_places, len(np.unique(owners[seen]))
        held = Held(at, self._held[: len(at)], owners[at], sentences, mean.float(), floor, self.seed)
        sums = Sums(self._sums, mean_entropy(self._sums), self._members.cpu().numpy().astype(float))
        sets = {
            name: information(labels, seen, self._single[name].cpu().numpy(), sums, held, equal=equal)
            for name, labels in self.labels.sets.items()
        }
        level, none = floor.entropy, np.zeros_like(floor.entropy)
        whole = held.figure(level, np.zeros_like(held.own), none + 1, np.zeros_like(floor.values), none)
        return SoftInformation(whole, floor, sets, places, self._left_out)
