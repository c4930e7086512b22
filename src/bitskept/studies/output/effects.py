"""An estimate with its interval as the effect of a claim."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from scipy.stats import norm

from bitskept.base.words import has_interval
from bitskept.theory.intervals import detectable, standard_error


def effect(row: Mapping[str, Any] | pd.Series) -> dict[str, float]:
    """Estimate and interval of a row, the two-sided `p` of no effect at all, from the standard error that the interval
    stands for, and the `detectable` effect; NaN for the last two where there is no interval.
    """
    ends = {name: float(row[name]) for name in ("estimate", "low", "high")}
    if not has_interval(row):
        return ends | {"p": float("nan"), "detectable": float("nan")}
    p = 2 * norm.sf(abs(ends["estimate"]) / standard_error(ends["low"], ends["high"]))
    return ends | {"p": float(p), "detectable": float(detectable(ends["low"], ends["high"]))}
