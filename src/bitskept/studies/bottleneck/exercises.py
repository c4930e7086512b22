"""What a cell of the notebook checks."""

from typing import Any

import pandas as pd

from bitskept.base.exercises import check


def states_needed(result: Any, floor: pd.DataFrame, *, bits: float) -> None:
    """Exercise 1: the least number of states a label, of those measured, whose floor is below so many bits, for the
    first model in the table of section 3. -1 if none is.
    """
    rows = floor[floor["model"] == floor["model"].iloc[0]]
    entropy = rows[rows["quantity"] == "soft_entropy"]["estimate"].item()
    curve = rows[rows["quantity"] == "random_entropy"]
    low = curve[entropy - curve["estimate"].astype(float) < bits]["n"]
    hint = "The floor of a label with c states is H(Z) - h(c): the soft entropy of all states, less that of c states."
    check(result, int(low.min()) if len(low) else -1, within=0, hint=hint)
