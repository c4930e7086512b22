"""How much of H(X) does each layer retain, from random weights to the last step?"""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.studies.dynamics.comparing_runs import means


@makes_table
def retained(table: pd.DataFrame) -> pd.DataFrame:
    """The share of H(X) that each layer retains, by twin, probe and step.

    Measured by `instruments.probes.sweep.measure`; `table` is from `checkpoints.measure`.
    """
    return means(table[table["quantity"] == "retained_cross_entropy"], "twin", "probe", "step", "layer")
