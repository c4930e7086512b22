"""Which width of label carries the information: token, bigram, trigram or quadgram."""

from numbers import Real

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.soft_entropy.compression import KINDS
from bitskept.studies.bottleneck.by_layer import at_largest
from bitskept.studies.bottleneck.section import IbCorrelations

NAMES = {1: "token", 2: "bigram", 3: "trigram", 4: "quadgram"}


def width_name(width: Real) -> str:
    """The name of a label of this many tokens."""
    return NAMES.get(int(width), f"{int(width)} tokens")


@makes_table
def by_width(compressed: pd.DataFrame, section: IbCorrelations) -> pd.DataFrame:
    """Complexity and expressivity of all kinds, as means over layers, at the largest sample. Measured by
    `instruments.soft_entropy.compression.measure`.
    """
    rows = at_largest(compressed, section)
    rows = rows[rows["layer"].isna() & rows["width"].notna()]
    rows = rows.astype({"width": int, "estimate": float, "low": float, "high": float})
    return rows[rows["quantity"].isin([side + end for side in ("complexity", "expressivity") for end in KINDS])]


def shares(table: pd.DataFrame) -> pd.DataFrame:
    """The share that each width adds to the complexity of the widest label that can be estimated, raw and extrapolated.

    `table` is that of `by_width`; the index is quantity and model.
    """
    rows = table[table["quantity"].isin(["complexity", "complexity_extrapolated"])]
    bits = rows.pivot(index=["quantity", "model"], columns="width", values="estimate")
    first = bits.columns[0]
    added = bits.diff(axis=1).fillna({first: bits[first]})
    order = pd.MultiIndex.from_product([bits.index.levels[0], rows["model"].unique()], names=bits.index.names)
    return added.div(bits.ffill(axis=1).iloc[:, -1], axis=0).reindex(order)
