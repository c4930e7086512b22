"""How many bits about each token every layer keeps, before and after tuning."""

from functools import partial
from itertools import product
from typing import Any

import pandas as pd

from bitskept.base.parallel import each_stored
from bitskept.base.publishing import makes_table
from bitskept.instruments.over_seeds import spread
from bitskept.instruments.probes import sweep
from bitskept.studies.fine_tuning.runs import ARMS
from bitskept.studies.fine_tuning.section import FineTuning, at_main_dose, sweep_plan


def sweeps(section: FineTuning, runs: pd.DataFrame) -> pd.DataFrame:
    """The layer sweep of each run before tuning and at the main dose (columns `sweep.COLUMNS`, then those of `runs`),
    under the centroid and ridge.
    """
    tables = each_stored(
        partial(_sweep, section),
        runs[at_main_dose(section, runs)].to_dict("records"),
        is_stored=lambda run: sweep.measure.has(run["id"], sweep_plan(section, run["model"])),
        progress="sweeps",
    )
    return pd.concat(tables, ignore_index=True).astype({"seed": "Int64"})


def _sweep(section: FineTuning, run: dict[str, Any]) -> pd.DataFrame:
    plan = sweep_plan(section, run["model"])
    return sweep.measure(run["id"], plan, accept_terms=section.accept_terms, progress=False).assign(**run)


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
