"""The layer sweep: one pass over training sentences fits the probes of every layer, one over test sentences scores
them.

`measure` is what notebooks call: it loads, sweeps and keeps the table in the store.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int

from bitskept.measure import probes, trained_probes
from bitskept.measure.estimates import Outcome, bound_rows, certificate_rows, group_rows
from bitskept.measure.of_model import from_store, label, model_facts
from bitskept.measure.readings import Reading, View, sentence_readings, token_reading
from bitskept.measure.states import Encoding, StateBatch, encode, stream
from bitskept.measure.token_groups import frequency_bands, word_classes
from bitskept.sources import corpora
from bitskept.sources.models import LanguageModel

VERSION = 1
"""Raise it when the same plan would give other numbers."""
VALIDATION_ITEMS = 400
"""About so many validation states are held, spread evenly over the validation sentences."""
HIDDEN = 512
"""Units of the perceptron's hidden layer."""
RESERVOIR = 32768
"""At most so many training states are held for each layer that has trained probes."""
COLUMNS = [
    *("model", "kind", "weights", "seed", "corpus", "layer", "reading", "position", "shuffled", "probe", "group"),
    *("quantity", "estimate", "low", "high", "unit", "n"),
]
QUANTITIES = {
    "entropy": "H(X) of the tokens: plug-in, biased low",
    "error": "share of test tokens that the probe does not name",
    "cross_entropy": "mean surprisal of the test tokens under the probe's law",
    "fano_bound": "lower bound on I(X;Z) from the error",
    "cross_entropy_bound": "lower bound on I(X;Z) from the cross-entropy: H(X) - cross-entropy",
    "retained_fano": "fano_bound / H(X)",
    "retained_cross_entropy": "cross_entropy_bound / H(X)",
    "certificate": "lower bound on I(X;Z) that holds with probability 0.95 for a layer",
    "forgetting": "the highest cross_entropy_bound less the last layer's",
    "late_forgetting": "the same over the second half of the layers",
    "rise": "the most that a later layer's cross_entropy_bound lies above an earlier one's",
    "recovered": "share of test tokens of a group that the probe names",
    "truncated": "sentences that were longer than the model takes, and cut",
}


@dataclass(frozen=True)
class Plan:
    """What a sweep measures. Sentences are counted, and drawn from the corpus by `seed`.

    `side_layers` evenly spaced layers get what would cost too much at all of them: the trained probes (softmax and
    perceptron, where `trained_epochs` > 0), the shuffled control, and the sentence reading of the first
    `sentence_positions` positions. `every_layer=False` reduces the main reading to these layers as well.
    """

    corpus: str
    train: int
    validation: int
    test: int
    seed: int = 0
    dtype: str = "auto"
    ridge: bool = True
    shuffled: bool = True
    every_layer: bool = True
    side_layers: int = 7
    sentence_positions: int = 0
    trained_epochs: int = 0
    longest: int = 128
    types: int = 16384

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test", "side_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")


def measure(
    model_id: str, plan: Plan, *, weights: int | None = None, accept_terms: Collection[str] = (), progress: bool = True
) -> pd.DataFrame:
    """The table of a sweep, from the store where it is there. `weights` is the seed of a randomly initialised copy.

    Columns: `COLUMNS`; quantities: `QUANTITIES`; estimates with 95 % intervals over sentences. Errors as `models.load`
    and `corpora.load`.
    """

    def compute(model: LanguageModel) -> pd.DataFrame:
        texts = corpora.load(plan.corpus, sentences=plan.test + plan.validation + plan.train, seed=plan.seed)
        return sweep(model, texts["text"], texts["domain"], plan, progress=progress)

    return from_store("layer_sweep", VERSION, model_id, plan, compute, weights=weights, accept_terms=accept_terms)


def sweep(
    model: LanguageModel, texts: Sequence[str], domains: Sequence[str], plan: Plan, *, progress: bool = False
) -> pd.DataFrame:
    """Fit on training sentences, tune on validation sentences, score on test sentences; no sentence is in two of them.

    ValueError where the texts are fewer than the plan asks for, or where a part is left without a token to measure.
    """
    encoding = encode(model, texts, longest=plan.longest)
    test, validation, train = split(encoding, plan)
    tasks = _tasks(model, encoding, plan)
    layers = sorted({layer for task in tasks for layer in task.reading.layers})

    def batches(sentences: Int[np.ndarray, " sentence"], part: str) -> Iterator[StateBatch]:
        return stream(
            model, encoding, sentences, layers=layers, progress=f"{label(model)}: {part}" if progress else None
        )

    for batch in batches(train, "training"):
        for task in tasks:
            task.train(batch)
        del batch  # the next one needs its room
    stride = -(-sum(len(encoding.tokens(sentence)) for sentence in validation) // VALIDATION_ITEMS)
    for batch in batches(validation, "validation"):
        for task in tasks:
            task.hold(batch, stride)
    for task in tasks:
        task.fit(model, plan, progress=label(model) if progress else None)
    for batch in batches(test, "test"):
        for task in tasks:
            task.test(batch)
        del batch
    everything = np.concatenate([test, validation, train])
    rows = [row for task in tasks for row in task.rows(encoding, everything, model, plan)]
    rows += _group_rows(tasks[0], model, texts, domains, encoding, train, plan)
    rows.append(
        {
            "reading": "token",
            "shuffled": False,
            "quantity": "truncated",
            "estimate": encoding.truncated,
            "unit": "sentences",
            "n": len(encoding),
        }
    )
    table = pd.DataFrame([model_facts(model) | {"corpus": plan.corpus} | row for row in rows], columns=COLUMNS)
    return table.astype({name: "Int64" for name in ("seed", "layer", "position", "n")})


def split(encoding: Encoding, plan: Plan) -> tuple[Int[np.ndarray, " sentence"], ...]:
    """Test, validation and training sentences, in the order of the texts: more training sentences leave the test as it
    is.

    Sentences that became equal by tokenising (as an uncased model makes them) count once, and those without a token not
    at all; the training part is then shorter. ValueError where a part would be empty.
    """
    first = {encoding.ids[sentence].tobytes(): sentence for sentence in reversed(range(len(encoding)))}
    usable = [sentence for sentence in sorted(first.values()) if encoding.measured[sentence].any()]
    bounds = np.cumsum([plan.test, plan.validation, plan.train])
    if len(usable) <= bounds[1] or len(encoding) < bounds[2]:
        raise ValueError(
            f"{plan.corpus} gives {len(usable)} different sentences, but {bounds[2]} are asked for: "
            f"{plan.test} for test, {plan.validation} for validation, {plan.train} for training"
        )
    parts = np.split(np.array(usable[: bounds[2]]), bounds[:2])
    return tuple(parts)


def side_layers(layers: int, number: int) -> tuple[int, ...]:
    """`number` evenly spaced layers from 0 to the last, or all of them where there are fewer."""
    return tuple(int(layer) for layer in np.unique(np.linspace(0, layers, min(number, layers + 1)).round()))


@dataclass
class _Task:
    """One reading with its probes, from their statistics to their scores."""

    reading: Reading
    probes: tuple[str, ...]
    moments: probes.Moments | None
    reservoir: trained_probes.Reservoir | None
    counts: torch.Tensor

    def __post_init__(self) -> None:
        self.held: list[View] = []
        self.fitted: dict[str, probes.LinearProbe | trained_probes.TrainedProbe] = {}
        self.outcomes = {name: Outcome(self.reading.layers) for name in self.probes}

    def train(self, batch: StateBatch) -> None:
        view = self.reading.view(batch)
        self.counts += torch.bincount(view.types, minlength=len(self.counts))
        if self.moments:
            self.moments.update(view.states, view.types)
        if self.reservoir:
            self.reservoir.update(view.states, view.types)

    def hold(self, batch: StateBatch, stride: int) -> None:
        step = slice(None, None, stride if self.reading.pooling is None else None)
        view = self.reading.view(batch)
        self.held.append(View(view.states[:, step].clone(), view.types[step], view.sentences[step]))

    def fit(self, model: LanguageModel, plan: Plan, *, progress: str | None) -> None:
        states = torch.cat([view.states for view in self.held], dim=1)
        types = torch.cat([view.types for view in self.held])
        self.held.clear()
        if not len(types) or not self.counts.any():
            raise ValueError(f"no sentence of {plan.corpus} is long enough for the {self.reading.name} reading")
        embeddings = self.reading.embeddings(model.embeddings.detach().float())
        options = {"epochs": plan.trained_epochs, "seed": plan.seed}
        for name in self.probes:
            if name in ("softmax", "mlp"):
                hidden = HIDDEN if name == "mlp" else None
                bar = f"{progress}: {name}" if progress else None
                self.fitted[name] = trained_probes.train(
                    self.reservoir, self.counts, states, types, hidden=hidden, progress=bar, **options
                )
            else:
                closed_form = probes.ridge if name == "ridge" else probes.centroid
                self.fitted[name] = closed_form(self.moments, embeddings, states, types)
        self.moments = self.reservoir = None

    def test(self, batch: StateBatch) -> None:
        view = self.reading.view(batch)
        for name, probe in self.fitted.items():
            self.outcomes[name].add(view, probe.score(view.states, view.types))

    def rows(
        self, encoding: Encoding, sentences: Int[np.ndarray, " sentence"], model: LanguageModel, plan: Plan
    ) -> Iterator[dict[str, Any]]:
        reading = self.reading
        where = reading.pooling and f"sentence: {reading.pooling}"
        facts = {"reading": where or "token", "position": reading.position, "shuffled": reading.shuffled}
        items = [reading.items(encoding, [sentence]) for sentence in sentences]
        counts = np.bincount(np.concatenate(items), minlength=reading.types)
        for name, outcome in self.outcomes.items():
            for row in bound_rows(outcome, counts, seed=plan.seed):
                yield facts | {"probe": name} | row
        if reading.pooling is None and "centroid" in self.outcomes and not reading.shuffled:
            random = np.random.default_rng(plan.seed)
            one_each = np.array([random.choice(types) for types in items])
            vocabulary = len(model.embeddings)
            for row in certificate_rows(self.outcomes["centroid"], one_each, vocabulary, seed=plan.seed):
                yield facts | {"probe": "centroid"} | row


def _tasks(model: LanguageModel, encoding: Encoding, plan: Plan) -> list[_Task]:
    """The main reading first."""
    vocabulary, device = len(model.embeddings), model.device
    side = side_layers(model.layers, plan.side_layers)
    main = tuple(range(model.layers + 1)) if plan.every_layer else side

    def task(reading: Reading, *names: str) -> _Task:
        layers, types = len(reading.layers), reading.types
        trained = "softmax" in names
        moments = None if trained else probes.Moments(layers, types, model.width, device)
        reservoir = (
            trained_probes.Reservoir(layers, model.width, RESERVOIR, seed=plan.seed, device=device) if trained else None
        )
        return _Task(reading, names, moments, reservoir, torch.zeros(types, device=device))

    # The centroid comes last: its prototypes take the place of the moments.
    tasks = [
        task(
            token_reading(encoding, vocabulary, main, types=plan.types), *(["ridge"] if plan.ridge else []), "centroid"
        )
    ]
    if plan.shuffled:
        tasks.append(task(token_reading(encoding, vocabulary, side, types=plan.types, shuffle=plan.seed), "centroid"))
    if plan.trained_epochs:
        tasks.append(task(token_reading(encoding, vocabulary, side, types=plan.types), "softmax", "mlp"))
    if plan.sentence_positions:
        readings = sentence_readings(encoding, vocabulary, side, types=plan.types, positions=plan.sentence_positions)
        tasks += [task(reading, "centroid") for reading in readings]
    return tasks


def _group_rows(
    main: _Task,
    model: LanguageModel,
    texts: Sequence[str],
    domains: Sequence[str],
    encoding: Encoding,
    train: Int[np.ndarray, " sentence"],
    plan: Plan,
) -> list[dict[str, Any]]:
    """What the centroid names, by domain, by frequency in training and by kind of word."""
    outcome = main.outcomes["centroid"]
    trained_on = np.bincount(main.reading.items(encoding, list(train)), minlength=len(main.counts))
    # Items come in whole sentences, each from its first token to its last.
    order = pd.unique(outcome.sentences)
    limit = min(plan.longest, model.longest)
    classes = word_classes(model, [texts[sentence] for sentence in order], limit)
    groups = pd.DataFrame(
        {
            "domain": [domains[sentence] for sentence in outcome.sentences],
            "seen in training": frequency_bands(trained_on[outcome.types]),
            "word class": [name for sentence in classes for name in sentence],
        }
    )
    facts = {"reading": "token", "shuffled": False, "probe": "centroid"}
    return [facts | row for row in group_rows(outcome, groups, seed=plan.seed)]
