"""Soft entropy, and the information of states about labels, corrected for the bias of few samples.

A state is assigned softly to m anchors on the sphere; the entropy of the mean assignment is the soft entropy H(Z), and
I = H(Z) - sum p(label) H(Z|label) (Conklin 2025, arXiv 2505.23960). A label with c states has a low entropy even if it
means nothing: that of c random states, h(c). So I has a floor, sum p(label) [H(Z) - h(c)], and the part above it is
the corrected information, sum p(label) [h(c) - H(Z|label)]: 0 for noise, for any counts.

One pass over the states serves every layer, every label set and several sample sizes; no state is stored.
"""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitskept.instruments.soft_entropy.assignments import TILE, Anchors, entropy, mean_entropy
from bitskept.instruments.soft_entropy.floor import Floor, RandomGroups, add_rows, select
from bitskept.instruments.soft_entropy.influence import Estimate, Held
from bitskept.instruments.soft_entropy.information import Information, Sums, information
from bitskept.instruments.soft_entropy.labels import ABSENT, Labels

HELD, HELD_PLACES = 128, 8192
"""For the intervals, the assignments of at most this many sentences, and places, stay in memory. Texts come in random
order, so these are a random sample."""


@dataclass(frozen=True)
class SoftInformation:
    """H(Z) in bits at every layer, the floor h(c), the information about each label set, and the number of places."""

    entropy: Estimate
    floor: Floor
    sets: dict[str, Information]
    places: int


class SoftEntropy:
    """Accumulates the soft assignments to one set of anchors, over all layers and label sets.

    `open` a portion of the text, `add` the assignments of its states, then `evaluate`: that covers all portions so far.
    Memory, in numbers of layers x anchors floats: the rows of `labels`, 2,048 for the floor, and half of the places in
    memory for the intervals.
    """

    def __init__(self, anchors: Anchors, labels: Labels, layers: int, *, seed: int = 0) -> None:
        self.anchors, self.labels, self.seed = anchors, labels, seed
        self._random = np.random.default_rng(seed)
        zeros = torch.zeros(layers, len(anchors.points), device=anchors.points.device)
        self._sums = zeros.new_zeros(max(labels.rows, 1), *zeros.shape)
        self._members = zeros.new_zeros(max(labels.rows, 1), layers)
        self._total = zeros.double()
        self._entropies = zeros.new_zeros(layers).double()
        self._single = {name: zeros.new_zeros(layers).double() for name in labels.sets}
        self._gains: dict[int, list[np.ndarray]] = {}
        self._groups: RandomGroups | None = None
        self._seen = np.zeros(len(labels.sentences), bool)
        self._measured = next(iter(labels.sets.values())).labels != ABSENT
        _, sentence = np.unique(labels.sentences[self._measured], return_inverse=True)
        self._holds = np.zeros_like(self._measured)
        self._holds[np.flatnonzero(self._measured)[:HELD_PLACES]] = sentence[:HELD_PLACES] < HELD
        self._held_places = np.empty(0, np.int64)
        self._held = zeros.new_empty(int(self._holds.sum()), *zeros.shape, dtype=torch.float16)

    def open(self, places: Int[np.ndarray, " place"]) -> None:
        """Begin a portion of the text, which consists of these places."""
        measured = places[self._measured[places]]
        self._groups = RandomGroups(measured, len(self._seen), self._sums[0], self._random)

    @torch.inference_mode()
    def add(self, assigned: Float[Tensor, "token layer anchor"], places: Int[np.ndarray, " token"]) -> None:
        """Add the assignments (`anchors.assign`) of some places of this portion; unmeasured places are ignored.

        States of length 0 have no direction: their places are left out, with a warning.
        """
        measured = self._measured[places]
        lost = measured & assigned[:, :, 0].isnan().any(1).cpu().numpy()
        if lost.any():
            warnings.warn(f"{lost.sum()} tokens have a state of length 0, without direction: left out", stacklevel=2)
        assigned, places = select(assigned, measured & ~lost), places[measured & ~lost]
        entropies = torch.cat([entropy(tile) for tile in assigned.split(TILE)])
        self._seen[places] = True
        self._total += assigned.sum(0)
        self._entropies += entropies.sum(0)
        for name, labels in self.labels.sets.items():
            label = labels.labels[places]
            rows = np.append(labels.row, -1)[label]
            add_rows(self._sums, assigned, rows)
            add_rows(self._members, entropies, rows)
            self._single[name] += select(entropies, label == labels.unique).sum(0)
        self._groups.add(assigned, entropies, places)
        if (holds := self._holds[places]).any():
            held = len(self._held_places)
            self._held_places = np.append(self._held_places, places[holds])
            self._held[held : len(self._held_places)] = select(assigned, holds)

    @torch.inference_mode()
    def evaluate(self, *, equal: bool = False) -> SoftInformation:
        """Entropy and information of all portions so far. With `equal` each label has the same weight, however frequent
        it is.

        Replicates are those of a bootstrap over sentences, to first order: the shares of the `HELD` sentences in an
        estimate are drawn anew and scaled to all sentences; the errors of h(c), and of sampling labels if memory
        is too small for all, are drawn as well. ValueError for fewer than two tokens with a state.
        """
        if self._groups:
            for size, gains in self._groups.gains().items():
                self._gains.setdefault(size, []).append(gains)
            self._groups = None
        places = int(self._seen.sum())
        if places < 2:
            raise ValueError(f"soft information needs at least 2 tokens with a state, but has {places}")
        if not len(self._held_places):
            raise ValueError(f"open a portion with some of the first {HELD} sentences first: intervals come from these")
        mean = self._total / places
        single = (self._entropies / places).cpu().numpy()
        gains = {size: np.concatenate(parts) for size, parts in self._gains.items()}
        gains = {size: parts for size, parts in gains.items() if len(parts) > 1}
        floor = Floor.measured(entropy(mean).cpu().numpy(), single, gains, places)
        seen, owners, at = np.flatnonzero(self._seen), self.labels.sentences, self._held_places
        sentences = len(np.unique(owners[seen]))
        held = Held(at, self._held[: len(at)], owners[at], sentences, mean.float(), floor, self.seed)
        sums = Sums(self._sums, mean_entropy(self._sums), self._members.cpu().numpy().astype(float))
        sets = {
            name: information(labels, seen, self._single[name].cpu().numpy(), sums, held, equal=equal)
            for name, labels in self.labels.sets.items()
        }
        none = np.zeros_like(floor.entropy)
        whole = held.estimate(floor.entropy, np.zeros_like(held.entropies), none + 1, np.zeros_like(floor.values), none)
        return SoftInformation(whole, floor, sets, places)
