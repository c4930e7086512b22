"""Whole documents beside sentences: how much of the answer is due to the text that is measured."""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.soft_entropy import compression
from bitskept.instruments.states import cut_as_planned
from bitskept.sources.packages import SourceError
from bitskept.studies.bottleneck.by_layer import at_largest
from bitskept.studies.bottleneck.section import IbCorrelations, document_plans

QUANTITIES = ("unique_input", "optimality", "optimality_corrected")


def measured(section: IbCorrelations) -> tuple[pd.DataFrame, str]:
    """The tables of `compression.measure` of the last of the models on each text of `documents`, with the tokens that
    were read of each (`longest`); and, in words, which texts were left out and why.
    """
    tables, left_out = [], []
    for corpus, plan in document_plans(section).items():
        try:
            with cut_as_planned():
                table = compression.measure(section.models[-1], plan, accept_terms=section.accept_terms)
        except SourceError as error:
            left_out.append(f"{corpus} is left out: {error}.")
            continue
        tables.append(table.assign(longest=plan.longest))
    empty = pd.DataFrame(columns=[*compression.COLUMNS, "longest"])
    return pd.concat(tables) if tables else empty, " ".join(left_out)


@makes_table
def documents(compressed: pd.DataFrame, of_texts: pd.DataFrame, section: IbCorrelations) -> pd.DataFrame:
    """Optimality, raw and corrected, and the share of places whose label occurs once, as means over layers, by width
    and text: that of all sections first, then those of `of_texts` (`measured`), where it may be listed again. Measured
    by `instruments.soft_entropy.compression.measure`.
    """
    first = at_largest(compressed[compressed["model"] == section.models[-1]], section)
    table = pd.concat([first.assign(longest=section.longest), of_texts])
    table = table[table["layer"].isna() & table["width"].notna() & table["quantity"].isin(QUANTITIES)]
    return table.drop_duplicates(["corpus", "longest", "width", "quantity"], keep="last")
