"""Label sets for soft information: what each position of a text is called, known before a model runs.

A place is a position among all positions of all sentences, sentence after sentence. Because labels are known
beforehand, one that occurs once never needs a row of sums, and the rows that there is memory for can be chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Shaped

from bitskept.measure.states import Encoding

ABSENT = -1
"""The label of a place that is not measured."""


@dataclass(frozen=True)
class LabelSet:
    """Labels of all places: those that occur repeatedly are 0, 1, ... from the most frequent on, `unique` stands for
    every label that occurs once, ABSENT for a place that is not measured.

    `counts` are those of the repeated labels. `row[label]` is the row in which a label's states are summed, -1 where
    memory did not suffice: the first `certain` labels have one, and of the others a random sample.
    """

    labels: Int[np.ndarray, " place"]
    counts: Int[np.ndarray, " repeated"]
    row: Int[np.ndarray, " repeated"]
    certain: int

    @property
    def unique(self) -> int:
        """The label that stands for all that occur once."""
        return len(self.counts)


@dataclass(frozen=True)
class Labels:
    """Several label sets over the same places, with the sentence of each place. `rows` counts the rows of all sets."""

    sets: Mapping[str, LabelSet]
    sentences: Int[np.ndarray, " place"]
    rows: int

    @classmethod
    def build(
        cls,
        labels: Mapping[str, Shaped[np.ndarray, " place"]],
        sentences: Int[np.ndarray, " place"],
        *,
        rows: int,
        seed: int,
    ) -> Labels:
        """Number the labels of each set (any values; negative integers: not measured) and give rows to them.

        At most `rows` labels of all sets get a row. A set that needs less than an even share leaves the rest to the
        others. ValueError for a set of the wrong length, one that measures other places than the first, or fewer rows
        than two a set where more are needed.
        """
        places = None
        numbered = {}
        for name, values in labels.items():
            if values.shape != sentences.shape:
                raise ValueError(f"label set {name} has {len(values)} labels for {len(sentences)} places")
            measured = values >= 0 if np.issubdtype(values.dtype, np.integer) else np.ones(len(values), bool)
            places = measured if places is None else places
            if (measured != places).any():
                raise ValueError(f"label set {name} measures other places than {next(iter(labels))}")
            numbered[name] = _number(values, measured)
        if rows < min(2 * len(labels), sum(len(counts) for _, counts in numbered.values())):
            raise ValueError(f"{rows} rows are too few for {len(labels)} label sets: allow more memory")
        random = np.random.default_rng(seed)
        sets, used = {}, 0
        # From the smallest set on, so that what one does not need is there for the next.
        for done, name in enumerate(sorted(numbered, key=lambda name: len(numbered[name][1]))):
            codes, counts = numbered[name]
            share = min(len(counts), (rows - used) // (len(numbered) - done))
            certain = share if share == len(counts) else share // 2
            row = np.full(len(counts), -1)
            row[:certain] = np.arange(certain)
            row[certain + random.permutation(len(counts) - certain)[: share - certain]] = np.arange(certain, share)
            row[row >= 0] += used
            sets[name] = LabelSet(codes, counts, row, certain)
            used += share
        return cls({name: sets[name] for name in labels}, sentences, used)


def _number(values: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels from the most frequent on, those that occur once sharing the last number; counts of the repeated ones."""
    _, found, counts = np.unique(values[measured], return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    repeated = int((counts > 1).sum())
    number = np.empty(len(counts), np.int32)
    number[order] = np.minimum(np.arange(len(counts)), repeated)
    codes = np.full(len(values), ABSENT, np.int32)
    codes[measured] = number[found]
    return codes, counts[order[:repeated]]


def k_grams(encoding: Encoding, widths: Sequence[int]) -> tuple[dict[str, np.ndarray], Int[np.ndarray, " place"]]:
    """Input and output labels of each width, by the names "input 1", "output 1", ..., and the sentence of each place.

    The input label at i is the k-gram that ends at i, the output label the one at i+1..i+k, of measured tokens only.
    All sets have the same places: those where every width exists on both sides. ValueError where there are none.
    """
    sentences = np.repeat(np.arange(len(encoding)), [kept.sum() for kept in encoding.measured])
    if not len(sentences):
        raise ValueError("no sentence has a token to be measured")
    tokens = np.concatenate([encoding.tokens(sentence) for sentence in range(len(encoding))])
    widest, places = max(widths), np.arange(len(tokens))
    first = np.searchsorted(sentences, sentences)
    last = np.searchsorted(sentences, sentences, side="right") - 1
    usable = (places - first >= widest - 1) & (last - places >= widest)
    if not usable.any():
        raise ValueError(f"no sentence has the {2 * widest} tokens that {widest}-grams on both sides of a place need")
    _, token = np.unique(tokens, return_inverse=True)
    ending, labels = token, {}
    for width in range(1, widest + 1):
        if width > 1:
            # Sentences meet in some of these, but never in one that ends at, or `width` after, a usable place.
            longer = np.roll(ending, 1) * (token.max() + 1) + token
            _, ending = np.unique(longer, return_inverse=True)
        if width in widths:
            labels[f"input {width}"] = np.where(usable, ending, ABSENT)
            labels[f"output {width}"] = np.where(usable, np.roll(ending, -width), ABSENT)
    return labels, sentences
