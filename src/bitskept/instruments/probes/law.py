"""From the scores of a probe to probabilities: a smoothed prior, a temperature per layer, and a doubt.

A probe scores every type (a row of the alphabet) for a state. As probabilities, its scores give both bounds of
Wang, Ding and Zou (2025) on I(X;Z): Fano's from its error, Barber and Agakov's from its cross-entropy. The stronger the
probe, the tighter the bounds.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

States = Float[Tensor, "layer state dim"]
Types = Int[Tensor, " token"]
Owners = Int[Tensor, " token"] | None
"""The state from which each type is read; None where each type has a state of its own, in the same order."""
TypeScores = Float[Tensor, "state type"]

TILE = 256
"""Tokens scored at once: one tile of scores has TILE x types numbers, for any number of tokens."""
FINE = 2**0.25
"""The temperature of the chosen probe is refined to this factor; candidates are compared at a factor of 2."""


@dataclass(frozen=True)
class Prior:
    """The shares of the types in training (with half an observation added to each), and the law of given scores:

        q(x|h) = (1 - doubt) softmax(score / temperature + log prior) + doubt · prior

    The temperature corrects overconfident probes. The doubt keeps the cost of a confident mistake finite: as
    n validation tokens cannot rule out an error of a share of 1/(n + 2) (Laplace's rule), the doubt is that share. If
    the log prior is `in_scores` already, it is not tempered.
    """

    log: Float[Tensor, " type"]
    doubt: float
    in_scores: bool

    @classmethod
    def estimate(cls, counts: Float[Tensor, " type"], validation: int, *, in_scores: bool) -> Prior:
        """From the training counts of the types and the number of validation tokens."""
        return cls(((counts + 0.5) / (counts.sum() + 0.5 * len(counts))).log(), 1 / (validation + 2), in_scores)

    @property
    def shares(self) -> Float[np.ndarray, " type"]:
        """The smoothed share of each type."""
        return self.log.double().exp().cpu().numpy()

    def surprisal(
        self, scores: TypeScores, types: Types, temperature: float, owners: Owners = None
    ) -> Float[Tensor, " token"]:
        """-log2 q of the types, in bits. At an infinite temperature q is the prior."""
        weight = 1 - 1 / temperature if self.in_scores else 1.0
        tempered = torch.add(weight * self.log, scores, alpha=1 / temperature)
        owners = torch.arange(len(types), device=types.device) if owners is None else owners
        likely = tempered[owners, types] - _log_sum_exp_(tempered)[owners] + math.log1p(-self.doubt)
        return torch.logaddexp(likely, self.log[types] + math.log(self.doubt)) / -math.log(2)

    def temper(
        self, scores: TypeScores, types: Types, start: float, factor: float = 2.0, owners: Owners = None
    ) -> tuple[float, float]:
        """The least cross-entropy (bits) over temperatures, and that temperature to a `factor`; infinite, and the
        cross-entropy that of the prior, where no temperature does better than the prior alone.

        Walks downhill from `start`: without the doubt, the cross-entropy is convex in the inverse temperature. From an
        infinite `start` it sets out at the spread of the scores.
        """

        def loss(temperature: float) -> float:
            return float(self.surprisal(scores, types, temperature, owners).mean())

        start = start if math.isfinite(start) else float(scores.std()) + 1e-6
        best = loss(start), start
        for step in (factor, 1 / factor):
            while 1e-6 < best[1] < 1e9 and (lower := loss(best[1] * step)) < best[0]:
                best = lower, best[1] * step
            if best[1] != start:
                break  # the other way is uphill
        return min(best, (float(self.log[types].mean()) / -math.log(2), math.inf))


def _log_sum_exp_(scores: TypeScores) -> Float[Tensor, " state"]:
    """log sum exp over the types, in the memory of the scores. Terms below e^-80 of the largest are raised to that:
    this does not change the sum, but avoids subnormal numbers, which slow processors down tenfold.
    """
    largest = scores.amax(1, keepdim=True)
    return scores.sub_(largest).clamp_(min=-80).exp_().sum(1).log_() + largest[:, 0]


class Scores(NamedTuple):
    """A probe's results on some tokens: whether its guess was right, and the surprisal of the true type in bits."""

    correct: Bool[Tensor, "layer token"]
    surprisal: Float[Tensor, "layer token"]


class Probe(ABC):
    """Scores of every type, at each layer; the guess is the type of the highest score."""

    prior: Prior
    temperatures: list[float]

    @abstractmethod
    def scores(self, states: States) -> Iterator[TypeScores]:
        """The scores of some tokens, layer by layer."""

    @torch.inference_mode()
    def score(self, states: States, types: Types, owners: Owners = None) -> Scores:
        """Guess and surprisal (bits) for every layer and token, in tiles of `TILE` states."""
        correct = torch.empty(len(states), len(types), dtype=torch.bool, device=states.device)
        surprisal = torch.empty(len(states), len(types), device=states.device)
        owners = torch.arange(len(types), device=types.device) if owners is None else owners
        for start in range(0, states.shape[1], TILE):
            tile = ((owners >= start) & (owners < start + TILE)).nonzero()[:, 0]
            wanted, rows = types[tile], owners[tile] - start
            for layer, scores in enumerate(self.scores(states[:, start : start + TILE])):
                correct[layer, tile] = scores.argmax(1)[rows] == wanted
                surprisal[layer, tile] = self.prior.surprisal(scores, wanted, self.temperatures[layer], rows)
        return Scores(correct, surprisal)
