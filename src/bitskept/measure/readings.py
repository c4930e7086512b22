"""What a probe is asked to read, from which vector: a token from its own state, or from one vector for its sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitskept.measure.states import Encoding, StateBatch

Pooling = Literal["mean", "mean without first", "first", "last"]
POOLINGS: tuple[Pooling, ...] = ("mean", "mean without first", "first", "last")


class View(NamedTuple):
    """Vectors, the types (rows of the reading's alphabet) to be read from them, and their sentences: the clusters of a
    bootstrap.
    """

    states: Float[Tensor, "layer item dim"]
    types: Int[Tensor, " item"]
    sentences: Int[Tensor, " item"]


@dataclass(frozen=True)
class Reading:
    """One prediction task on the states of some layers.

    `name` is "token" (each position's own token) or "sentence" (the token at `position` from the pooled sentence).
    `types` is the size of the alphabet, `rows[token]` the place of a token in it (-1: none), `targets` the tokens to
    read, sentence after sentence, each sentence from `offsets[sentence]` on.
    """

    name: Literal["token", "sentence"]
    layers: tuple[int, ...]
    types: int
    rows: Int[Tensor, " vocabulary"]
    targets: Int[Tensor, " token"]
    offsets: Int[Tensor, " sentence"]
    shuffled: bool = False
    pooling: Pooling | None = None
    position: int | None = None
    shortest: int = 0

    def view(self, batch: StateBatch) -> View:
        """This reading's share of a batch of whole sentences."""
        states = batch.states
        if self.layers != batch.layers:
            states = states[[batch.layers.index(layer) for layer in self.layers]]
        if self.pooling is None:
            return View(states, self._types(batch.sentences, batch.positions), batch.sentences)
        sentences, lengths = torch.unique_consecutive(batch.sentences, return_counts=True)
        enough = lengths >= self.shortest
        pooled = pool(states, lengths, self.pooling)[:, enough]
        sentences = sentences[enough]
        return View(pooled, self._types(sentences, torch.full_like(sentences, self.position or 0)), sentences)

    def _types(self, sentences: Int[Tensor, " item"], positions: Int[Tensor, " item"]) -> Int[Tensor, " item"]:
        device = sentences.device
        places = self.offsets.to(device)[sentences] + positions
        return self.rows.to(device)[self.targets.to(device)[places]]

    def embeddings(self, table: Float[Tensor, "vocabulary feature"]) -> Float[Tensor, "type feature"]:
        """The input embedding of each type; the mean of its tokens for the type that stands for any other."""
        rows = self.rows.to(table.device)
        known = rows >= 0
        # In float32: a sum over many tokens in bfloat16 stops growing.
        sums = torch.zeros(self.types, table.shape[1], device=table.device).index_add_(
            0, rows[known], table[known].float()
        )
        return sums / torch.bincount(rows[known], minlength=self.types)[:, None]

    def items(self, encoding: Encoding, sentences: Sequence[int | np.integer]) -> Int[np.ndarray, " item"]:
        """The types that these sentences ask for, without a pass through the model."""
        found = []
        for sentence in sentences:
            length, start = int(encoding.measured[sentence].sum()), int(self.offsets[sentence])
            if self.pooling is None:
                found.append(self.targets[start : start + length])
            elif length >= self.shortest:
                found.append(self.targets[start + (self.position or 0)][None])
        return self.rows[torch.cat(found)].numpy() if found else np.empty(0, np.int64)


def pool(
    states: Float[Tensor, "layer token dim"], lengths: Int[Tensor, " sentence"], pooling: Pooling
) -> Float[Tensor, "layer sentence dim"]:
    """One vector a sentence; its tokens lie next to each other. A sentence of one token has a mean without the first of
    0.

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
    return (total - states[:, starts]) / (lengths[:, None] - 1).clamp(min=1)


def token_reading(
    encoding: Encoding, vocabulary: int, layers: Sequence[int], *, types: int, shuffle: int | None = None
) -> Reading:
    """Every token from its own state; the alphabet is the types of the encoded sentences.

    Where these are more than `types`, the rarest share one place, "any other": a function of the token, so that bounds
    stay bounds, and memory stays the same however long the text. With `shuffle` (a seed) the targets are permuted over
    all sentences: a control that has to give 0 bits.
    """
    tokens, offsets = _flat(encoding)
    if shuffle is not None:
        tokens = np.random.default_rng(shuffle).permutation(tokens)
    size, rows = _alphabet(tokens, vocabulary, types)
    return Reading("token", tuple(layers), size, rows, torch.from_numpy(tokens), offsets, shuffled=shuffle is not None)


def sentence_readings(
    encoding: Encoding,
    vocabulary: int,
    layers: Sequence[int],
    *,
    types: int,
    positions: int,
    poolings: Sequence[Pooling] = POOLINGS,
) -> list[Reading]:
    """The tokens at the first `positions` positions, each from one vector for the sentence; shorter sentences are left
    out.

    The alphabet of a position is the types that the encoded sentences have there, `types` at most. ValueError where no
    sentence is long enough.
    """
    tokens, offsets = _flat(encoding)
    long = np.array([kept.sum() >= positions for kept in encoding.measured], dtype=bool)
    if not long.any():
        raise ValueError(f"no sentence has {positions} tokens, as many as are to be read from it")
    readings = []
    for position in range(positions):
        size, rows = _alphabet(tokens[offsets.numpy()[long] + position], vocabulary, types)
        shared = (tuple(layers), size, rows, torch.from_numpy(tokens), offsets)
        readings += [
            Reading("sentence", *shared, pooling=pooling, position=position, shortest=positions) for pooling in poolings
        ]
    return readings


def _flat(encoding: Encoding) -> tuple[Int[np.ndarray, " token"], Int[Tensor, " sentence"]]:
    sentences = [encoding.tokens(sentence) for sentence in range(len(encoding))]
    lengths = np.array([len(tokens) for tokens in sentences])
    return np.concatenate(sentences), torch.from_numpy(lengths.cumsum() - lengths)


def _alphabet(tokens: Int[np.ndarray, " token"], vocabulary: int, most: int) -> tuple[int, Int[Tensor, " vocabulary"]]:
    """The number of types, at most `most`, and the place of each token of the vocabulary; the most frequent come
    first.
    """
    counts = np.bincount(tokens, minlength=vocabulary)
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    rows = torch.full((vocabulary,), -1)
    rows[torch.from_numpy(order)] = torch.arange(len(order)).clamp(max=most - 1)
    return min(len(order), most), rows
