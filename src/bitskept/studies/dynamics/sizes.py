"""Twins of other widths, and twins trained on other amounts of text."""

from collections.abc import Collection

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.studies.dynamics.checkpoints import GAIN
from bitskept.studies.dynamics.comparing_runs import at_last_layer, means

LABELS = {
    GAIN: "gain (bits per token)",
    "retained_cross_entropy": "retained by the last layer",
    "late_forgetting": "late forgetting (bits)",
}
"""The quantities of `size_and_data`, as figures and sentences call them."""
VARIED = {"size": "width of the network", "amount": "training sentences"}
"""What may vary, and its name."""


@makes_table
def size_and_data(table: pd.DataFrame, varied: Collection[str]) -> pd.DataFrame:
    """The quantities in `LABELS`, of the `varied` twins after training, at the last layer under the centroid, by size
    and amount.

    Measured by the instruments that `checkpoints.measure` calls.
    """
    last = at_last_layer(table[(table["step"] == table["step"].max()) & table["twin"].isin(varied)])
    rows = last[last["quantity"].isin(LABELS) & (last["probe"].isna() | (last["probe"] == "centroid"))]
    return means(rows, "twin", "size", "amount", "quantity")


def varied(table: pd.DataFrame) -> dict[str, str]:
    """Those of `VARIED` that do vary in a table of `size_and_data`."""
    return {by: name for by, name in VARIED.items() if table[by].nunique() > 1}


def along(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """The rows of `size_and_data` that vary in `by` ("size" or "amount"); the other one has its most common value."""
    other = "amount" if by == "size" else "size"
    commonest = table[other].value_counts(sort=False).idxmax()  # the first of equally common ones
    return table[table[other] == commonest]
