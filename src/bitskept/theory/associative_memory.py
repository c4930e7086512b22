"""Attention as a memory: the energy of the modern Hopfield network, how many patterns one step retrieves, and how many
labels a perceptron can learn.

The energy is E(q) = -(1/b) ln sum_j exp(b q·k_j) + |q|²/2, up to a constant. A step takes the query q to
q' = sum_j k_j softmax_j(b q·k_j), which is attention with the keys as values (Ramsauer et al. 2021). The first term, F,
is often called the energy itself; it is concave with the gradient -q'. For all keys, queries and b > 0, trained or not:

- E(q) - E(q') ≥ |q - q'|²/2, because the tangent of F at q lies nowhere below F. So a step always lowers E.
- F(q + c q') ≤ F(q) - c |q'|² for every c ≥ 0, and F(c q') ≤ F(q) for c = |q|/|q'|, for the same reason. So a step
  that is *added* to the query, as in a residual stream, always lowers F, and so does a step on the sphere |q| = const.
- F(q') ≤ F(q) need not hold: with one key k and q = 2k, F rises from -2|k|² to -|k|². F has no minimum, and q' is
  shorter than a long query, so a step that lowers E may raise F.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Num
from scipy.optimize import linprog
from scipy.special import gammaln, hyp0f1, ive, logsumexp, softmax
from scipy.stats import binom, binomtest, t

from bitskept.theory.checks import above, at_least, valid
from bitskept.theory.intervals import share_interval

Vectors = Float[np.ndarray, "*batch query dim"]
Keys = Float[np.ndarray, "*#batch key dim"]
Law = Float[np.ndarray, "*batch query key"]
Visible = Bool[np.ndarray, "*#batch query key"] | None

HALF = 0.5
"""A step retrieves a pattern if more than this share of its weight is on it: more than on all others together."""
MARGIN = 1e-9
"""A margin below this is a rounding error of the linear program."""


def attention(queries: Vectors, keys: Keys, scale: float, visible: Visible = None) -> Law:
    """softmax_j(b q·k_j) [*batch, query, key] over the keys that a query sees (default: all). The step is the result
    times the keys. ValueError for a scale that is not positive, and for a query that sees no key.
    """
    return softmax(_scores(queries, keys, scale, visible), axis=-1)


def energy(
    queries: Vectors, keys: Keys, scale: float, visible: Visible = None, *, quadratic: bool = True
) -> Float[np.ndarray, "*batch query"]:
    """E(q) of each query, or F(q) unless `quadratic`; times b it is in nats. ValueError as `attention`."""
    short = -logsumexp(_scores(queries, keys, scale, visible), axis=-1) / scale
    return short + (queries**2).sum(-1) / 2 if quadratic else short


def _scores(queries: Vectors, keys: Keys, scale: float, visible: Visible) -> Law:
    above("scale", scale, 0)
    scores = scale * queries @ np.swapaxes(keys, -1, -2)
    if visible is None:
        return scores
    if not visible.any(-1).all():
        raise ValueError("each query must see at least one key, but one sees none.")
    return np.where(visible, scores, -np.inf)


def retrieval(
    dimensions: Sequence[int],
    stored: Sequence[int],
    *,
    scale: float | None,
    noise: float = 0.0,
    queries: int = 20,
    seeds: Sequence[int],
) -> dict[str, np.ndarray]:
    """How many random patterns on the sphere of radius sqrt(d) one step retrieves, as the columns of a table.

    A query is a pattern plus Gaussian noise of deviation `noise` per coordinate. `scale` is b; None is that of
    attention, 1/sqrt(d). With a fixed b the capacity is exponential in d, with that of attention in sqrt(d).

    Columns: dimension, stored, quantity, estimate, low and high (95 % over seeds), expected, n (seeds). `quantity`
    "retrieved" is the share of queries that are brought back to their pattern among `stored` ones. "capacity" is the
    number of patterns at which half of the queries are lost (NaN if more than were tried; stored is NaN), and
    `expected` the theoretical value. ValueError for numbers below 1 (dimensions: 2), a negative noise, and a scale that
    is not positive.
    """
    if min(dimensions, default=0) < 2 or min(stored, default=0) < 1 or queries < 1 or not len(seeds):
        raise ValueError("give dimensions of 2 or more, numbers of patterns of 1 or more, a query and a seed at least.")
    at_least("noise", noise, 0)
    rows, most = [], max(stored)
    for dim in dimensions:
        b = 1 / np.sqrt(dim) if scale is None else scale
        held = np.array([_held(dim, most, b, noise, queries, np.random.default_rng([seed, dim])) for seed in seeds])
        for number in sorted(stored):
            ends = share_interval((held >= number).sum(1), np.full(len(seeds), queries))
            rows.append((dim, float(number), "retrieved", (held >= number).mean(), *ends, np.nan, len(seeds)))
        # A query is lost at the first pattern with which it is not retrieved; `most` means that it was never lost.
        halves = np.median(held), *_median_ends(held)
        halves = [float(value) if value < most else np.nan for value in halves]
        rows.append((dim, np.nan, "capacity", *halves, expected_capacity(dim, b, noise), len(seeds)))
    return _columns("dimension stored quantity estimate low high expected n", rows)


def _median_ends(held: Num[np.ndarray, "seed query"]) -> tuple[float, float]:
    """The interval of the median over all queries: Student's, for the logarithms of the seeds' own medians. NaN where
    there is one seed, or where these medians are all the same.
    """
    logs = np.log2(np.maximum(np.median(held, axis=1), 0.5))
    if np.ptp(logs) == 0:
        return np.nan, np.nan
    reach = t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs))
    middle = max(float(np.median(held)), 0.5)
    return middle / 2**reach, middle * 2**reach


def _held(
    dim: int, most: int, scale: float, noise: float, queries: int, rng: np.random.Generator
) -> Num[np.ndarray, " {queries}"]:
    """For each query, the number of stored patterns up to which a step retrieves its pattern: the weight of the others
    can only grow.
    """
    patterns = rng.standard_normal((most, dim))
    patterns *= np.sqrt(dim) / np.linalg.norm(patterns, axis=1, keepdims=True)
    sought = rng.permutation(most)[np.arange(queries) % most]
    noisy = patterns[sought] + noise * rng.standard_normal((queries, dim))
    held = np.empty(queries, int)
    for place, scores in enumerate(scale * noisy @ patterns.T):
        # The pattern of the query is stored first, and then those that follow it.
        scores = np.roll(scores, -sought[place])
        shares = 1 / np.cumsum(np.exp(np.minimum(scores - scores[0], 700)))
        held[place] = np.argmax(shares <= HALF) or most
    return held


def expected_capacity(dimension: int, scale: float, noise: float = 0.0) -> float:
    """The number of random patterns at which the others together are expected to weigh as much as the right one:
    1 + exp(b d) / E exp(b q·k), with |q| = sqrt(d (1 + noise²)) and k uniform on the sphere of radius sqrt(d).

    This is the annealed value of a random energy model (Lucibello and Mézard 2024, arXiv 2304.14964, have the exact
    thresholds). The mean is above the median, so a typical query does better, up to a factor. ValueError for a
    dimension below 2, a scale that is not positive, or a negative noise.
    """
    at_least("dimension", dimension, 2)
    above("scale", scale, 0)
    at_least("noise", noise, 0)
    order, x = dimension / 2 - 1, scale * dimension * np.sqrt(1 + noise**2)
    # E exp(x t), t the height on the unit sphere, is Gamma(d/2) (2/x)^order I_order(x) = 0F1(d/2; x²/4). The first form
    # underflows if x is small, the second overflows if it is large.
    if x < 500:
        log_mean = np.log(hyp0f1(dimension / 2, x**2 / 4))
    else:
        log_mean = gammaln(dimension / 2) + order * np.log(2 / x) + np.log(ive(order, x)) + x
    with np.errstate(over="ignore"):
        return float(1 + np.exp(scale * dimension - log_mean))


def separable(points: Num[np.ndarray, "point dim"], labels: Num[np.ndarray, " point"]) -> bool:
    """Whether a perceptron without a threshold can learn the labels, 1 or -1: whether some w has y_i w·x_i > 0 for all
    points. ValueError for other labels.
    """
    valid("labels", labels, "1 or -1", lambda v: abs(v) == 1)
    # The largest margin t with y_i w·x_i ≥ t for weights w in a cube: a linear program that always has a solution.
    signed, goal = np.column_stack([-labels[:, None] * points, np.ones(len(points))]), np.zeros(points.shape[1] + 1)
    goal[-1] = -1
    found = linprog(goal, signed, np.zeros(len(points)), bounds=(-1, 1), method="highs")
    if found.status:
        raise RuntimeError(f"the linear program ended without a solution: {found.message}")
    return bool(found.x[-1] > MARGIN)


def cover(points: int, dimension: int) -> float:
    """The share of the labellings of P points in general position in d dimensions that a perceptron can learn:
    2^(1-P) sum_{k<d} C(P-1, k) (Cover 1965).

    It falls through 1/2 at P = 2d, more steeply for larger d: a capacity of 2 per weight, which Gardner (1988)
    finds for random points. ValueError for numbers below 1.
    """
    at_least("points", points, 1)
    at_least("dimension", dimension, 1)
    return float(binom.cdf(dimension - 1, points - 1, 0.5))


def perceptron(dimensions: Sequence[int], loads: Sequence[float], *, trials: int, seed: int) -> dict[str, np.ndarray]:
    """How many random labellings of random points a perceptron can learn, as the columns of a table: dimension (its
    weights), load (points per weight), points, quantity ("learnt"), estimate (a share), low and high (95 %,
    Clopper-Pearson), expected (`cover`), n (trials). ValueError for numbers below 1, and loads that give no point.
    """
    rng, rows = np.random.default_rng(seed), []
    at_least("trials", trials, 1)
    for dim in dimensions:
        for load in loads:
            number = round(load * dim)
            expected = cover(number, dim)
            learnt = sum(
                separable(rng.standard_normal((number, dim)), rng.choice([-1.0, 1.0], number)) for _ in range(trials)
            )
            ends = binomtest(learnt, trials).proportion_ci(0.95)
            rows.append((dim, number / dim, number, "learnt", learnt / trials, ends.low, ends.high, expected, trials))
    return _columns("dimension load points quantity estimate low high expected n", rows)


def _columns(names: str, rows: list[tuple]) -> dict[str, np.ndarray]:
    return dict(zip(names.split(), map(np.array, zip(*rows, strict=True)), strict=True))
