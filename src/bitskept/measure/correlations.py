"""Do compression and preference information foretell what a model scores? Rank correlations over models.

Conklin and others (2026, arXiv 2604.07569) report four over 47 models, at the token width: `REPORTED`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bitskept.theory.statistics import bootstrap_interval, holm, partial_spearman, permutation_p, spearman

REPORTED = {"complexity": -0.38, "expressivity": 0.08, "optimality": 0.52, "preference_information": 0.76}
FEWEST = 8
"""Models from which on a p-value is given: the ranks of fewer can hardly be arranged in an unlikely way."""


def per_model(table: pd.DataFrame, *, width: int = 1) -> pd.DataFrame:
    """One row a trained model and quantity: the mean over layers at the largest sample, averaged over anchor seeds.

    `table` is as `compression.measure` and `measure_preference` give them, perhaps several after one another. `low` and
    `high` are the ends farthest out over the seeds.
    """
    fits = table["layer"].isna() & (table["width"].isna() | (table["width"] == width)) & (table["weights"] == "trained")
    rows = table[fits]
    rows = rows[rows["sentences"] == rows.groupby(["model", "quantity"])["sentences"].transform("max")]
    ends = {"estimate": "mean", "low": "min", "high": "max"}
    return rows.groupby(["model", "kind", "quantity"], sort=False).agg(ends).reset_index()


def correlations(
    values: pd.DataFrame, scores: pd.DataFrame, quantities: Sequence[str], *, score: str = "average", seed: int = 0
) -> pd.DataFrame:
    """Each quantity of `per_model` against a benchmark score, over the models that have both.

    `scores` has `model`, `parameters` and the score. Columns: quantity, n, spearman with its interval (low, high, 95 %
    over models), partial (given the number of parameters; for ranks their logarithms are the same), p (two-sided, of
    the partial one) and p_holm, over all quantities. Missing is what too few models leave undefined; p-values need
    `FEWEST` models.
    """
    rows = []
    for quantity in quantities:
        mine = values[values["quantity"] == quantity].dropna(subset="estimate").merge(scores, on="model")
        x, y, size = (mine[name].to_numpy(float) for name in ("estimate", score, "parameters"))
        missing = dict.fromkeys(("spearman", "low", "high", "partial", "p"), np.nan)
        row = {"quantity": quantity, "n": len(mine)} | missing
        if len(mine) >= 4:
            row["spearman"] = spearman(x, y)
            row["low"], row["high"] = bootstrap_interval(x, y, seed=seed)
        if len(mine) >= 5:
            row["partial"] = partial_spearman(x, y, size)
        if len(mine) >= FEWEST:
            row["p"] = permutation_p(x, y, size, seed=seed)
        rows.append(row)
    table = pd.DataFrame(rows)
    known = table["p"].notna()
    table.loc[known, "p_holm"] = holm(table.loc[known, "p"].to_numpy(float))
    return table
