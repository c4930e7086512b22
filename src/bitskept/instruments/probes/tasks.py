"""One reading with its probes, from a stream of states to the scores on test tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from bitskept.instruments.probes import trained
from bitskept.instruments.probes.bounds_by_layer import Outcome, bound_rows
from bitskept.instruments.probes.centroid import centroid
from bitskept.instruments.probes.closed_form import Moments, ridge
from bitskept.instruments.probes.law import Prior, Probe
from bitskept.instruments.probes.readings import Reading, View, with_neighbours
from bitskept.instruments.states import Encoding, StateBatch
from bitskept.sources.language_model import LanguageModel

CLOSED_FORM = {"ridge": ridge, "centroid": centroid}
HIDDEN = {"softmax": None, "mlp": 512}
"""The trained probes, with the number of units in their hidden layer."""
RESERVOIR = 16384
"""The most training states in memory for each layer with trained probes."""


class Task:
    """A reading with its probes, all in closed form or all trained, fitted on so many training `sentences`. The
    centroid comes last of the `probes`, because it overwrites the moments.
    """

    def __init__(
        self,
        reading: Reading,
        probes: tuple[str, ...],
        model: LanguageModel,
        sentences: int,
        *,
        corpus: str,
        epochs: int,
        seed: int,
    ) -> None:
        self.reading, self.probes, self.model, self.sentences = reading, probes, model, sentences
        self.corpus, self.epochs, self.seed = corpus, epochs, seed
        kind = "window" if reading.window else "token"
        self.facts = {"reading": kind, "shuffled": reading.shuffled, "train_sentences": sentences}
        self.counts = torch.zeros(reading.types, device=model.device)
        self.middle: Float[torch.Tensor, "layer dim"] | None = None
        layers, dim = len(reading.layers), model.width * (3 if reading.window else 1)
        if probes[0] in HIDDEN:
            self.states = trained.Reservoir(layers, dim, RESERVOIR, seed=seed, device=model.device)
        else:
            self.states = Moments(layers, reading.types, dim, model.device)
        self.held: list[View] = []
        self.fitted: dict[str, Probe] = {}
        self.outcomes: dict[str, list[Outcome]] = {name: [] for name in probes}
        self.chosen_on: dict[str, Outcome] = {}
        self.prior: Prior | None = None

    def view(self, batch: StateBatch) -> View:
        """The vectors and types of a batch. What a window lacks at an end of a sentence is the mean of the first
        batch."""
        view = self.reading.view(batch)
        if not self.reading.window:
            return view
        if self.middle is None:
            self.middle = view.states.float().mean(1)
        return view._replace(states=with_neighbours(view.states, view.sentences, self.middle))

    def train(self, batch: StateBatch) -> None:
        """Add a batch of training sentences."""
        view = self.view(batch)
        self.counts += torch.bincount(view.types, minlength=len(self.counts))
        self.states.update(view.states, view.types)

    def hold(self, batch: StateBatch, stride: int) -> None:
        """Keep every `stride`-th item of a batch for validation."""
        view, step = self.view(batch), slice(None, None, stride)
        self.held.append(View(view.states[:, step].clone(), view.types[step], view.sentences[step]))

    def fit(self, *, progress: str | None) -> None:
        """Fit the probes, and score them on the validation items. ValueError where there is nothing to fit on."""
        states, *others = zip(*self.held, strict=True)
        held = View(torch.cat(states, dim=1), *map(torch.cat, others))
        self.held.clear()
        if not len(held.types) or not self.counts.any():
            raise ValueError(f"{self.corpus} gives no token to fit and validate the probes on: take more sentences")
        embeddings = self.reading.embeddings(self.model.embeddings.detach().float())
        options = {"epochs": self.epochs, "seed": self.seed}
        for name in self.probes:
            if name in HIDDEN:
                options |= {"hidden": HIDDEN[name], "progress": f"{progress}: {name}" if progress else None}
                probe = trained.train(self.states, self.counts, held.states, held.types, **options)
            else:
                probe = CLOSED_FORM[name](self.states, embeddings, held.states, held.types)
            self.fitted[name], self.prior = probe, probe.prior
            scores = probe.score(held.states, held.types)
            self.chosen_on[name] = Outcome.of_batch(self.reading.layers, held, scores)
        del self.states

    def test(self, batch: StateBatch) -> None:
        """Score a batch of test sentences."""
        view = self.view(batch)
        for name, probe in self.fitted.items():
            scores = probe.score(view.states, view.types)
            self.outcomes[name].append(Outcome.of_batch(self.reading.layers, view, scores))

    def rows(
        self,
        encoding: Encoding,
        sentences: Int[np.ndarray, " sentence"],
        characters: Int[np.ndarray, " _every"],
    ) -> Iterator[dict[str, Any]]:
        """The rows of `bound_rows` for each probe; `characters` are those of each sentence. Frees the probes."""
        self.fitted.clear()
        counts = np.bincount(self.reading.items(encoding, sentences), minlength=self.reading.types)
        for name, parts in self.outcomes.items():
            per_character = name == "centroid" and not self.reading.shuffled and not self.reading.window
            options = {
                "prior": self.prior.shares,
                "chosen_on": self.chosen_on[name],
                "characters": characters if per_character else None,
            }
            for row in bound_rows(Outcome.joined(parts), counts, **options, seed=self.seed):
                yield self.facts | {"probe": name} | row
