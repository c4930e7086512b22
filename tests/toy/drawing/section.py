"""The parameters of two notebooks with a figure, and its table."""

import pandas as pd

from bitskept.base.params import Section
from bitskept.base.publishing import makes_table
from bitskept.base.store import stored


class Drawing(Section):
    notebook = "00_drawing"

    seed: int


class Idle(Section):
    notebook = "04_idle"

    seed: int


@makes_table
def squares(section: Drawing) -> pd.DataFrame:
    """Three points, from the store."""
    compute = lambda: pd.DataFrame({"x": [0, 1, 2], "y": [0, 1 / 3, 4 + section.seed]})  # noqa: E731
    return stored("square", 1, {"seed": section.seed}, compute)
