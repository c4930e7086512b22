"""The first tokens of a sentence, named from one vector for the whole sentence."""

import pandas as pd

from bitskept.base.publishing import makes_table


def pooled_rows(trained: pd.DataFrame) -> pd.DataFrame:
    """The rows about one vector per sentence, with its `pooling`."""
    rows = trained[trained["reading"].str.startswith("sentence")]
    return rows.assign(pooling=rows["reading"].str.removeprefix("sentence: "))


@makes_table
def sentence(pooled: pd.DataFrame) -> pd.DataFrame:
    """The share of tokens named right, by position, pooling and layer. Measured by `instruments.probes.sweep.measure`,
    computed in `instruments.probes.bounds_by_layer`.
    """
    error = pooled[pooled["quantity"] == "error"]
    ends = {"low": 1 - error["high"], "high": 1 - error["low"]}
    return error.assign(quantity="recovered", estimate=1 - error["estimate"], **ends)


def best(named: pd.DataFrame) -> pd.DataFrame:
    """The rows of `sentence` with the largest share, one per model and position. A decoder's first state, which has
    seen one token only, is left out.
    """
    others = named[named["pooling"] != "first"].reset_index(drop=True)
    return others.loc[others.groupby(["model", "position"])["estimate"].idxmax()]
