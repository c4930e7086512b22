"""How far the last layer of each model is from the bound, raw and corrected, by width."""

import pandas as pd

from bitskept.base.words import quote
from bitskept.instruments.soft_entropy.compression import KINDS
from bitskept.studies.bottleneck.by_layer import width_name

SEEN = {"encoder": "has seen the output", "decoder": ""}
"""What is said of a kind of model: the states of an encoder are computed from the tokens that are to come as well."""


def at_last_layer(optimality: pd.DataFrame) -> pd.DataFrame:
    """The rows of the last layer of each model, in the table of `by_layer.optimality`, with the
    `estimator` (raw, corrected, extrapolated).
    """
    last = optimality.groupby("model")["layer"].transform("max")
    rows = optimality[optimality["layer"] == last]
    return rows.assign(estimator=rows["quantity"].map({f"optimality{end}": kind for end, kind in KINDS.items()}))


def distances(optimality: pd.DataFrame) -> pd.DataFrame:
    """Optimality of the last layer with its interval over sentences and draws of the anchors, in words, by model and
    width (rows) and estimator (columns); the bound is 1.
    """
    rows = at_last_layer(optimality)
    kinds = rows.groupby("model")["kind"].first().items()
    names = {model: f"{model} ({SEEN[kind]})" if SEEN[kind] else model for model, kind in kinds}
    words = [quote(row, ".2f") if pd.notna(row["estimate"]) else "not estimable" for row in rows.to_dict("records")]
    shown = rows.assign(model=rows["model"].map(names), label=rows["width"].map(width_name), words=words)
    table = shown.pivot(index=["model", "width", "label"], columns="estimator", values="words")[[*KINDS.values()]]
    return table.droplevel("width")
