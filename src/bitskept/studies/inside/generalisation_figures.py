"""The figure of bounds, drawn from its table."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bitskept.base.figures import curve
from bitskept.studies.inside.generalisation import ALL, COUNTS, FEW

LOOK = {
    "training": ("training text", "C0", "o"),
    "held_out": ("other text", "C1", "s"),
    "coded_training": ("training text, rounded and smoothed", "C2", "^"),
    "coded_held_out": ("other text, rounded and smoothed", "C4", "x"),
    "bound": ("bound of the rounded and smoothed", "C3", "v"),
}
"""The label, colour and marker of each quantity."""


def generalisation(table: pd.DataFrame) -> Figure:
    """What twins cost and their bounds, by width and amount of text; the same by the number of trained numbers."""
    figure = Figure(figsize=(13, 5.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _by_twin(left, table[table["kind"] == ALL])
    few = table[table["kind"] == FEW]
    for quantity, (label, colour, marker) in LOOK.items():
        curve(right, few[few["quantity"] == quantity], "numbers", color=colour, marker=marker, label=f"_{label}")
    control = table[table["kind"] == COUNTS].set_index("quantity")["estimate"]
    right.axhline(control["bound"], color="C3", linestyle="--", linewidth=1.4, label="bound of token counts (control)")
    least = 2 * control["coded_training"] - control["bound"]
    right.axhline(least, color="C3", linestyle="-.", linewidth=1.4, label="the least that token counts can cost")
    numbers = sorted(few["numbers"].unique())
    right.set(xscale="log", xlabel="numbers that are trained and written down", title="few numbers are trained")
    right.set_xticks(numbers, [f"{number:,}" for number in numbers])
    right.set_xticks([], minor=True)
    uniform = table.loc[table["quantity"] == "uniform", "estimate"].iloc[0]
    for axes in (left, right):
        axes.axhline(uniform, color="black", linestyle=":", label="uniform distribution: a bound above it is vacuous")
        axes.set_ylabel("bits per token")
    legend = {
        label: line for axes in (right, left) for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(legend.values(), legend.keys(), loc="outside lower center", ncols=3, fontsize=11)
    return figure


def _by_twin(axes: Axes, twins: pd.DataFrame) -> None:
    """One place for each twin, in order of its weights and then of its text."""
    runs = twins[["width", "sentences"]].drop_duplicates().sort_values(["width", "sentences"])
    places = {run: place for place, run in enumerate(runs.itertuples(index=False, name=None))}
    for quantity, (label, colour, marker) in LOOK.items():
        rows = twins[twins["quantity"] == quantity]
        at = np.array([places[run] for run in rows[["width", "sentences"]].itertuples(index=False, name=None)], float)
        axes.plot(at, rows["estimate"], marker, color=colour, label=label, markersize=8)
        axes.vlines(at, rows["low"], rows["high"], color=colour)
    axes.set_xticks(range(len(runs)), [f"{sentences:,}\n(width {width})" for width, sentences in places])
    axes.set(xlabel="sentences of training text", title="all weights are written down")
    axes.margins(x=0.15)
