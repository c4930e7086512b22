"""Whether two folders hold the same tables: `python tests/compare_tables.py LEFT RIGHT`."""

import sys
from pathlib import Path

import pandas as pd

TOLERANCE = 1e-6  # absolute, and relative on top
LINE = 120  # characters of each line of pandas' account, which holds whole columns


def differences(left: Path, right: Path, tolerance: float = TOLERANCE) -> list[str]:
    """A sentence for each table (`*.csv`) that only one folder has, or whose columns, rows or cells differ.

    Numbers may differ by the tolerance; text and what is missing may not.
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
    try:
        pd.testing.assert_frame_equal(one, other, check_dtype=False, rtol=tolerance, atol=tolerance)
    except AssertionError as error:
        told = [line[:LINE] for line in str(error).splitlines() if line and not line.startswith("[index]")]
        return f"{left.name}: {'; '.join(told)}"
    return None


def main() -> int:
    left, right = map(Path, sys.argv[1:])
    found = differences(left, right)
    print("\n".join(found) or f"{len(list(left.glob('*.csv')))} tables are equal to {TOLERANCE:g}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
