"""The layer sweep: a pass over training sentences fits the probes of every layer, a pass over test sentences scores
them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int

from bitskept.instruments.measurement import MODEL, label, measurement, to_table
from bitskept.instruments.probes import trained
from bitskept.instruments.probes.bounds_by_layer import Outcome, bound_rows, certificate_rows, group_rows
from bitskept.instruments.probes.centroid import centroid
from bitskept.instruments.probes.closed_form import Moments, ridge
from bitskept.instruments.probes.law import Probe
from bitskept.instruments.probes.readings import Reading, View, sentence_readings, token_reading
from bitskept.instruments.probes.token_groups import frequency_bands, word_classes
from bitskept.instruments.states import Encoding, StateBatch, encode, resolve_layers, stream
from bitskept.sources import corpora
from bitskept.sources.language_model import LanguageModel

VALIDATION_ITEMS = 400
"""The approximate number of validation states in memory, spread evenly over the validation sentences."""
CLOSED_FORM = {"ridge": ridge, "centroid": centroid}
HIDDEN = {"softmax": None, "mlp": 512}
"""The trained probes, with the number of units in their hidden layer."""
RESERVOIR = 32768
"""The most training states in memory for each layer with trained probes."""
COLUMNS = [
    *(*MODEL, "corpus", "layer", "reading", "position", "shuffled", "probe", "group"),
    *("quantity", "estimate", "low", "high", "unit", "n", "tokens"),
]


@dataclass(frozen=True)
class Plan:
    """What a sweep measures: the numbers of sentences, which are drawn from the corpus by `seed`.

    `side_layers` evenly spaced layers get what would be too expensive at all of them: the trained probes (softmax and
    perceptron, where `trained_epochs` > 0), the shuffled control, and the sentence reading of the first
    `sentence_positions` positions. `every_layer=False` reduces the main reading to these layers as well. With
    `certificate`, all sentences of the corpus are tokenised, for a lower limit on H(X).
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
    certificate: bool = False

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test", "side_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")


@measurement("layer_sweep", 2)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """The results of the probes at each layer, with 95 % intervals over sentences. Columns: `COLUMNS`; quantities:
    those of `bounds_by_layer`, and "truncated", the number of sentences that were cut.
    """
    number = plan.test + plan.validation + plan.train
    texts = corpora.load(plan.corpus, sentences=number, seed=plan.seed)
    every = corpora.load(plan.corpus, seed=plan.seed)["text"][number:] if plan.certificate else ()
    return sweep(model, texts["text"], texts["domain"], plan, further=every, progress=progress)


def sweep(
    model: LanguageModel,
    texts: Sequence[str],
    domains: Sequence[str],
    plan: Plan,
    *,
    further: Sequence[str] = (),
    progress: bool = False,
) -> pd.DataFrame:
    """The table of a model on these texts, as `measure` gives it; `further` sentences of the corpus are for the
    entropy in the certificate. ValueError where the texts are too few or too short.
    """
    encoding = encode(model, texts, longest=plan.longest)
    parts = test, validation, train = split(encoding, plan)
    main, *others = tasks = [
        _Task(reading, probes, model, plan) for reading, probes in _readings(model, encoding, plan)
    ]
    layers = sorted({layer for task in tasks for layer in task.reading.layers})

    def batches(sentences: Int[np.ndarray, " sentence"], part: str) -> Iterator[StateBatch]:
        bar = f"{label(model)}: {part}" if progress else None
        return stream(model, encoding, sentences, layers=layers, part=f"{part} sentences", progress=bar)

    for batch in batches(train, "training"):
        for task in tasks:
            task.train(batch)
        del batch  # makes room for the next one
    stride = -(-sum(len(encoding.tokens(sentence)) for sentence in validation) // VALIDATION_ITEMS)
    for batch in batches(validation, "validation"):
        for task in tasks:
            task.hold(batch, stride)
    for task in tasks:
        task.fit(progress=label(model) if progress else None)
    for batch in batches(test, "test"):
        for task in tasks:
            task.test(batch)
        del batch
    sentences = np.concatenate(parts)
    rows = [*main.rows(encoding, sentences)]
    if plan.certificate:
        rows += _certificate(
            main, encoding, np.concatenate(parts[1:]), encode(model, [*texts, *further], longest=plan.longest)
        )
    rows += [row for task in others for row in task.rows(encoding, sentences)]
    rows += _groups(main, encoding, train, texts, domains)
    cut = {"quantity": "truncated", "estimate": encoding.truncated, "unit": "sentences", "n": len(encoding)}
    return to_table(model, [*rows, main.facts | cut], COLUMNS, corpus=plan.corpus)


def split(encoding: Encoding, plan: Plan) -> tuple[Int[np.ndarray, " sentence"], ...]:
    """Test, validation and training sentences, in the order of the texts, so that more training sentences do not
    change the test.

    Sentences that tokenising makes equal (an uncased model does) count once, and those without a token not at all; the
    training part is then shorter. ValueError where a part would be empty.
    """
    first = {encoding.ids[sentence].tobytes(): sentence for sentence in reversed(range(len(encoding)))}
    usable = [sentence for sentence in sorted(first.values()) if encoding.measured[sentence].any()]
    ends = np.cumsum([plan.test, plan.validation, plan.train])
    if len(usable) <= ends[1] or len(encoding) < ends[2]:
        raise ValueError(
            f"{plan.corpus} gives {len(usable)} different sentences, but {ends[2]} are asked for: "
            f"{plan.test} for test, {plan.validation} for validation, {plan.train} for training"
        )
    return tuple(np.split(np.array(usable[: ends[2]]), ends[:2]))


def _readings(model: LanguageModel, encoding: Encoding, plan: Plan) -> Iterator[tuple[Reading, tuple[str, ...]]]:
    """What is read, and by which probes; the main reading first. The centroid comes last of its probes, because it
    overwrites the moments."""
    vocabulary, types = len(model.embeddings), plan.types
    side = resolve_layers(model, plan.side_layers)
    every = resolve_layers(model, None) if plan.every_layer else side
    yield (
        token_reading(encoding, vocabulary, every, types=types),
        ("ridge", "centroid") if plan.ridge else ("centroid",),
    )
    if plan.shuffled:
        yield token_reading(encoding, vocabulary, side, types=types, shuffle=plan.seed), ("centroid",)
    if plan.trained_epochs:
        yield token_reading(encoding, vocabulary, side, types=types), tuple(HIDDEN)
    if plan.sentence_positions:
        for reading in sentence_readings(encoding, vocabulary, side, types=types, positions=plan.sentence_positions):
            yield reading, ("centroid",)


class _Task:
    """One reading with its probes, all in closed form or all trained, from their statistics to their scores."""

    def __init__(self, reading: Reading, probes: tuple[str, ...], model: LanguageModel, plan: Plan) -> None:
        self.reading, self.probes, self.model, self.plan = reading, probes, model, plan
        kind = f"sentence: {reading.pooling}" if reading.pooling else "token"
        self.facts = {"reading": kind, "position": reading.position, "shuffled": reading.shuffled}
        self.counts = torch.zeros(reading.types, device=model.device)
        layers = len(reading.layers)
        if probes[0] in HIDDEN:
            self.states = trained.Reservoir(layers, model.width, RESERVOIR, seed=plan.seed, device=model.device)
        else:
            self.states = Moments(layers, reading.types, model.width, model.device)
        self.held: list[View] = []
        self.fitted: dict[str, Probe] = {}
        self.outcomes: dict[str, list[Outcome]] = {name: [] for name in probes}

    def train(self, batch: StateBatch) -> None:
        view = self.reading.view(batch)
        self.counts += torch.bincount(view.types, minlength=len(self.counts))
        self.states.update(view.states, view.types)

    def hold(self, batch: StateBatch, stride: int) -> None:
        step = slice(None, None, stride if self.reading.pooling is None else None)
        view = self.reading.view(batch)
        self.held.append(View(view.states[:, step].clone(), view.types[step], view.sentences[step]))

    def fit(self, *, progress: str | None) -> None:
        states = torch.cat([view.states for view in self.held], dim=1)
        types = torch.cat([view.types for view in self.held])
        self.held.clear()
        if not len(types) or not self.counts.any():
            raise ValueError(
                f"no sentence of {self.plan.corpus} is long enough for the reading {self.facts['reading']}"
            )
        embeddings = self.reading.embeddings(self.model.embeddings.detach().float())
        options = {"epochs": self.plan.trained_epochs, "seed": self.plan.seed}
        for name in self.probes:
            if name in HIDDEN:
                options |= {"hidden": HIDDEN[name], "progress": f"{progress}: {name}" if progress else None}
                self.fitted[name] = trained.train(self.states, self.counts, states, types, **options)
            else:
                self.fitted[name] = CLOSED_FORM[name](self.states, embeddings, states, types)
        del self.states

    def test(self, batch: StateBatch) -> None:
        view = self.reading.view(batch)
        for name, probe in self.fitted.items():
            scores = probe.score(view.states, view.types)
            self.outcomes[name].append(Outcome.of_batch(self.reading.layers, view, scores))

    def rows(self, encoding: Encoding, sentences: Int[np.ndarray, " sentence"]) -> Iterator[dict[str, Any]]:
        counts = np.bincount(self.reading.items(encoding, sentences), minlength=self.reading.types)
        for name, parts in self.outcomes.items():
            for row in bound_rows(Outcome.joined(parts), counts, seed=self.plan.seed):
                yield self.facts | {"probe": name} | row


def _certificate(
    main: _Task, encoding: Encoding, not_test: Int[np.ndarray, " sentence"], every: Encoding
) -> Iterator[dict[str, Any]]:
    """The certificate of the centroid. Its alphabet is the whole vocabulary; its entropy is that of one random token of
    each different sentence of the corpus, `every`. A token that `not_test` sentences lack counts as missed, and so does
    one that shares a row with others.
    """
    reading, outcome, seed = main.reading, Outcome.joined(main.outcomes["centroid"]), main.plan.seed
    candidates = np.bincount(reading.items(encoding, not_test), minlength=reading.types) > 0
    candidates &= torch.bincount(reading.rows[reading.rows >= 0], minlength=reading.types).numpy() == 1
    random = np.random.default_rng(seed)
    different = {every.ids[sentence].tobytes(): sentence for sentence in range(len(every))}.values()
    tokens = [every.tokens(sentence) for sentence in different]
    one_per_sentence = np.array([random.choice(row) for row in tokens if len(row)])
    for row in certificate_rows(outcome, candidates, one_per_sentence, len(main.model.embeddings), seed=seed):
        yield main.facts | {"probe": "centroid"} | row


def _groups(
    main: _Task,
    encoding: Encoding,
    train: Int[np.ndarray, " sentence"],
    texts: Sequence[str],
    domains: Sequence[str],
) -> Iterator[dict[str, Any]]:
    """The share that the centroid names correctly, by domain, by frequency in training and by word class."""
    outcome, model, plan = Outcome.joined(main.outcomes["centroid"]), main.model, main.plan
    trained_on = np.bincount(main.reading.items(encoding, train), minlength=main.reading.types)
    # Items come in whole sentences, each from its first token to its last.
    order = pd.unique(outcome.sentences)
    classes = word_classes(model, [texts[sentence] for sentence in order], min(plan.longest, model.longest))
    groups = {
        "domain": [domains[sentence] for sentence in outcome.sentences],
        "seen in training": frequency_bands(trained_on[outcome.types]),
        "word class": [name for sentence in classes for name in sentence],
    }
    for row in group_rows(outcome, pd.DataFrame(groups)):
        yield main.facts | {"probe": "centroid"} | row
