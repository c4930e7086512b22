"""What is claimed for entropies at the output, and what was found: the claims of all sections of notebook 08."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments import claims as outcomes
from bitskept.studies.output import (
    attention_sentences,
    capacity_sentences,
    decoding_sentences,
    detection_claims,
    retrieval_sentences,
    spread_sentences,
    switch_curve,
    switching_sentences,
    word_classes_sentences,
)

RELEVANT = (
    decoding_sentences.RELEVANT
    | detection_claims.RELEVANT
    | capacity_sentences.RELEVANT
    | attention_sentences.RELEVANT
    | retrieval_sentences.RELEVANT
    | {switch_curve.UNIT: switching_sentences.RELEVANT}
    | spread_sentences.RELEVANT
    | word_classes_sentences.RELEVANT
)
"""The least effect that counts, by unit; every section has units of its own."""


@makes_table
def claims(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """All claims in the columns of `instruments.claims`, from the rows that the sections give. The primary rows of one
    paper are a family for Holm's correction.
    """
    table = pd.DataFrame(rows)
    primary = table["primary"].astype("boolean").fillna(True).astype(bool)
    return outcomes.table(table.assign(family=table["paper"].where(primary)), relevant=RELEVANT)


def otherwise(table: pd.DataFrame) -> str:
    """The settings that say otherwise (`instruments.claims.otherwise`), or that there are none."""
    return "\n".join(outcomes.otherwise(table) or ["No other setting says otherwise."])
