"""The centroid probe: Gaussian classes that share one covariance, with class means by empirical Bayes."""

import math
from collections.abc import Iterator, Sequence
from itertools import chain
from operator import itemgetter

import torch
from jaxtyping import Float
from torch import Tensor

from bitskept.instruments.probes.closed_form import RIDGES, LinearProbe, Moments, ridge_matrix
from bitskept.instruments.probes.law import FINE, Owners, Prior, States, Types

STRENGTHS = (30.0, 100.0)
"""Candidates for kappa, the prior strength of a class mean in observations. The first also serves the covariance."""
DAMPING = 1e-2
"""The ridge of the regression on embeddings, as a share of the mean of the diagonal of its Gram matrix."""
Fit = tuple[float, float, float, Tensor, Tensor, Tensor, Tensor]
"""Validation cross-entropy, temperature, ridge and scores of a candidate; its projection, class means and bias."""


@torch.inference_mode()
def centroid(
    moments: Moments,
    embeddings: Float[Tensor, "type feature"],
    states: States,
    types: Types,
    owners: Owners = None,
    *,
    ridges: Sequence[float] = RIDGES,
    strengths: Sequence[float] = STRENGTHS,
    damping: float = DAMPING,
    factor: float = 2.0,
) -> LinearProbe:
    """Linear discriminant analysis with smoothed class means; states and types are those of validation.

    The mean of type x is (S[x] + kappa · B e_x) / (n_x + kappa): its sample mean, shrunk towards the prediction of a
    regression B on the input embeddings e. That also covers types absent from training. The guess is the most probable
    type under the smoothed prior. The ridge, then kappa, and with each the temperature are those of least validation
    cross-entropy. The ridge is a share of the total variance, so that it also works where the within-class covariance
    is zero (layer 0 of a decoder).

    The prototypes overwrite `moments.sums`, the largest object of a sweep: fit other probes first.
    """
    prior = Prior.estimate(moments.counts, len(types), in_scores=True)
    regression = _EmbeddingRegression(embeddings.float(), moments.counts, damping)
    projections, biases, temperatures = [], [], []
    temperature = 10.0
    for layer in range(len(moments.sums)):
        classes = _Classes(moments, layer, regression, prior)
        validation = states[layer].float() - moments.origin[layer]
        best = classes.choose(validation, types, temperature, owners, ridges, strengths, factor)
        _, temperature, _, scores, projection, moments.sums[layer], bias = best
        if math.isfinite(temperature):
            temperature = prior.temper(scores, types, temperature, FINE, owners)[1]
        projections.append(projection)
        biases.append(bias)
        temperatures.append(temperature)
    by_layer = torch.stack(projections), moments.sums, torch.stack(biases)
    return LinearProbe(moments.origin, *by_layer, prior, temperatures)


class _EmbeddingRegression:
    """Class means regressed on input embeddings, each class weighted by n / (1 + n/kappa): the mean of many states
    counts for more, but only up to its scatter about the regression."""

    def __init__(
        self, embeddings: Float[Tensor, "type feature"], counts: Float[Tensor, " type"], damping: float
    ) -> None:
        self.seen = counts > 0
        self.counts = counts[self.seen, None]
        self.weights = self.counts / (1 + self.counts / STRENGTHS[0])
        self.centred = embeddings - (self.weights * embeddings[self.seen]).sum(0) / self.weights.sum()
        weighted = self.weights * self.centred[self.seen]
        gram = weighted.T @ self.centred[self.seen]
        self.solver = torch.linalg.solve(
            gram + gram.diagonal().mean().clamp(min=1e-12) * damping * torch.eye(len(gram)).to(gram), weighted.T
        )

    def predict(self, sums: Float[Tensor, "type dim"]) -> Float[Tensor, "type dim"]:
        """The expected state of every type, including those absent from training."""
        means = sums[self.seen] / self.counts
        middle = (self.weights * means).sum(0) / self.weights.sum()
        return self.centred @ (self.solver @ (means - middle)) + middle


class _Classes:
    """The Gaussian classes of one layer, before ridge and kappa are chosen."""

    def __init__(self, moments: Moments, layer: int, regression: _EmbeddingRegression, prior: Prior) -> None:
        self.counts, self.sums, self.prior = moments.counts[:, None], moments.sums[layer], prior
        self.expected = regression.predict(self.sums)
        number, second, seen = self.counts.sum(), moments.second[layer], regression.seen
        # The scatter about the smoothed means m: sum h h' - S'm - m'S + m'(n m). Types seen once contribute to it,
        # but would not about their sample mean.
        means = self.means(STRENGTHS[0])[seen]
        half = means.T @ (self.sums[seen] - 0.5 * self.counts[seen] * means)
        within = ((second - half - half.T) / number).float()
        variances = second.diagonal().float() / number - (self.sums.sum(0) / number).square()
        # In coordinates in which the covariance and every ridge are diagonal, another candidate costs little.
        scale = ridge_matrix(variances.clamp(min=0), 1.0).diagonal().rsqrt()
        spread, axes = torch.linalg.eigh(scale[:, None] * within * scale)
        self.spread, self.axes = spread.clamp(min=0), scale[:, None] * axes
        self.sums, self.expected = self.sums @ self.axes, self.expected @ self.axes

    def means(self, strength: float) -> Float[Tensor, "type dim"]:
        """The smoothed class means."""
        return (self.sums + strength * self.expected) / (self.counts + strength)

    def choose(
        self,
        validation: Float[Tensor, "state dim"],
        types: Types,
        temperature: float,
        owners: Owners,
        ridges: Sequence[float],
        strengths: Sequence[float],
        factor: float,
    ) -> Fit:
        """The fit of least validation cross-entropy: first the ridge, then kappa."""
        states, (first, *others) = validation @ self.axes, strengths
        best = min(self._tried(states, types, owners, ridges, first, temperature, factor), key=itemgetter(0))
        tried = [self._tried(states, types, owners, [best[2]], strength, best[1], factor) for strength in others]
        return min(chain([best], *tried), key=itemgetter(0))

    def _tried(
        self,
        states: Tensor,
        types: Tensor,
        owners: Owners,
        ridges: Sequence[float],
        strength: float,
        temperature: float,
        factor: float,
    ) -> Iterator[Fit]:
        means = self.means(strength)
        for share in ridges:
            precision = 1 / (self.spread + share)
            # Log prior - mean' precision mean / 2, in nats.
            bias = self.prior.log - 0.5 * (means.square() @ precision)
            scores = torch.addmm(bias, states * precision, means.T)
            loss, temperature = self.prior.temper(scores, types, temperature, factor, owners)
            yield loss, temperature, share, scores, self.axes * precision, means, bias
