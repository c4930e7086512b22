"""The table of one model: read from the store, or computed with the model, which is loaded only then."""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial, update_wrapper
from types import ModuleType
from typing import Any

import pandas as pd

from bitskept.base import store
from bitskept.base.parallel import each_stored, memory_of
from bitskept.instruments.states import cut_as_planned
from bitskept.sources import corpora, model_files, models
from bitskept.sources.language_model import LanguageModel
from bitskept.sources.precision import resolve_dtype
from bitskept.sources.random_weights import Weights, seed_and_scale

MODEL = ("model", "kind", "weights", "seed")
"""The columns that name a model in every table."""
INTEGERS = {
    *("seed", "layer", "other", "head", "position", "width", "item", "first", "second", "train_sentences", "n"),
    *("tokens", "queries", "clusters"),
}
"""Columns of integers that may be missing."""
Asked = tuple[str, Any, int | Weights | None]
"""A model, a plan, and the weights: None for those that the model was published with."""


@dataclass(eq=False)
class Measurement:
    """A function `(model, plan, *, progress)` whose tables are stored under the fingerprints of the model and the
    text.

    A plan is a dataclass with a `dtype` and the `corpus` of a `source` (`corpora`, `prompts`, `tasks` or `facts`), and
    perhaps an `other_corpus`. `name` and `version` are those of the tables in the store: raise the version when the
    same plan would give other numbers. The log of a run mentions tables that are `logged`.
    """

    compute: Callable[..., pd.DataFrame]
    name: str
    version: int
    source: ModuleType = corpora
    logged: bool = True

    def __post_init__(self) -> None:
        update_wrapper(self, self.compute)

    def __reduce__(self) -> str:
        """Pickle it as a function is pickled, by its name, so that it can be sent to another process."""
        return self.compute.__qualname__

    def __call__(
        self,
        model_id: str,
        plan: Any,
        *,
        weights: int | Weights | None = None,
        accept_terms: Collection[str] = (),
        progress: bool = True,
    ) -> pd.DataFrame:
        """The table. `weights` is the seed of a randomly initialised copy, or its seed and scale. Model and text are
        fetched if needed.
        """
        model_files.fetch(model_id, accept_terms=accept_terms)
        key = self.key(model_id, plan, weights)

        def compute() -> pd.DataFrame:
            model = models.load(model_id, dtype=key["dtype"], accept_terms=accept_terms, **seed_and_scale(weights))
            return self.compute(model, plan, progress=progress)

        return store.stored(self.name, self.version, key, compute, logged=self.logged)

    def each(self, asked: Sequence[Asked], *, accept_terms: Collection[str] = ()) -> list[pd.DataFrame]:
        """The tables of several models, plans and weights, in this order: those that are missing are measured side by
        side, the largest model first.
        """
        for model in {model for model, *_ in asked}:
            model_files.fetch(model, accept_terms=accept_terms)
        size = cache(partial(models.number_of_weights, accept_terms=accept_terms))  # only missing tables need it
        return each_stored(
            partial(self._measure, accept_terms),
            asked,
            is_stored=lambda question: self.has(*question[:2], weights=question[2]),
            cost=lambda question: size(question[0]),
            memory=lambda question: memory_of(size(question[0])),
            progress=self.name.replace("_", " "),
        )

    @cut_as_planned()
    def _measure(self, accept_terms: Collection[str], asked: Asked) -> pd.DataFrame:
        model_id, plan, weights = asked
        return self(model_id, plan, weights=weights, accept_terms=accept_terms, progress=False)

    def has(self, model_id: str, plan: Any, *, weights: int | Weights | None = None) -> bool:
        """Whether the table is in the store. The model must have been fetched."""
        return store.has(self.name, self.version, self.key(model_id, plan, weights))

    def asks(self, plan: Any) -> tuple[str, int, Any]:
        """Name, version and plan, for the key of a job (`job.key_of`)."""
        return self.name, self.version, plan

    def key(self, model_id: str, plan: Any, weights: int | Weights | None = None) -> dict[str, Any]:
        """The key of the table in the store."""
        return model_key(model_id, text_key(plan, self.source), weights)


def measurement(name: str, version: int, **options: Any) -> Callable[[Callable[..., pd.DataFrame]], Measurement]:
    """Decorator: make a `Measurement` of a function; `options` are its `source` and `logged`."""
    return partial(Measurement, name=name, version=version, **options)


def at_least(plan: Any, **least: int) -> None:
    """ValueError if a number in a plan is below its least value; None is allowed."""
    for name, value in least.items():
        if (given := getattr(plan, name)) is not None and given < value:
            raise ValueError(f"{name} must be at least {value}, but is {given}")


def text_key(plan: Any, source: ModuleType = corpora) -> dict[str, Any]:
    """The part of a key that is the same for all models, as the store returns it (JSON has no tuples)."""
    names = dict(zip(("text", "other_text"), texts_of(plan), strict=False))
    for id in names.values():
        source.fetch(id)
    return json.loads(json.dumps(asdict(plan))) | {name: source.fingerprint(id) for name, id in names.items()}


def texts_of(plan: Any) -> list[str]:
    """The `corpus` of a plan and, if it has one, its `other_corpus`."""
    return [plan.corpus, *([plan.other_corpus] if hasattr(plan, "other_corpus") else [])]


def model_key(model_id: str, key: dict[str, Any], weights: int | Weights | None = None) -> dict[str, Any]:
    """A key with the model, and with the dtype that the plan's dtype stands for on this machine."""
    dtype = resolve_dtype(key["dtype"])
    return key | {"id": model_id, "model": model_files.fingerprint(model_id, **seed_and_scale(weights)), "dtype": dtype}


def model_facts(model: LanguageModel) -> dict[str, Any]:
    """The values of the columns `MODEL`."""
    weights = "trained"
    if model.seed is not None:
        weights = "random" if model.scale == "configured" else f"random: {model.scale}"
    return {"model": model.id, "kind": model.kind, "weights": weights, "seed": model.seed}


def to_table(
    model: LanguageModel, rows: Iterable[dict[str, Any]], columns: Sequence[str], **facts: Any
) -> pd.DataFrame:
    """Rows in these columns, each with the columns of the model and these facts; `INTEGERS` as pandas' Int64."""
    facts = model_facts(model) | facts
    table = pd.DataFrame([facts | row for row in rows], columns=columns)
    return table.astype({name: "Int64" for name in columns if name in INTEGERS})


def label(model: LanguageModel) -> str:
    """The name of a model on a progress bar."""
    if model.seed is None:
        return model.id
    scale = "" if model.scale == "configured" else f", {model.scale}"
    return f"{model.id}, random weights {model.seed}{scale}"
