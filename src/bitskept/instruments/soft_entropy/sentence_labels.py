"""The information of states about labels of whole texts: a domain, or which of two answers was preferred.

Tokens of one text share its label, so a floor of random places would be far too low. Here labels are permuted over
texts, within pairs of answers to the same prompt where there are pairs; and the bootstrap draws texts, or prompts.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from bitskept.instruments.soft_entropy.assignments import Anchors
from bitskept.instruments.soft_entropy.influence import REPLICATES, Estimate
from bitskept.theory.intervals import widened
from bitskept.theory.statistics import cluster_bootstrap

PERMUTATIONS = 200


@dataclass(frozen=True)
class LabelInformation:
    """I(Z; label) at every layer, in bits: `raw`, its `floor` (the mean under permuted labels), `corrected` = raw -
    floor, and the share of permutations that reach `raw` (`p`, never 0); `p_mean` is that of the mean over all
    layers but the first. `clusters` is how many the bootstrap draws from.
    """

    raw: Float[np.ndarray, " layer"]
    floor: Float[np.ndarray, " layer"]
    corrected: Estimate
    p: Float[np.ndarray, " layer"]
    p_mean: float
    places: int
    clusters: int


class SentenceSums:
    """Sums of the soft assignments of each text, for all layers: texts x layers x anchors floats."""

    def __init__(self, anchors: Anchors, layers: int, texts: int) -> None:
        self._sums = torch.zeros(texts, layers, len(anchors.points), device=anchors.points.device)
        self._counts = torch.zeros(texts, device=anchors.points.device)

    @torch.inference_mode()
    def add(self, assigned: Float[Tensor, "token layer anchor"], texts: Int[Tensor, " token"]) -> None:
        """Add assignments (`anchors.assign`), and the text of each. Texts beyond the allocated number and states of
        length 0 are left out.
        """
        used = (texts < len(self._sums)) & ~assigned[:, :, 0].isnan().any(1)
        if not used.all():
            assigned, texts = assigned[used], texts[used]
        self._sums.index_add_(0, texts, assigned)
        self._counts += torch.bincount(texts, minlength=len(self._counts))

    def information(
        self,
        labels: Shaped[np.ndarray, " text"],
        *,
        pairs: Int[np.ndarray, " text"] | None = None,
        clusters: Int[np.ndarray, " text"] | None = None,
        beside: Bool[np.ndarray, " text"] | None = None,
        permutations: int = PERMUTATIONS,
        seed: int = 0,
    ) -> LabelInformation:
        """The information about one label per text. With `pairs`, labels are permuted within each pair only. The
        bootstrap draws `clusters`, by default the pairs, or the texts.

        `beside` marks one text of each pair, such as the longer one. Then permutations leave the number of marked texts
        with each label as it is, so that the floor is what this mark tells about the label by itself.

        ValueError where labels and texts differ in number, or where all labels are the same.
        """
        if len(labels) != len(self._sums):
            raise ValueError(f"there are {len(labels)} labels for {len(self._sums)} texts")
        counts = self._counts.cpu().numpy().astype(float)
        used = counts > 0
        _, label = np.unique(labels, return_inverse=True)
        if len(np.unique(label[used])) < 2:
            raise ValueError("a label that is the same for all texts has no information")
        pairs = np.zeros(len(label), int) if pairs is None else pairs
        clusters = (pairs if len(np.unique(pairs)) > 1 else np.arange(len(label))) if clusters is None else clusters
        random, inside = np.random.default_rng(seed), np.argsort(pairs, kind="stable")
        labellings = np.empty((1 + permutations, len(label)), int)
        labellings[0] = label
        for permuted in labellings[1:]:
            if beside is None:
                permuted[inside] = label[np.lexsort((random.random(len(label)), pairs))]
            else:
                permuted[:] = exchanged(label, pairs, beside, random)
        # Layer by layer: in float64 the sums of all would take most of the memory of a measurement.
        layers = (self._sums[:, layer].cpu().numpy().astype(float) for layer in range(self._sums.shape[1]))
        values, shares = map(np.array, zip(*(_information(sums, labellings) for sums in layers), strict=True))
        raw, drawn = values.T[0], values.T[1:]
        floor = drawn.mean(0)
        _, cluster = np.unique(clusters[used], return_inverse=True)
        sizes = np.bincount(cluster, weights=counts[used])
        by_cluster = np.array([np.bincount(cluster, weights=layer) for layer in shares[:, used]])
        replicates = widened(cluster_bootstrap(by_cluster, sizes, replicates=REPLICATES, seed=seed), raw, len(sizes))
        reached = drawn >= raw - 1e-12  # equal up to rounding
        p = (1 + reached.sum(0)) / (1 + permutations)
        reached_mean = drawn[:, 1:].mean(1) >= raw[1:].mean() - 1e-12 if len(raw) > 1 else reached[:, 0]
        p_mean = float((1 + reached_mean.sum()) / (1 + permutations))
        return LabelInformation(
            raw, floor, Estimate(raw - floor, replicates - floor), p, p_mean, int(counts.sum()), len(sizes)
        )


def exchanged(
    label: Int[np.ndarray, " text"],
    pairs: Int[np.ndarray, " text"],
    beside: Bool[np.ndarray, " text"],
    random: np.random.Generator,
) -> Int[np.ndarray, " text"]:
    """Labels 0 and 1, one of each in a pair, that agree with the mark `beside` in as many pairs as before, but in pairs
    drawn at random. ValueError unless each pair has two texts, one of each label and one of them marked.
    """
    marked, other = (np.flatnonzero(beside == mark)[np.argsort(pairs[beside == mark])] for mark in (True, False))
    if len(marked) != len(other) or (pairs[marked] != pairs[other]).any() or (label[marked] == label[other]).any():
        raise ValueError("each pair must have two texts, one of each label and one of them marked")
    labels = np.empty_like(label)
    labels[marked] = random.permutation(label[marked])
    labels[other] = 1 - labels[marked]
    return labels


def _information(
    sums: Float[np.ndarray, "text anchor"], labellings: Int[np.ndarray, "labelling text"]
) -> tuple[Float[np.ndarray, " labelling"], Float[np.ndarray, " text"]]:
    """H(Z) - H(Z|label) in bits of every labelling of the texts, and what each text adds to that of the first, times
    the number of places.
    """
    whole = sums.sum(0)
    logs_of_whole = np.log2(np.maximum(whole, 1e-30) / whole.sum())
    values, shares = np.zeros(len(labellings)), np.empty(len(sums))
    for label in range(labellings.max() + 1):
        member = labellings == label
        by_label = member.astype(float) @ sums
        law = np.maximum(by_label, 1e-30) / np.maximum(by_label.sum(1, keepdims=True), 1e-30)
        logs = np.log2(law) - logs_of_whole
        values += (by_label * logs).sum(1)
        shares[member[0]] = sums[member[0]] @ logs[0]
    return values / whole.sum(), shares
