"""Is information about the token first enhanced, then discarded? Three numbers for the shape of a model's curve."""

import pandas as pd

from bitskept.base.publishing import makes_table


@makes_table
def forgetting(tokens: pd.DataFrame) -> pd.DataFrame:
    """Forgetting, late forgetting and rise of each model, in bits per token, under the centroid and under ridge.
    Measured by `instruments.probes.sweep.measure`, computed in `instruments.probes.bounds_by_layer`.
    """
    shapes = tokens["quantity"].isin(["forgetting", "late_forgetting", "rise"])
    return tokens[shapes & tokens["probe"].isin(["centroid", "ridge"])]


def seen_by_both(table: pd.DataFrame) -> pd.DataFrame:
    """One row per model of `forgetting`: its kind, and whether both probes put the whole interval of `forgetting`, of
    `late_forgetting` and of `rise` above 0.
    """
    low = table.pivot(index=["model", "kind", "probe"], columns="quantity", values="low")
    seen = (low > 0).groupby(["model", "kind"]).all().reset_index("kind")
    return seen.loc[table["model"].unique()].reset_index()
