"""What cells of the notebook check."""

from typing import Any

import numpy as np
import pandas as pd

from bitskept.base.exercises import check
from bitskept.theory.statistics import holm


def survivors(result: Any, p: list[float], *, level: float) -> None:
    """Exercise 1: how many of these p-values stay significant after Holm's correction."""
    hint = "Multiply the smallest by their number, the next by one less, and so on. Stop at the first above the level."
    check(result, int((holm(np.array(p)) <= level).sum()), within=0, hint=hint)


def clusters_needed(result: Any, claim_table: pd.DataFrame, *, rise: float) -> None:
    """Exercise 2: how many clusters it takes to see a rise in the first score of the table of claims."""
    first = claim_table.dropna(subset="detectable").iloc[0]
    right = float(first["clusters"] * (first["detectable"] / rise) ** 2)
    hint = "Half the standard error takes four times as many. The first row has `detectable` and its `clusters`."
    check(result, right, within=0.02 * right, hint=hint)
