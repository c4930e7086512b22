"""Numbers in sentences."""

from collections.abc import Mapping
from typing import Any

import pandas as pd


def quote(row: Mapping[str, Any] | pd.Series, style: str = ".0%") -> str:
    """An estimate with its interval, from a row with `estimate`, `low` and `high`: "83% [81%, 85%]"."""
    return f"{row['estimate']:{style}} [{row['low']:{style}}, {row['high']:{style}}]"
