"""How much of H(X) does each layer retain, from random weights to the last step?"""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.base.words import quote
from bitskept.instruments.over_seeds import spread
from bitskept.studies.dynamics.comparing_runs import at_last_layer


@makes_table
def retained(table: pd.DataFrame) -> pd.DataFrame:
    """The share of H(X) that each layer retains, by twin, probe and step.

    Measured by `instruments.probes.sweep.measure`; `table` is from `checkpoints.measure`.
    """
    return spread(table[table["quantity"] == "retained_cross_entropy"], "twin", "probe", "step", "layer")


def first_and_last(table: pd.DataFrame) -> pd.DataFrame:
    """The share of H(X) that the last layer retains before and after training, with the outer ends of the seeds'
    intervals: one row per probe and twin.
    """
    ends = at_last_layer(table[table["quantity"] == "retained_cross_entropy"])
    ends = ends[ends["step"].isin([0, ends["step"].max()])]
    shown = spread(ends, "twin", "probe", "step")
    shown["retained"] = [quote(row) for row in shown.to_dict("records")]
    wide = shown.pivot(index=["probe", "twin"], columns="step", values="retained")
    return wide.reindex(table["twin"].unique(), level="twin")
