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


def at_the_end(gathered: pd.DataFrame, law: Float[np.ndarray, " vocab"]) -> pd.DataFrame:
    """Each twin after its last step, one row per twin: the bits `gathered` with `low` and `high`, the share of `error`,
    the bits `needed` for so few errors, and how many more than these it has gathered (`beyond`, `beyond_low`,
    `beyond_high`). `corner` is the share of errors that takes no bits: that of always naming the most frequent token.

    Over several seeds an estimate is their mean, and an interval reaches from the lowest to the highest end. That of
    `beyond` takes the ends of both intervals that are farthest apart, so it is at least as long as one of 95 %.
    """
    rows = []
    for twin, every in gathered.groupby("twin", sort=False):
        last = every[every["step"] == every["step"].max()].groupby("quantity")
        mean, low, high = last["estimate"].mean(), last["low"].min(), last["high"].max()
        needs = {end: naming_rate(law, ends["error"]) for end, ends in (("mean", mean), ("low", low), ("high", high))}
        ends = {"gathered": mean["gathered"], "low": low["gathered"], "high": high["gathered"]}
        beyond = {"beyond": mean["gathered"] - needs["mean"], "beyond_low": low["gathered"] - needs["low"]}
        beyond["beyond_high"] = high["gathered"] - needs["high"]
        facts = {"twin": twin, "step": int(every["step"].max()), "error": mean["error"], "needed": needs["mean"]}
        clusters = every["n"].max() if "n" in every else np.nan
        rows.append(facts | ends | beyond | {"corner": 1 - law.max(), "n": clusters})
    return pd.DataFrame(rows)


def _by_checkpoint(gathered: pd.DataFrame) -> pd.DataFrame:
    """Quantities in columns, means over seeds, by twin and step."""
    return gathered.pivot_table(index=["twin", "step"], columns="quantity", values="estimate", sort=False)
