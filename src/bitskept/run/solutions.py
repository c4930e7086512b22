"""The pages of solutions, `notebooks/solutions/`: below each block of code stands what it prints, written by this."""

import ast
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from bitskept import root
from bitskept.base.files import renew

BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n```text\n.*?```\n)?", re.DOTALL)


def update(stem: str) -> None:
    """Write the outputs on a notebook's page anew; nothing happens where there is no page, or nothing has changed."""
    renew(page(stem), renewed)


def page(stem: str) -> Path:
    """Where the solutions of a notebook's exercises are."""
    return root() / "notebooks" / "solutions" / f"{stem}.md"


def renewed(text: str) -> str:
    """The text with the output of each block of Python below it. The blocks share their names; what they raise is
    raised.
    """
    names: dict[str, Any] = {"__name__": "solutions"}

    def with_output(match: re.Match[str]) -> str:
        shown = output(match[1], names)
        return f"```python\n{match[1]}```\n" + (f"\n```text\n{shown}\n```\n" if shown else "")

    return BLOCK.sub(with_output, text)


def output(code: str, names: dict[str, Any]) -> str:
    """What the code prints, and then the value of its last line if that is an expression: a table in full."""
    tree, value = ast.parse(code), None
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with redirect_stdout(StringIO()) as printed:
        exec(compile(tree, "a solution", "exec"), names)
        if last:
            value = eval(compile(ast.Expression(last.value), "a solution", "eval"), names)
    shown = value.to_string() if hasattr(value, "to_string") else value
    lines = (printed.getvalue() + ("" if shown is None else str(shown))).splitlines()
    return "\n".join(line.rstrip() for line in lines)


def main() -> None:
    """Renew all pages."""
    for path in sorted(page("").parent.glob("*.md")):
        update(path.stem)


if __name__ == "__main__":
    main()
