"""Attention as a memory: the energy of the modern Hopfield network, how many patterns one step retrieves, and how many
labels a perceptron can learn by heart.

E(q) = -(1/b) ln sum_j exp(b q·k_j) + |q|²/2, up to a constant, and the step q' = sum_j k_j softmax_j(b q·k_j), which is
attention with the keys as values (Ramsauer et al. 2021). The first term, F, is often given alone as the energy; it is
concave with gradient -q'. What holds of either, for all keys, queries and b > 0, with no word on training:

- E(q) - E(q') ≥ |q - q'|²/2, as the line that touches F at q lies nowhere below it. So a step always lowers E.
- F(q + c q') ≤ F(q) - c |q'|² for every c ≥ 0, and F(c q') ≤ F(q) for c = |q|/|q'|, likewise: a step *added* to the
  query, as in a residual stream, or taken on the sphere |q| = const, always lowers F.
- F(q') ≤ F(q) is not always so. With one key k and q = 2k it fails: F rises from -2|k|² to -|k|². F has no minimum, and
  q' is shorter than a long query, so what lowers E may raise F.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Num
from scipy.optimize import linprog
from scipy.special import gammaln, hyp0f1, ive, logsumexp, softmax
from scipy.stats import binom, binomtest

from bitskept.theory.statistics import interval

Vectors = Float[np.ndarray, "*batch query dim"]
Keys = Float[np.ndarray, "*#batch key dim"]
Law = Float[np.ndarray, "*batch query key"]
Visible = Bool[np.ndarray, "*#batch query key"] | None

HALF = 0.5
"""A step retrieves a pattern when more than this share of its weight is on it, as much as on all others together."""
MARGIN = 1e-9
"""A margin below this is the rounding of a linear program, not a margin."""


class Retrieval(NamedTuple):
    """A table by columns, for `pandas.DataFrame(table._asdict())`, with 95 % intervals over seeds.

    `quantity` "retrieved" is the share of queries that one step brings back to their pattern among `stored` ones;
    "capacity" (`stored` is NaN) the number at which half of the queries are lost, NaN where that is more than was
    tried; `expected` is what theory has for the capacity, NaN elsewhere. `n` counts queries.
    """

    dimension: np.ndarray
    stored: np.ndarray
    quantity: np.ndarray
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    expected: np.ndarray
    n: np.ndarray


class Dichotomies(NamedTuple):
    """A table by columns, as `Retrieval`: the share of random labellings of `points` random points that a perceptron of
    `dimension` weights can learn, with a 95 % interval (Clopper-Pearson), beside Cover's `expected` one. `load` is
    points a weight.
    """

    dimension: np.ndarray
    load: np.ndarray
    points: np.ndarray
    quantity: np.ndarray
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    expected: np.ndarray
    n: np.ndarray


def attention(queries: Vectors, keys: Keys, scale: float, visible: Visible = None) -> Law:
    """softmax_j(b q·k_j) [*batch, query, key] over the keys that a query sees (default: all).

    Raises ValueError for a scale that is not positive, and for a query that sees no key.
    """
    return softmax(_scores(queries, keys, scale, visible), axis=-1)


def step(queries: Vectors, keys: Keys, scale: float, visible: Visible = None) -> Vectors:
    """q' = sum_j k_j softmax_j(b q·k_j) for each query [*batch, query, dim]. ValueError as `attention`."""
    return attention(queries, keys, scale, visible) @ keys


def energy(
    queries: Vectors, keys: Keys, scale: float, visible: Visible = None, *, quadratic: bool = True
) -> Float[np.ndarray, "*batch query"]:
    """E(q), or F(q) unless `quadratic`, for each query [*batch, query]; times b it is in nats. ValueError as
    `attention`.
    """
    short = -logsumexp(_scores(queries, keys, scale, visible), axis=-1) / scale
    return short + (queries**2).sum(-1) / 2 if quadratic else short


def retrieval(
    dimensions: Sequence[int],
    stored: Sequence[int],
    *,
    scale: float | None,
    noise: float = 0.0,
    queries: int = 20,
    seeds: Sequence[int],
) -> Retrieval:
    """What one step retrieves of random patterns on the sphere of radius sqrt(d), by their number: the queries of which
    more than half of the weight is on their own pattern.

    A query is a pattern plus Gaussian noise of deviation `noise` a coordinate; `scale` is b, None that of attention,
    1/sqrt(d). With a fixed b the capacity is exponential in d, with that of attention in sqrt(d). Either way a memory
    of N patterns is N d numbers: it grows a key at a time, and never holds more than one pattern a key. Raises
    ValueError for numbers below 1 (dimensions: 2), a negative noise, and a scale that is not positive.
    """
    if min(dimensions, default=0) < 2 or min(stored, default=0) < 1 or queries < 1 or not len(seeds):
        raise ValueError("give dimensions of 2 or more, numbers of patterns of 1 or more, a query and a seed at least.")
    if not noise >= 0:
        raise ValueError(f"noise must be at least 0, but is {noise}.")
    rows, most = [], max(stored)
    drawn = np.random.default_rng(0).integers(len(seeds), size=(1000, len(seeds)))
    for dim in dimensions:
        b = 1 / np.sqrt(dim) if scale is None else scale
        held = np.array([_held(dim, most, b, noise, queries, np.random.default_rng([seed, dim])) for seed in seeds])
        again = held[drawn].reshape(len(drawn), -1)
        for number in sorted(stored):
            ends = interval((again >= number).mean(1))
            rows.append((dim, float(number), "retrieved", (held >= number).mean(), *ends, np.nan, held.size))
        # Half are lost at the next pattern; what was never lost has no number.
        halves = [
            float(value) if value < most else np.nan for value in (np.median(held), *interval(np.median(again, 1)))
        ]
        rows.append((dim, np.nan, "capacity", *halves, expected_capacity(dim, b, noise), held.size))
    return Retrieval(*map(np.array, zip(*rows, strict=True)))


def expected_capacity(dimension: int, scale: float, noise: float = 0.0) -> float:
    """The number of random patterns of which the others are expected to weigh as much as the right one: 1 + exp(b d) /
    E exp(b q·k), where |q| = sqrt(d (1 + noise²)) and k is uniform on the sphere of radius sqrt(d).

    Exponential in d: of a random energy model it is the annealed value (Lucibello and Mézard 2024, arXiv 2304.14964,
    have the exact thresholds). The mean is above the median, so up to a factor a typical query does better. Raises
    ValueError for a dimension below 2, a scale that is not positive, or a negative noise.
    """
    if dimension < 2 or not scale > 0 or not noise >= 0:
        raise ValueError(f"dimension, scale, noise must be at least 2, above 0, 0, not {dimension}, {scale}, {noise}.")
    order, x = dimension / 2 - 1, scale * dimension * np.sqrt(1 + noise**2)
    # E exp(x t), t the height on the unit sphere, is Gamma(d/2) (2/x)^order I_order(x) = 0F1(d/2; x²/4). The former
    # underflows where x is small, the latter overflows where it is large.
    if x < 500:
        log_mean = np.log(hyp0f1(dimension / 2, x**2 / 4))
    else:
        log_mean = gammaln(dimension / 2) + order * np.log(2 / x) + np.log(ive(order, x)) + x
    with np.errstate(over="ignore"):
        return float(1 + np.exp(scale * dimension - log_mean))


def separable(points: Num[np.ndarray, "point dim"], labels: Num[np.ndarray, " point"]) -> bool:
    """Whether some w has y_i w·x_i > 0 for all points: whether a perceptron without a threshold can learn the labels,
    which are 1 or -1. By a linear program. Raises ValueError for other labels.
    """
    if not np.isin(labels, (-1, 1)).all():
        raise ValueError(f"labels must be 1 or -1, but one is {labels[~np.isin(labels, (-1, 1))][0]}.")
    signed = -labels[:, None] * points
    # The largest margin t of weights in a cube, y_i w·x_i ≥ t: a program that always has an answer.
    signed, goal = np.column_stack([signed, np.ones(len(points))]), np.zeros(points.shape[1] + 1)
    goal[-1] = -1
    found = linprog(goal, signed, np.zeros(len(points)), bounds=(-1, 1), method="highs")
    if found.status:
        raise RuntimeError(f"the linear program ended without an answer: {found.message}")
    return bool(found.x[-1] > MARGIN)


def cover(points: int, dimension: int) -> float:
    """The share of the labellings of P points in general position in d dimensions that a perceptron can learn: 2^(1-P)
    sum_{k<d} C(P-1, k) (Cover 1965). It is 1/2 at P = 2d, ever more steeply: the capacity of 2 a weight, which Gardner
    (1988) has for random points. Raises ValueError for numbers below 1.
    """
    if points < 1 or dimension < 1:
        raise ValueError(f"points and dimension must be at least 1, but are {points} and {dimension}.")
    return float(binom.cdf(dimension - 1, points - 1, 0.5))


def perceptron(dimensions: Sequence[int], loads: Sequence[float], *, trials: int, seed: int) -> Dichotomies:
    """How many random labellings of random points a perceptron can learn, next to Cover's count. A load is points a
    weight. Raises ValueError for dimensions or trials below 1, and loads that give no point.
    """
    rng, rows = np.random.default_rng(seed), []
    if trials < 1:
        raise ValueError(f"trials must be at least 1, but is {trials}.")
    for dim in dimensions:
        for load in loads:
            number = round(load * dim)
            expected = cover(number, dim)
            learnt = sum(
                separable(rng.standard_normal((number, dim)), rng.choice([-1.0, 1.0], number)) for _ in range(trials)
            )
            ends = binomtest(learnt, trials).proportion_ci(0.95)
            rows.append((dim, number / dim, number, "learnt", learnt / trials, ends.low, ends.high, expected, trials))
    return Dichotomies(*map(np.array, zip(*rows, strict=True)))


def _scores(queries: Vectors, keys: Keys, scale: float, visible: Visible) -> Law:
    if not 0 < scale < np.inf:
        raise ValueError(f"scale must be above 0 and finite, but is {scale}.")
    scores = scale * queries @ np.swapaxes(keys, -1, -2)
    if visible is None:
        return scores
    if not visible.any(-1).all():
        raise ValueError("each query must see a key at least, but one sees none.")
    return np.where(visible, scores, -np.inf)


def _held(
    dim: int, most: int, scale: float, noise: float, queries: int, rng: np.random.Generator
) -> Num[np.ndarray, " {queries}"]:
    """For each query the number of stored patterns up to which a step retrieves its own; the weight of the others only
    grows with their number.
    """
    others = rng.standard_normal((most, dim))
    others *= np.sqrt(dim) / np.linalg.norm(others, axis=1, keepdims=True)
    own = rng.permutation(most)[np.arange(queries) % most]
    noisy = others[own] + noise * rng.standard_normal((queries, dim))
    held = np.empty(queries, int)
    for place, scores in enumerate(scale * noisy @ others.T):
        # Its own pattern is stored first, the others follow from there on.
        scores = np.roll(scores, -own[place])
        shares = 1 / np.cumsum(np.exp(np.minimum(scores - scores[0], 700)))
        held[place] = np.argmax(shares <= HALF) or most
    return held
