"""What a probe predicts, and from which vector: a token from its state, or from one vector for its sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitskept.instruments.states import Encoding, StateBatch

Pooling = Literal["mean", "mean without first", "first", "last"]
POOLINGS: tuple[Pooling, ...] = ("mean", "mean without first", "first", "last")


class View(NamedTuple):
    """Vectors, the types (rows of the reading's alphabet) to be read from them, and the sentence of each."""

    states: Float[Tensor, "layer item dim"]
    types: Int[Tensor, " item"]
    sentences: Int[Tensor, " item"]


@dataclass(frozen=True)
class Reading:
    """One prediction task on the states of these layers.

    Without a `pooling`, each token is read from its state; with one, the token at `position` is read from the
    pooled states of its sentence, if that has the `shortest` length or more. The alphabet has `types` rows:
    `rows[token]` is the row of a token of the vocabulary, -1 if it has none. `targets` are the tokens to be read, those
    of a sentence from `offsets[sentence]` on.
    """

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
        """The vectors and types of a batch of whole sentences."""
        states = batch.states
        if self.layers != batch.layers:
            states = states[[batch.layers.index(layer) for layer in self.layers]]
        if self.pooling is None:
            return View(states, self._types(batch.sentences, batch.positions), batch.sentences)
        sentences, lengths = torch.unique_consecutive(batch.sentences, return_counts=True)
        enough = lengths >= self.shortest
        sentences = sentences[enough]
        return View(pool(states, lengths, self.pooling)[:, enough], self._types(sentences, self.position), sentences)

    def _types(self, sentences: Int[Tensor, " item"], positions: Int[Tensor, " item"] | int) -> Int[Tensor, " item"]:
        device = sentences.device
        places = self.offsets.to(device)[sentences] + positions
        return self.rows.to(device)[self.targets.to(device)[places]]

    def embeddings(self, table: Float[Tensor, "vocabulary feature"]) -> Float[Tensor, "type feature"]:
        """The input embedding of each type; for a type that stands for several tokens, the mean of theirs."""
        rows = self.rows.to(table.device)
        known = rows >= 0
        # In float32, because a sum over many tokens in bfloat16 stops growing.
        sums = torch.zeros(self.types, table.shape[1], device=table.device)
        sums.index_add_(0, rows[known], table[known].float())
        return sums / torch.bincount(rows[known], minlength=self.types)[:, None]

    def items(
        self, encoding: Encoding, sentences: Sequence[int | np.integer] | Int[np.ndarray, " sentence"]
    ) -> Int[np.ndarray, " item"]:
        """The types that are to be read from these sentences, without a pass through the model."""
        targets = [self.targets[:0]]
        for sentence in sentences:
            length, start = int(encoding.measured[sentence].sum()), int(self.offsets[sentence])
            if self.pooling is None:
                targets.append(self.targets[start : start + length])
            elif length >= self.shortest:
                targets.append(self.targets[start + self.position][None])
        return self.rows[torch.cat(targets)].numpy()


def pool(
    states: Float[Tensor, "layer token dim"], lengths: Int[Tensor, " sentence"], pooling: Pooling
) -> Float[Tensor, "layer sentence dim"]:
    """One vector per sentence, whose tokens lie next to each other. For a sentence of one token, the mean without the
    first is 0.

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
    """Every token from its state; the alphabet is the types of the encoded sentences.

    If there are more than `types`, the rarest share one row, "any other". That row is a function of the token, so
    bounds remain bounds, and memory does not grow with the text. With `shuffle` (a seed) the targets are permuted over
    all sentences: a control, which must give 0 bits. ValueError if all tokens are the same.
    """
    tokens, offsets = _flat(encoding)
    if shuffle is not None:
        tokens = np.random.default_rng(shuffle).permutation(tokens)
    size, rows = _alphabet(tokens, vocabulary, types, "every token of the text")
    return Reading(tuple(layers), size, rows, torch.from_numpy(tokens), offsets, shuffled=shuffle is not None)


def sentence_readings(
    encoding: Encoding, vocabulary: int, layers: Sequence[int], *, types: int, positions: int
) -> list[Reading]:
    """The tokens at the first `positions` positions, each from one vector for the sentence, in each way of pooling;
    shorter sentences are left out.

    The alphabet of a position is the types that the encoded sentences have there, `types` at most. ValueError where no
    sentence is long enough, and for a position where all have the same token.
    """
    tokens, offsets = _flat(encoding)
    long = np.array([measured.sum() >= positions for measured in encoding.measured], dtype=bool)
    if not long.any():
        raise ValueError(f"no sentence has {positions} tokens, as many as are to be read from it")
    readings = []
    for position in range(positions):
        here = f"the token at position {position} of every sentence"
        size, rows = _alphabet(tokens[offsets.numpy()[long] + position], vocabulary, types, here)
        shared = (tuple(layers), size, rows, torch.from_numpy(tokens), offsets)
        readings += [Reading(*shared, pooling=name, position=position, shortest=positions) for name in POOLINGS]
    return readings


def _flat(encoding: Encoding) -> tuple[Int[np.ndarray, " token"], Int[Tensor, " sentence"]]:
    """All measured tokens, and where each sentence begins among them."""
    sentences = [encoding.tokens(sentence) for sentence in range(len(encoding))]
    lengths = np.array([len(tokens) for tokens in sentences])
    return np.concatenate(sentences), torch.from_numpy(lengths.cumsum() - lengths)


def _alphabet(
    tokens: Int[np.ndarray, " token"], vocabulary: int, most: int, what: str
) -> tuple[int, Int[Tensor, " vocabulary"]]:
    """The number of types, at most `most`, and the row of each token of the vocabulary; the most frequent first.

    ValueError, for `what` is to be read, if there is only one type: it has no bits that a state could keep.
    """
    counts = np.bincount(tokens, minlength=vocabulary)
    if np.count_nonzero(counts) < 2:
        raise ValueError(f"{what} is the same, so there are 0 bits to keep: take a text of more than one kind of token")
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    rows = torch.full((vocabulary,), -1)
    rows[torch.from_numpy(order)] = torch.arange(len(order)).clamp(max=most - 1)
    return min(len(order), most), rows
