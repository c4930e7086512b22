"""An estimate with its interval as the effect of a claim."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from scipy.stats import norm

from bitskept.base.words import has_interval
from bitskept.theory.intervals import detectable, standard_error


def effect(row: Mapping[str, Any] | pd.Series, *, sides: int = 1) -> dict[str, float]:
    """Estimate and interval of a row; the `p` of no effect, or with one side of none above 0, from the standard error
    that the interval stands for; and the `detectable` effect, for which the whole interval has to lie above 0. The last
    two are NaN where there is no interval.
    """
    ends = {name: float(row[name]) for name in ("estimate", "low", "high")}
    if not has_interval(row):
        return ends | {"p": float("nan"), "detectable": float("nan")}
    estimate = ends["estimate"] if sides == 1 else abs(ends["estimate"])
    p = sides * norm.sf(estimate / standard_error(ends["low"], ends["high"]))
    return ends | {"p": float(p), "detectable": float(detectable(ends["low"], ends["high"]))}
