"""How far apart the shapes of two layers are: the Gromov-Wasserstein distance between the distances of their points.

Each text is a point of each layer. GW² is the least mean of (a_ik - b_jl)² over pairs of pairs, i with j and k with l
matched by a coupling of the two sets of points (Mémoli 2011, whose distance is half of this root). It compares which
distances there are, not which text is where, so it is 0 for a layer that is turned, shifted, or listed in another
order. The least is hard to find, so what is given is a bracket: `gromov_wasserstein` is the best local optimum
(conditional gradient, by POT) from several starts, an upper bound; `lower_bound` is Mémoli's third, from each point's
sorted distances; the truth for these points lies between. `matched` leaves each text with itself, another upper bound.

Only its anchors show what a value means (`against`): "layer" is another layer with the same texts, "permuted" the same
layer with its points in another order (0 if the search succeeds), "other texts" the same layer of other texts (what
sampling alone does), and "random points" Gaussian points of the same dimension (without `layer`, two such sets).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist, pdist, squareform
from scipy.stats import t as student

from bitskept.base.publishing import makes_table
from bitskept.instruments.embeddings import embed
from bitskept.instruments.measurement import MODEL, at_least, label, measurement, to_table
from bitskept.instruments.states import resolve_layers
from bitskept.sources import corpora
from bitskept.sources.language_model import LanguageModel

Distances = Float[np.ndarray, "point point"]
Others = Float[np.ndarray, "other other"]
Metric = Literal["cosine", "euclidean"]

MIXED = 12
"""A random coupling to start from is the mean of this many matchings: searches get stuck at a single one, a corner."""
COLUMNS = [*MODEL, "corpus", "metric", "layer", "other", "against", "quantity", "estimate", "low", "high", "unit", "n"]


@dataclass(frozen=True)
class Plan:
    """The first sentences of a corpus in the order drawn by `seed`: `groups` of `points` each, compared group by group.

    `layers` evenly spaced ones, or all; a sentence's vector is pooled as in `embed`. Distances, "euclidean" or "cosine"
    (1 - cos), are divided by their mean, so that a layer's scale does not count. Searches begin from `starts` random
    couplings, the uniform one, that of the lower bound, and that of `matched`.
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
        at_least(self, points=3, groups=2, starts=0, layers=1)


@measurement("geometry", 2)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """Means over groups with 95 % intervals (Student), in units of the mean distance; `n` is the number of points in a
    group. Columns: `COLUMNS`. Errors as `corpora.load`, `embed` and `distances`.
    """
    texts = corpora.load(plan.corpus, sentences=plan.points * plan.groups, seed=plan.seed)["text"]
    layers = resolve_layers(model, plan.layers)
    options = {"longest": plan.longest, "progress": label(model) if progress else None}
    vectors = embed(model, list(texts), layers=layers, poolings=[plan.pooling], **options)[plan.pooling]
    groups = np.split(vectors, plan.groups, axis=1)
    values = pd.DataFrame([row for number in range(plan.groups) for row in _values(groups, number, layers, plan)])
    by = ["layer", "other", "against", "quantity"]
    mean = values.groupby(by, dropna=False, sort=False)["value"].agg(estimate="mean", error="sem").reset_index()
    reach = student.ppf(0.975, plan.groups - 1) * mean["error"]
    mean = mean.assign(low=np.maximum(0, mean["estimate"] - reach), high=mean["estimate"] + reach)
    facts = {"corpus": plan.corpus, "metric": plan.metric, "unit": "mean distance", "n": plan.points}
    return to_table(model, mean.to_dict("records"), COLUMNS, **facts)


@makes_table
def compared(model_id: str, plan: Plan, *, accept_terms: Collection[str] = ()) -> pd.DataFrame:
    """How far apart layers are, and the anchors. Measured by `studies.inside.layer_shapes.measure`."""
    return measure(model_id, plan, accept_terms=accept_terms)


def distances(points: Float[np.ndarray, "point dim"], metric: Metric = "cosine") -> Distances:
    """All distances, over their mean. ValueError for points that are all the same, not finite or, with "cosine", 0."""
    between = pdist(points.astype(float), metric)
    if not between.max() > 1e-12:  # 1 - cos of equal points is a rounding away from 0; without a direction it is NaN
        raise ValueError(f"{len(points)} points that are all the same, or have no direction, have no geometry")
    return squareform(np.maximum(between, 0) / between.mean())


def gromov_wasserstein(
    first: Distances, second: Others, *, starts: int = 4, matched: bool = True, seed: int = 0
) -> tuple[float, float]:
    """A lower bound on the distance between two sets of as many points, all of equal weight, and the best local optimum
    of a search, which is an upper bound.

    Unless `matched`, the search does not begin where point i is matched with point i.
    """
    from ot.gromov import gromov_wasserstein as descend

    low, order = _lower_bound(first, second)
    number = len(first)
    random = np.random.default_rng(seed)
    couplings = [np.full((number, number), 1 / number), np.eye(number)[order]] + [np.eye(number)] * matched
    for _ in range(starts):
        couplings.append(sum(np.eye(number)[random.permutation(number)] for _ in range(MIXED)) / MIXED)
    weights, optima = np.full(number, 1 / number), []
    for coupling in couplings:
        options = {"symmetric": True, "G0": coupling / number, "max_iter": 1000}
        optima.append(_value(first, second, descend(first, second, weights, weights, "square_loss", **options)))
    return low, max(low, min(optima))


def _lower_bound(first: Distances, second: Others) -> tuple[float, np.ndarray]:
    """Mémoli's third lower bound, and for each point of the first set the point of the second that it is matched with.

    Whatever the coupling, the distances from i are coupled with those from j, at the least cost in sorted order.
    """
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
    """The comparisons within one group of texts, and with the next one: one value a row."""
    random = np.random.default_rng([plan.seed, number])
    width = groups[number].shape[-1]
    geometries = [distances(points, plan.metric) for points in groups[number]]
    elsewhere = [distances(points, plan.metric) for points in groups[(number + 1) % len(groups)]]
    cloud, another = (distances(random.standard_normal((plan.points, width)), plan.metric) for _ in range(2))
    order = random.permutation(plan.points)
    pairs = combinations(zip(layers, geometries, strict=True), 2)
    compared = [(layer, other, "layer", first, second) for (layer, first), (other, second) in pairs]
    for layer, shape, other_texts in zip(layers, geometries, elsewhere, strict=True):
        compared.append((layer, None, "permuted", shape, shape[np.ix_(order, order)]))
        compared.append((layer, None, "other texts", shape, other_texts))
        compared.append((layer, None, "random points", shape, cloud))
    compared.append((None, None, "random points", cloud, another))
    for layer, other, against, first, second in compared:
        same = against == "layer"
        low, best = gromov_wasserstein(first, second, starts=plan.starts, matched=same, seed=plan.seed)
        values = {"gromov_wasserstein": best, "lower_bound": low}
        values |= {"matched": _value(first, second, np.eye(plan.points) / plan.points)} if same else {}
        for name, value in values.items():
            yield {"layer": layer, "other": other, "against": against, "quantity": name, "value": value}
