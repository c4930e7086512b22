"""The figure of the claims of notebook 08: a line for each row, whatever its unit."""

from collections.abc import Mapping
from textwrap import shorten

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter

from bitskept.base.figures import points
from bitskept.instruments.claims import CONTROL, model_name, setting
from bitskept.instruments.claims_figure import LOOK

LINE, WIDTH = 0.2, 110
"""The height of a line in inches, and its characters at most."""
ENDS = (-30, 100)
"""The range of effects, in multiples of the least that counts; what reaches further is cut."""
TICKS = (-10, -1, 0, 1, 10, 100)


def draw(table: pd.DataFrame, *, relevant: Mapping[str, float]) -> Figure:
    """Each estimate of a table of `claims.table` with its interval and what would have been seen, divided by the least
    effect of its unit that counts (`relevant`): a line for each tested row below its claim, which says how many were
    not tested. The axis is linear below 1 and logarithmic above it.
    """
    names = table["claim"].str.partition(" (to be tested")[0]
    names = ("control: " + names).where(table["paper"] == CONTROL, names)
    labels, places = [], {}
    for name, rows in table.groupby(names, sort=False):
        tested = rows[rows["outcome"] != "not tested"]
        missing = len(rows) - len(tested)
        labels.append(name + (f" ({missing} not tested)" if missing else ""))
        places |= {index: -len(labels) - place for place, index in enumerate(tested.index)}
        labels += [_label(row) for _, row in tested.iterrows()]
    figure = Figure(figsize=(15, LINE * len(labels) + 1.2), layout="constrained")
    axes = figure.subplots()
    _rows(axes, table, pd.Series(places, dtype=float), relevant)
    axes.set_yticks(-np.arange(len(labels)), labels, fontsize=9)
    for height, label in enumerate(axes.get_yticklabels()):
        if -height not in places.values():
            label.set(fontweight="bold", fontsize=10)
            axes.axhline(0.5 - height, color="0.9", linewidth=0.8, zorder=0)
    axes.set_ylim(0.5 - len(labels), 0.5)
    axes.axvline(0, color="grey", linewidth=1)
    axes.axvline(1, color="grey", linewidth=1, linestyle=":")
    axes.set_xscale("symlog", linthresh=1, linscale=1)
    axes.set_xlim(*ENDS)
    axes.xaxis.set_major_locator(FixedLocator(TICKS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("effect (1: the least that counts)")
    axes.grid(visible=False, axis="y")
    figure.legend(handles=_handles(table), loc="outside lower center", ncols=5)
    return figure


def _label(row: pd.Series) -> str:
    return shorten(": ".join(filter(None, (model_name(row["model"]), setting(row)))), WIDTH, placeholder=" …")


def _rows(axes: Axes, table: pd.DataFrame, places: pd.Series, relevant: Mapping[str, float]) -> None:
    rows = table.loc[places.index]
    names, unit = ["estimate", "low", "high", "detectable"], rows["unit"].map(relevant).astype(float)
    scaled = rows.assign(**rows[names].astype(float).div(unit, axis=0).clip(*ENDS))
    axes.barh(places, scaled["detectable"].fillna(0), height=0.8, color="0.9", zorder=0)
    for outcome, look in LOOK.items():
        part = scaled[scaled["outcome"] == outcome]
        if len(part):
            points(axes, part, places[part.index], fmt="", linestyle="none", elinewidth=1.6, markersize=6, **look)


def _handles(table: pd.DataFrame) -> list[Artist]:
    shown = [(name, look) for name, look in LOOK.items() if (table["outcome"] == name).any()]
    handles: list[Artist] = [Line2D([], [], label=name, markersize=6, linewidth=1.6, **look) for name, look in shown]
    handles.append(Patch(color="0.9", label="too small to be seen reliably"))
    return [*handles, Line2D([], [], color="grey", linewidth=1, linestyle=":", label="the least that counts")]
