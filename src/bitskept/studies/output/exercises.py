"""What cells of the notebook check."""

from math import log2, sqrt
from typing import Any

import pandas as pd

from bitskept.base.exercises import check
from bitskept.studies.output.spread_areas import ALL, SAME, main


def cosine_of_volume(result: Any, *, bits: float | int) -> None:
    """Exercise 1: the cosine of two vectors of length 1 whose semantic volume is so many bits."""
    hint = "The determinant of the cosines of two vectors is 1 - c²: set its logarithm to the volume, and solve for c."
    check(result, sqrt(1 - 2**bits), within=2e-5, hint=hint)


def cost_of_mixing(result: Any, *, weight: float) -> None:
    """Exercise 2: how many bits a token can cost more, at most, once another law is mixed in with this weight."""
    hint = "The mixture gives a token at least 1 - weight times the probability that the model gives it."
    check(result, -log2(1 - weight), within=0.005, hint=hint)


def left_within_kinds(result: Any, areas: pd.DataFrame, *, measure: str) -> None:
    """Exercise 3: the share of a measure's area above .5 that is left among questions of one kind, from the areas of
    the section on semantic spread.
    """
    every, same = (float(main(areas, pairs)["estimate"][measure]) for pairs in (ALL, SAME))
    hint = "Take the rows against chance: the area among questions of the same kind less .5, over that of all less .5."
    check(result, (same - 0.5) / (every - 0.5), within=0.005, hint=hint)
