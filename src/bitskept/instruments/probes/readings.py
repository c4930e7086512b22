"""What a probe predicts, and from which vector: a token from its state, from the states around it, or from one vector
for its sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitskept.instruments.states import Encoding, StateBatch

POOLINGS = ("mean", "mean without first", "first", "last")
OTHERS = "mean of the others"
"""The mean over all positions but the one whose token is to be named."""


class View(NamedTuple):
    """Vectors, the types (rows of the reading's alphabet) to be read from them, and the sentence of each."""

    states: Float[Tensor, "layer item dim"]
    types: Int[Tensor, " item"]
    sentences: Int[Tensor, " item"]


@dataclass(frozen=True)
class Alphabet:
    """What a probe can name: `types` rows. `rows[token]` is the row of a token of the vocabulary, -1 if it has none."""

    types: int
    rows: Int[Tensor, " vocabulary"]

    @classmethod
    def of(cls, tokens: Int[np.ndarray, " token"], vocabulary: int, most: int, what: str) -> Alphabet:
        """The types of these tokens, the most frequent first. If there are more than `most`, the rarest share one row.

        ValueError, for `what` is to be read, if there is only one type: it has no bits that a state could keep.
        """
        counts = np.bincount(tokens, minlength=vocabulary)
        if np.count_nonzero(counts) < 2:
            raise ValueError(
                f"{what} is the same, so there are 0 bits to keep: take a text of more than one kind of token"
            )
        order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
        rows = torch.full((vocabulary,), -1)
        rows[torch.from_numpy(order)] = torch.arange(len(order)).clamp(max=most - 1)
        return cls(min(len(order), most), rows)

    def embeddings(self, table: Float[Tensor, "vocabulary feature"]) -> Float[Tensor, "type feature"]:
        """The input embedding of each type; for a type that stands for several tokens, the mean of theirs."""
        rows = self.rows.to(table.device)
        known = rows >= 0
        # In float32, because a sum over many tokens in bfloat16 stops growing.
        sums = torch.zeros(self.types, table.shape[1], device=table.device)
        sums.index_add_(0, rows[known], table[known].float())
        return sums / torch.bincount(rows[known], minlength=self.types)[:, None]


@dataclass(frozen=True)
class Reading(Alphabet):
    """One prediction task on the states of these layers: each token is read from its state or, in a `window`, from
    that state and those of its neighbours.

    `targets` are the tokens to be read, those of a sentence from `offsets[sentence]` on.
    """

    layers: tuple[int, ...]
    targets: Int[Tensor, " token"]
    offsets: Int[Tensor, " sentence"]
    shuffled: bool = False
    window: bool = False

    def view(self, batch: StateBatch) -> View:
        """The states and types of a batch of whole sentences."""
        states = batch.states
        if self.layers != batch.layers:
            states = states[[batch.layers.index(layer) for layer in self.layers]]
        device = batch.sentences.device
        places = self.offsets.to(device)[batch.sentences] + batch.positions
        return View(states, self.rows.to(device)[self.targets.to(device)[places]], batch.sentences)

    def items(
        self, encoding: Encoding, sentences: Sequence[int | np.integer] | Int[np.ndarray, " sentence"]
    ) -> Int[np.ndarray, " item"]:
        """The types that are to be read from these sentences, without a pass through the model."""
        targets = [self.targets[:0]]
        for sentence in sentences:
            length, start = int(encoding.measured[sentence].sum()), int(self.offsets[sentence])
            targets.append(self.targets[start : start + length])
        return self.rows[torch.cat(targets)].numpy()


def with_neighbours(
    states: Float[Tensor, "layer item dim"], sentences: Int[Tensor, " item"], missing: Float[Tensor, "layer dim"]
) -> Float[Tensor, "layer item 3*dim"]:
    """Each state between those before and after it in its sentence; at an end of the sentence `missing` stands in."""
    inside = (sentences[1:] == sentences[:-1])[:, None]
    missing = missing.to(states)[:, None]
    before = torch.cat([missing, torch.where(inside, states[:, :-1], missing)], dim=1)
    after = torch.cat([torch.where(inside, states[:, 1:], missing), missing], dim=1)
    return torch.cat([before, states, after], dim=2)


def pool(
    states: Float[Tensor, "layer token dim"],
    lengths: Int[Tensor, " sentence"],
    pooling: str,
    position: int | None = None,
) -> Float[Tensor, "layer sentence dim"]:
    """One vector per sentence, whose tokens lie next to each other. `pooling` is one of `POOLINGS`, or `OTHERS` for the
    mean over all but the `position`, or the last one of a shorter sentence. Where no other is left, the mean is 0.

    In many decoders the first position carries activations so large that they swamp a mean over positions.
    """
    ends = lengths.cumsum(0)
    starts = ends - lengths
    if pooling == "first":
        return states[:, starts]
    if pooling == "last":
        return states[:, ends - 1]
    states = states.float()
    owner = torch.repeat_interleave(torch.arange(len(lengths), device=states.device), lengths)
    total = states.new_zeros(states.shape[0], len(lengths), states.shape[2]).index_add_(1, owner, states)
    if pooling == "mean":
        return total / lengths[:, None]
    left_out = starts + (lengths - 1).clamp(max=position if pooling == OTHERS else 0)
    return (total - states[:, left_out]) / (lengths[:, None] - 1).clamp(min=1)


def token_reading(
    encoding: Encoding, vocabulary: int, layers: Sequence[int], *, types: int, shuffle: int | None = None
) -> Reading:
    """Every token from its state; the alphabet is the types of the encoded sentences.

    If there are more than `types`, the rarest share one row, "any other". That row is a function of the token, so
    bounds remain bounds, and memory does not grow with the text. With `shuffle` (a seed) the targets are permuted over
    all sentences: a control, which must give 0 bits. ValueError if all tokens are the same.
    """
    sentences = [encoding.tokens(sentence) for sentence in range(len(encoding))]
    lengths, tokens = np.array([len(ids) for ids in sentences]), np.concatenate(sentences)
    if shuffle is not None:
        tokens = np.random.default_rng(shuffle).permutation(tokens)
    alphabet = Alphabet.of(tokens, vocabulary, types, "every token of the text")
    targets, offsets = torch.from_numpy(tokens), torch.from_numpy(lengths.cumsum() - lengths)
    return Reading(alphabet.types, alphabet.rows, tuple(layers), targets, offsets, shuffled=shuffle is not None)
