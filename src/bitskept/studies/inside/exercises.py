"""What cells of the notebook check."""

from typing import Any

import numpy as np
import pandas as pd

from bitskept.base.exercises import check
from bitskept.studies.inside.projected_embeddings import EMBEDDINGS


def given_away(result: Any, bounds: pd.DataFrame, *, bits: float) -> None:
    """Exercise 1: how many answers have an ELBO less than so many bits below the mixture, from the table of
    section 1.
    """
    gap = (bounds["mixture"] - bounds["elbo"]).dropna()
    check(result, int((gap < bits).sum()), within=0, hint="The gap is mixture less elbo. Drop the rows without either.")


def power(result: Any, distortions: pd.DataFrame) -> None:
    """Exercise 2: the power of the dimension that the median distortion follows, fitted on logarithms."""
    median = distortions["quantity"] == "median_distortion"
    rows = distortions[median & (distortions["points"] == EMBEDDINGS)]
    right = np.polyfit(np.log(rows["dimension"].astype(float)), np.log(rows["estimate"].astype(float)), 1)[0]
    hint = "A power is a straight line on logarithms: fit one, for example with np.polyfit, and give its slope."
    check(result, float(right), within=0.005, hint=hint)
