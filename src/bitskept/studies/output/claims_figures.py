"""The figure of the claims of notebook 08: a line for each claim, whatever its unit."""

from collections.abc import Mapping
from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter

from bitskept.base.figures import points
from bitskept.instruments.claims_figure import LOOK

LINE, POINT, LEAST, WIDTH = 0.3, 0.16, 0.34, 78
"""Inches for each line of text, for each point, and for each claim at least; characters in a line of text."""
ENDS = (-30, 100)
"""The range of effects, in multiples of the least that counts; what reaches further is cut."""
TICKS = (-10, -1, 0, 1, 10, 100)


def draw(table: pd.DataFrame, *, relevant: Mapping[str, float]) -> Figure:
    """Each estimate of a table of `claims.table` with its interval, divided by the least effect of its unit that counts
    (`relevant`), a line for each claim. The axis is linear below 1 and logarithmic above it. At the right, how many
    rows of a claim were not tested.
    """
    names = table["claim"].str.partition(" (to be tested")[0]
    claims = [(wrap(name, WIDTH), rows) for name, rows in table.groupby(names, sort=False)]
    inches = [max(LINE * len(lines), POINT * len(_tested(rows)), LEAST) for lines, rows in claims]
    figure = Figure(figsize=(14, sum(inches) + 1.2), layout="constrained")
    axes = figure.subplots()
    bottoms = -np.cumsum(inches)
    for (_, rows), bottom, height in zip(claims, bottoms, inches, strict=True):
        _line(axes, rows, bottom, height, relevant)
        axes.axhline(bottom, color="0.9", linewidth=0.8, zorder=0)
    axes.set_yticks(bottoms + np.array(inches) / 2, ["\n".join(lines) for lines, _ in claims], fontsize=11)
    axes.set_ylim(bottoms[-1], 0)
    axes.axvline(0, color="grey", linewidth=1)
    axes.axvline(1, color="grey", linewidth=1, linestyle=":")
    axes.set_xscale("symlog", linthresh=1, linscale=1)
    axes.set_xlim(*ENDS)
    axes.xaxis.set_major_locator(FixedLocator(TICKS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("effect (1: the least that counts)")
    axes.grid(visible=False, axis="y")
    figure.legend(handles=_handles(table), loc="outside lower center", ncols=4)
    return figure


def _tested(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["outcome"] != "not tested"]


def _line(axes: Axes, rows: pd.DataFrame, bottom: float, height: float, relevant: Mapping[str, float]) -> None:
    tested = _tested(rows)
    unit = tested["unit"].map(relevant).astype(float)
    scaled = tested.assign(**{name: (tested[name] / unit).clip(*ENDS) for name in ("estimate", "low", "high")})
    places = pd.Series(bottom + height * (1 - (np.arange(len(tested)) + 0.5) / max(len(tested), 1)), tested.index)
    for outcome, look in LOOK.items():
        part = scaled[scaled["outcome"] == outcome]
        if len(part):
            points(axes, part, places[part.index], fmt="", linestyle="none", elinewidth=1.6, markersize=6, **look)
    if missing := len(rows) - len(tested):
        text = f"{missing} not tested"
        axes.text(0.995, bottom + height / 2, text, color="grey", fontsize=10, ha="right", va="center",
                  transform=axes.get_yaxis_transform())  # fmt: skip


def _handles(table: pd.DataFrame) -> list[Artist]:
    shown = [(name, look) for name, look in LOOK.items() if (table["outcome"] == name).any()]
    handles: list[Artist] = [Line2D([], [], label=name, markersize=6, linewidth=1.6, **look) for name, look in shown]
    return [*handles, Line2D([], [], color="grey", linewidth=1, linestyle=":", label="the least that counts")]
