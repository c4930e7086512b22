"""Soft assignment: a state becomes a distribution over anchors, points on the unit sphere; and their entropies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitskept.theory.von_mises_fisher import temperature

TILE = 128
"""Distributions whose logarithms are computed at once: as many as fit in a processor's cache."""
TINY = torch.finfo(torch.float32).tiny


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

        The draw is the same as in soft-entropy 0.1.5's torch backend on a CPU. ValueError for fewer than 2 points.
        """
        eps = temperature(number, dim, calibration)
        points = torch.randn(number, dim, generator=torch.Generator().manual_seed(seed))
        return cls(torch.nn.functional.normalize(points, dim=1).to(device), eps)

    @torch.inference_mode()
    def assign(self, states: Iterable[Float[Tensor, "token dim"]]) -> Float[Tensor, "token layer anchor"]:
        """softmax(cosine / temperature), layer by layer: the share of each anchor. NaN for a state of length 0."""
        laws = []
        for layer in states:
            # In float32: in bfloat16 the error of a cosine is as large as the temperature.
            layer = layer.float()
            lengths = torch.linalg.vector_norm(layer, dim=1, keepdim=True)
            cosines = (layer @ self.points.T).mul_((lengths * self.temperature).reciprocal_())
            laws.append(torch.softmax(cosines, dim=1))
        return torch.stack(laws, dim=1)


def entropy(law: Float[Tensor, "*rows anchor"]) -> Float[Tensor, "*rows"]:
    """-sum law log2 law, in bits."""
    return -(law * law.clamp(min=TINY).log2_()).sum(-1)


def cross_entropy(law: Float[Tensor, "*rows anchor"], sums: Float[Tensor, "*others anchor"]) -> Float[Tensor, "*rows"]:
    """-sum law log2 q in bits, where q is proportional to `sums`; anchors with no share in either do not count."""
    logs = sums.clamp(min=TINY).log2_()
    logs -= sums.sum(-1, keepdim=True).clamp_(min=TINY).log2_()
    return -(law * logs).sum(-1)


def mean_entropy(sums: Float[Tensor, "row layer anchor"]) -> Float[np.ndarray, "row layer"]:
    """The entropy of the mean of the assignments that are summed in each row; 0 for an empty row."""
    means = (tile / tile.sum(-1, keepdim=True).clamp(min=1e-30) for tile in sums.split(TILE))
    return np.concatenate([entropy(tile).cpu().numpy() for tile in means]).astype(float)


def sum_rows(
    values: Float[np.ndarray, "value layer"], rows: Int[np.ndarray, " value"], number: int
) -> Float[np.ndarray, "row layer"]:
    """The sum of the values of each row: like NumPy's `add.at`, but ten times as fast."""
    sums = torch.zeros(number, values.shape[1], dtype=torch.float64)
    return sums.index_add_(0, torch.from_numpy(rows), torch.from_numpy(values)).numpy()
