"""What cells of the notebook check."""

from typing import Any

import pandas as pd

from bitskept.base.exercises import check
from bitskept.studies.dynamics.checkpoints import GAIN


def nearly_there(result: Any, progress: pd.DataFrame) -> None:
    """Exercise 1: the first saved step at which the first twin has come nine tenths of the way from its first gain to
    its last, from the table of section 2.
    """
    rows = progress[(progress["twin"] == progress["twin"].iloc[0]) & (progress["quantity"] == GAIN)]
    curve = rows.set_index("step")["estimate"].sort_index()
    goal = 0.1 * curve.iloc[0] + 0.9 * curve.iloc[-1]
    hint = "The goal is a tenth of the first gain plus nine tenths of the last. Take the first step with no less."
    check(result, int(curve.index[curve >= goal][0]), within=0, hint=hint)


def built_in(result: Any, retained: pd.DataFrame) -> None:
    """Exercise 2: by how many points training changes what the last layer of the first twin keeps, by the centroid."""
    rows = retained[(retained["twin"] == retained["twin"].iloc[0]) & (retained["probe"] == "centroid")]
    last = rows[rows["layer"] == rows["layer"].max()].set_index("step")["estimate"].sort_index()
    hint = "The share at the last step less the share at step 0, times 100. It is negative if training removed more."
    check(result, float(100 * (last.iloc[-1] - last.iloc[0])), within=0.5, hint=hint)
