"""The input embeddings of a model, sent into fewer dimensions."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from bitskept.measure.of_model import by_key
from bitskept.sources.models import LanguageModel
from bitskept.theory import johnson_lindenstrauss

VERSION = 1
"""Raise it when the same arguments would give other numbers."""


def squeezed(
    model_id: str,
    points: int,
    dimensions: Sequence[int],
    *,
    projections: int,
    seed: int = 0,
    accept_terms: Collection[str] = (),
) -> pd.DataFrame:
    """`johnson_lindenstrauss.table` of so many of the embeddings, drawn by `seed`, by so many random projections into
    each dimension; one row a dimension and quantity, and in each how many `types` of how many dimensions (`width`) the
    model has. From the store where it is there.

    ValueError where the model has fewer types than `points`; other errors as `models.load`.
    """

    def compute(model: LanguageModel) -> pd.DataFrame:
        vectors = model.embeddings.detach().float().cpu().numpy()
        if points > len(vectors):
            raise ValueError(f"points must be at most {len(vectors):,}, the types of {model.id}, but is {points:,}")
        chosen = np.random.default_rng(seed).choice(len(vectors), size=points, replace=False)
        found = johnson_lindenstrauss.table(vectors[chosen], dimensions, seeds=range(projections))
        return pd.DataFrame(found._asdict()).assign(types=len(vectors), width=vectors.shape[1])

    key = {"points": points, "dimensions": list(dimensions), "projections": projections, "seed": seed}
    key |= {"dtype": "float32"}
    return by_key("squeezed", VERSION, model_id, key, compute, accept_terms=accept_terms, logged=False)
