"""From what a probe made of the test tokens to numbers with intervals: bounds by layer, what is forgotten, by which
tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Shaped

from bitskept.measure.probes import Scores
from bitskept.measure.readings import View
from bitskept.theory import bounds
from bitskept.theory.statistics import cluster_bootstrap, interval

REPLICATES = 1000
DELTA = 0.05
"""A certificate may fail with this probability, for each layer."""


@dataclass
class Outcome:
    """The scores of one probe on the test items of one reading, gathered batch by batch: a few bytes a layer and
    token."""

    layers: tuple[int, ...]
    _parts: list[tuple[np.ndarray, ...]] = field(default_factory=list)

    def add(self, view: View, scores: Scores) -> None:
        """Keep a batch's scores."""
        parts = (scores.correct, scores.surprisal, view.types, view.sentences)
        self._parts.append(tuple(part.cpu().numpy() for part in parts))

    @property
    def correct(self) -> np.ndarray:
        """Whether the guess was right [layer, item]."""
        return np.concatenate([part[0] for part in self._parts], axis=1)

    @property
    def surprisal(self) -> Float[np.ndarray, "layer item"]:
        """-log2 of the probability given to what was there, in bits."""
        return np.concatenate([part[1] for part in self._parts], axis=1).astype(float)

    @property
    def types(self) -> Int[np.ndarray, " item"]:
        """What was there: rows of the reading's alphabet."""
        return np.concatenate([part[2] for part in self._parts])

    @property
    def sentences(self) -> Int[np.ndarray, " item"]:
        """The sentence of each item."""
        return np.concatenate([part[3] for part in self._parts])


def by_sentence(values: Shaped[np.ndarray, "*quantities item"], sentences: Int[np.ndarray, " item"]) -> np.ndarray:
    """Sums of the values within each sentence [*quantities, sentence]."""
    _, place = np.unique(sentences, return_inverse=True)
    sums = np.zeros((*values.shape[:-1], place.max() + 1))
    np.add.at(sums, (..., place), values)
    return sums


def bound_rows(outcome: Outcome, counts: Int[np.ndarray, " type"], *, seed: int) -> Iterator[dict[str, Any]]:
    """Error, cross-entropy, both bounds and the retained shares by layer; forgetting, late forgetting and rise.

    `counts` are those of all sentences. H(X) is the mean over the test items of -log2 of their share in `counts`: the
    plug-in entropy of all sentences, which is biased low (so the bounds stay bounds), paired with the test items so
    that it varies with the cross-entropy. Intervals: 95 %, from whole sentences drawn anew.
    """
    layers, alphabet = len(outcome.layers), len(counts)
    share = counts / counts.sum()
    stacked = np.vstack([~outcome.correct, outcome.surprisal, -np.log2(share[outcome.types])[None]])
    sums = by_sentence(stacked, outcome.sentences)
    sizes = by_sentence(np.ones(len(outcome.types)), outcome.sentences)
    drawn = cluster_bootstrap(sums, sizes, replicates=REPLICATES, seed=seed)
    point = sums.sum(1) / sizes.sum()
    n = len(outcome.types)

    def quantities(means: Float[np.ndarray, "*replicates mean"]) -> dict[str, tuple[np.ndarray, str]]:
        error, cross_entropy, entropy = means[..., :layers], means[..., layers:-1], means[..., -1:]
        fano = bounds.fano(entropy, error.clip(0, 1), alphabet)
        information = bounds.cross_entropy_bound(entropy, cross_entropy.clip(0))
        return {
            "error": (error, "share of tokens"),
            "cross_entropy": (cross_entropy, "bits per token"),
            "fano_bound": (fano, "bits per token"),
            "cross_entropy_bound": (information, "bits per token"),
            "retained_fano": (fano / entropy, "share of H(X)"),
            "retained_cross_entropy": (information / entropy, "share of H(X)"),
        }

    low, high = interval(drawn[:, -1])
    yield {"quantity": "entropy", "estimate": point[-1], "low": low, "high": high, "unit": "bits per token", "n": n}
    estimates, replicates = quantities(point), quantities(drawn)
    for quantity, (values, unit) in estimates.items():
        lows, highs = interval(replicates[quantity][0])
        for place, layer in enumerate(outcome.layers):
            row = {"layer": layer, "quantity": quantity, "estimate": values[place], "unit": unit, "n": n}
            yield row | {"low": lows[place], "high": highs[place]}
    if layers > 2:
        yield from _shape_rows(estimates["cross_entropy_bound"][0], replicates["cross_entropy_bound"][0], n)


def _shape_rows(curve: np.ndarray, replicates: np.ndarray, n: int) -> Iterator[dict[str, Any]]:
    """Forgetting, late forgetting and rise of the cross-entropy bound.

    All three are maxima over layers, which noise alone makes positive. The estimate is less its bootstrap bias (Efron
    and Tibshirani 1993). The lower end takes off the most that noise would make of a flat curve: the 97.5 % point of
    the shape of the replicates about the curve, by which at most the observed shape exceeds the true one.
    """
    for quantity, shape in (("forgetting", _forgetting), ("late_forgetting", _late_forgetting), ("rise", _rise)):
        value, drawn = shape(curve), shape(replicates)
        low, _ = interval(drawn)
        # The most that noise alone would make of a flat curve: shape(curve) exceeds shape(truth) by no more.
        _, noise = interval(shape(replicates - curve))
        row = {"quantity": quantity, "estimate": 2 * value - drawn.mean(), "unit": "bits per token", "n": n}
        yield row | {"low": value - noise, "high": 2 * value - low}


def _forgetting(curve: np.ndarray) -> np.ndarray | np.floating:
    return curve.max(-1) - curve[..., -1]


def _late_forgetting(curve: np.ndarray) -> np.ndarray | np.floating:
    return curve[..., curve.shape[-1] // 2 :].max(-1) - curve[..., -1]


def _rise(curve: np.ndarray) -> np.ndarray | np.floating:
    return (curve[..., 1:] - np.minimum.accumulate(curve, axis=-1)[..., :-1]).max(-1)


def certificate_rows(
    outcome: Outcome, one_a_sentence: Int[np.ndarray, " sentence"], alphabet: int, *, seed: int
) -> Iterator[dict[str, Any]]:
    """The bits that each layer keeps at least, with a probability of 1 - `DELTA`: one random item of each test
    sentence.

    `one_a_sentence` holds one random type of every sentence, for H(X); `alphabet` was fixed without looking at the
    text.
    """
    order = np.random.default_rng(seed).permutation(len(outcome.types))
    _, first = np.unique(outcome.sentences[order], return_index=True)
    errors = (~outcome.correct[:, order[first]]).sum(1)
    counts = np.bincount(one_a_sentence)
    values = bounds.certificate(errors, len(first), alphabet, counts, DELTA)
    for layer, value in zip(outcome.layers, values, strict=True):
        row = {"layer": layer, "quantity": "certificate", "estimate": value, "low": value, "high": np.nan}
        yield row | {"unit": "bits per token", "n": len(first)}


def group_rows(outcome: Outcome, groups: pd.DataFrame, *, seed: int) -> Iterator[dict[str, Any]]:
    """The share of items named right within each group; each column of `groups` sorts all items into some."""
    sentences = outcome.sentences
    for column in groups:
        for name in pd.unique(groups[column]):
            inside = (groups[column] == name).to_numpy()
            sums = by_sentence(outcome.correct * inside, sentences)
            sizes = by_sentence(inside.astype(float), sentences)
            lows, highs = interval(cluster_bootstrap(sums, sizes, replicates=REPLICATES, seed=seed))
            for place, layer in enumerate(outcome.layers):
                yield {
                    "layer": layer,
                    "quantity": "recovered",
                    "group": f"{column}: {name}",
                    "estimate": sums[place].sum() / sizes.sum(),
                    "low": lows[place],
                    "high": highs[place],
                    "unit": "share of tokens",
                    "n": int(inside.sum()),
                }
