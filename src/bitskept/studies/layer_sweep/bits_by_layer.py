"""How many bits about each token every layer keeps: by model, by reading, by bound and by probe."""

from typing import Any

import pandas as pd

from bitskept.base.publishing import makes_table

READINGS = ("token", "window", "bag")
"""A token from its own state; from its state and both neighbours; a random word from one vector for the sentence."""


def at_last_layer(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of each model's last layer."""
    return table[table["layer"] == table.groupby("model")["layer"].transform("max")]


def ranking(rows: pd.DataFrame) -> dict[str, Any]:
    """The models of these rows, one each, from the largest estimate to the smallest (`order`, a tuple), and the ends of
    their intervals by model (`ends`).
    """
    rows = rows.sort_values("estimate", ascending=False)
    ends = {row.model: (row.low, row.high) for row in rows.itertuples()}
    return {"order": tuple(rows["model"]), "ends": ends}


def with_all_text(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of probes that were fitted on all training sentences of their model."""
    return table[table["train_sentences"] == table.groupby("model")["train_sentences"].transform("max")]


def amounts(table: pd.DataFrame) -> pd.Series:
    """For each row the place of its number of training sentences among those of its model, from 1. A model that ignores
    case finds a few sentences alike, and drops them from the largest number: 2,998 here may be 3,000 there.
    """
    return table.groupby("model")["train_sentences"].rank("dense").astype(int)


def main_reading(trained: pd.DataFrame) -> pd.DataFrame:
    """The rows of the reading "token" with all training sentences, without those of shuffled targets."""
    return with_all_text(trained[(trained["reading"] == "token") & ~trained["shuffled"]])


@makes_table
def retained(tokens: pd.DataFrame) -> pd.DataFrame:
    """The share of H(X) that the centroid shows in each layer, by the cross-entropy bound. Measured by
    `instruments.probes.sweep.measure`, computed in `instruments.probes.bounds_by_layer`.
    """
    return tokens[(tokens["probe"] == "centroid") & (tokens["quantity"] == "retained_cross_entropy")]


@makes_table
def readings(trained: pd.DataFrame) -> pd.DataFrame:
    """The usable share that the centroid shows in each layer under each of `READINGS`; the bag is read from the mean.
    Measured by `instruments.probes.sweep.measure`, computed in `instruments.probes.bounds_by_layer`.
    """
    return main_readings(usable_shares(with_all_text(trained)))


def main_readings(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of `READINGS`; of the bag those that are read from the mean of the states."""
    return rows[rows["reading"].isin(READINGS) & (rows["pooling"].isna() | (rows["pooling"] == "mean"))]


def usable_shares(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `usable_share` of the centroid, without those of shuffled targets."""
    rows = (table["quantity"] == "usable_share") & (table["probe"] == "centroid")
    return table[rows & ~table["shuffled"].astype(bool) & table["group"].isna()]


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
