"""What cells of the notebook check."""

from typing import Any

import pandas as pd

from bitskept.base.exercises import check


def prompts_needed(result: Any, *, bits: int) -> None:
    """Exercise 1: the least bank of prompts whose mixture can show so many bits."""
    check(
        result, 2**bits, within=0, hint="The mixture holds the right prompt, with a probability of one over the bank."
    )


def noticed_mistake(result: Any, means: pd.DataFrame) -> None:
    """Exercise 2: the share by which all divergences of the mixture must be too large for the interval of M to leave
    out 0 at the last position, from the means of section 5.
    """
    rows = means[(means["marginal"] == "mixture") & (means["position"] == means["position"].max())]
    last = rows.set_index("quantity")
    hint = "M = S - A falls by the share times A. How far must it fall until the upper end of its interval is 0?"
    check(result, float(last["high"]["M"] / last["estimate"]["A"]), within=0.005, hint=hint)
