"""What a model understands without further training: similarity of texts, classes that frozen states separate, grammar.

`measure` stores the result of every single item; `scores` and `changes` of `bitskept.instruments.scores`
turn these into numbers with intervals.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from bitskept.instruments.embeddings import embed
from bitskept.instruments.likelihood import heads, surprisal
from bitskept.instruments.measurement import INTEGERS, MODEL, measurement, model_facts
from bitskept.instruments.probes.readings import POOLINGS
from bitskept.instruments.states import resolve_layers
from bitskept.sources import task_files, tasks
from bitskept.sources.language_model import LanguageModel

if TYPE_CHECKING:
    import datasets

NAME, VERSION = "understanding", 1
"""Name and version of the stored tables. Raise the version when the same plan would give other numbers."""
STRENGTH = 0.01
"""scikit-learn's C of the linear classifier. There are as many dimensions as training texts: with the default of 1
it overfits (film reviews: 0.68 of the test texts instead of 0.72)."""
NEIGHBOURS = 5
READ = {
    "similarity": tasks.similarity,
    "classification": tasks.classification,
    "minimal-pair": tasks.minimal_pairs,
}
"""What reads the items of a task, by its kind."""
COLUMNS = [
    *(*MODEL, "task", "quantity", "layer", "pooling"),
    *("item", "first", "second", "group", "value", "reference"),
]


@dataclass(frozen=True)
class Plan:
    """What is measured: at most `items` of each part of each task, drawn by `seed`; None: all of them.

    `layers` is a tuple of numbers (negative ones count from the end), the number of evenly spaced layers, or None for
    all of them. `longest` cuts texts. Minimal pairs have neither layer nor pooling.
    """

    tasks: tuple[str, ...]
    layers: tuple[int, ...] | int | None = (-1,)
    poolings: tuple[str, ...] = ("mean",)
    items: int | None = None
    longest: int = 256
    seed: int = 0
    dtype: str = "auto"

    def __post_init__(self) -> None:
        for name in ("tasks", "poolings"):
            if not getattr(self, name):
                raise ValueError(f"{name} must name at least one")
        if self.items is not None and self.items < 4:
            raise ValueError(f"items must be at least 4, or None for all, but is {self.items}")
        if isinstance(self.layers, int) and self.layers < 2:
            raise ValueError(f"layers must be at least 2 evenly spaced ones, or a tuple of them, but is {self.layers}")

    @property
    def corpus(self) -> str:
        """The text of a plan with a single task, as `Measurement` calls it."""
        return self.tasks[0]


def measure(
    model_id: str, plan: Plan, *, weights: int | None = None, accept_terms: Collection[str] = (), progress: bool = True
) -> pd.DataFrame:
    """One row per item, quantity, layer and pooling; each task is stored separately. `weights` is the seed of a
    randomly initialised copy.

    Columns: `COLUMNS`; quantities: `scores.UNITS`. `item` numbers the items of the whole task, so that tables of the
    same plan can be compared item by item; `first` and `second` number the texts of a pair, `group` is the paradigm of
    a minimal pair. SourceError for minimal pairs and a model without a head to score them with.
    """
    options = {"weights": weights, "accept_terms": accept_terms, "progress": progress}
    return pd.concat([outcomes(model_id, task, **options) for task in _each_task(plan)], ignore_index=True)


def has(model_id: str, plan: Plan, *, weights: int | None = None) -> bool:
    """Whether the tables of all tasks are in the store. The model must have been fetched."""
    return all(outcomes.has(model_id, task, weights=weights) for task in _each_task(plan))


def _each_task(plan: Plan) -> Iterator[Plan]:
    """One plan per task. For minimal pairs, layers and poolings are dropped, so that they are not in the key."""
    for task in plan.tasks:
        unused = {"layers": None, "poolings": POOLINGS} if _kind(task) == "minimal-pair" else {}
        yield replace(plan, tasks=(task,), **unused)


@measurement(NAME, VERSION, source=tasks)
def outcomes(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """The table of a plan with a single task. LookupError for a task of another kind."""
    (task,) = plan.tasks
    kind, bar = _kind(task), f"{model.id}: {task}" if progress else None
    if kind not in READ:
        raise LookupError(f"{task} is a task of the kind {kind}: take one of {', '.join(READ)}")
    items = _read(kind, task, tasks.fingerprint(task))
    if kind == "similarity":
        table = similarity(model, items, plan, progress=bar)
    elif kind == "classification":
        table = classification(model, *items, plan, progress=bar)
    else:
        table = minimal_pairs(model, items, plan, progress=bar)
    table = table.assign(task=task, **model_facts(model)).reindex(columns=COLUMNS)
    integers = {name: "Int64" for name in COLUMNS if name in INTEGERS}
    return table.astype(integers | {"pooling": "string", "group": "string"})


def similarity(
    model: LanguageModel, pairs: datasets.Dataset, plan: Plan, *, progress: str | None = None
) -> pd.DataFrame:
    """The cosine of each pair (columns `first`, `second`, `score`) by layer and pooling."""
    items, pairs = _sample(pairs, plan)
    numbers, texts = pd.factorize(np.array([*pairs["first"], *pairs["second"]], dtype=object))
    first, second = numbers.reshape(2, -1)
    facts = {"item": items, "first": first, "second": second, "reference": np.asarray(pairs["score"], dtype=float)}
    tables = []
    for setting, vectors in _vectors(model, list(texts), plan, progress):
        cosines = (_directions(vectors)[first] * _directions(vectors)[second]).sum(axis=1)
        tables.append(pd.DataFrame(facts | setting | {"value": cosines}))
    return pd.concat(tables, ignore_index=True).assign(quantity="spearman")


def classification(
    model: LanguageModel, train: datasets.Dataset, test: datasets.Dataset, plan: Plan, *, progress: str | None = None
) -> pd.DataFrame:
    """Whether each test text (columns `text`, `label`) is classified correctly, by classifier, layer and pooling.

    ValueError where all training texts are of one class, or are fewer than `NEIGHBOURS`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    (_, train), (items, test) = _sample(train, plan), _sample(test, plan)
    known, truth = np.asarray(train["label"]), np.asarray(test["label"])
    if len(set(known)) < 2 or len(known) < NEIGHBOURS:
        raise ValueError(f"{len(known)} training texts of {len(set(known))} classes teach nothing: take more items")
    tables = []
    for setting, vectors in _vectors(model, [*train["text"], *test["text"]], plan, progress):
        linear = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=1000))
        nearest = KNeighborsClassifier(NEIGHBOURS, metric="cosine")
        for quantity, classifier in (("linear_accuracy", linear), ("neighbour_accuracy", nearest)):
            guesses = classifier.fit(vectors[: len(known)], known).predict(vectors[len(known) :])
            facts = {"quantity": quantity, "item": items, "value": (guesses == truth).astype(float)}
            tables.append(pd.DataFrame(facts | setting))
    return pd.concat(tables, ignore_index=True)


def minimal_pairs(
    model: LanguageModel, pairs: datasets.Dataset, plan: Plan, *, progress: str | None = None
) -> pd.DataFrame:
    """The margin of each pair (columns `good`, `bad`, `paradigm`), and whether it is above 0."""
    items, pairs = _sample(pairs, plan)
    texts = [*pairs["good"], *pairs["bad"]]
    sentences = surprisal.surprisals(model, heads.head(model), texts, longest=plan.longest, progress=progress)
    good, bad = sentences["bits"].to_numpy().reshape(2, -1)
    margins = pd.DataFrame({"item": items, "group": pairs["paradigm"], "value": bad - good})
    right = margins.assign(quantity="pair_accuracy", value=(margins["value"] > 0).astype(float))
    return pd.concat([right, margins.assign(quantity="pair_margin")], ignore_index=True)


def _kind(task: str) -> str:
    return task_files.entry(task)["kind"]


@lru_cache  # many small models may do the same tasks, one after the other
def _read(kind: str, task: str, fingerprint: str) -> Any:
    return READ[kind](task)


def _sample(data: datasets.Dataset, plan: Plan) -> tuple[np.ndarray, datasets.Dataset]:
    """At most `plan.items` rows, and their numbers; a larger sample contains every smaller one."""
    rows = np.sort(np.random.default_rng(plan.seed).permutation(len(data))[: plan.items])
    return rows, data.select(rows)


def _vectors(
    model: LanguageModel, texts: list[str], plan: Plan, progress: str | None
) -> Iterator[tuple[dict[str, Any], Float[np.ndarray, "text dim"]]]:
    """The vectors of the texts for every pooling and layer of a plan."""
    layers = resolve_layers(model, plan.layers)
    options = {"layers": layers, "poolings": plan.poolings, "longest": plan.longest, "progress": progress}
    for pooling, by_layer in embed(model, texts, **options).items():
        for layer, vectors in zip(layers, by_layer, strict=True):
            yield {"layer": layer, "pooling": pooling}, vectors


def _directions(vectors: Float[np.ndarray, "text dim"]) -> Float[np.ndarray, "text dim"]:
    """The vectors divided by their lengths, in float64; a vector of length 0 stays as it is."""
    vectors = vectors.astype(float)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)
