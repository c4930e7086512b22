"""Which tokens does the last layer forget? The share that the centroid names, by groups of test tokens."""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.probes.token_groups import BANDS, WORD_CLASSES
from bitskept.studies.layer_sweep.bits_by_layer import at_last_layer


@makes_table
def by_group(table: pd.DataFrame) -> pd.DataFrame:
    """By frequency in training and by word class: columns `by` and `name` say which group of tokens a row is for.
    Measured by `instruments.probes.sweep.measure`, computed in `instruments.probes.bounds_by_layer`.
    """
    groups = _groups(table)
    order = [*BANDS.values(), *WORD_CLASSES]
    groups = groups[groups["by"].isin(["seen in training", "word class"])]
    return groups.sort_values("name", key=lambda names: names.map(order.index), kind="stable").reset_index(drop=True)


@makes_table
def domains(table: pd.DataFrame) -> pd.DataFrame:
    """By the kind of text (`name`). Measured by `instruments.probes.sweep.measure`, computed in
    `instruments.probes.bounds_by_layer`.
    """
    groups = _groups(table)
    return groups[groups["by"] == "domain"]


def _groups(table: pd.DataFrame) -> pd.DataFrame:
    groups = at_last_layer(table[table["quantity"] == "recovered"]).copy()
    groups[["by", "name"]] = groups["group"].str.split(": ", expand=True)
    return groups
