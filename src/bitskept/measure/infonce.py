"""How many bits two views of a text are sure to share: the InfoNCE bound.

Of K pairs (x_i, y_i), drawn independently, a critic f tells which y belongs to which x. I(X;Y) ≥ log2 K - loss, where
loss = -E log2 [exp f(x_i, y_i) / sum_j exp f(x_i, y_j)] is what naming the right one of K costs (van den Oord et al.
2018; Poole et al. 2019). It holds for any critic that was not chosen by looking at these pairs, and it cannot exceed
log2 K, the ceiling, however much more is shared: near the ceiling it says "at least", nothing else.

Two kinds of pairs: `halves`, the vectors of a text's first and second part, each read by itself, at one layer, which
share what the text is about; and `last layer`, the vectors of one and the same part at a layer and at the last one. A
later layer is a function of the earlier one, so what these share is all that the last layer tells of the text, far
beyond any ceiling, and the bound shows only how easily the critic sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import logsumexp
from scipy.stats import t as student

from bitskept.measure.embeddings import embed
from bitskept.measure.of_model import from_store, label, model_facts
from bitskept.measure.readings import POOLINGS
from bitskept.measure.sweep import side_layers
from bitskept.sources import prompts
from bitskept.sources.models import LanguageModel

Points = Float[np.ndarray, "pair _dim"]
Critic = Callable[[Points, Points], Float[np.ndarray, "x y"]]

VERSION = 1
"""Raise it when the same plan would give other numbers."""
COLUMNS = [
    *("model", "kind", "weights", "seed", "corpus", "layer", "pairs", "critic", "shuffled"),
    *("quantity", "estimate", "low", "high", "ceiling", "unit", "n"),
]
RIDGES = 10.0 ** np.arange(-3, 3)
"""Ridges to choose from, in units of the mean variance of a coordinate times the number of pairs."""
SHARPNESS = 2.0 ** np.arange(-4, 9)
"""What a cosine is multiplied with to make it a critic, to choose from."""


@dataclass(frozen=True)
class Plan:
    """The first texts of a source, cut in two (`prompts.load`), in the order drawn by `seed`: `blocks` of `size` pairs
    to measure on, then `validation` pairs to choose on and `train` pairs to fit the critic to.
    """

    corpus: str
    size: int = 32
    blocks: int = 6
    validation: int = 32
    train: int = 128
    layers: int | None = 5
    pooling: str = "mean without first"
    longest: int = 64
    seed: int = 0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name, least in (("size", 2), ("blocks", 2), ("validation", self.size), ("train", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, but is {getattr(self, name)}")
        if self.layers is not None and self.layers < 1:
            raise ValueError(f"layers must be at least 1, but is {self.layers}")
        if self.pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, but is {self.pooling!r}")


def measure(
    model_id: str, plan: Plan, *, weights: int | None = None, accept_terms: Collection[str] = (), progress: bool = True
) -> pd.DataFrame:
    """The table of `bounds`, from the store where it is there. `weights` is the seed of a randomly initialised copy.
    Errors as `models.load`, `prompts.load` and `bounds`.
    """

    def compute(model: LanguageModel) -> pd.DataFrame:
        pairs = plan.size * plan.blocks + plan.validation + plan.train
        texts = prompts.load(plan.corpus, pairs=pairs, seed=plan.seed)
        return bounds(model, texts["prompt"], texts["answer"], plan, progress=progress)

    return from_store(
        "infonce", VERSION, model_id, plan, compute, source=prompts, weights=weights, accept_terms=accept_terms
    )


def bounds(
    model: LanguageModel, first: Sequence[str], second: Sequence[str], plan: Plan, *, progress: bool = False
) -> pd.DataFrame:
    """The bound in bits by layer, kind of pairs and critic, with 95 % intervals over blocks (Student). `n` counts
    pairs.

    Critics: "cosine" of the centred vectors, and of what a ridge regression makes of x with y ("ridge"), both times a
    factor; ridge and factor are chosen on the validation pairs. `shuffled` is the control: y's of other texts, in
    testing alone, which must not be above 0. ValueError for a number of texts that the plan does not ask for.
    """
    pairs = plan.size * plan.blocks + plan.validation + plan.train
    if not len(first) == len(second) == pairs:
        raise ValueError(f"the plan asks for {pairs} pairs, but there are {len(first)} and {len(second)} texts")
    layers = side_layers(model.layers, plan.layers or model.layers + 1)
    options = {"longest": plan.longest, "progress": label(model) if progress else None, "poolings": [plan.pooling]}
    x, y = (
        embed(model, list(texts), layers=[*layers, model.layers], **options)[plan.pooling].astype(float)
        for texts in (first, second)
    )
    known = model_facts(model) | {"corpus": plan.corpus, "quantity": "infonce_bound", "ceiling": np.log2(plan.size)}
    known |= {"unit": "bits", "n": plan.size * plan.blocks}
    rows = []
    for place, layer in enumerate(layers):
        views = {"halves": y[place]} | ({"last layer": x[-1]} if layer < model.layers else {})
        for kind, other in views.items():
            for row in _rows(x[place], other, plan):
                rows.append(known | {"layer": layer, "pairs": kind} | row)
    return pd.DataFrame(rows, columns=COLUMNS).astype({name: "Int64" for name in ("seed", "layer", "n")})


def bound(scores: Float[np.ndarray, "x y"]) -> float:
    """log2 K - loss in bits for the critic's scores (natural logarithms) of K x's and y's, pairs on the diagonal: the
    mean of naming y for x and x for y, both of which are bounds. At most log2 K; ValueError unless square, K ≥ 2.
    """
    if scores.shape[0] != scores.shape[1] or len(scores) < 2:
        raise ValueError(f"scores must be of as many x as y, 2 at least, but have the shape {scores.shape}")
    right = np.diagonal(scores)
    losses = [(logsumexp(scores, axis=axis) - right).mean() for axis in (0, 1)]
    return float(np.log2(len(scores)) - np.mean(losses) / np.log(2))


def cosine(x: Points, y: Points) -> Critic:
    """The cosine of vectors centred by the means of these pairs. ValueError for x and y of different dimensions."""
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"a cosine needs vectors of one dimension, not of {x.shape[1]} and {y.shape[1]}")
    return lambda a, b: _cosines(a - x.mean(0), b - y.mean(0))


def ridge(x: Points, y: Points, penalty: float) -> Critic:
    """The cosine of y, centred, with what the ridge regression of these pairs makes of x."""
    a, b = x - x.mean(0), y - y.mean(0)
    # As many unknowns as pairs: there are fewer of them than dimensions. The unit makes the penalty free of scale.
    gram = a @ a.T
    weights = a.T @ np.linalg.solve(gram + penalty * max(np.trace(gram) / len(x), 1e-300) * np.eye(len(x)), b)
    return lambda some, others: _cosines((some - x.mean(0)) @ weights, others - y.mean(0))


def _cosines(a: Points, b: Points) -> Float[np.ndarray, "x y"]:
    a, b = (one / np.maximum(np.linalg.norm(one, axis=1, keepdims=True), 1e-300) for one in (a, b))
    return a @ b.T


def _rows(x: Points, y: Points, plan: Plan) -> Iterator[dict[str, Any]]:
    tested = plan.size * plan.blocks
    chosen, fitted = slice(tested, tested + plan.validation), slice(tested + plan.validation, None)
    families: dict[str, list[Critic]] = {
        "cosine": [cosine(x[fitted], y[fitted])],
        "ridge": [ridge(x[fitted], y[fitted], penalty) for penalty in RIDGES],
    }
    for name, critics in families.items():
        known = [_cosines_by_block(critic, x[chosen], y[chosen], plan.size) for critic in critics]
        choices = [(critic, sharp) for critic in range(len(critics)) for sharp in SHARPNESS]
        best, sharp = max(choices, key=lambda choice: _bounds(known[choice[0]], choice[1]).mean())
        for shuffled in (False, True):
            # Each x meets the y's of the next block.
            others = np.roll(y[:tested], -plan.size, axis=0) if shuffled else y[:tested]
            values = _bounds(_cosines_by_block(critics[best], x[:tested], others, plan.size), sharp)
            reach = student.ppf(0.975, plan.blocks - 1) * values.std(ddof=1) / np.sqrt(plan.blocks)
            ends = {"low": values.mean() - reach, "high": min(values.mean() + reach, np.log2(plan.size))}
            yield {"critic": name, "shuffled": shuffled, "estimate": values.mean()} | ends


def _cosines_by_block(critic: Critic, x: Points, y: Points, size: int) -> list[Float[np.ndarray, "x y"]]:
    """What the critic says of each whole block of pairs."""
    starts = range(0, len(x) - size + 1, size)
    return [critic(x[one : one + size], y[one : one + size]) for one in starts]


def _bounds(blocks: list[Float[np.ndarray, "x y"]], sharpness: float) -> Float[np.ndarray, " block"]:
    return np.array([bound(sharpness * scores) for scores in blocks])
