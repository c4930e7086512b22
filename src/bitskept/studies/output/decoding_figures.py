"""The figures of continuations, people's and those of decoders."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bitskept.base.figures import curve
from bitskept.studies.output.decoders import ANCESTRAL, MIROSTAT, NUCLEUS, PEOPLE, TOP_H, TOP_K, TYPICAL

COLOURS = {PEOPLE: "0.35", ANCESTRAL: "black", TOP_K: "C2", NUCLEUS: "C1", TYPICAL: "C0", TOP_H: "C4", MIROSTAT: "C3"}
MARKERS = {PEOPLE: "*", ANCESTRAL: "o", TOP_K: "v", NUCLEUS: "s", TYPICAL: "D", TOP_H: "^", MIROSTAT: "P"}
SYMBOLS = {TOP_K: "k", NUCLEUS: "p", TYPICAL: "p", TOP_H: "α", MIROSTAT: "τ"}
"""How papers write the setting of each decoder."""


def decoding_along(table: pd.DataFrame) -> Figure:
    """Surprisal and entropy along continuations, one panel for people and for each decoder; people's surprisal in all
    of them.
    """
    figure = Figure(figsize=(15, 6.6), layout="constrained")
    grid = figure.subplots(2, 4, sharex=True, sharey=True).ravel()
    panels = np.delete(grid, 3)  # the legend's place, above a panel that has its own axis
    parts = dict(list(table.groupby("decoder", sort=False)))
    people = parts[PEOPLE][parts[PEOPLE]["quantity"] == "surprisal"]
    for axes, (name, rows) in zip(panels, parts.items(), strict=False):
        if name != PEOPLE:
            curve(axes, people, "position", color=COLOURS[PEOPLE], linewidth=1.4)
        for quantity, look in (("entropy", ":"), ("surprisal", "-")):
            curve(axes, rows[rows["quantity"] == quantity], "position", color=COLOURS[name], linestyle=look)
        axes.set_title(_title(name, rows["setting"].iloc[0]))
    for axes in grid[4:]:
        axes.set_xlabel("tokens after the prompt")
    for axes in grid[::4]:
        axes.set_ylabel("bits a token")
    panels[0].set_ylim(0, None)
    looks = {"surprisal of the tokens": ("black", "-"), "entropy of the model's distribution": ("black", ":")}
    looks["surprisal of people's tokens"] = (COLOURS[PEOPLE], "-")
    lines = [
        Line2D([], [], color=colour, linestyle=dash, label=label, linewidth=1.4 if colour == COLOURS[PEOPLE] else 2.2)
        for label, (colour, dash) in looks.items()
    ]
    for axes in (grid[3], *panels[len(parts) :]):
        axes.axis("off")
    grid[3].legend(handles=lines, loc="center", fontsize=11).set_in_layout(False)
    return figure


def decoders(table: pd.DataFrame) -> Figure:
    """Repetition over mean surprisal, a line through the settings of each decoder; and Mirostat's mean surprisal over
    its target.
    """
    figure = Figure(figsize=(13, 5.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    for name, rows in table.groupby("decoder", sort=False):
        _repetition(left, str(name), rows)
    left.set(xlabel="mean surprisal (bits a token)", ylabel="repeated 4-grams (share)")
    left.set_ylim(-0.01, None)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=7)
    held = table[(table["decoder"] == MIROSTAT) & (table["quantity"] == "surprisal")].sort_values("setting")
    targets = held["setting"].to_numpy(float)
    reach = np.array([0, 1.1 * targets.max()])
    right.plot(reach, reach, color="grey", linewidth=1, label="mean = target")
    whole = table[(table["decoder"] == ANCESTRAL) & (table["quantity"] == "surprisal")].iloc[0]
    right.axhspan(whole["low"], whole["high"], color="0.85", zorder=0)
    look = {"color": COLOURS[ANCESTRAL], "linestyle": "--", "linewidth": 1.4}
    right.axhline(whole["estimate"], label="ancestral sampling", **look)
    ends = [held["estimate"] - held["low"], held["high"] - held["estimate"]]
    right.errorbar(targets, held["estimate"], ends, color=COLOURS[MIROSTAT], fmt="P", capsize=4, label=MIROSTAT)
    right.set(xlabel="target τ (bits a token)", ylabel="mean surprisal (bits a token)", xlim=reach, ylim=reach)
    right.legend(loc="lower right")
    return figure


def _repetition(axes: Axes, name: str, rows: pd.DataFrame) -> None:
    """The points of one decoder with both intervals, in the order of their settings."""
    wide = rows.pivot_table(index="setting", columns="quantity", values=["estimate", "low", "high"], dropna=False)
    if rows["setting"].isna().all():
        only = rows.assign(setting=0.0)
        wide = only.pivot_table(index="setting", columns="quantity", values=["estimate", "low", "high"], dropna=False)
    columns = [
        [wide[end, quantity].to_numpy(float) for end in ("estimate", "low", "high")]
        for quantity in ("surprisal", "repeated")
    ]
    (x, left, right), (y, below, above) = columns
    look = {"color": COLOURS[name], "marker": MARKERS[name], "markersize": 12 if name == PEOPLE else 7}
    order = np.argsort(x)
    axes.plot(x[order], y[order], label=name, linewidth=1.8 if len(x) > 1 else 0, zorder=3, **look)
    axes.errorbar(x, y, [y - below, above - y], [x - left, right - x], fmt="none", ecolor=COLOURS[name], alpha=0.4)


def _title(name: str, setting: float) -> str:
    return name if pd.isna(setting) else f"{name}, {SYMBOLS[name]} = {setting:g}"
