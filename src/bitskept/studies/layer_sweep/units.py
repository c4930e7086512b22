"""The same curve in units that do and do not depend on how a tokenizer cuts the text."""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.studies.layer_sweep.bits_by_layer import at_last_layer, ranking

SHARED = "one token for all models: yes"
UNITS = ("bits per token", "bits per character", "bits per shared word")


@makes_table
def words(tokens: pd.DataFrame) -> pd.DataFrame:
    """What the centroid shows in each layer, in each of `UNITS` (column `counted`). Shared words are one token for all
    models. Measured by `instruments.probes.sweep.measure`, computed in `instruments.probes.bounds_by_layer`.
    """
    rows = tokens[tokens["probe"] == "centroid"]
    parts = (
        rows[(rows["quantity"] == "usable") & rows["group"].isna()],
        rows[rows["quantity"] == "bits_per_character"],
        rows[(rows["quantity"] == "usable") & (rows["group"] == SHARED)],
    )
    return pd.concat(part.assign(counted=unit) for unit, part in zip(UNITS, parts, strict=True))


def orders(retained: pd.DataFrame, words: pd.DataFrame) -> pd.DataFrame:
    """One row per way of counting (`unit`): the `ranking` of the models' last layers."""
    tables = {"share of H(X)": retained, **dict(list(words.groupby("counted", sort=False)))}
    return pd.DataFrame([{"unit": unit, **ranking(at_last_layer(table))} for unit, table in tables.items()])
