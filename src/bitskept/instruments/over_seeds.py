"""Means over runs that differ only in their seed, for a figure."""

import pandas as pd


def spread(table: pd.DataFrame, *by: str) -> pd.DataFrame:
    """The mean of `estimate` over seeds for each value of the columns `by`, and the range of the seeds.

    `low` and `high` are the outermost ends of the seeds' intervals, or of their estimates where there are no intervals:
    they describe these seeds and imply nothing about others.
    """
    ends = {} if "low" in table else {"low": table["estimate"], "high": table["estimate"]}
    groups = table.assign(**ends).groupby(list(by), sort=False, dropna=False)
    return groups.agg(estimate=("estimate", "mean"), low=("low", "min"), high=("high", "max")).reset_index()
