"""What the last layers of each twin keep, under every setting at which the claims are weighed.

A setting is a reading of the states, a probe, the number of its training sentences, and a place or moment: at the last
layer after the last step, if the reading's name says nothing else.
"""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.studies.dynamics.comparing_runs import BEFORE, NETWORK, SETTING, at_last_layer
from bitskept.studies.dynamics.gains import RUN, at_equal_gain, learned

BITS, FORGOTTEN = "cross_entropy_bound", "late_forgetting"
BELOW, EQUAL, LARGEST = ", one layer below", ", at equal gain", ", at the largest equal gain"
COMPARED = {"": "after the last step"} | {name: name.removeprefix(", ") for name in (BELOW, EQUAL, LARGEST, BEFORE)}
"""What is added to the name of a reading, and its title in figures and sentences."""


@makes_table
def by_run(table: pd.DataFrame, least: float) -> pd.DataFrame:
    """Bits about the token at the last layer of each run (`BITS`), and what its last layers forget (`FORGOTTEN`), by
    `SETTING`; `learned` says whether its gain is at least `least` (`gains.learned`).

    Gains are equal where they first reach `least` bits, and where they reach `largest_equal_gain`. `table` is from
    `checkpoints.measure`, of twins of one size on all the text.
    """
    passed, largest = learned(table, least), largest_equal_gain(table, least)
    rows = table[table["quantity"].isin([BITS, FORGOTTEN])]
    end, start = (rows[rows["step"] == step] for step in (rows["step"].max(), 0))
    below = end[end["layer"] == end.groupby(list(NETWORK))["layer"].transform("max") - 1]
    moments = {"": at_last_layer(end), BELOW: below, BEFORE: at_last_layer(start)}
    for moment, level in ((EQUAL, least), (LARGEST, largest)):
        equal = [at_equal_gain(table, level, quantity).assign(quantity=quantity) for quantity in (BITS, FORGOTTEN)]
        moments[moment] = pd.concat(equal, ignore_index=True)
    named = [part.assign(reading=part["reading"] + moment) for moment, part in moments.items()]
    both = pd.concat(named, ignore_index=True).merge(passed[[*RUN, "learned"]], on=RUN)
    return both[["twin", "seed", "learned", *SETTING, "quantity", "estimate", "low", "high", "unit"]]


def largest_equal_gain(table: pd.DataFrame, least: float) -> float:
    """The smallest last gain of the runs that have learned, in bits per token: the largest that all of them reach."""
    passed = learned(table, least)
    return float(passed.loc[passed["learned"], "estimate"].min())
