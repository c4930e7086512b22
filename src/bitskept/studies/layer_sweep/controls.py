"""What a trained model keeps, compared with copies of it with random weights, at several initial scales."""

from itertools import product

import numpy as np
import pandas as pd
from scipy.stats import norm

from bitskept.base.publishing import makes_table
from bitskept.instruments.probes import sweep
from bitskept.studies.layer_sweep.bits_by_layer import at_last_layer, usable_shares
from bitskept.studies.layer_sweep.section import LayerSweep, compared_weights, random_plan
from bitskept.theory.intervals import ONE_SIDED

READINGS = ("token", "bag")
TWO_SIDED = norm.ppf(0.975)


def measured(section: LayerSweep) -> pd.DataFrame:
    """The same sweep of all models and their random copies, from `instruments.probes.sweep.measure`; `depth` is the
    layer over the last."""
    asked = product(section.models, [random_plan(section)], compared_weights(section))
    table = pd.concat(sweep.measure.each([*asked], accept_terms=section.accept_terms))
    return table.assign(depth=table["layer"] / table.groupby("model")["layer"].transform("max"))


@makes_table
def random_copies(compared: pd.DataFrame) -> pd.DataFrame:
    """The usable share of the trained models and of their random copies under each of `READINGS`. Measured by
    `instruments.probes.sweep.measure`, computed in `instruments.probes.bounds_by_layer`.
    """
    rows = usable_shares(compared)
    return rows[rows["reading"].isin(READINGS)].reset_index(drop=True)


def differences(table: pd.DataFrame) -> pd.DataFrame:
    """One row per reading, model and scale of `random_copies`, at the last layer: the share of the trained model
    (`trained`), the mean over its copies (`random`) with the outer ends of their intervals, and their `difference`.
    """
    table = at_last_layer(table)
    trained = table[table["weights"] == "trained"].set_index(["reading", "model"])
    copies = table[table["weights"] != "trained"].groupby(["reading", "model", "weights"], sort=False)
    copies = copies.agg(estimate=("estimate", "mean"), low=("low", "min"), high=("high", "max"))
    rows = []
    for (reading, model, weights), random in copies.iterrows():
        share = trained.loc[(reading, model)]
        facts = {"reading": reading, "model": model, "weights": weights}
        facts |= share[["kind", "layer", "train_sentences", "n"]].to_dict()
        facts |= {"trained": share["estimate"], "random": random["estimate"]}
        rows.append(facts | difference(share, random))
    return pd.DataFrame(rows)


def difference(first: pd.Series, second: pd.Series) -> dict[str, float]:
    """The `estimate` of the first less that of the second, as if both were independent.

    The interval adds the squares of what either interval contributes (Zou and Donner 2008). `p` is that of no
    difference or a negative one, from a normal law with the standard error that the lower end implies; a difference of
    `detectable` would have been seen with a probability of 80 %.
    """
    estimate = first["estimate"] - second["estimate"]
    down = np.hypot(first["estimate"] - first["low"], second["high"] - second["estimate"])
    up = np.hypot(first["high"] - first["estimate"], second["estimate"] - second["low"])
    error = max(down / TWO_SIDED, 1e-12)  # two shares of exactly 100 % have no spread
    ends = {"estimate": estimate, "low": estimate - down, "high": estimate + up}
    return {name: float(value) for name, value in ends.items()} | {
        "p": float(norm.sf(estimate / error)),
        "detectable": float(ONE_SIDED * error),
    }
