"""The table of claims in README.md, which is made from the tables of the laptop profile."""

import re

import pandas as pd

from bitskept import root
from bitskept.base.files import renew
from bitskept.base.publishing import folders, read_table
from bitskept.instruments import claims
from bitskept.run.notebooks import SECTIONS

START, END = "<!-- claims: begin -->", "<!-- claims: end -->"


def update() -> None:
    """Write the block between `START` and `END` anew. Nothing happens where there is no README.md with these marks."""
    renew(root() / "README.md", lambda text: with_claims(text, tables()))


def tables() -> dict[str, pd.DataFrame]:
    """The committed tables of claims, by the notebook's name."""
    _, folder = folders("laptop")
    files = {stem: folder / f"{stem[:2]}_claims.csv" for stem in SECTIONS}
    return {stem: read_table(file) for stem, file in files.items() if file.is_file()}


def with_claims(text: str, tables: dict[str, pd.DataFrame]) -> str:
    """The text with the table of these claims between its marks."""
    block = "\n".join(filter(None, [START, claims.readme(tables), END]))
    return re.sub(f"{START}.*{END}", lambda _: block, text, count=1, flags=re.DOTALL)
