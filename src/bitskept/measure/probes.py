"""Closed-form probes that name a token from a state, fitted from streamed sufficient statistics: no state is kept.

Each predicts the type (a row of the alphabet) behind a state and gives a probability to every type, so each yields both
bounds of Wang, Ding and Zou 2025 on I(X;Z): Fano's from its error, Barber and Agakov's from its cross-entropy. A
stronger probe, a tighter bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

TILE = 256
"""Tokens scored at once: one tile of scores is TILE x types numbers, whatever the number of tokens."""
RIDGES = (1e-3, 3e-2)
"""Tried shares of each coordinate's total variance, added to the diagonal."""
FINE = 2**0.25
"""To this factor the temperature of the chosen ridge and strength is refined; others are compared to a factor of 2."""
STRENGTHS = (30.0, 100.0)
"""Tried prior strengths kappa of a type's mean, in observations; the first is used for the within-class covariance."""


class Moments:
    """Sufficient statistics of (state, type) pairs for all layers: counts, class sums, second moments.

    States are shifted by the mean of the first batch, against cancellation. Products are formed in float32 a batch at a
    time and added up in float64. Memory: layers x types x dim floats, whatever the number of tokens.
    """

    def __init__(self, layers: int, types: int, dim: int, device: torch.device | str = "cpu") -> None:
        self.counts = torch.zeros(types, device=device)
        self.sums = torch.zeros(layers, types, dim, device=device)
        self.second = torch.zeros(layers, dim, dim, dtype=torch.float64, device=device)
        self.origin = torch.zeros(layers, dim, device=device)

    @torch.inference_mode()
    def update(self, states: Float[Tensor, "layer token dim"], types: Int[Tensor, " token"]) -> None:
        """Add a batch. ValueError for a state that is not finite: one would spoil every mean."""
        if not self.counts.any():
            self.origin.copy_(states.float().mean(1))
        self.counts += torch.bincount(types, minlength=len(self.counts))
        for layer, state in enumerate(states):
            shifted = state.float() - self.origin[layer]
            product = shifted.T @ shifted
            if not product.diagonal().isfinite().all():
                raise ValueError(
                    f"the states at entry {layer} hold a value that is not finite: use float32 or leave this layer out"
                )
            self.sums[layer].index_add_(0, types, shifted)
            self.second[layer] += product


@dataclass(frozen=True)
class Prior:
    """The smoothed shares of the types in training (half an observation added to each), and the law that scores give
    with them.

    q(x|h) = (1 - doubt) softmax(score / temperature + log prior) + doubt · prior: the temperature mends probes that are
    too sure of themselves, and the doubt keeps the price of a sure mistake finite. Of n validation tokens no error
    worse can be ruled out than one of a share of 1/(n + 2), which is the doubt (Laplace's rule).
    """

    log: Float[Tensor, " type"]
    doubt: float

    @classmethod
    def estimate(cls, counts: Float[Tensor, " type"], validation: int) -> Prior:
        """From the training counts of the types and the number of validation tokens."""
        return cls(((counts + 0.5) / (counts.sum() + 0.5 * len(counts))).log(), 1 / (validation + 2))

    def surprisal(
        self,
        scores: Float[Tensor, "token type"],
        types: Int[Tensor, " token"],
        temperature: float,
        *,
        holds_prior: bool,
    ) -> Float[Tensor, " token"]:
        """-log2 q of the types, in bits. With `holds_prior` the scores have the log prior in them, which is not
        tempered."""
        weight = 1 - 1 / temperature if holds_prior else 1.0
        tempered = torch.add(weight * self.log, scores, alpha=1 / temperature)
        likely = tempered.gather(1, types[:, None])[:, 0] - _log_sum_exp_(tempered) + math.log1p(-self.doubt)
        return torch.logaddexp(likely, self.log[types] + math.log(self.doubt)) / -math.log(2)

    def temper(
        self,
        scores: Float[Tensor, "token type"],
        types: Int[Tensor, " token"],
        start: float,
        *,
        holds_prior: bool,
        factor: float = 2.0,
    ) -> tuple[float, float]:
        """The least cross-entropy (bits) over temperatures, and that temperature to a `factor`.

        It walks downhill from `start`: without the doubt, the cross-entropy is convex in the inverse temperature.
        """

        def loss(temperature: float) -> float:
            return float(self.surprisal(scores, types, temperature, holds_prior=holds_prior).mean())

        best = loss(start), start
        for step in (factor, 1 / factor):
            while 1e-6 < best[1] < 1e9 and (found := loss(best[1] * step)) < best[0]:
                best = found, best[1] * step
        return best


@dataclass(frozen=True)
class Scores:
    """What a probe made of some tokens: whether its guess was right, and -log2 of the probability of what was there, in
    bits."""

    correct: Bool[Tensor, "layer token"]
    surprisal: Float[Tensor, "layer token"]


@dataclass(frozen=True)
class LinearProbe:
    """score(x|h) = (h - origin) projection · prototype_x + bias_x; the guess is the type of the highest score.

    `prior` makes a predictive law of the scores; `holds_prior` tells whether the log prior is a part of the bias.
    `prototypes` and `bias` have one layer where all layers share them. `settings` tells what the validation sentences
    chose at each layer.
    """

    origin: Float[Tensor, "layer dim"]
    projection: Float[Tensor, "layer dim feature"]
    prototypes: Float[Tensor, "prototypes type feature"]
    bias: Float[Tensor, "prototypes type"]
    prior: Prior
    holds_prior: bool
    settings: list[dict[str, float]]

    @torch.inference_mode()
    def score(self, states: Float[Tensor, "layer token dim"], types: Int[Tensor, " token"]) -> Scores:
        """Guess and surprisal (bits) for every layer and token, in tiles of `TILE` tokens."""
        correct = torch.empty(states.shape[:2], dtype=torch.bool, device=states.device)
        surprisal = torch.empty(states.shape[:2], device=states.device)
        for layer, state in enumerate(states):
            shared = min(layer, len(self.prototypes) - 1)
            prototypes, bias = self.prototypes[shared].T, self.bias[shared]
            for start in range(0, state.shape[0], TILE):
                tile = slice(start, start + TILE)
                features = (state[tile].float() - self.origin[layer]) @ self.projection[layer]
                scores = torch.addmm(bias, features, prototypes)
                correct[layer, tile] = scores.argmax(1) == types[tile]
                temperature = self.settings[layer]["temperature"]
                surprisal[layer, tile] = self.prior.surprisal(
                    scores, types[tile], temperature, holds_prior=self.holds_prior
                )
        return Scores(correct, surprisal)


@torch.inference_mode()
def ridge(
    moments: Moments,
    embeddings: Float[Tensor, "type feature"],
    states: Float[Tensor, "layer validation dim"],
    types: Int[Tensor, " validation"],
) -> LinearProbe:
    """Regress the input embedding of a token on its state; the nearest embedding wins.

    The penalty (a share of each coordinate's variance) and the temperature are those of least validation cross-entropy.
    Cheap, serves types that training never saw, and weak: it weighs all directions of the embedding alike.
    """
    counts, total = moments.counts, moments.counts.sum()
    embeddings = embeddings.float()
    middle = (counts @ embeddings) / total
    centred = embeddings - middle
    bias = -0.5 * centred.square().sum(1)
    prior = Prior.estimate(counts, len(types))
    projections, settings, origins = [], [], []
    temperature = 0.0
    for layer, sums in enumerate(moments.sums):
        mean = sums.sum(0) / total
        covariance = (moments.second[layer] / total).float() - torch.outer(mean, mean)
        cross = sums.T @ centred / total
        origins.append(moments.origin[layer] + mean)
        validation = states[layer].float() - origins[-1]
        tried = []
        for share in RIDGES:
            penalised = covariance + _diagonal(covariance.diagonal(), share)
            projection = torch.cholesky_solve(cross, torch.linalg.cholesky(penalised))
            scores = torch.addmm(bias, validation @ projection, centred.T)
            loss, found = prior.temper(scores, types, temperature or float(scores.std()) + 1e-6, holds_prior=False)
            tried.append((loss, found, share, projection, scores))
        _, temperature, share, projection, scores = min(tried, key=lambda one: one[0])
        temperature = prior.temper(scores, types, temperature, holds_prior=False, factor=FINE)[1]
        projections.append(projection)
        settings.append({"ridge": share, "temperature": temperature})
    return LinearProbe(
        torch.stack(origins), torch.stack(projections), centred[None], bias[None], prior, False, settings
    )


@torch.inference_mode()
def centroid(
    moments: Moments,
    embeddings: Float[Tensor, "type feature"],
    states: Float[Tensor, "layer validation dim"],
    types: Int[Tensor, " validation"],
) -> LinearProbe:
    """Gaussian classes that share one covariance (linear discriminant analysis), their means by empirical Bayes.

    The mean of type x is (S[x] + kappa·B e_x) / (n_x + kappa): its own mean drawn towards what a regression B on the
    input embeddings e predicts, which also serves types that training never saw. The guess is the most probable type
    under the smoothed prior. kappa, the ridge and the temperature are those of least validation cross-entropy, the
    ridge first. The ridge is a share of the total variance, so that it holds where the within-class covariance is zero
    (layer 0 of a decoder).

    The prototypes take the place of `moments.sums`, which is the largest object of a sweep: fit other probes before.
    """
    prior = Prior.estimate(moments.counts, len(types))
    regression = _EmbeddingRegression(embeddings.float(), moments.counts)
    projections, biases, settings = [], [], []
    temperature = 10.0
    for layer in range(len(moments.sums)):
        classes = _Classes.estimate(moments, layer, regression, prior)
        validation = states[layer].float() - moments.origin[layer]
        first = classes.best(validation, types, [(share, STRENGTHS[0]) for share in RIDGES], temperature)
        others = [(first.share, strength) for strength in STRENGTHS[1:]]
        best = min(first, classes.best(validation, types, others, first.temperature))
        precision, means, bias = classes.discriminant(best.share, best.strength)
        scores = torch.addmm(bias, validation @ precision, means.T)
        temperature = prior.temper(scores, types, best.temperature, holds_prior=True, factor=FINE)[1]
        moments.sums[layer] = means
        projections.append(precision)
        biases.append(bias)
        settings.append({"ridge": best.share, "kappa": best.strength, "temperature": temperature})
    return LinearProbe(
        moments.origin, torch.stack(projections), moments.sums, torch.stack(biases), prior, True, settings
    )


class _EmbeddingRegression:
    """Class means regressed on input embeddings, each class weighted by n / (1 + n/kappa): a mean of many states counts
    for more, but no more than its spread about the regression lets it."""

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
        """The expected state of every type, those without a count among them."""
        means = sums[self.seen] / self.counts
        middle = (self.weights * means).sum(0) / self.weights.sum()
        return self.centred @ (self.solver @ (means - middle)) + middle


class _Choice(NamedTuple):
    loss: float
    temperature: float
    share: float
    strength: float


@dataclass(frozen=True)
class _Classes:
    """The Gaussian classes of one layer, before their hyperparameters are chosen. `spread` is the total variance by
    coordinate."""

    counts: Float[Tensor, "type 1"]
    sums: Float[Tensor, "type dim"]
    expected: Float[Tensor, "type dim"]
    within: Float[Tensor, "dim dim"]
    spread: Float[Tensor, " dim"]
    prior: Prior

    @classmethod
    def estimate(cls, moments: Moments, layer: int, regression: _EmbeddingRegression, prior: Prior) -> _Classes:
        counts, sums, second, seen = (
            moments.counts[:, None],
            moments.sums[layer],
            moments.second[layer],
            regression.seen,
        )
        total, expected = counts.sum(), regression.predict(sums)
        # The scatter about the drawn means m: sum h h' - S'm - m'S + m'(n m). Types seen once contribute too, which
        # they would not about their own mean.
        means = ((sums + STRENGTHS[0] * expected) / (counts + STRENGTHS[0]))[seen]
        half = means.T @ (sums[seen] - 0.5 * counts[seen] * means)
        within = ((second - half - half.T) / total).float()
        spread = second.diagonal().float() / total - (sums.sum(0) / total).square()
        return cls(counts, sums, expected, within, spread.clamp(min=0), prior)

    def discriminant(self, share: float, strength: float) -> tuple[Tensor, Tensor, Tensor]:
        """Inverse covariance, class means, and the bias of each class (natural log): prior - mean' precision mean /
        2."""
        root = torch.linalg.cholesky(self.within + _diagonal(self.spread, share))
        inverse = torch.linalg.solve_triangular(root, torch.eye(len(root)).to(root), upper=False)
        precision = inverse.T @ inverse
        means = (self.sums + strength * self.expected) / (self.counts + strength)
        return precision, means, self.prior.log - 0.5 * ((means @ precision) * means).sum(1)

    def best(self, validation: Tensor, types: Tensor, tried: list[tuple[float, float]], temperature: float) -> _Choice:
        """Of these ridges and strengths, those of least validation cross-entropy, each at its own best temperature."""
        choices = []
        for share, strength in tried:
            precision, means, bias = self.discriminant(share, strength)
            scores = torch.addmm(bias, validation @ precision, means.T)
            loss, temperature = self.prior.temper(scores, types, temperature, holds_prior=True)
            choices.append(_Choice(loss, temperature, share, strength))
        return min(choices)


def _diagonal(spread: Float[Tensor, " dim"], share: float) -> Float[Tensor, "dim dim"]:
    """The ridge: a share of each coordinate's variance, and of the mean one where a coordinate has none."""
    return torch.diag(share * torch.maximum(spread, 1e-6 * spread.mean() + 1e-12))


def _log_sum_exp_(scores: Float[Tensor, "token type"]) -> Float[Tensor, " token"]:
    """log sum exp over the types, in the memory of the scores. Terms below e^-80 of the largest are taken as that:
    nothing to the sum, but the subnormal numbers that they would give cost processors ten times the rest."""
    largest = scores.amax(1, keepdim=True)
    return scores.sub_(largest).clamp_(min=-80).exp_().sum(1).log_() + largest[:, 0]
