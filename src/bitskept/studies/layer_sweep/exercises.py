"""What cells of the notebook check."""

from typing import Any

import pandas as pd

from bitskept.base.exercises import check


def characters(result: Any, by_unit: pd.DataFrame) -> None:
    """Exercise 1: how many characters a token of the first model has on average, from the table of section 7."""
    rows = by_unit[(by_unit["model"] == by_unit["model"].iloc[0]) & (by_unit["layer"] == 0)].set_index("counted")
    right = rows["estimate"]["bits per token"] / rows["estimate"]["bits per character"]
    hint = "Both count the same bits at the same layer, once for a token and once for a character."
    check(result, float(right), within=0.05, hint=hint)


def points_between(result: Any, both_bounds: pd.DataFrame) -> None:
    """Exercise 2: by how many points the cross-entropy proves more than Fano's inequality at the last layer of the
    first model, from the table of section 10.
    """
    rows = both_bounds[both_bounds["model"] == both_bounds["model"].iloc[0]]
    last = rows[rows["layer"] == rows["layer"].max()].set_index("quantity")["estimate"]
    right = 100 * (last["retained_cross_entropy"] - last["retained_fano"])
    hint = "Both are shares of H(X) in the table both_bounds; a point is a hundredth. Is the layer the last one?"
    check(result, float(right), within=0.5, hint=hint)
