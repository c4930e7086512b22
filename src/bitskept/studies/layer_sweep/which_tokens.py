"""Which tokens does the last layer forget? The share that the centroid names, by groups of test tokens."""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.probes.token_groups import BANDS, WORD_CLASSES
from bitskept.studies.layer_sweep.bits_by_layer import at_last_layer

DOMAIN = "domain"


@makes_table
def by_group(tokens: pd.DataFrame) -> pd.DataFrame:
    """By frequency in training, by word class and by the kind of text: `by` and `name` say which group of tokens a row
    is for. Measured by `instruments.probes.sweep.measure`, computed in `instruments.probes.bounds_by_layer`.
    """
    groups = at_last_layer(tokens[tokens["quantity"] == "recovered"]).copy()
    groups[["by", "name"]] = groups["group"].str.split(": ", expand=True)
    ways = ["seen in training", "word class", DOMAIN]
    names = [*BANDS.values(), *WORD_CLASSES, *sorted(groups.loc[groups["by"] == DOMAIN, "name"].unique())]
    groups = groups[groups["by"].isin(ways)]
    return groups.sort_values("name", key=lambda column: column.map(names.index), kind="stable", ignore_index=True)
