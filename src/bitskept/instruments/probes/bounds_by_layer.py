"""From the scores of a probe on test tokens to numbers with intervals: bounds by layer, the shape of their curve, a
certificate, and which tokens are forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Shaped

from bitskept.instruments.probes.law import Scores
from bitskept.instruments.probes.readings import View
from bitskept.theory import bounds
from bitskept.theory.statistics import cluster_bootstrap, interval

REPLICATES = 1000
DELTA = 0.05
"""A certificate may fail with this probability, for each layer."""
BITS, SHARE = "bits per token", "share of tokens"


@dataclass(frozen=True)
class Outcome:
    """One probe's results on test items: whether its guess was right, the surprisal of the true type in bits, that
    type, and the sentence. A few bytes per layer and token.
    """

    layers: tuple[int, ...]
    correct: Bool[np.ndarray, "layer item"]
    surprisal: Float[np.ndarray, "layer item"]
    types: Int[np.ndarray, " item"]
    sentences: Int[np.ndarray, " item"]

    @classmethod
    def of_batch(cls, layers: tuple[int, ...], view: View, scores: Scores) -> Outcome:
        """The outcome of one batch."""
        parts = (scores.correct, scores.surprisal.double(), view.types, view.sentences)
        return cls(layers, *(part.cpu().numpy() for part in parts))

    @classmethod
    def joined(cls, outcomes: Sequence[Outcome]) -> Outcome:
        """The outcomes of several batches, concatenated."""
        names = ("correct", "surprisal", "types", "sentences")
        parts = ([getattr(outcome, name) for outcome in outcomes] for name in names)
        return cls(outcomes[0].layers, *(np.concatenate(part, axis=-1) for part in parts))


def by_sentence(values: Shaped[np.ndarray, "*quantities item"], sentences: Int[np.ndarray, " item"]) -> np.ndarray:
    """Sums of the values within each sentence [*quantities, sentence]."""
    _, place = np.unique(sentences, return_inverse=True)
    sums = np.zeros((*values.shape[:-1], place.max() + 1))
    np.add.at(sums, (..., place), values)
    return sums


def bound_rows(outcome: Outcome, counts: Int[np.ndarray, " type"], *, seed: int) -> Iterator[dict[str, Any]]:
    """Error, cross-entropy, both bounds on I(X;Z) and their shares of H(X) by layer; the shape of the curve.

    `counts` are those of all sentences. H(X) is the mean over the test items of -log2 of their share in `counts`: the
    plug-in entropy of all sentences. It is biased low, so the bounds remain bounds, and it is paired with the test
    items, so that it varies with the cross-entropy. Intervals: 95 %, from a bootstrap over sentences.
    """
    layers, n = len(outcome.layers), len(outcome.types)
    surprisal = -np.log2((counts / counts.sum())[outcome.types])
    sums = by_sentence(np.vstack([~outcome.correct, outcome.surprisal, surprisal[None]]), outcome.sentences)
    sizes = by_sentence(np.ones(n), outcome.sentences)
    means, drawn = sums.sum(1) / sizes.sum(), cluster_bootstrap(sums, sizes, replicates=REPLICATES, seed=seed)

    def quantities(means: Float[np.ndarray, "*replicates mean"]) -> dict[str, tuple[np.ndarray, str]]:
        error, cross_entropy, entropy = means[..., :layers], means[..., layers:-1], means[..., -1:]
        fano = bounds.fano(entropy, error.clip(0, 1), len(counts))
        information = bounds.cross_entropy_bound(entropy, cross_entropy.clip(0))
        return {
            "error": (error, SHARE),
            "cross_entropy": (cross_entropy, BITS),
            "fano_bound": (fano, BITS),
            "cross_entropy_bound": (information, BITS),
            "retained_fano": (fano / entropy, "share of H(X)"),
            "retained_cross_entropy": (information / entropy, "share of H(X)"),
        }

    low, high = interval(drawn[:, -1])
    yield {"quantity": "entropy", "estimate": means[-1], "low": low, "high": high, "unit": BITS, "n": n}
    estimates, replicates = quantities(means), quantities(drawn)
    for quantity, (values, unit) in estimates.items():
        facts = {"quantity": quantity, "unit": unit, "n": n}
        yield from _layer_rows(outcome.layers, values, *interval(replicates[quantity][0]), facts)
    if layers > 2:
        for row in _shape_rows(estimates["cross_entropy_bound"][0], replicates["cross_entropy_bound"][0]):
            yield row | {"unit": BITS, "n": n}


def _layer_rows(
    layers: Sequence[int], estimates: np.ndarray, lows: np.ndarray, highs: np.ndarray, facts: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    for layer, estimate, low, high in zip(layers, estimates, lows, highs, strict=True):
        yield facts | {"layer": layer, "estimate": estimate, "low": low, "high": high}


def _shape_rows(
    curve: Float[np.ndarray, " layer"], replicates: Float[np.ndarray, "replicate layer"]
) -> Iterator[dict[str, Any]]:
    """Forgetting, late forgetting (over the second half of the layers) and rise of the cross-entropy bound.

    All three are maxima over layers, which noise alone makes positive. The estimate is therefore reduced by its
    bootstrap bias (Efron and Tibshirani 1993). From the lower end the most that noise alone gives for a flat curve is
    subtracted: the 97.5 % point of shape(replicates - curve), as shape(curve) exceeds shape(truth) by at most
    shape(curve - truth).
    """
    for quantity, shape in (("forgetting", _forgetting), ("late_forgetting", _late_forgetting), ("rise", _rise)):
        value, drawn = shape(curve), shape(replicates)
        low, _ = interval(drawn)
        _, noise = interval(shape(replicates - curve))
        estimate = 2 * value - drawn.mean()
        yield {"quantity": quantity, "estimate": estimate, "low": value - noise, "high": 2 * value - low}


def _forgetting(curve: Float[np.ndarray, "*replicates layer"]) -> np.ndarray | np.floating:
    return curve.max(-1) - curve[..., -1]


def _late_forgetting(curve: Float[np.ndarray, "*replicates layer"]) -> np.ndarray | np.floating:
    return curve[..., curve.shape[-1] // 2 :].max(-1) - curve[..., -1]


def _rise(curve: Float[np.ndarray, "*replicates layer"]) -> np.ndarray | np.floating:
    return (curve[..., 1:] - np.minimum.accumulate(curve, axis=-1)[..., :-1]).max(-1)


def certificate_rows(
    outcome: Outcome, one_per_sentence: Int[np.ndarray, " sentence"], alphabet: int, *, seed: int
) -> Iterator[dict[str, Any]]:
    """A lower bound on the bits that each layer keeps, which holds with probability 1 - `DELTA`, from one random item
    of each test sentence.

    `one_per_sentence` holds one random type per sentence, for H(X); `alphabet` is a size that was fixed without
    looking at the text.
    """
    order = np.random.default_rng(seed).permutation(len(outcome.types))
    _, first = np.unique(outcome.sentences[order], return_index=True)
    errors = (~outcome.correct[:, order[first]]).sum(1)
    values = bounds.certificate(errors, len(first), alphabet, np.bincount(one_per_sentence), DELTA)
    facts = {"quantity": "certificate", "unit": BITS, "n": len(first)}
    yield from _layer_rows(outcome.layers, values, values, np.full(len(values), np.nan), facts)


def group_rows(outcome: Outcome, groups: pd.DataFrame, *, seed: int) -> Iterator[dict[str, Any]]:
    """The share of items named correctly within each group; each column of `groups` is one way to group the items."""
    for column in groups:
        for name in pd.unique(groups[column]):
            inside = (groups[column] == name).to_numpy()
            sums = by_sentence(outcome.correct * inside, outcome.sentences)
            sizes = by_sentence(inside.astype(float), outcome.sentences)
            lows, highs = interval(cluster_bootstrap(sums, sizes, replicates=REPLICATES, seed=seed))
            facts = {"quantity": "recovered", "group": f"{column}: {name}", "unit": SHARE, "n": int(inside.sum())}
            yield from _layer_rows(outcome.layers, sums.sum(1) / sizes.sum(), lows, highs, facts)
