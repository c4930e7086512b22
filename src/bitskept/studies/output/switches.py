"""Which tokens of a text a switch gives to a large model, and what it saves over chance.

With a_t = 1 where token t goes to the large model, which saves g_t bits of it, a switch saves the mean of a g. A switch
at random with the same share saves mean(a) · mean(g). So what a switch saves beyond chance is exactly the covariance
of a and g: it is worth something only where it tells the tokens apart by what the large model saves of them.
"""

from collections import deque
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from pydantic import Field, PositiveInt

from bitskept.base.params import Names, Strict

Values = Float[np.ndarray, " token"]
Texts = Int[np.ndarray, " token"]


class Switching(Strict):
    """Two twins that predict the next token, and switches between them."""

    widths: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]  # of the small and of the large twin
    validation_sentences: PositiveInt  # on which thresholds are set
    test_sentences: PositiveInt
    windows: list[PositiveInt] = Names  # tokens over which the entropy is averaged
    least: PositiveInt  # tokens that a model predicts at least, where only one runs at a time
    shares: list[Annotated[float, Field(gt=0, lt=1)]] = Names  # of the tokens, that the large twin is to have


def rolling(values: Values, texts: Texts, window: int) -> Values:
    """The mean of a token's value and those of the tokens before it in its text, `window` of them at most."""
    groups = pd.Series(values).groupby(texts, sort=False)
    return groups.rolling(window, min_periods=1).mean().droplevel(0).sort_index().to_numpy()


def previous(values: Values, texts: Texts) -> Values:
    """The value of the token before; minus infinity for the first one of a text."""
    return pd.Series(values).groupby(texts, sort=False).shift().fillna(-np.inf).to_numpy()


def thresholds(scores: Values, shares: Sequence[float]) -> Float[np.ndarray, " share"]:
    """The thresholds that these shares of the scores lie above."""
    return np.quantile(scores, 1 - np.asarray(shares, float), method="inverted_cdf")


def one_at_a_time(
    small: Values, large: Values, texts: Texts, threshold: float, *, window: int, least: int
) -> Bool[np.ndarray, " token"]:
    """Which tokens go to the large model where only one of the two runs at a time (Simonds 2025, arXiv 2502.06833).

    `small` and `large` are the entropies of each model's distribution of each token. A text begins with the small
    model. A model that has predicted `least` tokens gives way if the mean entropy of the last `window` distributions is
    on the other side of the threshold: above it the large model runs, else the small one. A distribution counts once
    its model has run, so each choice rests on the tokens before. The rule is read from summaries of the paper, not from
    its code.
    """
    used = np.zeros(len(small), dtype=bool)
    for place, text in enumerate(texts):
        if not place or text != texts[place - 1]:
            is_large, run, laws = False, 0, deque(maxlen=window)
        if run >= least and (sum(laws) / len(laws) > threshold) != is_large:
            is_large, run = not is_large, 0
        used[place] = is_large
        laws.append((large if is_large else small)[place])
        run += 1
    return used
