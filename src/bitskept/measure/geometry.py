"""How alike the geometries of two layers are: the Gromov-Wasserstein distance between the distances of their points.

Each text is a point of each layer. GW² is the least mean of (a_ik - b_jl)² over pairs of pairs, i with j and k with l
matched by a coupling of the two sets of points (Mémoli 2011, whose distance is half of this root). It asks which
distances there are, not which text is where, so it is 0 for a layer that is turned, shifted, or listed in another
order. The least is hard to find. What is given is a bracket: `gromov_wasserstein` is the best local optimum
(conditional gradient, by POT) from several starts, an upper bound; `lower_bound` is Mémoli's third, from each point's
sorted distances; the truth for these points lies between. `matched` leaves each text with itself, another upper bound.

What a value means only its anchors tell: the same layer with its points in another order (0, if the search is any
good), the same layer of other texts (what is due to the sample alone), and random points of the same dimension.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist, pdist, squareform
from scipy.stats import t as student

from bitskept.measure.embeddings import embed
from bitskept.measure.of_model import from_store, label, model_facts
from bitskept.measure.readings import POOLINGS
from bitskept.measure.sweep import side_layers
from bitskept.sources import corpora
from bitskept.sources.models import LanguageModel

Distances = Float[np.ndarray, "point point"]
Others = Float[np.ndarray, "other other"]
Metric = Literal["cosine", "euclidean"]

VERSION = 1
"""Raise it when the same plan would give other numbers."""
MIXED = 12
"""A random coupling to start from is the mean of so many matchings. One alone is a corner, where searches get stuck."""
COLUMNS = [
    *("model", "kind", "weights", "seed", "corpus", "metric", "layer", "other", "against"),
    *("quantity", "estimate", "low", "high", "unit", "n"),
]
AGAINST = {
    "layer": "the layer `other`, same texts",
    "permuted": "the layer itself, its points in another order: 0 where the search succeeds",
    "other texts": "the layer itself, of another group of texts: what the sample alone does",
    "random points": "Gaussian points of the same dimension; without `layer`, two such sets",
}
QUANTITIES = {
    "gromov_wasserstein": "the best local optimum: an upper bound on the distance",
    "lower_bound": "a lower bound on it, from each point's sorted distances",
    "matched": "the root mean square difference of distances, each text with itself: an upper bound",
}


@dataclass(frozen=True)
class Plan:
    """The first sentences of a corpus in the order drawn by `seed`: `groups` of `points` each, compared group by group.

    `layers` evenly spaced ones, or all; a sentence's vector is pooled as `embed` does. "euclidean" distances are
    divided by their mean, so that a layer's scale does not count; so are "cosine" ones, 1 - cos. `starts` random
    couplings are tried beside the uniform one, the one that the lower bound comes from, and that of `matched`.
    """

    corpus: str
    points: int = 64
    groups: int = 4
    layers: int | None = 5
    metric: Metric = "cosine"
    pooling: str = "mean without first"
    starts: int = 4
    longest: int = 64
    seed: int = 0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name, least in (("points", 3), ("groups", 2), ("starts", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, but is {getattr(self, name)}")
        if self.layers is not None and self.layers < 1:
            raise ValueError(f"layers must be at least 1, but is {self.layers}")
        for name, known in (("metric", ("cosine", "euclidean")), ("pooling", POOLINGS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, but is {getattr(self, name)!r}")


class Bracket(NamedTuple):
    """The distance lies between the two: `found` is a local optimum."""

    low: float
    found: float


def measure(
    model_id: str, plan: Plan, *, weights: int | None = None, accept_terms: Collection[str] = (), progress: bool = True
) -> pd.DataFrame:
    """The table of a model, from the store where it is there. `weights` is the seed of a randomly initialised copy.

    Columns: `COLUMNS`; `against`: `AGAINST`; quantities: `QUANTITIES`. Means over groups with 95 % intervals (Student);
    `n` is the number of points in a group. Errors as `models.load`, `corpora.load` and `compare`.
    """

    def compute(model: LanguageModel) -> pd.DataFrame:
        texts = corpora.load(plan.corpus, sentences=plan.points * plan.groups, seed=plan.seed)["text"]
        return compare(model, texts, plan, progress=progress)

    return from_store("geometry", VERSION, model_id, plan, compute, weights=weights, accept_terms=accept_terms)


def compare(model: LanguageModel, texts: Sequence[str], plan: Plan, *, progress: bool = False) -> pd.DataFrame:
    """The table of a model on these texts, as `measure` gives it. ValueError for texts that are not points x groups,
    and where `distances` has none.
    """
    if len(texts) != plan.points * plan.groups:
        raise ValueError(f"{plan.groups} groups of {plan.points} points need as many texts, but got {len(texts)}")
    layers = side_layers(model.layers, plan.layers or model.layers + 1)
    options = {"longest": plan.longest, "progress": label(model) if progress else None}
    vectors = embed(model, list(texts), layers=layers, poolings=[plan.pooling], **options)[plan.pooling]
    groups = np.split(vectors, plan.groups, axis=1)
    known = model_facts(model) | {"corpus": plan.corpus, "metric": plan.metric, "unit": "mean distance"}
    rows = [row for number in range(plan.groups) for row in _values(groups, number, layers, plan)]
    values = pd.DataFrame(rows).astype({"layer": "Int64", "other": "Int64"})
    by = ["layer", "other", "against", "quantity"]
    found = values.groupby(by, dropna=False, sort=False)["value"].agg(estimate="mean", error="sem").reset_index()
    reach = student.ppf(0.975, plan.groups - 1) * found["error"]
    ends = {"low": np.maximum(0, found["estimate"] - reach), "high": found["estimate"] + reach}
    found = found.assign(**ends, n=plan.points, **known)
    return found[COLUMNS].astype({"seed": "Int64", "n": "Int64"})


def distances(points: Float[np.ndarray, "point dim"], metric: Metric = "cosine") -> Distances:
    """All distances, over their mean. ValueError for points that are not finite, all the same or, with "cosine", 0."""
    if not np.isfinite(points).all():
        raise ValueError("points must be finite numbers")
    if metric == "cosine" and not points.any(axis=1).all():
        raise ValueError("a point at 0 has no direction: take euclidean distances")
    found = pdist(points.astype(float), metric)
    # 1 - cos of equal points is a rounding away from 0.
    if not len(found) or not found.max() > 1e-12:
        raise ValueError(f"of {len(points)} points no two are different: they have no geometry")
    return squareform(np.maximum(found, 0) / found.mean())


def gromov_wasserstein(
    first: Distances, second: Others, *, starts: int = 4, matched: bool = True, seed: int = 0
) -> Bracket:
    """A bracket of the distance between two sets of as many points, all of equal weight.

    Unless `matched`, the search does not begin where point i is matched with point i. ValueError for sets of different
    sizes.
    """
    from ot.gromov import gromov_wasserstein as descend

    low, order = _lower_bound(first, second)
    number = len(first)
    random = np.random.default_rng(seed)
    couplings = [np.full((number, number), 1 / number), np.eye(number)[order]] + [np.eye(number)] * matched
    for _ in range(starts):
        couplings.append(sum(np.eye(number)[random.permutation(number)] for _ in range(MIXED)) / MIXED)
    weights, found = np.full(number, 1 / number), []
    for coupling in couplings:
        options = {"symmetric": True, "G0": coupling / number, "max_iter": 1000}
        found.append(_value(first, second, descend(first, second, weights, weights, "square_loss", **options)))
    return Bracket(low, max(low, min(found)))


def _lower_bound(first: Distances, second: Others) -> tuple[float, np.ndarray]:
    """Mémoli's third lower bound, and for each point of the first set that of the second that it is matched with.

    Whatever the coupling, the distances from i are coupled with those from j, at the least cost in sorted order.
    """
    if first.shape != second.shape:
        raise ValueError(f"give sets of as many points, not of {len(first)} and {len(second)}")
    cost = cdist(np.sort(first, axis=1), np.sort(second, axis=1), "sqeuclidean") / len(first)
    rows, order = linear_sum_assignment(cost)
    return float(np.sqrt(cost[rows, order].mean())), order


def _value(first: Distances, second: Distances, coupling: Float[np.ndarray, "point point"]) -> float:
    """The root mean square difference of distances under a coupling of equal weights."""
    squares = (first**2).mean() + (second**2).mean() - 2 * np.sum(coupling * (first @ coupling @ second))
    return float(np.sqrt(max(0.0, squares)))


def _values(
    groups: list[Float[np.ndarray, "layer text dim"]], number: int, layers: tuple[int, ...], plan: Plan
) -> Iterator[dict[str, Any]]:
    """What one group of texts has to compare, one value a row."""
    random = np.random.default_rng([plan.seed, number])
    width = groups[number].shape[-1]
    geometries = [distances(points, plan.metric) for points in groups[number]]
    elsewhere = [distances(points, plan.metric) for points in groups[(number + 1) % len(groups)]]
    cloud, another = (distances(random.standard_normal((plan.points, width)), plan.metric) for _ in range(2))
    order = random.permutation(plan.points)
    compared: list[tuple[int | None, int | None, str, Distances, Distances]] = [
        (layers[i], layers[j], "layer", geometries[i], geometries[j]) for i, j in combinations(range(len(layers)), 2)
    ]
    for layer, own, others in zip(layers, geometries, elsewhere, strict=True):
        compared.append((layer, None, "permuted", own, own[np.ix_(order, order)]))
        compared.append((layer, None, "other texts", own, others))
        compared.append((layer, None, "random points", own, cloud))
    compared.append((None, None, "random points", cloud, another))
    for layer, other, against, first, second in compared:
        same = against == "layer"
        bracket = gromov_wasserstein(first, second, starts=plan.starts, matched=same, seed=plan.seed)
        values = {"gromov_wasserstein": bracket.found, "lower_bound": bracket.low}
        values |= {"matched": _value(first, second, np.eye(plan.points) / plan.points)} if same else {}
        for name, value in values.items():
            yield {"layer": layer, "other": other, "against": against, "quantity": name, "value": value}
