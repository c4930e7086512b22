"""Probes trained by gradient, all layers side by side: the check on the closed forms of `probes`.

They are trained from a reservoir, a uniform sample of bounded size of the states that streamed by, and score as the
others do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from tqdm.auto import tqdm

from bitskept.measure.probes import FINE, TILE, Prior, Scores

BATCH = 256
HIDDEN_RATE = 3e-3
NEGATIVES = 512
"""Types drawn at random for each step, beside those of the batch: the full softmax would cost ten times as much."""


class Reservoir:
    """A uniform sample of at most `capacity` (state, type) pairs of a stream (Vitter 1985), for all its layers."""

    def __init__(self, layers: int, dim: int, capacity: int, *, seed: int, device: torch.device | str = "cpu") -> None:
        self._states = torch.empty(layers, capacity, dim, device=device)
        self._types = torch.empty(capacity, dtype=torch.long, device=device)
        self._capacity, self._seen = capacity, 0
        self._random = torch.Generator().manual_seed(seed)

    @torch.inference_mode()
    def update(self, states: Float[Tensor, "layer token dim"], types: Int[Tensor, " token"]) -> None:
        """Offer a batch: its k-th pair, the n-th of the stream, is taken with probability capacity / n."""
        order = self._seen + torch.arange(len(types))
        drawn = (torch.rand(len(types), generator=self._random, dtype=torch.float64) * (order + 1)).long()
        places = torch.where(order < self._capacity, order, drawn)
        self._seen += len(types)
        taken = torch.nonzero(places < self._capacity)[:, 0]
        # One after the other, so that of two pairs for one place the later one stays, as if they had come singly.
        last = {int(places[index]): int(index) for index in taken}
        where = torch.tensor(list(last.keys()), dtype=torch.long, device=types.device)
        which = torch.tensor(list(last.values()), dtype=torch.long, device=types.device)
        self._states[:, where] = states[:, which].float()
        self._types[where] = types[which]

    @property
    def states(self) -> Float[Tensor, "layer token dim"]:
        """The states that are held."""
        return self._states[:, : min(self._seen, self._capacity)]

    @property
    def types(self) -> Int[Tensor, " token"]:
        """Their types."""
        return self._types[: min(self._seen, self._capacity)]


class _Network(nn.Module):
    """For each layer: whiten, perhaps one hidden layer, then a row of weights a type [type, layer, feature]."""

    def __init__(self, reservoir: Reservoir, types: int, hidden: int | None) -> None:
        super().__init__()
        states = reservoir.states
        layers, count, dim = states.shape
        middle = states.mean(1, keepdim=True)
        # Coordinates of states differ in scale by thousands and go together: unwhitened, descent would hardly move.
        covariance = (states - middle).mT @ (states - middle) / count
        variance = covariance.diagonal(dim1=1, dim2=2)
        floor = torch.diag_embed(1e-3 * torch.maximum(variance, 1e-6 * variance.mean(1, keepdim=True) + 1e-12))
        root = torch.linalg.cholesky(covariance + floor)
        self.register_buffer("middle", middle)
        unit = torch.eye(dim).to(root).expand_as(root)
        self.register_buffer("whiten", torch.linalg.solve_triangular(root, unit, upper=False).mT.contiguous())
        self.features = (hidden or dim) + 1
        self.enter = nn.Parameter(torch.randn(layers, dim, hidden).to(states) / dim**0.5) if hidden else None
        self.register_buffer("rows", torch.zeros(types, layers, self.features, device=states.device))

    def forward(self, states: Float[Tensor, "layer token dim"]) -> Float[Tensor, "layer token feature"]:
        features = (states.float() - self.middle) @ self.whiten
        if self.enter is not None:
            features = nn.functional.gelu(features @ self.enter)
        return torch.cat([features, torch.ones_like(features[..., :1])], dim=-1)


@dataclass(frozen=True)
class TrainedProbe:
    """A trained network with the prior and, by layer, the temperature of least validation cross-entropy."""

    network: _Network
    prior: Prior
    settings: list[dict[str, float]]

    @torch.inference_mode()
    def score(self, states: Float[Tensor, "layer token dim"], types: Int[Tensor, " token"]) -> Scores:
        """Guess and surprisal (bits) for every layer and token."""
        correct, surprisal = [], []
        columns = self.network.rows.permute(1, 2, 0)
        for tile, wanted in zip(states.split(TILE, dim=1), types.split(TILE), strict=True):
            right, bits = [], []
            for layer, features in enumerate(self.network(tile)):
                scores = features @ columns[layer] + self.prior.log
                right.append(scores.argmax(1) == wanted)
                temperature = self.settings[layer]["temperature"]
                bits.append(self.prior.surprisal(scores, wanted, temperature, holds_prior=True))
            correct.append(torch.stack(right))
            surprisal.append(torch.stack(bits))
        return Scores(torch.cat(correct, 1), torch.cat(surprisal, 1))


def train(
    reservoir: Reservoir,
    counts: Float[Tensor, " type"],
    states: Float[Tensor, "layer validation dim"],
    types: Int[Tensor, " validation"],
    *,
    hidden: int | None = None,
    epochs: int = 5,
    rate: float = 0.1,
    seed: int = 0,
    progress: str | None = None,
) -> TrainedProbe:
    """Multinomial logistic regression, or with `hidden` units a perceptron of one hidden layer, by gradient descent
    on a sampled softmax.

    The candidates of a step are the types of its batch and random others, which stand for all that are absent; the log
    prior is a fixed offset. Temperatures come from the validation states. A type that training never saw is never
    named.
    """
    prior = Prior.estimate(counts, len(types))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # all is drawn on the CPU: the same on every device
        network = _Network(reservoir, len(counts), hidden)
        _fit(network, reservoir, prior, epochs, rate, progress)
    settings = []
    with torch.inference_mode():
        columns = network.rows.permute(1, 2, 0)
        for layer, features in enumerate(network(states)):
            scores = features @ columns[layer] + prior.log
            settings.append({"temperature": prior.temper(scores, types, 1.0, holds_prior=True, factor=FINE)[1]})
    return TrainedProbe(network, prior, settings)


def _fit(network: _Network, reservoir: Reservoir, prior: Prior, epochs: int, rate: float, progress: str | None) -> None:
    """Adagrad on the rows of each step's candidates alone (one step size a row and layer), Adam on the hidden layer."""
    tokens, types, device = reservoir.types, len(prior.log), reservoir.types.device
    steps = epochs * -(-len(tokens) // BATCH)
    power = torch.zeros_like(network.rows[..., :1])
    adam = torch.optim.Adam([network.enter], lr=HIDDEN_RATE) if network.enter is not None else None
    bar = tqdm(total=steps, desc=progress, unit="step", disable=progress is None, mininterval=0.5, leave=False)
    order = (batch for _ in range(epochs) for batch in torch.randperm(len(tokens)).to(device).split(BATCH))
    for step, batch in enumerate(order):
        cooling = 0.5 * (1 + math.cos(math.pi * step / steps))
        present, target = torch.unique(tokens[batch], return_inverse=True)
        others = torch.ones(types, dtype=torch.bool, device=device).index_fill_(0, present, False)
        absent = drawn = others.nonzero()[:, 0]
        if len(absent) > NEGATIVES:
            drawn = absent[torch.randint(len(absent), (NEGATIVES,)).to(device)]
        candidates = torch.cat([present, drawn])
        # Each drawn type stands for this many absent ones, so that the partition function is right on average.
        stand_for = torch.ones(len(candidates), device=device)
        stand_for[len(present) :] = len(absent) / max(1, len(drawn))
        rows = network.rows[candidates].requires_grad_()
        scores = network(reservoir.states[:, batch]) @ rows.permute(1, 2, 0) + prior.log[candidates] + stand_for.log()
        # As in `probes`: what is e^-60 of the largest adds nothing but slow subnormal numbers.
        scores = torch.maximum(scores, scores.detach().amax(-1, keepdim=True) - 60)
        wanted = target.repeat(len(scores))
        (nn.functional.cross_entropy(scores.flatten(0, 1), wanted, reduction="sum") / len(batch)).backward()
        power[candidates] += rows.grad.square().mean(-1, keepdim=True)
        network.rows[candidates] -= rate * cooling * rows.grad / (power[candidates].sqrt() + 1e-8)
        if adam:
            adam.param_groups[0]["lr"] = HIDDEN_RATE * cooling
            adam.step()
            adam.zero_grad()
        bar.update()
    bar.close()
