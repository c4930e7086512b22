"""The information bottleneck: how much a summary T of X can contain about Y, given how much it keeps of X, in bits.

For a joint law p(x,y) and a summary q(t|x), complexity is I(X;T) and relevance I(T;Y). The minima of
I(X;T) - beta I(T;Y) trace the curve (Tishby, Pereira and Bialek 1999). Up to a constant, each is the least value of
-sum_x p(x) log sum_t p(t) exp(-beta KL(p(y|x) || p(y|t))). Their updates (equation 28) never raise it: q(t|x) in
proportion to the terms of the inner sum, then p(t) = sum_x p(x) q(t|x) and p(y|t) = sum_x p(x|t) p(y|x).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.special import entr, xlogy

from bitskept.theory.checks import above, at_least

SINGLE = 10**6
"""Laws with at least this many cells are computed in float32: its rounding (1e-6 bits) is far below their errors."""
UPDATES = 2000
"""The most updates for a beta."""


class Curve(NamedTuple):
    """The best summary that was found for each beta (ascending): complexity and relevance in bits, and its clusters.

    At a complexity of `entropy` a summary contains all that X contains about Y, which is `information` = I(X;Y).
    """

    beta: Float[np.ndarray, " beta"]
    complexity: Float[np.ndarray, " beta"]
    relevance: Float[np.ndarray, " beta"]
    clusters: Int[np.ndarray, " beta"]
    entropy: float
    information: float


def curve(joint: Any, betas: Sequence[float | int] | Num[np.ndarray, " beta"], *, tolerance: float = 1e-7) -> Curve:
    """The curve of a joint law [x, y], dense or scipy.sparse, of probabilities or counts; it is divided by its sum.

    Betas are taken in ascending order. Each starts from the clusters of the one before and, because the updates move
    clusters but invent none, from new ones: each p(y|x), mixed with p(y) at a share of 1/(1+beta). The mixing costs x
    at most about a nat and lets others join (without it, a y that never occurs with x would keep them out for ever). A
    cluster that loses nine tenths of its weight is removed. A beta is finished when an update saves less than
    `tolerance` · beta bits; for thousands of types 1e-4 is reached quickly and is accurate enough to draw the curve.

    Every point belongs to a summary, so none lies above the true curve. Minima may be local, so nothing proves that
    none lies below it. ValueError for a joint that is not a matrix of finite numbers of at least 0 with a positive sum,
    and for betas or a tolerance that are not above 0.
    """
    betas = np.sort(above("betas", np.asarray(betas, float), 0))
    if not betas.size:
        raise ValueError("betas must hold at least one number.")
    above("tolerance", tolerance, 0)
    law, p = _conditional(joint)
    back = sparse.csr_array(law.T * p)  # p(y,x)
    y, rows = back.sum(1), sparse.csr_array(law.T).toarray()
    # A lower value means that more new clusters are tried; large laws have enough of them, and are slow.
    spared = 0.8 if p.dtype == np.float32 else 0.5
    weights, centres = np.ones(1, p.dtype), y[:, None]
    points = [(0.0, 0.0, 1), (*_point(back, p, np.eye(len(p), dtype=p.dtype)), len(p))]
    for beta in betas:
        share = p.dtype.type(1 / (1 + beta))
        centres = np.hstack([centres, (1 - share) * rows + share * y[:, None]])
        # A useful new cluster must grow from a tiny weight (Kuhn and Tucker); it may begin to grow only after moving.
        trial = np.r_[weights, p * p.dtype.type(1e-6)]
        growth = np.repeat(np.array([0, spared], p.dtype), [len(weights), len(p)])
        keep = p @ _assign(law, trial, centres, p, beta)[0] > growth * trial
        weights, centres = np.r_[weights, p][keep] / 2, centres.compress(keep, axis=1)
        least, before = weights / 10, np.inf
        for _ in range(UPDATES):
            q, bits = _assign(law, weights, centres, p, beta)
            if keep.all() and before - bits < tolerance * beta:
                break
            keep = p @ q > least
            q, least, before = q if keep.all() else q.compress(keep, axis=1), least[keep], bits
            weights, centres = p @ q, _centres(back, p, q)
        weights, centres = _merge(weights, centres)
        points.append((*_point(back, p, q), len(weights)))
    complexity, relevance, clusters = np.array(points).T
    # A point found at one beta may serve another better. With the best of all, the curve is concave.
    best = np.argmin(complexity - betas[:, None] * relevance, axis=1)
    return Curve(betas, complexity[best], relevance[best], clusters[best].astype(int), *points[1][:2])


def _conditional(joint: Any) -> tuple[sparse.csr_array, Float[np.ndarray, " x"]]:
    """p(y|x) and p(x), without outcomes of probability 0; values of x with equal p(y|x) are merged."""
    if joint.ndim != 2:
        raise ValueError(f"joint must be a matrix with a row for each x, but has the shape {joint.shape}.")
    counts = sparse.csr_array(joint, dtype=float)
    at_least("each entry of joint", counts.data, 0)
    if not counts.sum() > 0:
        raise ValueError("joint must have a positive sum, but all of it is 0.")
    counts.eliminate_zeros()
    counts = counts[counts.sum(1) > 0][:, counts.sum(0) > 0]
    rows = (counts / counts.sum(1)[:, None]).toarray()
    _, first, same = np.unique(rows.round(12), axis=0, return_index=True, return_inverse=True)
    dtype = np.float32 if rows.size >= SINGLE else float
    p = np.bincount(same.ravel(), counts.sum(1) / counts.sum())
    return sparse.csr_array(rows[first], dtype=dtype), p.astype(dtype)


def _assign(
    law: sparse.csr_array, weights: np.ndarray, centres: np.ndarray, p: np.ndarray, beta: float
) -> tuple[Float[np.ndarray, "x t"], float]:
    """q(t|x), and the Lagrangian in bits up to a constant. H(Y|X=x), a part of KL(p(y|x) || c_t), is left out because
    it is the same for all t.
    """
    with np.errstate(divide="ignore"):
        q = (law * law.dtype.type(beta)) @ np.log(centres)
    q += np.log(weights)
    most = q.max(1, keepdims=True)
    q -= most
    np.exp(q, out=q)
    total = q.sum(1, keepdims=True)
    q /= total
    return q, -float(p.astype(float) @ (most + np.log(total))[:, 0]) / np.log(2)


def _centres(back: sparse.csr_array, p: np.ndarray, q: np.ndarray) -> Float[np.ndarray, "y t"]:
    """p(y|t)."""
    centres = back @ q
    centres /= p @ q
    return centres


def _merge(weights: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Merge clusters whose difference does not show in the curve (squared Hellinger distance 1e-5)."""
    root = np.sqrt(centres)
    groups, group = connected_components(sparse.csr_array(root.T @ root > 1 - 1e-5), directed=False)
    into = sparse.csr_array((weights, (np.arange(len(weights)), group)), (len(weights), groups))
    merged = into.sum(0)
    return merged, (centres @ into) / merged


def _point(back: sparse.csr_array, p: np.ndarray, q: np.ndarray) -> tuple[float, float]:
    """I(X;T) and I(T;Y) in bits, summed in double precision."""
    weights = p.astype(float) @ q
    complexity = p.astype(float) @ xlogy(q, q).sum(1, dtype=float) - xlogy(weights, weights).sum()
    relevance = entr(back.sum(1, dtype=float)).sum() - entr(_centres(back, p, q)).sum(0, dtype=float) @ weights
    return max(0.0, float(complexity) / np.log(2)), max(0.0, float(relevance) / np.log(2))


def bigrams(sentences: Sequence[Int[np.ndarray, " _"]], types: int) -> sparse.csr_array:
    """How often each type (row) comes right before each other type (column) within a sentence.

    The `types` most frequent types come first, in the order of their frequency; all rarer types together are the last
    row and column. ValueError for fewer than one type, or if no sentence has two tokens.
    """
    longest = max(map(len, sentences), default=0)
    if types < 1 or longest < 2:
        raise ValueError(f"bigrams need a type and a sentence of two tokens, not {types} types, {longest} tokens.")
    _, inverse, counts = np.unique(np.concatenate(sentences), return_inverse=True, return_counts=True)
    rank = np.empty(len(counts), int)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    place = np.minimum(rank, types)[inverse]
    inside = np.ones(len(place) - 1, bool)
    ends = np.cumsum([len(sentence) for sentence in sentences])
    inside[ends[(ends > 0) & (ends < len(place))] - 1] = False
    size = min(len(counts), types + 1)
    pairs = place[:-1][inside], place[1:][inside]
    return sparse.coo_array((np.ones(len(pairs[0])), pairs), (size, size)).tocsr()
