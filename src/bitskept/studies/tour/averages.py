"""The average over the test sentences next to the single sentence."""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.studies.tour.section import Tour
from bitskept.theory.intervals import ratio_interval


def by_layer(surprisals: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The mean surprisal of each layer in bits per token, its 95 % interval over sentences, and the share of tokens
    that were guessed wrong. `n` and `tokens` are the numbers of sentences and of tokens.
    """
    bits = surprisals.pivot_table("surprisal", "layer", "sentence", aggfunc="sum").to_numpy()
    sizes = surprisals[surprisals["layer"] == 0].groupby("sentence").size().to_numpy()
    low, high = ratio_interval(bits, sizes, seed=seed)
    layers = surprisals.groupby("layer")
    table = layers.agg(estimate=("surprisal", "mean"), wrong=("correct", lambda right: 1 - right.mean()))
    return table.assign(low=low, high=high, n=len(sizes), tokens=sizes.sum()).reset_index()


@makes_table
def one_and_all(section: Tour, sentence: pd.DataFrame, average: pd.DataFrame) -> pd.DataFrame:
    """The surprisal of each token of the sentence, and the mean of each layer; `quantity` says which. Measured by
    `studies.tour.token_surprisals.measure`.
    """
    single = sentence.rename(columns={"surprisal": "estimate"}).assign(quantity="surprisal", n=1, tokens=1)
    mean = average.assign(quantity="mean_surprisal")
    table = pd.concat([single.drop(columns="sentence"), mean], ignore_index=True)
    kind = sentence["kind"].iloc[0]
    return table.assign(model=section.model, kind=kind, corpus=section.corpus, unit="bits per token")
