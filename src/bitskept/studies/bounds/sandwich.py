"""The information of a sentence between its bounds from tokens, in a language where the truth can be computed."""

from itertools import product

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.studies.bounds.section import TheoryBounds
from bitskept.studies.bounds.toy_language import Language
from bitskept.theory import bounds

ENCODERS = {"a state for each slot": False, "one pooled state": True}
"""The two encoders, and whether they pool."""
REPEAT, LOST = 0.5, 0.3
"""The chance that a word repeats the last one, and that a token is lost: each is fixed while the other varies."""


@makes_table
def by_loss(section: TheoryBounds) -> pd.DataFrame:
    """Both sides, the truth and the terms of the identity in bits, for both encoders at each loss. Computed by
    `theory.bounds.sandwich`.
    """
    cases = list(product(ENCODERS, section.losses))
    table = pd.DataFrame([_sandwich(section, REPEAT, lost, ENCODERS[encoder]) for encoder, lost in cases])
    table["sum of tokens"] = table.pop("tokens").map(sum)
    table = pd.DataFrame(cases, columns=["encoder", "lost"]).join(table)
    return table.melt(["encoder", "lost"], var_name="quantity", value_name="estimate").assign(unit="bits")


@makes_table
def by_source(section: TheoryBounds) -> pd.DataFrame:
    """The same as shares of H(X), for the encoder with a state for each slot, as words repeat more and more often.
    Computed by `theory.bounds.sandwich`.
    """
    repeats = np.linspace(0, 0.95, 12)
    table = pd.DataFrame([_sandwich(section, repeat, LOST, False) for repeat in repeats]).drop(columns="tokens")
    table = table.div(table["entropy"], axis=0).assign(repeat=repeats)
    table = table.melt("repeat", var_name="quantity", value_name="estimate")
    return table.assign(unit="share of H(X)", lost=LOST)


def _sandwich(section: TheoryBounds, repeat: float, lost: float, pooled: bool) -> bounds.Sandwich:
    return bounds.sandwich(Language(section.words, section.length, repeat, lost, pooled).joint)
