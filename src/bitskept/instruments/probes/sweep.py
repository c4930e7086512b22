"""The layer sweep: a pass over training sentences fits the probes of every layer, a pass over test sentences scores
them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int

from bitskept.instruments.masks import visible_among_masks
from bitskept.instruments.measurement import MODEL, at_least, label, measurement, to_table
from bitskept.instruments.probes.bounds_by_layer import Outcome, certificate_rows, group_rows, word_rows
from bitskept.instruments.probes.readings import OTHERS, POOLINGS, token_reading
from bitskept.instruments.probes.sentence_vectors import Question, SentenceVectors, place_questions
from bitskept.instruments.probes.tasks import HIDDEN, Task
from bitskept.instruments.probes.token_groups import Spans, are_words, frequency_bands, spans, word_classes
from bitskept.instruments.states import Encoding, StateBatch, encode, resolve_layers, stream
from bitskept.sources import corpora
from bitskept.sources.language_model import LanguageModel

VALIDATION_ITEMS = 400
"""The approximate number of validation states in memory, spread evenly over the validation sentences."""
COLUMNS = [
    *(*MODEL, "corpus", "layer", "other", "reading", "pooling", "position", "shuffled", "probe", "train_sentences"),
    *("group", "quantity", "estimate", "low", "high", "p", "detectable", "unit", "n", "tokens"),
]


@dataclass(frozen=True)
class Plan:
    """What a sweep measures: the numbers of sentences, which are drawn from the corpus by `seed`.

    `side_layers` evenly spaced layers get what would be too expensive at all of them: the trained probes (softmax and
    perceptron, where `trained_epochs` > 0), the shuffled control, and the learning curve: the probes in closed form on
    `smaller` numbers of training sentences, which are the first ones. `every_layer=False` reduces the main reading to
    these layers as well. `window_layers` evenly spaced layers get the reading of a token from its state and those of
    its neighbours.

    `poolings` are the ways to make one vector of the states of a sentence (`readings.POOLINGS`), at the layers of the
    main reading. All tokens of the sentence are read from it ("bag"), and from the first of these vectors those at the
    first so many `places`; there, "mean of the others" leaves out the place itself, at the side layers. `words`, in
    lower case, are those that all compared models have as one token: a group of the tokens. With `certificate`, all
    sentences of the corpus are tokenised, for a lower limit on H(X).

    A share `hidden` of the tokens is hidden behind masks, as in masked training, and only those that are left visible
    are read; groups of tokens are then left out.
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
    trained_epochs: int = 0
    longest: int = 128
    types: int = 16384
    certificate: bool = False
    smaller: tuple[int, ...] = ()
    window_layers: int = 0
    poolings: tuple[str, ...] = ()
    places: int = 0
    words: tuple[str, ...] = ()
    hidden: float = 0.0

    def __post_init__(self) -> None:
        at_least(self, train=1, validation=1, test=1, side_layers=1)
        if wrong := [size for size in self.smaller if not 1 <= size < self.train]:
            raise ValueError(
                f"smaller numbers of training sentences lie between 1 and {self.train - 1}, not {wrong[0]}"
            )
        if wrong := [name for name in self.poolings if name not in (*POOLINGS, OTHERS)]:
            raise ValueError(f"there is no pooling {wrong[0]!r}: take {', '.join(map(repr, (*POOLINGS, OTHERS)))}")


@measurement("layer_sweep", 6)
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
    texts, domains = list(texts), list(domains)  # single items of a data set's column take long
    encoding = encode(model, texts, longest=plan.longest)
    if plan.hidden:
        encoding = visible_among_masks(model, encoding, plan.hidden, plan.seed)
    parts = test, validation, train = split(encoding, plan)
    sizes = sorted({size for size in plan.smaller if size < len(train)} | {len(train)})
    main, *_ = tasks = list(_tasks(model, encoding, plan, sizes))
    pooled = _sentence_vectors(model, encoding, parts, main, plan, sizes)
    layers = sorted({layer for task in tasks for layer in task.reading.layers} | pooled.layers)

    def batches(sentences: Int[np.ndarray, " sentence"], part: str) -> Iterator[StateBatch]:
        bar = f"{label(model)}: {part}" if progress else None
        for batch in stream(model, encoding, sentences, layers=layers, part=f"{part} sentences", progress=bar):
            pooled.add(batch)
            yield batch
            del batch  # makes room for the next one

    for start, end in pairwise([0, *sizes]):
        for batch in batches(train[start:end], "training"):
            for task in tasks:
                if task.sentences >= end:
                    task.train(batch)
            del batch
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
    covered = spans(model, [texts[sentence] for sentence in test], min(plan.longest, model.longest))
    characters = np.zeros(len(encoding), dtype=int)
    characters[test] = [max(end for _, end in row) for row in covered]
    rows = [row for task in tasks for row in task.rows(encoding, np.concatenate(parts), characters)]
    if plan.certificate:
        every = encode(model, [*texts, *further], longest=plan.longest)
        rows += _certificate(main, encoding, np.concatenate(parts[1:]), every)
    if not plan.hidden:
        rows += _groups(main, encoding, parts, texts, domains, dict(zip(test.tolist(), covered, strict=True)), plan)
    rows += pooled.rows()
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


def _tasks(model: LanguageModel, encoding: Encoding, plan: Plan, sizes: Sequence[int]) -> Iterator[Task]:
    """What is read from single states, and by which probes; the main reading first."""
    vocabulary, types, *smaller, full = len(model.embeddings), plan.types, *sizes
    side = resolve_layers(model, plan.side_layers)
    options = {"corpus": plan.corpus, "epochs": plan.trained_epochs, "seed": plan.seed}
    closed, layers = _closed_form(plan), _main_layers(model, plan)
    reading = token_reading(encoding, vocabulary, layers, types=types)
    yield Task(reading, closed, model, full, **options)
    if plan.shuffled:
        shuffled = token_reading(encoding, vocabulary, side, types=types, shuffle=plan.seed)
        yield Task(shuffled, ("centroid",), model, full, **options)
    if plan.trained_epochs:
        yield Task(replace(reading, layers=side), tuple(HIDDEN), model, full, **options)
    for size in smaller:
        yield Task(replace(reading, layers=side), closed, model, size, **options)
    if plan.window_layers:
        window = replace(reading, layers=resolve_layers(model, plan.window_layers), window=True)
        yield Task(window, closed, model, full, **options)


def _sentence_vectors(
    model: LanguageModel,
    encoding: Encoding,
    parts: Sequence[Int[np.ndarray, " _sentence"]],
    main: Task,
    plan: Plan,
    sizes: Sequence[int],
) -> SentenceVectors:
    questions = [Question(main.reading)]
    if plan.poolings and plan.places:
        questions += place_questions(encoding, len(model.embeddings), types=plan.types, places=plan.places)
    layers, side = main.reading.layers, resolve_layers(model, plan.side_layers)
    options = {"layers": layers, "side": side, "sizes": sizes, "seed": plan.seed}
    return SentenceVectors(model, encoding, parts, questions, plan.poolings, **options)


def _closed_form(plan: Plan) -> tuple[str, ...]:
    return ("ridge", "centroid") if plan.ridge else ("centroid",)


def _main_layers(model: LanguageModel, plan: Plan) -> tuple[int, ...]:
    return resolve_layers(model, None if plan.every_layer else plan.side_layers)


def _certificate(
    main: Task, encoding: Encoding, not_test: Int[np.ndarray, " sentence"], every: Encoding
) -> Iterator[dict[str, Any]]:
    """The certificate of the centroid. Its alphabet is the whole vocabulary; its entropy is that of one random token of
    each different sentence of the corpus, `every`. A token that `not_test` sentences lack counts as missed, and so does
    one that shares a row with others.
    """
    reading, outcome, seed = main.reading, Outcome.joined(main.outcomes["centroid"]), main.seed
    candidates = np.bincount(reading.items(encoding, not_test), minlength=reading.types) > 0
    candidates &= torch.bincount(reading.rows[reading.rows >= 0], minlength=reading.types).numpy() == 1
    random = np.random.default_rng(seed)
    different = {every.ids[sentence].tobytes(): sentence for sentence in range(len(every))}.values()
    tokens = [every.tokens(sentence) for sentence in different]
    one_per_sentence = np.array([random.choice(row) for row in tokens if len(row)])
    for row in certificate_rows(outcome, candidates, one_per_sentence, len(main.model.embeddings), seed=seed):
        yield main.facts | {"probe": "centroid"} | row


def _groups(
    main: Task,
    encoding: Encoding,
    parts: Sequence[Int[np.ndarray, " _sentence"]],
    texts: Sequence[str],
    domains: Sequence[str],
    covered: dict[int, Spans],
    plan: Plan,
) -> Iterator[dict[str, Any]]:
    """The share that the centroid names correctly, by domain, by frequency in training and by word class; with the
    `words` of a plan also by these, and what is usable about them.
    """
    outcome, reading = Outcome.joined(main.outcomes["centroid"]), main.reading
    counts = [np.bincount(reading.items(encoding, part), minlength=reading.types) for part in parts]
    # Items come in whole sentences, each from its first token to its last.
    order = pd.unique(outcome.sentences)
    surfaces = [texts[sentence] for sentence in order], [covered[sentence] for sentence in order]
    groups = {
        "domain": [domains[sentence] for sentence in outcome.sentences],
        "seen in training": frequency_bands(counts[-1][outcome.types]),
        "word class": [name for sentence in word_classes(*surfaces) for name in sentence],
    }
    rows = [*group_rows(outcome, pd.DataFrame(groups))]
    if plan.words:
        common = np.array([word for sentence in are_words(*surfaces, plan.words) for word in sentence])
        rows += group_rows(outcome, pd.DataFrame({"one token for all models": np.where(common, "yes", "no")}))
        if common.any():
            rows += word_rows(outcome, common, sum(counts), prior=main.prior.shares, seed=plan.seed)
    for row in rows:
        yield main.facts | {"probe": "centroid"} | row
