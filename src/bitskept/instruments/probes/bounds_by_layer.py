"""From the scores of a probe on test tokens to numbers with intervals: bounds by layer, the shape of their curve, a
certificate, and which tokens are forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Shaped

from bitskept.instruments.probes.law import Scores
from bitskept.instruments.probes.readings import View
from bitskept.theory import bounds
from bitskept.theory.intervals import Ends, ratio_interval, share_interval, widened
from bitskept.theory.statistics import cluster_bootstrap, percentiles

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
    items, so that it varies with the cross-entropy. Intervals: 95 %, over sentences, of which there are `n`
    (`theory.intervals`). That of Fano's bound adds the squares of what the errors and H(X) each contribute, as if
    they were independent; rare tokens are missed more often, so it is too wide rather than too narrow.
    """
    layers = len(outcome.layers)
    surprisal = -np.log2((counts / counts.sum())[outcome.types])
    sums = by_sentence(np.vstack([~outcome.correct, outcome.surprisal, surprisal[None]]), outcome.sentences)
    sizes = by_sentence(np.ones(len(outcome.types)), outcome.sentences)
    wrong, costs, weights = sums[:layers], sums[layers:-1], sums[-1]
    saved, tokens = weights - costs, sizes.sum()
    sample = {"n": len(sizes), "tokens": int(tokens)}
    entropy, error, information = weights.sum() / tokens, wrong.sum(1) / tokens, saved.sum(1) / tokens
    entropies, errors = ratio_interval(weights, sizes, seed=seed), share_interval(wrong, sizes)

    def fano(entropy: float, error: Float[np.ndarray, " layer"]) -> Float[np.ndarray, " layer"]:
        return bounds.fano(entropy, error, len(counts))

    def retained(entropy: float, error: Float[np.ndarray, " layer"]) -> Float[np.ndarray, " layer"]:
        return fano(entropy, error) / entropy

    low, high = entropies
    yield {"quantity": "entropy", "estimate": entropy, "low": low, "high": high, "unit": BITS} | sample
    # Beyond 1 - 1/|A| a limit on the error says nothing: see `bounds.certificate`.
    at = (entropy, entropies), (error, (errors[0], np.minimum(errors[1], 1 - 1 / len(counts))))
    share = "share of H(X)"
    for quantity, unit, estimates, (lows, highs) in (
        ("error", SHARE, error, errors),
        ("cross_entropy", BITS, costs.sum(1) / tokens, ratio_interval(costs, sizes, seed=seed)),
        ("fano_bound", BITS, fano(entropy, error), _fano_ends(fano, *at)),
        ("cross_entropy_bound", BITS, information, ratio_interval(saved, sizes, seed=seed)),
        ("retained_fano", share, retained(entropy, error), _fano_ends(retained, *at)),
        ("retained_cross_entropy", share, information / entropy, ratio_interval(saved, weights, seed=seed)),
    ):
        facts = {"quantity": quantity, "unit": unit} | sample
        # No information is negative, although the estimate of a bound on it may be.
        yield from _layer_rows(outcome.layers, *np.maximum(0, [estimates, lows, highs]), facts)
    if layers > 2:
        replicates = cluster_bootstrap(saved, sizes, replicates=REPLICATES, seed=seed)
        wide = widened(replicates, information, len(sizes))
        for row in _shape_rows(*(np.maximum(0, bits) for bits in (information, replicates, wide))):
            yield row | {"unit": BITS} | sample


def _fano_ends(
    bound: Callable[[float, Float[np.ndarray, " layer"]], Float[np.ndarray, " layer"]],
    entropy: tuple[float, Ends],
    error: tuple[Float[np.ndarray, " layer"], Ends],
) -> Ends:
    """The interval of a bound that rises with H(X) and falls with the error, from their estimates and intervals.

    What either end of either interval does to the bound, squared and added (Zou and Donner 2008).
    """
    (h, (least, most)), (pe, (fewest, worst)) = entropy, error
    value = bound(h, pe)
    if np.isnan([least, most, *fewest, *worst]).any():
        return np.full_like(value, np.nan), np.full_like(value, np.nan)
    down = np.hypot(np.maximum(0, value - bound(least, pe)), np.maximum(0, value - bound(h, worst)))
    up = np.hypot(np.maximum(0, bound(most, pe) - value), np.maximum(0, bound(h, fewest) - value))
    return value - down, value + up


def _layer_rows(
    layers: Sequence[int], estimates: np.ndarray, lows: np.ndarray, highs: np.ndarray, facts: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    for layer, estimate, low, high in zip(layers, estimates, lows, highs, strict=True):
        yield facts | {"layer": layer, "estimate": estimate, "low": low, "high": high}


def _shape_rows(
    curve: Float[np.ndarray, " layer"],
    replicates: Float[np.ndarray, "replicate layer"],
    wide: Float[np.ndarray, "replicate layer"],
) -> Iterator[dict[str, Any]]:
    """Forgetting, late forgetting (over the second half of the layers) and rise of the cross-entropy bound.

    All three are maxima over layers, which noise alone makes positive. The estimate is therefore reduced by its
    bootstrap bias (Efron and Tibshirani 1993). The interval is from the `widened` replicates `wide`, NaN where they
    are. From its lower end the most that noise alone gives for a flat curve is subtracted: the 97.5 % point of
    shape(wide - curve), as shape(curve) exceeds shape(truth) by at most shape(curve - truth).
    """
    for quantity, shape in (("forgetting", _forgetting), ("late_forgetting", _late_forgetting), ("rise", _rise)):
        value, estimate = shape(curve), 2 * shape(curve) - shape(replicates).mean()
        low, _ = percentiles(shape(wide))
        _, noise = percentiles(shape(wide - curve))
        yield {"quantity": quantity, "estimate": estimate, "low": value - noise, "high": 2 * value - low}


def _forgetting(curve: Float[np.ndarray, "*replicates layer"]) -> np.ndarray | np.floating:
    return curve.max(-1) - curve[..., -1]


def _late_forgetting(curve: Float[np.ndarray, "*replicates layer"]) -> np.ndarray | np.floating:
    return curve[..., curve.shape[-1] // 2 :].max(-1) - curve[..., -1]


def _rise(curve: Float[np.ndarray, "*replicates layer"]) -> np.ndarray | np.floating:
    return (curve[..., 1:] - np.minimum.accumulate(curve, axis=-1)[..., :-1]).max(-1)


def certificate_rows(
    outcome: Outcome,
    candidates: Bool[np.ndarray, " type"],
    one_per_sentence: Int[np.ndarray, " sentence"],
    alphabet: int,
    *,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """A lower bound on the bits that each layer keeps, which holds with probability 1 - `DELTA`, from one random item
    of each test sentence, and for sentences drawn independently from the text.

    `one_per_sentence` holds one random type per sentence, for H(X); `alphabet` is a size that was fixed without
    looking at the text. `candidates` are the types that a predictor could name without looking at the test sentences:
    any other counts as missed, although the probe chose among those of the test sentences as well.
    """
    order = np.random.default_rng(seed).permutation(len(outcome.types))
    _, first = np.unique(outcome.sentences[order], return_index=True)
    taken = order[first]
    errors = (~(outcome.correct[:, taken] & candidates[outcome.types[taken]])).sum(1)
    values = bounds.certificate(errors, len(taken), alphabet, np.bincount(one_per_sentence), DELTA)
    facts = {"quantity": "certificate", "unit": BITS, "n": len(taken), "tokens": len(taken)}
    yield from _layer_rows(outcome.layers, values, values, np.full(len(values), np.nan), facts)


def group_rows(outcome: Outcome, groups: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The share of items named correctly within each group; each column of `groups` is one way to group the items. `n`
    counts the sentences with such an item, `tokens` the items.
    """
    for column in groups:
        for name in pd.unique(groups[column]):
            inside = (groups[column] == name).to_numpy()
            sums = by_sentence(outcome.correct * inside, outcome.sentences)
            sizes = by_sentence(inside.astype(float), outcome.sentences)
            facts = {"quantity": "recovered", "group": f"{column}: {name}", "unit": SHARE}
            shares, ends = sums.sum(1) / sizes.sum(), share_interval(sums, sizes)
            facts |= {"n": np.count_nonzero(sizes), "tokens": int(sizes.sum())}
            yield from _layer_rows(outcome.layers, shares, *ends, facts)
