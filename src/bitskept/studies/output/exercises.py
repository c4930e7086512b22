"""What cells of the notebook check."""

from math import log2
from typing import Any

import pandas as pd

from bitskept.base.exercises import check
from bitskept.studies.output.spread_areas import ALL, SAME, main


def ceiling(result: Any, *, target: float | int, mean: float | int, tokens: int) -> None:
    """Exercise 1: where Mirostat's ceiling stands after so many tokens of this mean surprisal, in bits. It starts at
    twice the target.
    """
    hint = "Each token moves the ceiling by the target less its surprisal: add this up over all tokens."
    check(result, 2 * target - tokens * (mean - target), within=1e-6, hint=hint)


def break_even(result: Any, *, weight: float, losing: float) -> None:
    """Exercise 3: the bits that the other tokens must save, where a share `losing` of them loses as much as a retrieval
    distribution of this weight lets it.
    """
    hint = "Each losing token loses -log2(1 - weight) bits. How many of the others have to make up for that?"
    check(result, -losing * log2(1 - weight) / (1 - losing), within=0.01, hint=hint)


def left_within_kinds(result: Any, areas: pd.DataFrame, *, measure: str) -> None:
    """Exercise 4: the share of a measure's area above .5 that is left among questions of one kind, from the areas of
    the section on semantic spread.
    """
    every, same = (float(main(areas, pairs)["estimate"][measure]) for pairs in (ALL, SAME))
    hint = "Take the rows against chance: the area among questions of the same kind less .5, over that of all less .5."
    check(result, (same - 0.5) / (every - 0.5), within=0.005, hint=hint)
