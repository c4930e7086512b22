"""Tokens read from one vector for their sentence: the token at a place, or any token of the sentence ("bag").

The centroid alone reads them: ridge finds next to nothing of a bag (3 % of what could be known, or less).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitskept.instruments.probes.bounds_by_layer import Outcome, bound_rows
from bitskept.instruments.probes.centroid import centroid
from bitskept.instruments.probes.closed_form import LinearProbe, Moments
from bitskept.instruments.probes.law import FINE
from bitskept.instruments.probes.readings import OTHERS, Alphabet, View, pool
from bitskept.instruments.states import Encoding, StateBatch
from bitskept.sources.language_model import LanguageModel

MORE_RIDGES = (1e-3, 1e-2, 0.1, 1.0)
MORE_STRENGTHS = (1000.0, 300.0, 3000.0)
"""Candidates of the probe. A vector for a sentence says little about any one of its words: class means need far more
shrinkage than those of tokens, and with too little of it a bag loses up to half a bit."""
DAMPING = 10.0
"""As in `centroid`, and larger: there are about as many types at a place as there are features of an embedding."""
LAYERS_AT_ONCE = 4
"""Layers whose class sums are in memory."""
CHUNK = 512
"""Training sentences whose vectors are repeated at once, one for each token."""


class Items(NamedTuple):
    """What is to be read from the vectors of some sentences: types, the vector of each, and its sentence."""

    types: Int[Tensor, " item"]
    owners: Int[Tensor, " item"]
    sentences: Int[Tensor, " item"]


@dataclass(frozen=True)
class Question:
    """What is asked of a vector: every token of its sentence or, if the sentence has the `shortest` length or more, the
    one at `position`."""

    alphabet: Alphabet
    position: int | None = None
    shortest: int = 0

    def items(self, encoding: Encoding, sentences: Int[np.ndarray, " sentence"]) -> Items:
        """The types that are to be read from the vectors of these sentences."""
        tokens = [encoding.tokens(sentence) for sentence in sentences]
        if self.position is not None:
            here = slice(self.position, self.position + 1)
            tokens = [ids[here] if len(ids) >= self.shortest else ids[:0] for ids in tokens]
        owners = np.repeat(np.arange(len(tokens)), [len(ids) for ids in tokens])
        types = self.alphabet.rows[torch.from_numpy(np.concatenate(tokens))]
        return Items(types, torch.from_numpy(owners), torch.from_numpy(np.asarray(sentences)[owners]))


def place_questions(encoding: Encoding, vocabulary: int, *, types: int, places: int) -> list[Question]:
    """The tokens at the first so many `places`; shorter sentences are left out.

    The alphabet of a place is the types that the encoded sentences have there, `types` at most. ValueError where no
    sentence is long enough, and for a place where all have the same token.
    """
    tokens = [encoding.tokens(sentence) for sentence in range(len(encoding))]
    long = [ids for ids in tokens if len(ids) >= places]
    if not long:
        raise ValueError(f"no sentence has {places} tokens, as many as are to be read from it")
    questions = []
    for position in range(places):
        here = np.array([ids[position] for ids in long])
        alphabet = Alphabet.of(here, vocabulary, types, f"the token at position {position} of every sentence")
        questions.append(Question(alphabet, position, places))
    return questions


class SentenceVectors:
    """The pooled states of the sentences of a stream, and what the centroid reads from them.

    Memory: layers x sentences x dim floats for each of the `poolings`; with `OTHERS` also side layers x sentences x dim
    for each place. `parts` are the test, validation and training sentences, `sizes` the numbers of training sentences
    that the probe is fitted on: the largest at all `layers`, the smaller ones at the `side` layers. The first pooling
    is asked everything; the others only the bag, with the most training sentences.
    """

    def __init__(
        self,
        model: LanguageModel,
        encoding: Encoding,
        parts: Sequence[Int[np.ndarray, " _sentence"]],
        questions: Sequence[Question],
        poolings: Sequence[str],
        *,
        layers: tuple[int, ...],
        side: tuple[int, ...],
        sizes: Sequence[int],
        seed: int,
    ) -> None:
        self.model, self.encoding, self.parts, self.side, self.sizes = model, encoding, parts, side, sizes
        self.seed, self.sentences = seed, max(sizes)
        self.vectors: dict[tuple[str, int | None], Float[Tensor, "layer sentence dim"]] = {}
        self.asked: dict[tuple[str, int | None], tuple[tuple[int, ...], list[Question]]] = {}
        for pooling in poolings:
            if pooling == OTHERS:
                named = [question for question in questions if question.position is not None]
                self.asked |= {(OTHERS, question.position): (side, [question]) for question in named}
            else:
                self.asked[pooling, None] = (layers, list(questions if pooling == poolings[0] else questions[:1]))
        self.layers = {layer for chosen, _ in self.asked.values() for layer in chosen}
        everything = torch.from_numpy(np.concatenate(parts))
        self.places = torch.full((len(encoding),), -1)
        self.places[everything] = torch.arange(len(everything))
        for name, (chosen, _) in self.asked.items():
            self.vectors[name] = torch.zeros(len(chosen), len(everything), model.width)

    def add(self, batch: StateBatch) -> None:
        """Pool the states of a batch of whole sentences."""
        sentences, lengths = torch.unique_consecutive(batch.sentences, return_counts=True)
        places = self.places[sentences.cpu()]
        for (pooling, position), vectors in self.vectors.items():
            chosen = [batch.layers.index(layer) for layer in self.asked[pooling, position][0]]
            states = batch.states if len(chosen) == len(batch.layers) else batch.states[chosen]
            vectors[:, places] = pool(states, lengths, pooling, position).float().cpu()

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of `bound_rows` for each pooling, question and number of training sentences. Frees the vectors."""
        for place, name in enumerate(list(self.vectors)):
            vectors, (layers, questions) = self.vectors.pop(name), self.asked[name]
            for question in questions:
                for size in self.sizes if place == 0 else [self.sentences]:
                    chosen = layers if size == self.sentences else self.side
                    states = vectors if chosen == layers else vectors[[layers.index(layer) for layer in chosen]]
                    facts = {"pooling": name[0], "position": question.position, "train_sentences": size}
                    for row in self._rows(question, states, chosen, size):
                        yield facts | {"shuffled": False} | row

    def _rows(
        self, question: Question, vectors: Float[Tensor, "layer sentence dim"], layers: tuple[int, ...], size: int
    ) -> Iterator[dict[str, Any]]:
        reading = "bag" if question.position is None else "place"
        parts = [*self.parts[:2], self.parts[2][:size]]
        every = [question.items(self.encoding, part) for part in parts]
        if not all(len(items.types) for items in every):
            raise ValueError(f"too few sentences are long enough for the reading {reading}: take more of them")
        lengths = [len(part) for part in parts]
        ends = np.cumsum(lengths)
        states = [vectors[:, end - length : end] for end, length in zip(ends, lengths, strict=True)]
        types = question.alphabet.types
        counts = np.bincount(question.items(self.encoding, np.concatenate(self.parts)).types, minlength=types)
        left_open = entropy_within(every[0]) if reading == "bag" else None
        results = []
        for start in range(0, len(layers), LAYERS_AT_ONCE):
            group = slice(start, start + LAYERS_AT_ONCE)
            probe, outcomes = self._fit(question, [part[group] for part in states], every, layers[group])
            results.append(outcomes)
        test, validation = (Outcome.stacked(outcomes) for outcomes in zip(*results, strict=True))
        options = {"prior": probe.prior.shares, "chosen_on": validation, "left_open": left_open, "seed": self.seed}
        for row in bound_rows(test, counts, **options):
            yield {"reading": reading, "probe": "centroid"} | row

    def _fit(
        self,
        question: Question,
        states: Sequence[Float[Tensor, "layer _sentence dim"]],
        items: Sequence[Items],
        layers: tuple[int, ...],
    ) -> tuple[LinearProbe, tuple[Outcome, Outcome]]:
        """A probe for these layers, and its outcomes on the test and on the validation sentences."""
        device, alphabet = self.model.device, question.alphabet
        test, validation, train = (part.to(device) for part in states)
        asked, held, fitted = (Items(*(part.to(device) for part in some)) for some in items)
        moments = Moments(len(layers), alphabet.types, self.model.width, device)
        for start in range(0, train.shape[1], CHUNK):
            inside = (fitted.owners >= start) & (fitted.owners < start + CHUNK)
            moments.update(train[:, start : start + CHUNK], fitted.types[inside], fitted.owners[inside] - start)
        embeddings = alphabet.embeddings(self.model.embeddings.detach().float())
        options = {"ridges": MORE_RIDGES, "strengths": MORE_STRENGTHS, "damping": DAMPING, "factor": FINE}
        probe = centroid(moments, embeddings, validation, held.types, held.owners, **options)
        _doubt(probe, validation, held)
        outcomes = (
            Outcome.of_batch(layers, View(part, some.types, some.sentences), probe.score(part, some.types, some.owners))
            for part, some in ((test, asked), (validation, held))
        )
        return probe, tuple(outcomes)


def _doubt(probe: LinearProbe, validation: Float[Tensor, "layer sentence dim"], held: Items) -> None:
    """Leave the prior alone at layers where what the probe gains over it on the validation sentences could be noise
    (one-sided, 5 %): with few sentences, a choice among candidates and temperatures gains a little from noise alone."""
    costs = probe.score(validation, held.types, held.owners).surprisal
    gains = torch.zeros(validation.shape[:2], device=costs.device)
    gains.index_add_(1, held.owners, probe.prior.log[held.types] / -math.log(2) - costs)
    gains = gains[:, torch.unique(held.owners)]
    for layer, gain in enumerate(gains):
        if not gain.mean() > 1.645 * gain.std() / len(gain) ** 0.5:
            probe.temperatures[layer] = math.inf


def entropy_within(items: Items) -> Float[np.ndarray, " item"]:
    """For each item the entropy, in bits, of the items of its sentence: what is left open of a random one of them when
    the whole sentence is known."""
    owners = items.owners.numpy()
    pairs, counts = np.unique(np.stack([owners, items.types.numpy()]), axis=1, return_counts=True)
    sizes = np.bincount(owners)
    costs = np.bincount(pairs[0], -counts * np.log2(counts / sizes[pairs[0]]), minlength=len(sizes))
    return costs[owners] / sizes[owners]
