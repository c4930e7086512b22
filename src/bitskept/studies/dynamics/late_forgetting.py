"""Late forgetting: the most that a layer of the second half keeps, less what the last layer keeps."""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.studies.dynamics.comparing_runs import means


@makes_table
def by_step(table: pd.DataFrame) -> pd.DataFrame:
    """Late forgetting, in bits per token, by twin, probe and step.

    Measured by `instruments.probes.sweep.measure`; `table` is from `checkpoints.measure`.
    """
    return means(table[table["quantity"] == "late_forgetting"], "twin", "probe", "step")
