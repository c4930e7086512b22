"""A picture of a table of claims: each estimate with its interval, and which effect would have been seen."""

from collections.abc import Mapping
from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bitskept.base.figures import points
from bitskept.instruments.claims import model_name, setting

LOOK = {
    "yes": {"color": "C0", "marker": "o"},
    "no": {"color": "C1", "marker": "s"},
    "cannot tell": {"color": "0.4", "marker": "D", "markerfacecolor": "white"},
}
"""Colour and marker of each outcome."""
ROW, LINE, HEAD = 0.3, 0.18, 0.95
"""The heights of a row, of a line of its name, and of the title and axis of a panel, in inches."""
WIDTH, NAME = 80, 52
"""The width of a line of text and of a row's name, in characters."""


def draw(table: pd.DataFrame, *, relevant: Mapping[str, float], shares: Mapping[str, float] | None = None) -> Figure:
    """One panel for each claim and unit, one line for each row of `claims.table`; those not tested in grey below.
    `relevant`, the smallest effect of each unit that would matter, is a dotted line. `shares`, by unit, are the values
    above 0 that shares are tested against: what is too small to be seen lies above them, on an axis from 0 to 1.
    """
    tested = table[table["outcome"] != "not tested"]
    panels = [(claim, unit, rows) for (claim, unit), rows in tested.groupby(["claim", "unit"], sort=False)]
    untested = [line for claim in table.loc[table["outcome"] == "not tested", "claim"] for line in _lines(claim)]
    heights = [HEAD + _row(rows) * len(rows) for _, _, rows in panels] + [0.4 + ROW * len(untested)] * bool(untested)
    figure = Figure(figsize=(11, sum(heights) + 0.5), layout="constrained")
    areas = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (claim, unit, rows) in zip(areas, panels, strict=False):
        _panel(axes, rows, (shares or {}).get(unit))
        axes.axvline(relevant[unit], color="grey", linewidth=1, linestyle=":")
        axes.set_title("\n".join(wrap(claim, WIDTH)), loc="left", fontsize=11)
        axes.set_xlabel(unit, fontsize=10)
    if untested:
        areas[-1].axis("off")
        text = "\n".join(["Not tested:", *untested])
        areas[-1].text(0, 1, text, color="grey", fontsize=10, va="top", transform=areas[-1].transAxes)
    _legend(figure, tested)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, share: float | None) -> None:
    heights = np.arange(len(rows), 0.0, -1)
    ends = rows[["low", "high", "estimate"]]
    whole = 1.05 * ends.abs().max(axis=None) if share is None else max(1, ends.max(axis=None))
    band = rows["detectable"].fillna(share or 0).replace(np.inf, whole)  # all, where no effect would have been seen
    start = -band if share is None else share
    axes.barh(heights, band - start, left=start, height=0.8, color="0.9", zorder=0)
    if share is not None:
        axes.set_xlim(min(0, ends.min(axis=None)), whole)
    axes.axvline(0, color="grey", linewidth=1)
    for name, look in LOOK.items():
        chosen = (rows["outcome"] == name).to_numpy()
        if chosen.any():
            points(
                axes,
                rows[chosen],
                heights[chosen].tolist(),
                fmt="",
                linestyle="none",
                elinewidth=1.6,
                markersize=6,
                **look,
            )
    axes.set_yticks(heights, _names(rows), fontsize=9)
    axes.set_ylim(0.4, len(rows) + 0.6)
    axes.tick_params(axis="x", labelsize=9)
    axes.grid(visible=False, axis="y")


def _names(rows: pd.DataFrame) -> list[str]:
    parts = [filter(None, (model_name(row["model"]), setting(row))) for _, row in rows.iterrows()]
    return ["\n".join(wrap(": ".join(part), NAME)) for part in parts]


def _row(rows: pd.DataFrame) -> float:
    """The height of a row in which the longest name has room."""
    return max(ROW, LINE * max(name.count("\n") + 1 for name in _names(rows)))


def _legend(figure: Figure, tested: pd.DataFrame) -> None:
    handles: list[Artist] = [
        Line2D([], [], label=name, markersize=6, linewidth=1.6, **look)
        for name, look in LOOK.items()
        if (tested["outcome"] == name).any()
    ]
    handles.append(Patch(color="0.9", label="too small to be seen reliably"))
    handles.append(Line2D([], [], color="grey", linewidth=1, linestyle=":", label="the least that counts"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=10)


def _lines(claim: str) -> list[str]:
    return wrap(claim, WIDTH + 10, initial_indent="• ", subsequent_indent="   ")
