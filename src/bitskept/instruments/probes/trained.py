"""Probes trained by gradient descent, all layers in parallel: a check on those in closed form.

They are trained on a reservoir: a uniform sample, of bounded size, of a stream of states.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm import tqdm

from bitskept.instruments.probes.closed_form import inverse_root, ridge_matrix
from bitskept.instruments.probes.law import FINE, Prior, Probe, States, Types, TypeScores

BATCH = 256
RATE, HIDDEN_RATE = 0.1, 3e-3
NEGATIVES = 512
"""Random types at each step, in addition to those of the batch: the full softmax would cost ten times as much."""


class Reservoir:
    """A uniform sample of at most `capacity` (state, type) pairs of a stream (Vitter 1985), for all its layers."""

    def __init__(self, layers: int, dim: int, capacity: int, *, seed: int, device: torch.device | str = "cpu") -> None:
        self._states = torch.empty(layers, capacity, dim, device=device)
        self._types = torch.empty(capacity, dtype=torch.long, device=device)
        self._capacity, self._seen = capacity, 0
        self._random = torch.Generator().manual_seed(seed)

    @torch.inference_mode()
    def update(self, states: States, types: Types) -> None:
        """Add a batch: the n-th pair of the stream is taken with probability capacity / n, and replaces one at
        random."""
        order = self._seen + torch.arange(len(types))
        drawn = (torch.rand(len(types), generator=self._random, dtype=torch.float64) * (order + 1)).long()
        places = torch.where(order < self._capacity, order, drawn)
        self._seen += len(types)
        # Of two pairs for one place the later one stays, as if they had been added one by one.
        last = {int(places[index]): int(index) for index in torch.nonzero(places < self._capacity)[:, 0]}
        where = torch.tensor(list(last.keys()), dtype=torch.long, device=types.device)
        which = torch.tensor(list(last.values()), dtype=torch.long, device=types.device)
        self._states[:, where] = states[:, which].float()
        self._types[where] = types[which]

    @property
    def states(self) -> States:
        """The states of the sample."""
        return self._states[:, : min(self._seen, self._capacity)]

    @property
    def types(self) -> Types:
        """The types of the sample."""
        return self._types[: min(self._seen, self._capacity)]


class _Network(nn.Module):
    """For each layer: whiten, possibly one hidden layer, then a row of weights for each type."""

    def __init__(self, reservoir: Reservoir, types: int, hidden: int | None) -> None:
        super().__init__()
        states = reservoir.states
        layers, count, dim = states.shape
        middle = states.mean(1, keepdim=True)
        # The coordinates of states are correlated and differ in scale by thousands: unwhitened, descent would stall.
        covariance = (states - middle).mT @ (states - middle) / count
        whiten = inverse_root(covariance + ridge_matrix(covariance.diagonal(dim1=1, dim2=2), 1e-3))
        self.register_buffer("middle", middle)
        self.register_buffer("whiten", whiten.mT.contiguous())
        self.enter = nn.Parameter(torch.randn(layers, dim, hidden).to(states) / dim**0.5) if hidden else None
        self.register_buffer("rows", torch.zeros(types, layers, (hidden or dim) + 1, device=states.device))

    def forward(self, states: States) -> Float[Tensor, "layer token feature"]:
        features = (states.float() - self.middle) @ self.whiten
        if self.enter is not None:
            features = nn.functional.gelu(features @ self.enter)
        return torch.cat([features, torch.ones_like(features[..., :1])], dim=-1)


@dataclass(frozen=True)
class TrainedProbe(Probe):
    """A trained network; its scores include the log prior, as a fixed offset."""

    network: _Network
    prior: Prior
    temperatures: list[float]

    def scores(self, states: States) -> Iterator[TypeScores]:
        columns = self.network.rows.permute(1, 2, 0)
        for layer, features in enumerate(self.network(states)):
            yield features @ columns[layer] + self.prior.log


def train(
    reservoir: Reservoir,
    counts: Float[Tensor, " type"],
    states: States,
    types: Types,
    *,
    hidden: int | None = None,
    epochs: int = 5,
    seed: int = 0,
    progress: str | None = None,
) -> TrainedProbe:
    """Multinomial logistic regression, or with `hidden` units a perceptron with one hidden layer, by gradient descent
    on a sampled softmax.

    The candidates of a step are the types of its batch and others at random, which stand for all absent ones.
    States and types are those of validation, which determine the temperatures. A type absent from training is never
    named.
    """
    prior = Prior.estimate(counts, len(types), in_scores=True)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # everything is drawn on the CPU, alike for every device
        network = _Network(reservoir, len(counts), hidden)
        _fit(network, reservoir, prior, epochs, progress)
    probe = TrainedProbe(network, prior, [])
    with torch.inference_mode():
        for scores in probe.scores(states):
            probe.temperatures.append(prior.temper(scores, types, 1.0, FINE)[1])
    return probe


def _fit(network: _Network, reservoir: Reservoir, prior: Prior, epochs: int, progress: str | None) -> None:
    """Adagrad on the rows of each step's candidates (one step size per row and layer), Adam on the hidden layer."""
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
        # Each drawn type stands for this many absent ones, which makes the partition function right on average.
        stand_for = torch.ones(len(candidates), device=device)
        stand_for[len(present) :] = len(absent) / max(1, len(drawn))
        rows = network.rows[candidates].requires_grad_()
        scores = network(reservoir.states[:, batch]) @ rows.permute(1, 2, 0) + prior.log[candidates] + stand_for.log()
        # Terms below e^-60 of the largest would only add subnormal numbers, which are slow.
        scores = torch.maximum(scores, scores.detach().amax(-1, keepdim=True) - 60)
        truth = target.repeat(len(scores))
        (nn.functional.cross_entropy(scores.flatten(0, 1), truth, reduction="sum") / len(batch)).backward()
        power[candidates] += rows.grad.square().mean(-1, keepdim=True)
        network.rows[candidates] -= RATE * cooling * rows.grad / (power[candidates].sqrt() + 1e-8)
        if adam:
            adam.param_groups[0]["lr"] = HIDDEN_RATE * cooling
            adam.step()
            adam.zero_grad()
        bar.update()
    bar.close()
