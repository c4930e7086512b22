"""What a trained model keeps, compared with copies of it with random weights."""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.probes import sweep
from bitskept.studies.layer_sweep.bits_by_layer import at_last_layer
from bitskept.studies.layer_sweep.section import LayerSweep, random_plan


@makes_table
def random_copies(section: LayerSweep, retained: pd.DataFrame) -> pd.DataFrame:
    """The rows of `retained` at the layers where the random copies are read, then the same share of H(X) of each copy.
    Measured by `instruments.probes.sweep.measure`, computed in `instruments.probes.bounds_by_layer`.
    """
    plan, terms = random_plan(section), section.accept_terms
    copies = pd.concat(
        sweep.measure(model, plan, weights=seed, accept_terms=terms)
        for model in section.models
        for seed in section.random_seeds
    ).query("quantity == 'retained_cross_entropy'")
    return pd.concat([retained.merge(copies[["model", "layer"]].drop_duplicates()), copies])


def differences(table: pd.DataFrame) -> pd.DataFrame:
    """One row per model of `random_copies`: the share that its last layer keeps (`trained`), the mean over its random
    copies (`random`), and the difference, whose interval combines the outer ends of both over all seeds.
    """
    table = at_last_layer(table)
    trained = table[table["weights"] == "trained"].set_index(["model", "kind", "layer"])
    copies = table[table["weights"] == "random"].groupby(["model", "kind", "layer"])
    copies = copies.agg({"estimate": "mean", "low": "min", "high": "max"})
    ends = {"low": trained["low"] - copies["high"], "high": trained["high"] - copies["low"]}
    shares = {"trained": trained["estimate"], "random": copies["estimate"]}
    rows = pd.DataFrame({**shares, "estimate": trained["estimate"] - copies["estimate"], **ends}).loc[trained.index]
    return rows.astype(float).reset_index()
