"""How many bits two views of a text certainly share: the InfoNCE bound.

Of K pairs (x_i, y_i), drawn independently, a critic f finds out which y belongs to which x. I(X;Y) ≥ log2 K - loss,
where loss = -E log2 [exp f(x_i, y_i) / sum_j exp f(x_i, y_j)] is the cost of naming the right one of K (van den Oord et
al. 2018; Poole et al. 2019). This holds for any critic that was not chosen by looking at these pairs. The bound cannot
exceed log2 K, its ceiling, however much more is shared: close to the ceiling it only says "at least".

There are two kinds of pairs. `halves` are the vectors of a text's first and second part at one layer, each read by
itself, which share what the text is about. `last layer` are the vectors of the same part at a layer and at the last
one. A later layer is a function of the earlier one, so these share all that the last layer knows about the text, far
beyond any ceiling, and the bound shows only how easily the critic sees it.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import logsumexp
from scipy.stats import t as student

from bitskept.base.publishing import makes_table
from bitskept.instruments.embeddings import embed
from bitskept.instruments.measurement import MODEL, at_least, label, measurement, to_table
from bitskept.instruments.states import resolve_layers
from bitskept.sources import prompts
from bitskept.sources.language_model import LanguageModel

Points = Float[np.ndarray, "pair _dim"]
Scores = Float[np.ndarray, "x y"]
Critic = Callable[[Points, Points], Scores]

COLUMNS = [*MODEL, "corpus", "layer", "pairs", "critic", "shuffled"]
COLUMNS += ["quantity", "estimate", "low", "high", "ceiling", "unit", "n"]
RIDGES = 10.0 ** np.arange(-3, 3)
"""Ridges to choose from, in units of the mean variance of a coordinate times the number of pairs."""
SHARPNESS = 2.0 ** np.arange(-4, 9)
"""Factors to choose from that make a critic of a cosine."""


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
        at_least(self, size=2, blocks=2, validation=self.size, train=2, layers=1)


@measurement("infonce", 1, source=prompts)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """The bound in bits by layer, kind of pairs and critic, with 95 % intervals over blocks (Student). `n` counts
    pairs. Columns: `COLUMNS`.

    The critics are "cosine", that of the centred vectors, and "ridge", that of y and its prediction from x by a ridge
    regression; both times a factor. Ridge and factor are chosen on the validation pairs. `shuffled` is the control: y's
    of other texts, in testing only, for which the bound must not be above 0. Errors as `prompts.load` and `embed`.
    """
    tested = plan.size * plan.blocks
    texts = prompts.load(plan.corpus, pairs=tested + plan.validation + plan.train, seed=plan.seed)
    layers = resolve_layers(model, plan.layers)
    options = {"longest": plan.longest, "progress": label(model) if progress else None, "poolings": [plan.pooling]}
    x, y = (
        embed(model, list(texts[part]), layers=[*layers, model.layers], **options)[plan.pooling].astype(float)
        for part in ("prompt", "answer")
    )
    rows = []
    for place, layer in enumerate(layers):
        views = {"halves": y[place]} | ({"last layer": x[-1]} if layer < model.layers else {})
        for kind, other in views.items():
            rows += [{"layer": layer, "pairs": kind} | row for row in _rows(x[place], other, plan)]
    facts = {"corpus": plan.corpus, "quantity": "infonce_bound", "ceiling": np.log2(plan.size), "unit": "bits"}
    return to_table(model, rows, COLUMNS, n=tested, **facts)


@makes_table
def between_halves(model_id: str, plan: Plan, *, accept_terms: Collection[str] = ()) -> pd.DataFrame:
    """The bound for the two halves of a text, by layer and critic. Measured by `studies.inside.infonce.measure`."""
    table = measure(model_id, plan, accept_terms=accept_terms)
    return table[table["pairs"] == "halves"]


def bound(scores: Scores) -> float:
    """log2 K - loss in bits for the critic's scores (natural logarithms) of K x's and y's, pairs on the diagonal: the
    mean of naming y for x and x for y, both of which are bounds. At most log2 K.
    """
    right = np.diagonal(scores)
    losses = [(logsumexp(scores, axis=axis) - right).mean() for axis in (0, 1)]
    return float(np.log2(len(scores)) - np.mean(losses) / np.log(2))


def cosine(x: Points, y: Points) -> Critic:
    """The cosine of vectors centred by the means of these pairs."""
    return lambda a, b: _cosines(a - x.mean(0), b - y.mean(0))


def ridge(x: Points, y: Points, penalty: float) -> Critic:
    """The cosine of y, centred, and its prediction from x by the ridge regression of these pairs."""
    a, b = x - x.mean(0), y - y.mean(0)
    # Solved for the pairs, of which there are fewer than dimensions. The unit makes the penalty free of scale.
    gram = a @ a.T
    weights = a.T @ np.linalg.solve(gram + penalty * max(np.trace(gram) / len(x), 1e-300) * np.eye(len(x)), b)
    return lambda x_new, y_new: _cosines((x_new - x.mean(0)) @ weights, y_new - y.mean(0))


def _cosines(a: Points, b: Points) -> Scores:
    a, b = (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-300) for vectors in (a, b))
    return a @ b.T


def _rows(x: Points, y: Points, plan: Plan) -> Iterator[dict[str, Any]]:
    tested = plan.size * plan.blocks
    chosen, fitted = slice(tested, tested + plan.validation), slice(tested + plan.validation, None)
    families: dict[str, list[Critic]] = {
        "cosine": [cosine(x[fitted], y[fitted])],
        "ridge": [ridge(x[fitted], y[fitted], penalty) for penalty in RIDGES],
    }
    for name, critics in families.items():
        scores = [_scores_by_block(critic, x[chosen], y[chosen], plan.size) for critic in critics]
        choices = [(critic, sharp) for critic in range(len(critics)) for sharp in SHARPNESS]
        best, sharp = max(choices, key=lambda choice: _bounds(scores[choice[0]], choice[1]).mean())
        for shuffled in (False, True):
            # Each x meets the y's of the next block.
            others = np.roll(y[:tested], -plan.size, axis=0) if shuffled else y[:tested]
            values = _bounds(_scores_by_block(critics[best], x[:tested], others, plan.size), sharp)
            reach = student.ppf(0.975, plan.blocks - 1) * values.std(ddof=1) / np.sqrt(plan.blocks)
            ends = {"low": values.mean() - reach, "high": min(values.mean() + reach, np.log2(plan.size))}
            yield {"critic": name, "shuffled": shuffled, "estimate": values.mean()} | ends


def _scores_by_block(critic: Critic, x: Points, y: Points, size: int) -> list[Scores]:
    return [critic(x[start : start + size], y[start : start + size]) for start in range(0, len(x) - size + 1, size)]


def _bounds(blocks: list[Scores], sharpness: float) -> Float[np.ndarray, " block"]:
    return np.array([bound(sharpness * scores) for scores in blocks])
