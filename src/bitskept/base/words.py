"""Numbers and names in sentences."""

from collections.abc import Iterable, Mapping
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


def reverse(row: Mapping[str, Any] | pd.Series) -> dict[str, Any]:
    """The estimate and interval of a difference taken the other way round."""
    return {"estimate": -row["estimate"], "low": -row["high"], "high": -row["low"]}


def by_interval(
    row: Mapping[str, Any] | pd.Series, *, above: str, below: str, neither: str, unknown: str | None = None
) -> str:
    """The text for where the interval of a row lies: above 0, below 0, or neither. Where an end is missing, `unknown`
    (default: the text for neither).
    """
    if not has_interval(row):
        return neither if unknown is None else unknown
    return above if row["low"] > 0 else below if row["high"] < 0 else neither


def listed(names: Iterable[str]) -> str:
    """The names in a row: "a, b and c"; nothing if there are none."""
    *others, last = [*names] or [""]
    return f"{', '.join(others)} and {last}" if others else last
