"""Exercises whose result a cell checks."""

from typing import Any


def check(result: Any, right: float | int, *, within: float | int, hint: str) -> None:
    """Say that a reader's number is right: at most `within` from the right one. With None, say what to do.

    AssertionError, with the hint, for anything else.
    """
    if result is None:
        print("Put your result in place of None, and run this cell again.")
        return
    try:
        distance = abs(float(result) - right)
    except (TypeError, ValueError):
        raise AssertionError(f"{result!r} is not a number. {hint}") from None
    if not distance <= within:  # NaN is right nowhere
        raise AssertionError(f"{float(result):g} is not right yet. {hint}")
    print("That is right.")
