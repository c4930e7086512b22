"""The figure of notebook 00, drawn from its table."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bitskept.base.figures import colour


def tour(table: pd.DataFrame) -> Figure:
    """The surprise at each token of the sentence, from the bottom layer up, next to the mean over many
    sentences.
    """
    single, means = table[table["quantity"] == "surprisal"], table[table["quantity"] == "mean_surprisal"]
    model, tokens = table["model"].iloc[0], single[single["layer"] == 0]
    bits = single.pivot(index="layer", columns="position", values="estimate")
    marks = single.pivot(index="layer", columns="position", values="correct").map({True: "", False: "×"}.get)
    bits = pd.concat([tokens.set_index("position")[["without_state"]].T, bits])
    marks = pd.concat([pd.DataFrame("", ["without_state"], marks.columns), marks])
    figure = Figure(figsize=(min(16, 5 + 0.42 * len(tokens)), 1.6 + 0.36 * len(bits)), layout="constrained")
    FigureCanvasAgg(figure)  # seaborn draws the figure to see whether labels overlap
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[4, 1])
    look = {"cmap": "rocket_r", "vmin": 0, "linewidths": 0.5, "cbar_kws": {"label": "bits of surprise", "pad": 0.02}}
    sns.heatmap(bits, annot=marks, fmt="", ax=left, xticklabels=list(tokens["token"]), **look)
    left.axhline(1, color="white", linewidth=6)
    left.set(xlabel="", ylabel="layer", title=f"What the layers of {model} still tell")
    left.set_yticks(np.arange(len(bits)) + 0.5, ["no state", *bits.index[1:]], rotation=0)
    places = np.arange(len(means)) + 1.5
    right.plot(means["estimate"], places, "o-", color=colour(model))
    right.fill_betweenx(places, means["low"], means["high"], color=colour(model), alpha=0.25)
    right.set(xlabel="bits", title=f"Mean of {means['n'].max():.0f} sentences", xlim=(0, None), ylim=(0, len(bits)))
    right.tick_params(labelleft=False)
    return figure
