"""The figure of words' classes, drawn from its table."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bitskept.base.figures import curve, shades

TITLES = {"before": "state before the word", "at": "state at the word"}


def word_classes(table: pd.DataFrame) -> Figure:
    """The share of uses whose class is named right from other words: of a model by layer, and of a twin by checkpoint
    and layer.
    """
    figure = Figure(figsize=(13, 9), layout="constrained")
    panels = figure.subplots(2, 2, sharey=True, sharex="col")
    for row, (reading, title) in zip(panels, TITLES.items(), strict=True):
        rows = table[table["reading"] == reading]
        _by_layer(row[0], rows[rows["weights"] != "twin"])
        _by_step(row[1], rows[(rows["weights"] == "twin") & rows["quantity"].isin(["right", "shuffled"])])
        row[0].set(title=f"{rows['model'].iloc[0]}: {title}", ylabel="words whose class is named right", ylim=(0, 1))
        row[1].set_title(f"{rows.loc[rows['weights'] == 'twin', 'model'].iloc[0]} twin: {title}")
    panels[1, 0].set_xlabel("layer")
    panels[1, 1].set_xlabel("training step")
    for axes in panels[1]:
        axes.legend(*axes.get_legend_handles_labels(), loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    return figure


def _by_layer(axes: Axes, rows: pd.DataFrame) -> None:
    for weights, colour, label in (("trained", "C0", "trained"), ("random", "C1", "random weights")):
        part = rows[(rows["weights"] == weights) & (rows["quantity"] == "right")]
        curve(axes, part, "layer", share=True, color=colour, marker="o", label=label)
    shuffled = rows[(rows["weights"] == "trained") & (rows["quantity"] == "shuffled")].sort_values("layer")
    axes.plot(
        shuffled["layer"].astype(int), shuffled["estimate"], color="grey", linestyle=":", label="classes shuffled"
    )


def _by_step(axes: Axes, rows: pd.DataFrame) -> None:
    """A curve per layer over the steps, with intervals for the last layer."""
    layers = [int(layer) for layer in sorted(rows["layer"].unique())]
    for layer, colour in zip(layers, shades(len(layers)), strict=True):
        part = rows[(rows["layer"] == layer) & (rows["quantity"] == "right")].sort_values("step")
        if layer == layers[-1]:
            curve(axes, part, "step", share=True, color=colour, marker="o", label=f"layer {layer}")
        else:
            axes.plot(part["step"].astype(int), part["estimate"], color=colour, label=f"layer {layer}")
    shuffled = rows[rows["quantity"] == "shuffled"].groupby("step")["estimate"].mean()
    axes.plot(shuffled.index.astype(int), shuffled, color="grey", linestyle=":", label="classes shuffled")
    axes.set_xscale("symlog", base=2, linthresh=2)
    ticks = [0, *(2 ** np.arange(1, np.log2(max(rows["step"].max(), 2)) + 0.01, 2)).astype(int)]
    axes.set_xticks(ticks, ticks)
