"""The figures of attention's entropy, each drawn from its table."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bitskept.base.figures import curve, shades
from bitskept.studies.output.attention import FIRST, SPREADS

LOOKS = {"trained": ("C0", "trained"), "random": ("C1", "random weights")}


def attention_spread(table: pd.DataFrame) -> Figure:
    """How widely heads attend, by layer, and their weight on the first token: a dot for each trained head, curves for
    all heads of a layer.
    """
    figure = Figure(figsize=(16, 5.6), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for axes, (quantity, title) in zip(panels, (SPREADS | {FIRST: "weight on the first token"}).items(), strict=True):
        rows = table[(table["quantity"] == quantity) & table["layer"].notna()]
        heads, layers = rows[rows["head"].notna()], rows[rows["head"].isna()]
        axes.scatter(heads["layer"].astype(float), heads["estimate"], s=14, color="C0", alpha=0.35, label="one head")
        for weights, (colour, label) in LOOKS.items():
            curve(axes, layers[layers["weights"] == weights], "layer", share=True, color=colour, label=label)
        axes.set(title=title, xlabel="layer", ylim=(0, 1.02), ylabel="entropy of attention\n(share of its maximum)")
    panels[2].set_ylabel("share of the weight")
    least = (table["quantity"] == "least by own scores") & (table["weights"] == "trained") & table["layer"].notna()
    label = "least entropy for scores of this size, trained"
    curve(panels[0], table[least], "layer", share=True, color="black", linestyle=":", label=label)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def attention_runs(table: pd.DataFrame) -> Figure:
    """Loss and entropy of attention over the steps of each run, by rate, with scores that training can and cannot
    enlarge.
    """
    figure = Figure(figsize=(13, 8), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True, sharey="row")
    rates = sorted(table["rate"].unique())
    for column, (fixed, title) in enumerate(((False, "scores free to grow"), (True, "scores fixed in size"))):
        for rate, colour in zip(rates, shades(len(rates)), strict=True):
            rows = table[(table["fixed"] == fixed) & (table["rate"] == rate)]
            for axes, quantity in zip(panels[:, column], ("loss", "spread"), strict=True):
                _runs(axes, rows, quantity, colour, f"rate {rate:g}")
        panels[0, column].set(title=title, yscale="log")
        label = "distribution of single tokens"
        panels[0, column].axhline(table["single"].mean(), color="grey", linestyle="--", label=label)
        panels[1, column].set(xlabel="step", ylim=(0, 1.02))
        panels[1, column].set_xscale("symlog", base=2, linthresh=1)
    ticks = [0, *(2 ** np.arange(0, np.log2(table["step"].max()) + 0.01, 2)).astype(int)]
    panels[1, 0].set_xticks(ticks, ticks)
    panels[0, 0].set_ylabel("held-out loss (bits a token)")
    panels[1, 0].set_ylabel("entropy of attention\n(share of log2 of the tokens seen)")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def _runs(axes: Axes, rows: pd.DataFrame, quantity: str, colour: object, label: str) -> None:
    """A line for each run of a rate."""
    for number, (_, run) in enumerate(rows.sort_values("step").groupby("seed")):
        axes.plot(run["step"], run[quantity], color=colour, linewidth=1.6, label=label if not number else None)
