"""How many bits about each token every layer keeps: by model, by bound and by probe."""

import pandas as pd

from bitskept.base.publishing import makes_table


def at_last_layer(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of each model's last layer."""
    return table[table["layer"] == table.groupby("model")["layer"].transform("max")]


@makes_table
def retained(tokens: pd.DataFrame) -> pd.DataFrame:
    """The share of H(X) that the centroid shows in each layer, by the cross-entropy bound. Measured by
    `instruments.probes.sweep.measure`, computed in `instruments.probes.bounds_by_layer`.
    """
    return tokens[(tokens["probe"] == "centroid") & (tokens["quantity"] == "retained_cross_entropy")]


@makes_table
def bounds(tokens: pd.DataFrame) -> pd.DataFrame:
    """The share of H(X) that the centroid shows in each layer, by either bound. Measured by
    `instruments.probes.sweep.measure`, computed in `instruments.probes.bounds_by_layer`.
    """
    either = tokens["quantity"].isin(["retained_fano", "retained_cross_entropy"])
    return tokens[(tokens["probe"] == "centroid") & either]


@makes_table
def probes(tokens: pd.DataFrame) -> pd.DataFrame:
    """The share of H(X) that each probe shows in each layer it was fitted on, by the cross-entropy bound. Measured by
    `instruments.probes.sweep.measure`, computed in `instruments.probes.bounds_by_layer`.
    """
    return tokens[tokens["quantity"] == "retained_cross_entropy"]
