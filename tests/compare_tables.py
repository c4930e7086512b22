"""Whether two folders hold the same tables: `python tests/compare_tables.py LEFT RIGHT`."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

TOLERANCE = 1e-6  # absolute below 1, relative above
DIGITS = 6  # of the numbers in a table
LINE = 120  # characters of each line of pandas' account, which holds whole columns


def differences(left: Path, right: Path, tolerance: float = TOLERANCE) -> list[str]:
    """A sentence for each table (`*.csv`) that only one folder has, or whose columns, rows or cells differ.

    Numbers may differ by the tolerance, and by one in the last digit written; text and what is missing may not.
    """
    names = sorted({path.name for folder in (left, right) for path in folder.glob("*.csv")})
    if not names:
        return [f"there is no table in {left} or {right}"]
    return [found for name in names if (found := _difference(left / name, right / name, tolerance))]


def _difference(left: Path, right: Path, tolerance: float) -> str | None:
    for path in (left, right):
        if not path.is_file():
            return f"{path.name} is missing in {path.parent}"
    one, other = pd.read_csv(left), pd.read_csv(right)
    numbers = one.select_dtypes("number").columns.intersection(other.select_dtypes("number").columns)
    for name in numbers if len(one) == len(other) else ():
        other[name] = other[name].mask(_close(one[name], other[name], tolerance), one[name])
    try:
        pd.testing.assert_frame_equal(one, other, check_dtype=False, rtol=0, atol=0)
    except AssertionError as error:
        told = [line[:LINE] for line in str(error).splitlines() if line and not line.startswith("[index]")]
        return f"{left.name}: {'; '.join(told)}"
    return None


def _close(one: pd.Series, other: pd.Series, tolerance: float) -> pd.Series:
    """Which numbers may come of two that differ by the tolerance: rounded, their last digits may be one apart."""
    largest = np.maximum(one.abs(), other.abs())
    last_digit = 10.0 ** (np.floor(np.log10(largest.where(largest > 0, 1))) - (DIGITS - 1))
    apart = (one - other).abs()
    return np.isfinite(largest) & (apart <= tolerance * largest.clip(lower=1) + last_digit * (1 + tolerance))


def main() -> int:
    left, right = map(Path, sys.argv[1:])
    found = differences(left, right)
    print("\n".join(found) or f"{len(list(left.glob('*.csv')))} tables are equal to {TOLERANCE:g}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
