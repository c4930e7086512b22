"""Exercises whose result a cell checks."""

from typing import Any


class NotYet(AssertionError):
    """A result that is not right. A notebook shows the hint alone: a traceback would show the code of the right one."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def check(result: Any, right: float | int, *, within: float | int, hint: str) -> None:
    """Say that a reader's number is right: at most `within` from the right one. With None, say what to do.

    NotYet, with the hint, for anything else.
    """
    if result is None:
        print("Put your result in place of None, and run this cell again.")
        return
    try:
        number = float(result)
    except (TypeError, ValueError):
        raise NotYet(f"{result!r} is not a number. {hint}") from None
    if not abs(number - right) <= within:  # NaN is right nowhere
        raise NotYet(f"{number:g} is not right yet. {hint}")
    print("That is right.")
