"""Label sets for soft information: the label of each place of a text, known before a model runs.

The places are the positions of all sentences, one sentence after the other. As labels are known beforehand, a label
that occurs once never needs a row of sums, and the labels that get a row in limited memory can be chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Shaped

from bitskept.instruments.states import Encoding

ABSENT = -1
"""The label of a place that is not measured."""


@dataclass(frozen=True)
class LabelSet:
    """Labels of all places: those that occur repeatedly are 0, 1, ... from the most frequent on, `unique` stands for
    every label that occurs once, `ABSENT` for a place that is not measured.

    `counts` are those of the repeated labels; `row[label]` is the row in which a label's assignments are summed, -1
    if there is no memory for it.
    """

    labels: Int[np.ndarray, " place"]
    counts: Int[np.ndarray, " repeated"]
    row: Int[np.ndarray, " repeated"]

    @property
    def unique(self) -> int:
        """The label that stands for all labels that occur once."""
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
        """Number the labels of each set (any values; negative integers: not measured) and assign rows to them.

        At most `rows` labels of all sets get a row. A set that needs less than an even share leaves the rest to the
        others. If a share is too small, half of it goes to the most frequent labels and half to a random sample of
        the others. ValueError for a set of the wrong length, for one that measures other places than the first, and for
        fewer than two rows per set if more are needed.
        """
        first, numbered = None, {}
        for name, values in labels.items():
            if values.shape != sentences.shape:
                raise ValueError(f"label set {name} has {len(values)} labels for {len(sentences)} places")
            measured = values >= 0 if np.issubdtype(values.dtype, np.integer) else np.ones(len(values), bool)
            first = measured if first is None else first
            if (measured != first).any():
                raise ValueError(f"label set {name} measures other places than {next(iter(labels))}")
            numbered[name] = _number(values, measured)
        if rows < min(2 * len(labels), sum(len(counts) for _, counts in numbered.values())):
            raise ValueError(f"{rows} rows are too few for {len(labels)} label sets: allow more memory")
        random = np.random.default_rng(seed)
        sets, used = {}, 0
        # From the smallest set on, so that rows that it does not need are left for the next.
        for done, name in enumerate(sorted(numbered, key=lambda name: len(numbered[name][1]))):
            numbers, counts = numbered[name]
            share = min(len(counts), (rows - used) // (len(numbered) - done))
            certain = share if share == len(counts) else share // 2
            row = np.full(len(counts), -1)
            row[:certain] = np.arange(certain)
            row[certain + random.permutation(len(counts) - certain)[: share - certain]] = np.arange(certain, share)
            row[row >= 0] += used
            sets[name] = LabelSet(numbers, counts, row)
            used += share
        return cls({name: sets[name] for name in labels}, sentences, used)


def _number(values: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels from the most frequent on, with one number for all that occur once; the counts of the repeated ones."""
    _, places, counts = np.unique(values[measured], return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    repeated = int((counts > 1).sum())
    number = np.empty(len(counts), np.int32)
    number[order] = np.minimum(np.arange(len(counts)), repeated)
    numbers = np.full(len(values), ABSENT, np.int32)
    numbers[measured] = number[places]
    return numbers, counts[order[:repeated]]


def k_grams(encoding: Encoding, widths: Sequence[int]) -> tuple[dict[str, np.ndarray], Int[np.ndarray, " place"]]:
    """Input and output labels of each width, by the names "input 1", "output 1", ..., and the sentence of each place.

    The input label at i is the k-gram that ends at i, the output label the one at i+1..i+k, of measured tokens only.
    All sets have the same places: those where every width exists on both sides. ValueError where there are none.
    """
    sentences = np.repeat(np.arange(len(encoding)), [measured.sum() for measured in encoding.measured])
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
            # Some of these reach across sentences, but never one that ends at a usable place, or `width` after it.
            longer = np.roll(ending, 1) * (token.max() + 1) + token
            _, ending = np.unique(longer, return_inverse=True)
        if width in widths:
            labels[f"input {width}"] = np.where(usable, ending, ABSENT)
            labels[f"output {width}"] = np.where(usable, np.roll(ending, -width), ABSENT)
    return labels, sentences
