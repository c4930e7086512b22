"""The input embeddings of a model, projected into fewer dimensions."""

import numpy as np
import pandas as pd
from scipy.stats import chi2

from bitskept.base import store
from bitskept.base.publishing import makes_table
from bitskept.instruments.measurement import model_key
from bitskept.sources import model_files, models
from bitskept.studies.inside.section import InsideTransformer
from bitskept.theory import johnson_lindenstrauss

EMBEDDINGS, RANDOM = "embeddings", "random points"


@makes_table
def distortions(section: InsideTransformer) -> pd.DataFrame:
    """By how much random projections change the distances of `points` embeddings drawn by the seed: one row per
    dimension and quantity, with the model's number of embeddings (`types`) and of their dimensions (`width`). Then the
    same for as many Gaussian points of this width, the control; the column `points` says which. Computed by
    `theory.johnson_lindenstrauss.table`.

    ValueError for a model with fewer types than points; other errors as `models.load`.
    """
    names = ("points", "dimensions", "projections", "seed")
    key = {name: getattr(section, name) for name in names} | {"dtype": "float32"}
    model_files.fetch(section.model, accept_terms=section.accept_terms)

    def compute() -> pd.DataFrame:
        model = models.load(section.model, dtype="float32", accept_terms=section.accept_terms)
        vectors = model.embeddings.detach().float().cpu().numpy()
        chosen = np.random.default_rng(section.seed).choice(len(vectors), size=section.points, replace=False)
        seeds = range(section.projections)
        table = pd.DataFrame(johnson_lindenstrauss.table(vectors[chosen], section.dimensions, seeds=seeds))
        return table.assign(types=len(vectors), width=vectors.shape[1])

    drawn = store.stored("squeezed", 1, model_key(section.model, key), compute, logged=False).assign(points=EMBEDDINGS)
    return pd.concat([drawn, _control(section, *drawn[["types", "width"]].iloc[0])], ignore_index=True)


def _control(section: InsideTransformer, types: int, width: int) -> pd.DataFrame:
    names = ("points", "dimensions", "projections", "seed")
    key = {name: getattr(section, name) for name in names} | {"width": int(width)}

    def compute() -> pd.DataFrame:
        points = np.random.default_rng(section.seed).standard_normal((section.points, width))
        seeds = range(1000, 1000 + section.projections)  # others than those of the points
        return pd.DataFrame(johnson_lindenstrauss.table(points, section.dimensions, seeds=seeds))

    made = store.stored("squeezed random points", 1, key, compute, logged=False)
    return made.assign(types=types, width=width, points=RANDOM)


def share_beyond(dimension: int, distortion: float) -> float:
    """The share of pairs of any points whose squared distance a Gaussian projection is expected to change by more: it
    multiplies each by a chi-squared number divided by its degrees of freedom, the `dimension`.
    """
    ends = dimension * (1 - distortion), dimension * (1 + distortion)
    return float(chi2.cdf(ends[0], dimension) + chi2.sf(ends[1], dimension))


def at_half(rows: pd.DataFrame) -> pd.Series:
    """The worst pair's distortion at the most dimensions that were tried up to half of the width."""
    worst = rows[(rows["quantity"] == "max_distortion") & (rows["dimension"] <= rows["width"] / 2)]
    return worst.loc[worst["dimension"].idxmax()]
