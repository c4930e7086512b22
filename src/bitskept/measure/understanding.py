"""What a model understands without being taught: likeness of texts, classes that its frozen states tell apart, grammar.

`measure` is what notebooks call: it loads, measures and keeps what became of every single item in the store. `scores`
and `changes` of `bitskept.measure.scores` make numbers with intervals of it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float

from bitskept.measure import likelihood
from bitskept.measure.embeddings import embed, resolve_layers
from bitskept.measure.of_model import model_facts
from bitskept.measure.readings import POOLINGS
from bitskept.measure.scores import scores
from bitskept.measure.sweep import side_layers
from bitskept.sources import models, task_files, tasks
from bitskept.sources.models import LanguageModel
from bitskept.store import stored

if TYPE_CHECKING:
    import datasets

VERSION = 1
"""Raise it when the same plan would give other numbers."""
STRENGTH = 0.01
"""scikit-learn's C of the linear classifier. Embeddings have as many dimensions as there are training texts: with its
default of 1, it learns those by heart (film reviews: 0.68 of the test texts instead of 0.72)."""
NEIGHBOURS = 5
COLUMNS = [
    *("model", "kind", "weights", "seed", "task", "quantity", "layer", "pooling"),
    *("item", "first", "second", "group", "value", "reference"),
]
QUANTITIES = {
    "spearman": "rank correlation of the cosine of two texts' vectors (`value`) with what people said (`reference`)",
    "linear_accuracy": "share of test texts of which a logistic regression on standardised vectors finds the class",
    "neighbour_accuracy": "share of test texts whose class is that of most of the 5 training texts nearest by cosine",
    "pair_accuracy": "share of minimal pairs of which the good sentence is the more likely one",
    "pair_margin": "-log2 of the bad sentence's likelihood less that of the good one's: what the violation costs",
}


@dataclass(frozen=True)
class Plan:
    """What is measured: at most `items` of each part of each task, drawn by `seed`; None: all of them.

    `layers` are numbers (negative ones count from the end), or how many evenly spaced ones (see `side_layers`), or None
    for all. `longest` cuts texts. Minimal pairs have neither layer nor pooling.
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


def measure(
    model_id: str, plan: Plan, *, weights: int | None = None, accept_terms: Collection[str] = (), progress: bool = True
) -> pd.DataFrame:
    """What became of each item of each task, one row an item, quantity, layer and pooling; each task from the store
    where it is there. `weights` is the seed of a randomly initialised copy.

    Columns: `COLUMNS`; quantities: `QUANTITIES`. `item` numbers the items of the whole task, so that tables of the same
    plan can be compared item by item; `first` and `second` number the texts of a pair, `group` is the paradigm of a
    minimal pair. Errors as `models.load` and those of the task; SourceError for minimal pairs and a model without a
    head to score them with.
    """
    models.fetch(model_id, accept_terms=accept_terms)
    dtype = models.resolve_dtype(plan.dtype, models.resolve_device("auto"))
    model_key = {"id": model_id, "model": models.fingerprint(model_id, seed=weights), "dtype": dtype}

    @cache
    def model() -> LanguageModel:
        return models.load(model_id, dtype=dtype, seed=weights, accept_terms=accept_terms)

    tables = []
    for task in plan.tasks:
        tasks.fetch(task)
        one = replace(plan, tasks=(task,))
        if _kind(task) == "minimal-pair":
            one = replace(one, layers=None, poolings=POOLINGS)  # which make no difference to it
        key = asdict(one) | model_key | {"text": tasks.fingerprint(task)}

        def compute(one: Plan = one) -> pd.DataFrame:
            return outcomes(model(), one, progress=progress)

        tables.append(stored("understanding", VERSION, key, compute))
    return pd.concat(tables, ignore_index=True)


def evaluate(
    model: LanguageModel, task: str, *, layer: int = -1, pooling: str = "mean", items: int | None = None
) -> float:
    """The score of a model on a task: Spearman's correlation, linear accuracy, or the share of minimal pairs.

    Nothing is stored. Errors as `measure`.
    """
    table = outcomes(model, Plan((task,), (layer,), (pooling,), items))
    return float(scores(table)["estimate"].iloc[0])


def outcomes(model: LanguageModel, plan: Plan, *, progress: bool = False) -> pd.DataFrame:
    """The table of a model that is loaded, as `measure` gives it. LookupError for a task of another kind."""
    tables = []
    for task in plan.tasks:
        kind, bar = _kind(task), f"{model.id}: {task}" if progress else None
        if kind == "similarity":
            found = similarity(model, tasks.similarity(task), plan, progress=bar)
        elif kind == "classification":
            found = classification(model, *tasks.classification(task), plan, progress=bar)
        elif kind == "minimal-pair":
            found = minimal_pairs(model, tasks.minimal_pairs(task), plan, progress=bar)
        else:
            raise LookupError(
                f"{task} is a task of the kind {kind}: take one of similarity, classification, minimal-pair"
            )
        tables.append(found.assign(task=task))
    table = pd.concat(tables, ignore_index=True)
    table = table.assign(**model_facts(model)).reindex(columns=COLUMNS)
    texts = {name: "string" for name in ("pooling", "group")}
    return table.astype({name: "Int64" for name in ("seed", "layer", "item", "first", "second")} | texts)


def similarity(
    model: LanguageModel, pairs: datasets.Dataset, plan: Plan, *, progress: str | None = None
) -> pd.DataFrame:
    """The cosine of each pair (columns `first`, `second`, `score`) by layer and pooling."""
    items, pairs = _sample(pairs, plan)
    numbers, texts = pd.factorize(np.array([*pairs["first"], *pairs["second"]], dtype=object))
    first, second = numbers.reshape(2, -1)
    facts = {"item": items, "first": first, "second": second, "reference": np.asarray(pairs["score"], dtype=float)}
    tables = []
    for layer, pooling, vectors in _vectors(model, list(texts), plan, progress):
        cosines = (_directions(vectors)[first] * _directions(vectors)[second]).sum(axis=1)
        tables.append(pd.DataFrame(facts | {"layer": layer, "pooling": pooling, "value": cosines}))
    return pd.concat(tables, ignore_index=True).assign(quantity="spearman")


def classification(
    model: LanguageModel, train: datasets.Dataset, test: datasets.Dataset, plan: Plan, *, progress: str | None = None
) -> pd.DataFrame:
    """Whether each test text (columns `text`, `label`) is given its class, by both classifiers, layer and pooling.

    ValueError where all training texts are of one class, or fewer than the neighbours that are asked for.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    (_, train), (items, test) = _sample(train, plan), _sample(test, plan)
    known, wanted = np.asarray(train["label"]), np.asarray(test["label"])
    if len(set(known)) < 2 or len(known) < NEIGHBOURS:
        raise ValueError(f"{len(known)} training texts of {len(set(known))} classes teach nothing: take more items")
    tables = []
    for layer, pooling, vectors in _vectors(model, [*train["text"], *test["text"]], plan, progress):
        linear = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=1000))
        nearest = KNeighborsClassifier(NEIGHBOURS, metric="cosine")
        for quantity, classifier in (("linear_accuracy", linear), ("neighbour_accuracy", nearest)):
            guesses = classifier.fit(vectors[: len(known)], known).predict(vectors[len(known) :])
            facts = {"quantity": quantity, "layer": layer, "pooling": pooling, "item": items}
            tables.append(pd.DataFrame(facts | {"value": (guesses == wanted).astype(float)}))
    return pd.concat(tables, ignore_index=True)


def minimal_pairs(
    model: LanguageModel, pairs: datasets.Dataset, plan: Plan, *, progress: str | None = None
) -> pd.DataFrame:
    """The margin of each pair (columns `good`, `bad`, `paradigm`), and whether it is above 0."""
    items, pairs = _sample(pairs, plan)
    head, start = likelihood.head(model), likelihood.start_token(model)
    texts = [*pairs["good"], *pairs["bad"]]
    found = likelihood.surprisals(model, head, texts, start=start, longest=plan.longest, progress=progress)
    good, bad = found["bits"].to_numpy().reshape(2, -1)
    table = pd.DataFrame({"item": items, "group": pairs["paradigm"], "value": bad - good})
    right = table.assign(quantity="pair_accuracy", value=(table["value"] > 0).astype(float))
    return pd.concat([right, table.assign(quantity="pair_margin")], ignore_index=True)


def _kind(task: str) -> str:
    return task_files.entry(task)["kind"]


def _sample(data: datasets.Dataset, plan: Plan) -> tuple[np.ndarray, datasets.Dataset]:
    """At most `plan.items` rows, and their numbers; a larger sample contains every smaller one."""
    rows = np.sort(np.random.default_rng(plan.seed).permutation(len(data))[: plan.items])
    return rows, data.select(rows)


def _vectors(model: LanguageModel, texts: list[str], plan: Plan, progress: str | None):
    """Layer, pooling and the vectors of the texts [text, dim], for every layer and pooling of a plan."""
    layers = side_layers(model.layers, plan.layers) if isinstance(plan.layers, int) else plan.layers
    layers = resolve_layers(model, layers)
    found = embed(model, texts, layers=layers, poolings=plan.poolings, longest=plan.longest, progress=progress)
    for pooling, vectors in found.items():
        yield from ((layer, pooling, vectors[place]) for place, layer in enumerate(layers))


def _directions(vectors: Float[np.ndarray, "text dim"]) -> Float[np.ndarray, "text dim"]:
    """The vectors divided by their lengths, in float64; one of length 0 stays as it is."""
    vectors = vectors.astype(float)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)
