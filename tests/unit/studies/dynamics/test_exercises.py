"""The right results of the exercises, from made-up tables."""

import pandas as pd
import pytest

from bitskept.base.exercises import NotYet
from bitskept.studies.dynamics import exercises
from bitskept.studies.dynamics.checkpoints import GAIN


def progress(*gains):
    rows = [("one", GAIN, 2**place, gain) for place, gain in enumerate(gains)]
    rows += [("one", "bits_per_byte", 1, 9.0), ("other", GAIN, 1, 9.0)]
    return pd.DataFrame(rows, columns=["twin", "quantity", "step", "estimate"])


@pytest.mark.parametrize(
    ("gains", "step"),
    [((-1.0, 0.0, 2.7, 3.0), 4), ((-1.0, 0.0, 2.5, 3.0), 8), ((-1.0, 3.5, 1.0, 3.0), 2), ((0, -1.0), 1)],
)
def test_the_first_step_that_is_nine_tenths_of_the_way(gains, step, capsys):
    exercises.nearly_there(step, progress(*gains))
    assert capsys.readouterr().out == "That is right.\n"
    with pytest.raises(NotYet, match="The goal is a tenth of the first gain plus nine tenths of the last"):
        exercises.nearly_there(2 * step, progress(*gains))


def test_by_how_many_points_training_changes_what_is_kept(capsys):
    rows = [
        {"twin": twin, "probe": probe, "layer": layer, "step": step, "estimate": 0.9 - 0.02 * step * layer}
        for twin in ("one", "other")
        for probe in ("ridge", "centroid")
        for layer in (0, 2)
        for step in (0, 4)
    ]
    table = pd.DataFrame(rows)
    exercises.built_in(-16.2, table)
    assert capsys.readouterr().out == "That is right.\n"
    with pytest.raises(NotYet, match="It is negative if training removed more"):
        exercises.built_in(16.0, table)
    spoilt = table.assign(
        estimate=table["estimate"].where((table["twin"] == "one") & (table["probe"] == "centroid"), 0)
    )
    exercises.built_in(-16.0, spoilt)
