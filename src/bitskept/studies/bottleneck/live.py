"""The live cell of notebook 04: how much a label without a meaning seems to carry, by its number of states."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bitskept.base.figures import colour


def floors(floor: pd.DataFrame) -> pd.DataFrame:
    """For each model and number of `states` of a label the entropy h(c) of the mean of so many random states and that
    of all states, H(Z), in bits. `floor` is the table of `by_layer.floor`.
    """
    random = floor[floor["quantity"] == "random_entropy"]
    whole = floor[floor["quantity"] == "soft_entropy"].set_index("model")["estimate"].astype(float)
    table = random[["model", "layer", "estimate", "unit"]].astype({"estimate": float})
    return table.assign(states=random["n"].astype(int), all_states=random["model"].map(whole))


def states_of_a_label(table: pd.DataFrame, states: int) -> Figure:
    """What a label that means nothing seems to carry at the middle layer of each model, over its number of states; the
    dots mark the number that was chosen.

    `table` is that of `floors`.
    """
    figure = Figure(figsize=(9, 4.4))
    axes = figure.subplots()
    sizes = sorted(table["states"].unique())
    for model, rows in table.groupby("model", sort=False):
        seeming = (rows["all_states"] - rows["estimate"]).set_axis(rows["states"]).sort_index()
        value = seeming[states]
        label = f"{model}: {value:.2f} of {rows['all_states'].iloc[0]:.2f} bits"
        axes.plot(np.log2(seeming.index), seeming, color=colour(model), label=label)
        axes.plot(np.log2(states), value, "o", color=colour(model))
    axes.axvline(np.log2(states), color="grey", linewidth=1)
    axes.set_xticks(np.log2(sizes), sizes)
    axes.set(xlabel="states of a label", ylabel="H(Z) − h(c) in bits", ylim=(0, None))
    axes.set_title(f"What a label of {states:,} random state{'s' * (states > 1)} seems to carry")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
