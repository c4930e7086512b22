"""The table of one model: read from the store, or computed with the model, which is loaded only then."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import asdict
from types import ModuleType
from typing import Any

import pandas as pd

from bitskept.sources import corpora, models
from bitskept.sources.models import LanguageModel
from bitskept.store import stored


def from_store(
    function: str,
    version: int,
    model_id: str,
    plan: Any,
    compute: Callable[[LanguageModel], pd.DataFrame],
    *,
    source: ModuleType = corpora,
    weights: int | None = None,
    accept_terms: Collection[str] = (),
    logged: bool = True,
) -> pd.DataFrame:
    """What a plan asks of a model, by the fingerprints of both and of the text.

    A plan is a dataclass with the `corpus` of a `source` (`corpora` or `prompts`), fetched where it is not here, and a
    `dtype`. `weights` is the seed of a randomly initialised copy. A run is told of the table if it is `logged`. Errors
    as `models.load` and the source's `fetch`.
    """
    models.fetch(model_id, accept_terms=accept_terms)
    key = text_key(plan, source)
    return by_key(function, version, model_id, key, compute, weights=weights, accept_terms=accept_terms, logged=logged)


def by_key(
    function: str,
    version: int,
    model_id: str,
    key: dict[str, Any],
    compute: Callable[[LanguageModel], pd.DataFrame],
    *,
    weights: int | None = None,
    accept_terms: Collection[str] = (),
    logged: bool = True,
) -> pd.DataFrame:
    """The same where what is asked is not a plan; the `dtype` of the key is the one asked for."""
    models.fetch(model_id, accept_terms=accept_terms)
    dtype = models.resolve_dtype(key["dtype"], models.resolve_device("auto"))
    key = key | {"id": model_id, "model": models.fingerprint(model_id, seed=weights), "dtype": dtype}
    return stored(
        function,
        version,
        key,
        lambda: compute(models.load(model_id, dtype=dtype, seed=weights, accept_terms=accept_terms)),
        logged=logged,
    )


def text_key(plan: Any, source: ModuleType = corpora) -> dict[str, Any]:
    """What a plan asks, of whichever model, as it is read back from the store: JSON has lists only."""
    source.fetch(plan.corpus)
    return json.loads(json.dumps(asdict(plan))) | {"text": source.fingerprint(plan.corpus)}


def model_facts(model: LanguageModel) -> dict[str, Any]:
    """The columns that name a model in every table."""
    weights = "trained" if model.seed is None else "random"
    return {"model": model.id, "kind": model.kind, "weights": weights, "seed": model.seed}


def label(model: LanguageModel) -> str:
    """What a progress bar calls it."""
    return model.id if model.seed is None else f"{model.id}, random weights {model.seed}"
