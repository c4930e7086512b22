"""The figures of the kNN-LM, each drawn from its table."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bitskept.base.figures import curve, points
from bitskept.studies.output.retrieval import OTHER, PEOPLE, SAME, SHUFFLED
from bitskept.studies.output.retrieval_tables import (
    ALL,
    ENTROPIES,
    ENTROPY,
    FREQUENCIES,
    FREQUENCY,
    LOSING,
    MODEL,
    RARE,
    RETRIEVAL,
    SAVED,
    SHUFFLED_AS_MUCH,
)

STORES = {SAME: ("C0", "o"), OTHER: ("C1", "s"), SHUFFLED_AS_MUCH: ("0.5", "D")}
TITLES = {RETRIEVAL: "of the retrieval distribution", MODEL: "of the model's distribution"}
ROWS = [
    (ALL, ALL, "all tokens"),
    *((FREQUENCY, group, f"{group} in the store" if group == RARE else group) for group in FREQUENCIES),
    *((ENTROPY, group, f"entropy {group}") for group in ENTROPIES),
]
"""What the lines of `retrieval` are: a grouping, a group of it, and how the figure calls it."""


def retrieval(table: pd.DataFrame) -> Figure:
    """What retrieval saves of which tokens, and how many lose, by frequency and by the model's entropy."""
    figure = Figure(figsize=(14, 6.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for place, (store, (colour, marker)) in enumerate(STORES.items()):
        part = table[table["store"] == store].set_index(["by", "group"])
        weight = part["weight"].iloc[0]
        label = f"{SHUFFLED if store == SHUFFLED_AS_MUCH else store}, weight {weight:g}"
        heights = {name: height + 0.25 * (place - 1) for height, name in enumerate(row[:2] for row in ROWS)}
        for axes, quantity in ((left, SAVED), (right, LOSING)):
            rows = part[part["quantity"] == quantity]
            rows = rows[[name in heights for name in rows.index]]
            look = {"color": colour, "fmt": marker, "markersize": 6, "label": label, "linestyle": "none"}
            points(axes, rows, [heights[name] for name in rows.index], **look)
    left.axvline(0, color="grey", linewidth=1)
    right.axvline(0.5, color="grey", linewidth=1, linestyle="--")
    left.set(yticks=np.arange(len(ROWS)), yticklabels=[row[2] for row in ROWS], xlabel="bits per token")
    left.set_title("saved by retrieval")
    right.set(xlabel="share of tokens", xlim=(-0.02, 1.02), title="made dearer")
    left.invert_yaxis()
    for axes in (left, right):
        for edge in (0.5, len(FREQUENCIES) + 0.5):
            axes.axhline(edge, color="0.8", linewidth=1)
        axes.grid(visible=False, axis="y")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def retrieval_drift(table: pd.DataFrame) -> Figure:
    """The entropies of both distributions along people's texts and along what the kNN-LM writes from the same
    beginnings.
    """
    figure = Figure(figsize=(13, 5), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, (law, title) in zip(panels, TITLES.items(), strict=True):
        writers = [name for name in table["whose"].unique() if name != PEOPLE]
        for colour, whose in zip(("black", "C0", "C2", "C3"), (PEOPLE, *writers), strict=False):
            rows = table[(table["whose"] == whose) & (table["law"] == law)]
            curve(axes, rows, "position", color=colour, marker="o", markersize=6, label=whose)
        axes.set(title=f"entropy {title}", xlabel="token after the context")
    panels[0].set_ylabel("bits")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure
