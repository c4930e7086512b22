"""The centroid probe: Gaussian classes that share one covariance, with class means by empirical Bayes."""

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from bitskept.instruments.probes.closed_form import RIDGES, LinearProbe, Moments, inverse_root, ridge_matrix
from bitskept.instruments.probes.law import FINE, Prior, States, Types

STRENGTHS = (30.0, 100.0)
"""Candidates for kappa, the prior strength of a class mean in observations. The first also serves the covariance."""


@torch.inference_mode()
def centroid(moments: Moments, embeddings: Float[Tensor, "type feature"], states: States, types: Types) -> LinearProbe:
    """Linear discriminant analysis with smoothed class means; states and types are those of validation.

    The mean of type x is (S[x] + kappa · B e_x) / (n_x + kappa): its sample mean, shrunk towards the prediction of a
    regression B on the input embeddings e. That also covers types absent from training. The guess is the most probable
    type under the smoothed prior. The ridge, then kappa, and with each the temperature are those of least validation
    cross-entropy. The ridge is a share of the total variance, so that it also works where the within-class covariance
    is zero (layer 0 of a decoder).

    The prototypes overwrite `moments.sums`, the largest object of a sweep: fit other probes first.
    """
    prior = Prior.estimate(moments.counts, len(types), in_scores=True)
    regression = _EmbeddingRegression(embeddings.float(), moments.counts)
    projections, biases, temperatures = [], [], []
    temperature = 10.0
    for layer in range(len(moments.sums)):
        classes = _Classes(moments, layer, regression, prior)
        validation = states[layer].float() - moments.origin[layer]
        _, temperature, share, strength = classes.choose(validation, types, temperature)
        precision, means, bias = classes.discriminant(share, strength)
        scores = torch.addmm(bias, validation @ precision, means.T)
        temperature = prior.temper(scores, types, temperature, FINE)[1]
        moments.sums[layer] = means
        projections.append(precision)
        biases.append(bias)
        temperatures.append(temperature)
    by_layer = torch.stack(projections), moments.sums, torch.stack(biases)
    return LinearProbe(moments.origin, *by_layer, prior, temperatures)


class _EmbeddingRegression:
    """Class means regressed on input embeddings, each class weighted by n / (1 + n/kappa): the mean of many states
    counts for more, but only up to its scatter about the regression."""

    def __init__(self, embeddings: Float[Tensor, "type feature"], counts: Float[Tensor, " type"]) -> None:
        self.seen = counts > 0
        self.counts = counts[self.seen, None]
        self.weights = self.counts / (1 + self.counts / STRENGTHS[0])
        self.centred = embeddings - (self.weights * embeddings[self.seen]).sum(0) / self.weights.sum()
        weighted = self.weights * self.centred[self.seen]
        gram = weighted.T @ self.centred[self.seen]
        self.solver = torch.linalg.solve(
            gram + gram.diagonal().mean().clamp(min=1e-12) * 1e-2 * torch.eye(len(gram)).to(gram), weighted.T
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
        self.within = ((second - half - half.T) / number).float()
        variances = second.diagonal().float() / number - (self.sums.sum(0) / number).square()
        self.variances = variances.clamp(min=0)

    def means(self, strength: float) -> Float[Tensor, "type dim"]:
        """The smoothed class means."""
        return (self.sums + strength * self.expected) / (self.counts + strength)

    def discriminant(self, share: float, strength: float) -> tuple[Tensor, Tensor, Tensor]:
        """Inverse covariance, class means, and the bias of each class, log prior - mean' precision mean / 2 (nats)."""
        root = inverse_root(self.within + ridge_matrix(self.variances, share))
        precision, means = root.T @ root, self.means(strength)
        return precision, means, self.prior.log - 0.5 * ((means @ precision) * means).sum(1)

    def choose(
        self, validation: Float[Tensor, "token dim"], types: Types, temperature: float
    ) -> tuple[float, float, float, float]:
        """The least validation cross-entropy, and its temperature, ridge and kappa: first the ridge, then kappa."""
        best = min(self._tried(validation, types, [(share, STRENGTHS[0]) for share in RIDGES], temperature))
        others = [(best[2], strength) for strength in STRENGTHS[1:]]
        return min([best, *self._tried(validation, types, others, best[1])])

    def _tried(
        self, validation: Tensor, types: Tensor, candidates: Iterable[tuple[float, float]], temperature: float
    ) -> Iterator[tuple[float, float, float, float]]:
        for share, strength in candidates:
            precision, means, bias = self.discriminant(share, strength)
            scores = torch.addmm(bias, validation @ precision, means.T)
            loss, temperature = self.prior.temper(scores, types, temperature)
            yield loss, temperature, share, strength
