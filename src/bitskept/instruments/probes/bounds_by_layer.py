"""From the scores of a probe on test tokens to numbers with intervals: bounds by layer, a certificate, and which
tokens are forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, Shaped

from bitskept.instruments.probes.law import Scores
from bitskept.instruments.probes.layer_contrasts import contrast_rows
from bitskept.instruments.probes.readings import View
from bitskept.theory import bounds
from bitskept.theory.intervals import Ends, ratio_interval, share_interval

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

    @classmethod
    def stacked(cls, outcomes: Sequence[Outcome]) -> Outcome:
        """The outcomes of the same items at different layers."""
        layers = sum((outcome.layers for outcome in outcomes), ())
        parts = (np.concatenate([getattr(outcome, name) for outcome in outcomes]) for name in ("correct", "surprisal"))
        return cls(layers, *parts, outcomes[0].types, outcomes[0].sentences)


def by_sentence(values: Shaped[np.ndarray, "*quantities item"], sentences: Int[np.ndarray, " item"]) -> np.ndarray:
    """Sums of the values within each sentence [*quantities, sentence]."""
    _, place = np.unique(sentences, return_inverse=True)
    sums = np.zeros((*values.shape[:-1], place.max() + 1))
    np.add.at(sums, (..., place), values)
    return sums


def bound_rows(
    outcome: Outcome,
    counts: Int[np.ndarray, " type"],
    *,
    prior: Float[np.ndarray, " type"],
    chosen_on: Outcome | None = None,
    left_open: Float[np.ndarray, " item"] | None = None,
    characters: Int[np.ndarray, " sentence"] | None = None,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Error, cross-entropy, both bounds on I(X;Z) and their shares of H(X), usable bits and their share, by layer; then
    the contrasts between layers (`layer_contrasts`), the peak being chosen on the items of `chosen_on`.

    `counts` are those of all sentences. H(X) is the mean over the test items of -log2 of their share in `counts`: the
    plug-in entropy of all sentences. It is biased low, so the bounds remain bounds, and it is paired with the test
    items, so that it varies with the cross-entropy. Intervals: 95 %, over sentences, of which there are `n`
    (`theory.intervals`). That of Fano's bound adds the squares of what the errors and H(X) each contribute, as if
    they were independent; rare tokens are missed more often, so it is too wide rather than too narrow.

    `usable` is the information that this probe, fitted on this much text, can use (Xu et al. 2020, arXiv 2002.10689):
    the cross-entropy of the `prior`, the smoothed shares of the types in training, minus the probe's. It is negative
    where the probe does worse than the prior. Its share is that of the prior's cross-entropy minus the bits that are
    `left_open` even by the whole sentence. With the number of `characters` of each sentence, by its number, the usable
    bits per character as well.
    """
    layers = len(outcome.layers)
    surprisal, expected = -np.log2((counts / counts.sum())[outcome.types]), -np.log2(prior[outcome.types])
    known = expected - (0 if left_open is None else left_open)
    by_item = np.vstack([~outcome.correct, outcome.surprisal, surprisal[None], expected[None], known[None]])
    sums = by_sentence(by_item, outcome.sentences)
    sizes = by_sentence(np.ones(len(outcome.types)), outcome.sentences)
    wrong, costs, (weights, guessed, room) = sums[:layers], sums[layers:-3], sums[-3:]
    saved, gained, tokens = weights - costs, guessed - costs, sizes.sum()
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
    # The bits that are left open may exceed those of a sentence's own items, so they cannot be its size: the share is
    # linearised around its estimate.
    shares = gained.sum(1) / room.sum()
    linear = shares[:, None] * sizes + (gained - shares[:, None] * room) * tokens / room.sum()
    for quantity, unit, estimates, ends in (
        ("usable", BITS, gained.sum(1) / tokens, ratio_interval(gained, sizes, seed=seed)),
        ("usable_share", "share of usable bits", shares, ratio_interval(linear, sizes, seed=seed)),
    ):
        yield from _layer_rows(outcome.layers, estimates, *ends, {"quantity": quantity, "unit": unit} | sample)
    if characters is not None:
        length = characters[np.unique(outcome.sentences)]
        bits = [gained.sum(1) / length.sum(), *ratio_interval(gained, length, seed=seed)]
        facts = {"quantity": "bits_per_character", "unit": "bits per character"} | sample
        yield from _layer_rows(outcome.layers, *bits, facts)
    other_costs = None if chosen_on is None else chosen_on.surprisal.mean(axis=1)
    for row in contrast_rows(outcome.layers, saved, sizes, other_costs=other_costs, seed=seed):
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


def word_rows(
    outcome: Outcome,
    inside: Bool[np.ndarray, " item"],
    counts: Int[np.ndarray, " type"],
    *,
    prior: Float[np.ndarray, " type"],
    seed: int,
) -> Iterator[dict[str, Any]]:
    """`entropy` and `usable` of `bound_rows` for the items `inside` the group of words that are one token for all
    compared models. The alphabet and the laws are those of all items.
    """
    items = (outcome.correct[:, inside], outcome.surprisal[:, inside], outcome.types[inside], outcome.sentences[inside])
    for row in bound_rows(Outcome(outcome.layers, *items), counts, prior=prior, seed=seed):
        if row["quantity"] in ("entropy", "usable"):
            yield row | {"group": "one token for all models: yes"}


def prior_bits(table: pd.DataFrame) -> pd.Series:
    """The mean cost in bits of a test token by the frequencies of the training sentences alone, by model: a probe's
    cross-entropy plus what it makes usable, the same at every layer. From tables of `sweep.measure` with one number of
    training sentences and no shuffled targets.
    """
    rows = table[(table["reading"] == "token") & (table["probe"] == "centroid") & table["group"].isna()]
    bits = rows[rows["quantity"].isin(["cross_entropy", "usable"])]
    return bits.groupby(["model", "layer"], sort=False)["estimate"].sum().groupby("model", sort=False).first()
