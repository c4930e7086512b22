"""How much of the retrieval distribution a kNN-LM takes: weight and temperature, chosen on validation texts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

SETTING = ["store", "temperature"]


def mixed_bits(
    own: Float[np.ndarray, "*token"], retrieved: Float[np.ndarray, "*token"], weight: float
) -> Float[np.ndarray, "*token"]:
    """-log2((1 - w) p + w p_r), the cost of tokens that cost `own` bits (-log2 p) under the model, and to which the
    retrieval distribution gives the probability `retrieved` (p_r).
    """
    if weight == 0:  # what is saved is exactly 0, and not up to rounding
        return own
    return -np.log2((1 - weight) * np.exp2(-own) + weight * retrieved)


def validated(tokens: pd.DataFrame, weights: Sequence[float]) -> pd.DataFrame:
    """The bits a token that each weight saves on the validation texts: store, temperature, weight, saved."""
    rows = []
    for (store, temperature), part in tokens[tokens["part"] == "validation"].groupby(SETTING, sort=False):
        own, retrieved = part["own_bits"].to_numpy(float), part["retrieved"].to_numpy(float)
        for weight in weights:
            saved = (own - mixed_bits(own, retrieved, weight)).mean()
            rows.append({"store": store, "temperature": temperature, "weight": weight, "saved": saved})
    return pd.DataFrame(rows)


def chosen(tokens: pd.DataFrame, weights: Sequence[float]) -> pd.DataFrame:
    """The setting of each store that saves most, in the columns of `validated`; of equal ones the smaller weight."""
    ordered = validated(tokens, weights).sort_values(["saved", "weight"], ascending=[False, True], kind="stable")
    return ordered.drop_duplicates("store").sort_index(ignore_index=True)
