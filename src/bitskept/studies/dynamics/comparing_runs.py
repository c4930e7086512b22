"""Differences between runs that were measured on the same items, means over seeds, and which of them are significant.

Tables here have one number per row. They name a checkpoint by twin, seed, size (width), amount (training sentences) and
step, or an untrained network by family, causal, initial and seed; then come layer, probe and k where the quantity has
them; and estimate, unit, and low and high, 95 % over items (sentences).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from bitskept.theory.intervals import standard_error
from bitskept.theory.repeated_runs import Mean, mean_over_runs
from bitskept.theory.statistics import holm

LEVEL = 0.05
NETWORK = ("twin", "size", "amount")
UNTRAINED = ("family", "causal", "initial")
SETTING = ["reading", "probe", "train_sentences"]
"""The columns that name how states were read."""
BEFORE = ", before the first step"
"""The end of a reading's name: of states before the network is trained."""


def at_last_layer(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of each network's last layer, and those that have no layer."""
    names = [name for name in (*NETWORK, *UNTRAINED) if name in table]
    last = table.groupby(names)["layer"].transform("max")
    return table[table["layer"].isna() | (table["layer"] == last).fillna(False)]


def item_errors(table: pd.DataFrame) -> pd.Series:
    """Standard errors over items, computed back from the 95 % intervals (`intervals.standard_error`)."""
    low, high = (table[end].to_numpy(float) for end in ("low", "high"))
    return pd.Series(standard_error(low, high), table.index)


def difference(first: pd.DataFrame, second: pd.DataFrame, on: Sequence[str]) -> pd.DataFrame:
    """Rows of `first` minus the rows of `second` with the same values in the columns `on`: `estimate`, and its standard
    `error` over items. The columns `first` and `second` hold the two values.

    The errors are combined as if they were independent. Errors on the same items usually go in the same direction, so
    the interval is too wide rather than too narrow. ValueError where the columns do not identify a row.
    """
    second = second.assign(second=second["estimate"], error_second=item_errors(second))[[*on, "second", "error_second"]]
    both = first.assign(first=first["estimate"], error=item_errors(first)).merge(second, on=list(on), validate="1:1")
    both["estimate"] = both["first"] - both["second"]
    both["error"] = np.hypot(both["error"], both["error_second"])
    return both.drop(columns=["low", "high", "error_second"])


def pooled(values: Float[np.ndarray, " run"], errors: Float[np.ndarray, " run"]) -> Mean:
    """`mean_over_runs` of runs that were measured on the same items; `errors` are the runs' errors over these items.

    More runs do not make up for few items, so the mean's error over items is the mean of the runs' errors. Missing
    values and errors are left out. The result is missing if no value is left, and its interval if the only value has no
    error.
    """
    known = np.isfinite(values)
    errors = errors[known & np.isfinite(errors)]
    if not known.any() or (known.sum() == 1 and not len(errors)):
        return Mean(float(values[known][0]) if known.any() else np.nan, np.nan, np.nan, np.nan)
    return mean_over_runs(values[known].astype(float), float(errors.mean()) if len(errors) else 0.0)


def means(table: pd.DataFrame, *by: str) -> pd.DataFrame:
    """The mean over runs (`pooled`) for each value of the columns `by`: estimate, low, high and p, with intervals over
    runs and items; `runs`, their number.
    """
    rows = []
    for key, group in table.groupby(list(by), sort=False, dropna=False):
        mean = pooled(group["estimate"].to_numpy(float), item_errors(group).to_numpy(float))
        rows.append(dict(zip(by, key, strict=True)) | mean._asdict() | {"runs": len(group)})
    return pd.DataFrame(rows, columns=[*by, "estimate", "low", "high", "p", "runs"])


def adjusted(p: pd.Series) -> pd.Series:
    """p-values adjusted for their number (Holm); a missing one counts as 1."""
    return pd.Series(holm(p.fillna(1.0).to_numpy(float)), p.index)


def judged(table: pd.DataFrame, *family: str) -> pd.DataFrame:
    """The table with two more columns. `p_holm` is p adjusted for the number of rows with the same values in the
    columns `family`. `sure` is "more" or "less" by the sign of `estimate`, or "" where `p_holm` is not below `LEVEL`.
    """
    table = table.assign(p_holm=table.groupby(list(family), sort=False)["p"].transform(adjusted))
    signs = (table["estimate"] > 0).map({True: "more", False: "less"})
    return table.assign(sure=signs.where(table["p_holm"] < LEVEL, ""))
