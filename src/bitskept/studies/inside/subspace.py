"""A network of which only a few numbers are trained: low-rank changes of its first weights, in a random subspace.

Each table of weights W becomes W + B A, with A and B of a low rank (LoRA, Hu et al. 2021). The numbers of all A and B
are u = u_0 + P θ: u_0 is drawn (A) or 0 (B), the map P is drawn, and only θ is trained and has to be written down. The
idea is SubLoRA (Lotfi et al. 2024, arXiv 2312.17173). Its P is a product of dense matrices; here each number of u is
one number of θ, drawn, with a random sign. The columns of this P are orthogonal as well, and it needs no memory.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call


@dataclass(frozen=True)
class Plan:
    """`dimension` numbers are trained, or all numbers of the low-rank tables if these are fewer: `steps` updates of
    `batch` rows by Adam, at a rate that rises to `rate` and falls to 0. `seed` draws the subspace and the rows.
    """

    dimension: int
    rank: int
    steps: int
    batch: int
    rate: float
    seed: int = 0


class Subspace:
    """The weights that a network can have. `size` is how many numbers say which."""

    def __init__(self, network: nn.Module, plan: Plan) -> None:
        draw = torch.Generator().manual_seed(plan.seed)
        self._first = {name: weight.detach().clone() for name, weight in network.named_parameters()}
        self._rank = plan.rank
        tables = {name: weight for name, weight in self._first.items() if weight.ndim == 2}
        self._start = {
            name: torch.randn(plan.rank, weight.shape[1], generator=draw) / weight.shape[1] ** 0.5
            for name, weight in tables.items()
        }
        numbers = plan.rank * sum(sum(weight.shape) for weight in tables.values())
        self.size = min(plan.dimension, numbers)
        places = torch.arange(numbers) % self.size  # each number of θ stands for equally many, give or take one
        self._place = places[torch.randperm(numbers, generator=draw)]
        self._sign = torch.randint(2, (numbers,), generator=draw) * 2.0 - 1.0
        self.device = next(network.parameters()).device

    def weights(self, theta: Float[Tensor, " number"]) -> dict[str, Tensor]:
        """The weights at θ, by name; with θ = 0 the first ones."""
        changes = (self._sign.to(theta) * theta[self._place.to(theta.device)]).to(self.device)
        made, at = dict(self._first), 0
        for name, start in self._start.items():
            rows, columns = self._first[name].shape
            right, left = changes[at:].split([self._rank * columns, len(changes) - at - self._rank * columns])
            at += self._rank * (columns + rows)
            low = left[: self._rank * rows].view(rows, self._rank) @ (
                start.to(self.device) + right.view(self._rank, columns)
            )
            made[name] = self._first[name] + low
        return made


def trained(
    network: nn.Module, subspace: Subspace, rows: Int[np.ndarray, "row token"], plan: Plan
) -> Float[np.ndarray, " number"]:
    """θ after training on the rows, from 0: each token of a row is predicted from those before it. The network keeps
    its weights.
    """
    theta = nn.Parameter(torch.zeros(subspace.size))
    optimiser = torch.optim.Adam([theta], plan.rate, betas=(0.9, 0.98))
    rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.rate, total_steps=max(4, plan.steps), pct_start=0.1)
    draw = np.random.default_rng(plan.seed)
    for _ in range(plan.steps):
        batch = torch.from_numpy(rows[draw.integers(len(rows), size=plan.batch)]).to(subspace.device)
        scores = functional_call(network, subspace.weights(theta), kwargs={"input_ids": batch}).logits[:, :-1]
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), batch[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rates.step()
    return theta.detach().double().numpy()
