"""Numbers in sentences."""

from collections.abc import Mapping
from typing import Any

import pandas as pd


def quote(row: Mapping[str, Any] | pd.Series, style: str = ".0%", clusters: str = "") -> str:
    """An estimate with its interval, from a row with `estimate`, `low` and `high`: "83% [81%, 85%]".

    With a word for the `clusters` whose number is in the row's `n`, for the first interval of a paragraph: "83%
    ([81%, 85%], 95 %, 250 sentences)". Where an end is missing: "83% (no interval)", "83% (no interval from 6
    sentences)".
    """
    estimate, number = f"{row['estimate']:{style}}", ""
    if clusters and not pd.isna(row.get("n")):
        number = f"{int(row['n']):,} {clusters if row['n'] != 1 else clusters.removesuffix('s')}"
    if not has_interval(row):
        return f"{estimate} (no interval{number and f' from {number}'})"
    ends = f"[{row['low']:{style}}, {row['high']:{style}}]"
    return f"{estimate} ({ends}, 95 %, {number})" if number else f"{estimate} {ends}"


def has_interval(row: Mapping[str, Any] | pd.Series) -> bool:
    """Whether neither end is missing."""
    return not (pd.isna(row["low"]) or pd.isna(row["high"]))
