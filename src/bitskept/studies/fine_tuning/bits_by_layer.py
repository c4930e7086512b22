"""How many bits about each token every layer keeps, before and after tuning."""

from itertools import product

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.over_seeds import spread
from bitskept.instruments.probes import sweep
from bitskept.studies.fine_tuning.runs import ARMS
from bitskept.studies.fine_tuning.section import FineTuning, at_main_dose, sweep_plan


def sweeps(section: FineTuning, runs: pd.DataFrame) -> pd.DataFrame:
    """The layer sweep of each run before tuning and at the main dose (columns `sweep.COLUMNS`, then those of `runs`),
    under the centroid and ridge.
    """
    chosen = runs[at_main_dose(section, runs)]
    asked = [(run.id, sweep_plan(section, run.model), None) for run in chosen.itertuples()]
    tables = sweep.measure.each(asked, accept_terms=section.accept_terms)
    labelled = (table.assign(**run) for table, run in zip(tables, chosen.to_dict("records"), strict=True))
    return pd.concat(labelled, ignore_index=True).astype({"seed": "Int64"})


@makes_table
def layers(retained: pd.DataFrame) -> pd.DataFrame:
    """The share of H(X) that each layer keeps, by model, arm and probe, over the seeds. Measured by
    `instruments.probes.sweep.measure`, computed in `instruments.probes.bounds_by_layer`.
    """
    return spread(retained, "model", "arm", "layer", "probe")


def at_last_layer(table: pd.DataFrame) -> pd.DataFrame:
    """The estimates of `layers` at each model's last layer, one row per model and arm, one column per probe."""
    ends = table[table["layer"] == table.groupby("model")["layer"].transform("max")]
    wide = ends.pivot(index=["model", "arm"], columns="probe", values="estimate").astype(float)
    return wide.loc[[pair for pair in product(table["model"].unique(), ARMS) if pair in wide.index]]
