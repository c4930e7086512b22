"""Whether two folders hold the same tables: `python tests/compare_tables.py LEFT RIGHT`."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

TOLERANCE = 1e-6  # absolute below 1, relative above
DIGITS = 6  # of the numbers in a table
LINE = 120  # characters of each line of a message of pandas, which may list whole columns


def differences(left: Path, right: Path, tolerance: float = TOLERANCE) -> list[str]:
    """A sentence for each table (`*.csv`) that only one folder has, or whose columns, rows or cells differ.

    Numbers may differ by the tolerance, and by one in the last digit written; texts and missing values may not.
    """
    names = sorted({path.name for folder in (left, right) for path in folder.glob("*.csv")})
    if not names:
        return [f"there is no table in {left} or {right}"]
    differing = [_difference(left / name, right / name, tolerance) for name in names]
    return [sentence for sentence in differing if sentence]


def _difference(left: Path, right: Path, tolerance: float) -> str | None:
    for path in (left, right):
        if not path.is_file():
            return f"{path.name} is missing in {path.parent}"
    first, second = pd.read_csv(left), pd.read_csv(right)
    numbers = first.select_dtypes("number").columns.intersection(second.select_dtypes("number").columns)
    for name in numbers if len(first) == len(second) else ():
        second[name] = second[name].mask(_close(first[name], second[name], tolerance), first[name])
    try:
        pd.testing.assert_frame_equal(first, second, check_dtype=False, rtol=0, atol=0)
    except AssertionError as error:
        lines = [line[:LINE] for line in str(error).splitlines() if line and not line.startswith("[index]")]
        return f"{left.name}: {'; '.join(lines)}"
    return None


def _close(first: pd.Series, second: pd.Series, tolerance: float) -> pd.Series:
    """Which numbers are equal up to the tolerance, and to one in the last digit, as they were rounded when written."""
    largest = np.maximum(first.abs(), second.abs())
    last_digit = 10.0 ** (np.floor(np.log10(largest.where(largest > 0, 1))) - (DIGITS - 1))
    apart = (first - second).abs()
    return np.isfinite(largest) & (apart <= tolerance * largest.clip(lower=1) + last_digit * (1 + tolerance))


def main() -> int:
    left, right = map(Path, sys.argv[1:])
    sentences = differences(left, right)
    print("\n".join(sentences) or f"{len(list(left.glob('*.csv')))} tables are equal to {TOLERANCE:g}")
    return 1 if sentences else 0


if __name__ == "__main__":
    sys.exit(main())
