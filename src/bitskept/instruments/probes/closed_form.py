"""Closed-form probes from streamed sufficient statistics, so that no state is stored; the simplest is ridge."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from bitskept.instruments.probes.law import FINE, Owners, Prior, Probe, States, Types, TypeScores

RIDGES = (1e-3, 3e-2)
"""Candidate ridges, as shares of each coordinate's total variance, added to the diagonal."""


class Moments:
    """Sufficient statistics of (state, type) pairs for all layers: counts, class sums, second moments.

    States are shifted by the mean of the first batch, against cancellation. Products are formed in float32 batch by
    batch and added up in float64. Memory: layers x types x dim floats, for any number of tokens.
    """

    def __init__(self, layers: int, types: int, dim: int, device: torch.device | str = "cpu") -> None:
        self.counts = torch.zeros(types, device=device)
        self.sums = torch.zeros(layers, types, dim, device=device)
        self.second = torch.zeros(layers, dim, dim, dtype=torch.float64, device=device)
        self.origin = torch.zeros(layers, dim, device=device)

    @torch.inference_mode()
    def update(self, states: States, types: Types, owners: Owners = None) -> None:
        """Add a batch. With `owners`, a state counts as often as it has types to be read from it."""
        if not self.counts.any():
            self.origin.copy_(states.float().mean(1))
        shares = None if owners is None else torch.bincount(owners, minlength=states.shape[1])[:, None]
        self.counts += torch.bincount(types, minlength=len(self.counts))
        for layer, state in enumerate(states):
            shifted = state.float() - self.origin[layer]
            self.sums[layer].index_add_(0, types, shifted if owners is None else shifted[owners])
            self.second[layer] += (shifted if shares is None else shares * shifted).T @ shifted


@dataclass(frozen=True)
class LinearProbe(Probe):
    """score(x|h) = (h - origin) projection · prototype_x + bias_x.

    `prototypes` and `bias` have a single layer where all layers share them.
    """

    origin: Float[Tensor, "layer dim"]
    projection: Float[Tensor, "layer dim feature"]
    prototypes: Float[Tensor, "prototypes type feature"]
    bias: Float[Tensor, "prototypes type"]
    prior: Prior
    temperatures: list[float]

    def scores(self, states: States) -> Iterator[TypeScores]:
        for layer, state in enumerate(states):
            shared = min(layer, len(self.prototypes) - 1)
            features = (state.float() - self.origin[layer]) @ self.projection[layer]
            yield torch.addmm(self.bias[shared], features, self.prototypes[shared].T)


@torch.inference_mode()
def ridge(
    moments: Moments,
    embeddings: Float[Tensor, "type feature"],
    states: States,
    types: Types,
    *,
    ridges: Sequence[float] = RIDGES,
) -> LinearProbe:
    """Ridge regression of the input embedding of a token on its state; the guess is the nearest embedding.

    States and types are those of validation: ridge and temperature are those of least cross-entropy on them. This probe
    is cheap and covers types absent from training, but it is weak: it weights all directions of the embedding equally.
    """
    counts, total = moments.counts, moments.counts.sum()
    embeddings = embeddings.float()
    centred = embeddings - (counts @ embeddings) / total
    bias = -0.5 * centred.square().sum(1)
    prior = Prior.estimate(counts, len(types), in_scores=False)
    projections, temperatures, origins = [], [], []
    temperature = 0.0
    for layer, sums in enumerate(moments.sums):
        mean = sums.sum(0) / total
        covariance = (moments.second[layer] / total).float() - torch.outer(mean, mean)
        cross = sums.T @ centred / total
        origins.append(moments.origin[layer] + mean)
        validation = states[layer].float() - origins[-1]
        candidates = []
        for share in ridges:
            root = torch.linalg.cholesky(covariance + ridge_matrix(covariance.diagonal(), share))
            projection = torch.cholesky_solve(cross, root)
            scores = torch.addmm(bias, validation @ projection, centred.T)
            start = temperature or float(scores.std()) + 1e-6
            candidates.append((*prior.temper(scores, types, start), projection, scores))
        _, temperature, projection, scores = min(candidates, key=lambda candidate: candidate[0])
        if math.isfinite(temperature):
            temperature = prior.temper(scores, types, temperature, FINE)[1]
        projections.append(projection)
        temperatures.append(temperature)
    shared = centred[None], bias[None]
    return LinearProbe(torch.stack(origins), torch.stack(projections), *shared, prior, temperatures)


def ridge_matrix(variances: Float[Tensor, "*layers dim"], share: float) -> Float[Tensor, "*layers dim dim"]:
    """A share of each coordinate's variance on the diagonal, or of a millionth of the mean variance for a coordinate
    without any."""
    return torch.diag_embed(share * torch.maximum(variances, 1e-6 * variances.mean(-1, keepdim=True) + 1e-12))


def inverse_root(covariance: Float[Tensor, "*layers dim dim"]) -> Float[Tensor, "*layers dim dim"]:
    """The inverse of the lower triangular L of covariance = L L'."""
    root = torch.linalg.cholesky(covariance)
    return torch.linalg.solve_triangular(root, torch.eye(root.shape[-1]).to(root).expand_as(root), upper=False)
