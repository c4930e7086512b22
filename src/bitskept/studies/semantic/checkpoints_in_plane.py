"""Language models in the rate-distortion plane: the bits by which the context makes the next token cheaper, next to the
bits that are needed to name a token with a given share of errors.
"""

import numpy as np
import pandas as pd
from jaxtyping import Float

from bitskept.base.publishing import makes_table
from bitskept.instruments.likelihood import next_token
from bitskept.instruments.training import twin_measures
from bitskept.studies.semantic.section import SemanticInformation
from bitskept.theory.naming import naming_rate

POINTS = 101
BELOW = 0.15
"""The curve begins this far below the smallest share of errors of any checkpoint."""


def token_law(gathered: pd.DataFrame, section: SemanticInformation) -> Float[np.ndarray, " vocab"]:
    """How frequent each token is in the text that the twins, which share a tokenizer, were trained on."""
    trained = gathered.loc[gathered["step"] == section.training.steps, "id"]
    return next_token.law(trained.iloc[0], twin_measures.next_plan(section.training))["share"].to_numpy()


@makes_table
def with_rate(gathered: pd.DataFrame, law: Float[np.ndarray, " vocab"]) -> pd.DataFrame:
    """What the context is worth to each checkpoint, followed by the rate of naming tokens of this distribution: rows
    with the quantity "rate" in bits, by the share of errors (`error`). Measured by
    `instruments.training.twin_measures.next_tokens_of`, computed by `theory.naming.naming_rate`.
    """
    errors = np.linspace(_by_checkpoint(gathered)["error"].min() - BELOW, 1, POINTS)
    rate = pd.DataFrame({"quantity": "rate", "error": errors, "estimate": naming_rate(law, errors)})
    return pd.concat([gathered, rate])


def needed(gathered: pd.DataFrame, law: Float[np.ndarray, " vocab"]) -> pd.Series:
    """The fewest bits that each checkpoint's share of errors needs, by twin and step."""
    errors = _by_checkpoint(gathered)["error"]
    return pd.Series(naming_rate(law, errors.to_numpy()), index=errors.index)


def _by_checkpoint(gathered: pd.DataFrame) -> pd.DataFrame:
    """Quantities in columns, means over seeds, by twin and step."""
    return gathered.pivot_table(index=["twin", "step"], columns="quantity", values="estimate", sort=False)
