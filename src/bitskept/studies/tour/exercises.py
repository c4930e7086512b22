"""What a cell of the notebook checks."""

from typing import Any

import pandas as pd

from bitskept.base.exercises import check


def kept_bits(result: Any, one_and_all: pd.DataFrame) -> None:
    """Exercise 2: the bits about all tokens of our sentence that the last layer has kept, from the figure's table."""
    tokens = one_and_all[one_and_all["quantity"] == "surprisal"]
    last = tokens[tokens["layer"] == tokens["layer"].max()]
    right = float((last["without_state"] - last["estimate"]).sum())
    hint = "For each token: its surprise without a state, less its surprise at the last layer. Then add them up."
    check(result, right, within=0.5, hint=hint)
