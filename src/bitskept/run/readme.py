"""The table of claims in README.md, which is made from the tables of the laptop profile."""

import re

import pandas as pd

from bitskept import root
from bitskept.base.files import renew
from bitskept.base.publishing import folders, read_table
from bitskept.instruments import claims
from bitskept.run.notebooks import SECTIONS
from bitskept.studies.fine_tuning.claims import with_border
from bitskept.studies.fine_tuning.section import FineTuning
from bitskept.studies.layer_sweep.claims import settings
from bitskept.studies.layer_sweep.section import LayerSweep

START, END = "<!-- claims: begin -->", "<!-- claims: end -->"
WITHOUT_YES = re.compile(r"(mixed[^;|]*? \()(?=(no|cannot tell|too near the border) in \d)")
"""Mixed outcomes up to their counts, where *yes* is not among these."""


def update() -> None:
    """Write the block between `START` and `END` anew. Nothing happens where there is no README.md with these marks."""
    renew(root() / "README.md", lambda text: with_claims(text, tables()))


def tables() -> dict[str, pd.DataFrame]:
    """The committed tables of claims, by the notebook's name, as its verdict counts them: of 02 only settings
    that ask the question of a primary row, and of 03 what is too near the border as such.
    """
    _, folder = folders("laptop")
    files = {stem: folder / f"{stem[:2]}_claims.csv" for stem in SECTIONS}
    tables = {stem: read_table(file) for stem, file in files.items() if file.is_file()}
    if (stem := LayerSweep.notebook) in tables:
        asked = settings(tables[stem])
        tables[stem] = tables[stem].drop(asked.index[~asked["same"]])
    if (stem := FineTuning.notebook) in tables and (contrasts := folder / "03_differences.csv").is_file():
        tables[stem] = with_border(tables[stem], read_table(contrasts))
    return tables


def with_claims(text: str, tables: dict[str, pd.DataFrame]) -> str:
    """The text with the table of these claims between its marks. Of mixed outcomes it says if *yes* is none of them."""
    rows = WITHOUT_YES.sub(r"\1yes in none, ", claims.readme(tables))
    block = "\n".join(filter(None, [START, rows, END]))
    return re.sub(f"{START}.*{END}", lambda _: block, text, count=1, flags=re.DOTALL)
