"""The information of states about labels of whole texts: a domain, or which of two answers people preferred.

Tokens of one text share its label, so a floor of random positions would be far too low. Here labels are permuted over
texts, within pairs of answers to the same prompt where there are pairs; and texts, or prompts, are what is drawn anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from bitskept.measure.soft_entropy import Anchors
from bitskept.measure.soft_information import REPLICATES, Figure
from bitskept.theory.statistics import cluster_bootstrap

PERMUTATIONS = 200


@dataclass(frozen=True)
class LabelInformation:
    """I(Z; label) at every layer, in bits: `raw`, its `floor` (the mean under permuted labels), `corrected` = raw -
    floor, and the share of permutations that reach `raw` (`p`, at least 1 / 201).
    """

    raw: Float[np.ndarray, " layer"]
    floor: Float[np.ndarray, " layer"]
    corrected: Figure
    p: Float[np.ndarray, " layer"]
    places: int


class SentenceSums:
    """Sums of the soft assignments of each text, for all layers: texts x layers x anchors floats."""

    def __init__(self, anchors: Anchors, layers: int, texts: int) -> None:
        self.anchors = anchors
        self._sums = torch.zeros(texts, layers, len(anchors.points), device=anchors.points.device)
        self._counts = torch.zeros(texts, device=anchors.points.device)

    @torch.inference_mode()
    def update(self, states: Float[Tensor, "layer token dim"], texts: Int[Tensor, " token"]) -> None:
        """Add states and the text of each; texts beyond the number that there is room for are passed over.

        States of length 0 are left out. ValueError for states that are not finite.
        """
        room = texts < len(self._sums)
        assigned, texts = self.anchors.assign(states[:, room]), texts[room]
        there = ~assigned[:, :, 0].isnan().any(1)
        self._sums.index_add_(0, texts[there], assigned[there])
        self._counts += torch.bincount(texts[there], minlength=len(self._counts))

    def information(
        self,
        labels: Shaped[np.ndarray, " text"],
        *,
        pairs: Int[np.ndarray, " text"] | None = None,
        clusters: Int[np.ndarray, " text"] | None = None,
        seed: int = 0,
    ) -> LabelInformation:
        """Of one label a text. With `pairs`, labels are permuted within each pair only; `clusters` (default: the pairs,
        or the texts) are what the bootstrap draws.

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
        sums = self._sums.cpu().numpy().astype(float)
        raw, shares = _information(sums, counts, label)
        random, inside = np.random.default_rng(seed), np.argsort(pairs, kind="stable")
        drawn = np.empty((PERMUTATIONS, len(raw)))
        for one in drawn:
            permuted = np.empty_like(label)
            permuted[inside] = label[np.lexsort((random.random(len(label)), pairs))]
            one[:] = _information(sums, counts, permuted)[0]
        floor = drawn.mean(0)
        _, cluster = np.unique(clusters[used], return_inverse=True)
        sizes = np.bincount(cluster, weights=counts[used])
        by_cluster = np.zeros((len(sizes), len(raw)))
        np.add.at(by_cluster, cluster, shares[used])
        replicates = cluster_bootstrap(by_cluster.T, sizes, replicates=REPLICATES, seed=seed) - floor
        p = (1 + (drawn >= raw).sum(0)) / (1 + PERMUTATIONS)
        return LabelInformation(raw, floor, Figure(raw - floor, replicates), p, int(counts.sum()))


def _information(
    sums: Float[np.ndarray, "text layer anchor"], counts: Float[np.ndarray, " text"], label: Int[np.ndarray, " text"]
) -> tuple[Float[np.ndarray, " layer"], Float[np.ndarray, "text layer"]]:
    """H(Z) - H(Z|label) in bits, and what each text adds to it, times the number of places."""
    member = np.eye(label.max() + 1)[:, label]
    by_label = np.tensordot(member, sums, 1)
    logs = np.log2(np.maximum(by_label, 1e-30) / np.maximum(by_label.sum(2, keepdims=True), 1e-30))
    whole = np.log2(np.maximum(sums.sum(0), 1e-30) / counts.sum())
    shares = np.empty(sums.shape[:2])
    for one, own in enumerate(logs):
        shares[label == one] = ((own - whole) * sums[label == one]).sum(2)
    return shares.sum(0) / counts.sum(), shares
