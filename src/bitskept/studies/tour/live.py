"""The live cell of notebook 00: one sentence at one layer."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure


def tokens(table: pd.DataFrame, sentence: int, layer: int) -> Figure:
    """What a layer leaves open of each token of a sentence, beside a guess by frequency.

    `table` is that of `token_surprisals.measure`; sentence 0 is the reader's own.
    """
    rows = table[table["sentence"] == sentence].sort_values("position")
    chosen = rows[rows["layer"] == layer]
    places, without = np.arange(len(chosen)), chosen["without_state"]
    figure = Figure(figsize=(min(16, 4 + 0.42 * len(chosen)), 4.6))
    axes = figure.subplots()
    axes.bar(places, chosen["surprisal"], color="C0", label=f"after a look at layer {layer}")
    axes.plot(places, without, "_", color="black", markersize=12, label="without a state")
    wrong = ~chosen["correct"].to_numpy(bool)
    axes.plot(places[wrong], chosen["surprisal"][wrong], "x", color="C3", markersize=9, label="best guess is wrong")
    axes.grid(visible=False, axis="x")
    axes.set_xticks(places, chosen["token"], rotation=90)
    axes.set(ylabel="bits of surprise", ylim=(0, 1.05 * rows[["surprisal", "without_state"]].max(axis=None)))
    left = f"layer {layer} leaves {chosen['surprisal'].sum():.1f} of {without.sum():.1f} bits open"
    axes.set_title(f"{'Your sentence' if sentence == 0 else f'Sentence {sentence}'}: {left}")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
