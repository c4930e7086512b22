"""The look of every figure: style, colours, and elements that many figures share."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
import yaml
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, PercentFormatter

from bitskept import shipped
from bitskept.base.files import sha256

DPI = 120
LARGEST_SIDE = 2000
"""Pixels of a PNG; a larger figure is rendered at a lower resolution."""
METADATA = {"png": {"Software": None}, "svg": {"Date": None}}
"""The formats of a figure; without these entries the same figure always gives the same bytes."""
FULL_SHARE = (0, 1.03)
"""The range of an axis that shows shares of H(X)."""
LOOK = {
    "figure.figsize": (9.0, 5.0),
    "figure.dpi": DPI,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.alpha": 0.5,
    "lines.linewidth": 2.2,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "bitskept",
    "pdf.fonttype": 42,
    "text.parse_math": False,  # a token or a name may have dollar signs
}


@contextmanager
def style() -> Iterator[None]:
    """The style of this project's figures, whatever the user's own matplotlibrc says: text sized for a talk, a palette
    for colour-blind readers, text kept as text in vector files.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        sns.set_theme(context="talk", style="whitegrid", palette="colorblind", font_scale=0.75)
        mpl.rcParams.update(LOOK)
        yield


def colour(model_id: str) -> tuple[float, float, float]:
    """The colour (red, green, blue in 0..1) of a model, the same in every figure: by its place in `params/models.yaml`.

    A model that is not registered gets a colour by its name, which another model may have as well.
    """
    registered = _registered(shipped("params/models.yaml"))
    place = registered.index(model_id) if model_id in registered else int(sha256(model_id.encode()), 16)
    palette = sns.color_palette("colorblind")
    if len(palette) <= place < len(registered):
        palette, place = sns.color_palette("husl", len(registered) - len(palette)), place - len(palette)
    return palette[place % len(palette)]


def colours_by_family(model_ids: Iterable[str]) -> dict[str, tuple[float, float, float]]:
    """A colour for each model, the same for a family: "smollm" of "smollm2-135m", "pythia" of "pythia-70m@step1000"."""
    family = {id: re.match("[a-z]*", id.lower())[0] for id in model_ids}
    names = sorted(set(family.values()))
    palette = sns.color_palette("colorblind" if len(names) <= 10 else "husl", len(names))
    return {id: palette[names.index(name)] for id, name in family.items()}


def shades(number: int) -> list[tuple[float, float, float]]:
    """A number of colours from dark to light, for things that have an order."""
    return sns.color_palette("viridis", number)


def curve(axes: Axes, rows: pd.DataFrame, x: str, *, share: bool = False, bars: bool = False, **options: Any) -> None:
    """Draw `estimate` over column `x` with its interval (`low`, `high`) as a band, or as `bars` where the intervals of
    neighbours differ much; `share`: in percent. The label says where there is no interval at all.
    """
    rows = rows.sort_values(x)
    places, low, high = (rows[name].to_numpy(float) for name in (x, "low", "high"))
    (line,) = axes.plot(places, rows["estimate"], **(options | _label(rows, options)))
    if bars:
        axes.vlines(places, low, high, color=line.get_color(), alpha=0.5)
    else:
        axes.fill_between(places, low, high, color=line.get_color(), alpha=0.18, linewidth=0)
    if share:
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def possible(rows: pd.DataFrame, most: float) -> pd.DataFrame:
    """The rows with intervals that end where what they are about has to: at 0 and at `most`, or at an estimate beyond
    these.
    """
    least, most = rows["estimate"].clip(upper=0), rows["estimate"].clip(lower=most)
    return rows.assign(low=rows["low"].clip(lower=least), high=rows["high"].clip(upper=most))


def points(axes: Axes, rows: pd.DataFrame, places: Iterable[float], **options: Any) -> None:
    """Draw each `estimate` as a point with its interval (`low`, `high`), horizontally, at the given heights. The label
    says where there is no interval at all.
    """
    errors = [rows["estimate"] - rows["low"], rows["high"] - rows["estimate"]]
    look = {"fmt": "o", "capsize": 3} | options | _label(rows, options)
    axes.errorbar(rows["estimate"], list(places), xerr=errors, **look)


def _label(rows: pd.DataFrame, options: dict[str, Any]) -> dict[str, str]:
    """The label of a curve, which says if none of its points has an interval."""
    label = str(options.get("label", ""))
    if not label or label.startswith("_") or rows[["low", "high"]].notna().all(axis=1).any():
        return {}
    return {"label": f"{label} (no interval)"}


def legend_below(figure: Figure, *panels: Axes, columns: int | None = None) -> Figure:
    """The figure with a legend below it: each label of these panels (default: of all) once, in so many columns
    (default: in one row).
    """
    pairs = [pair for axes in panels or figure.axes for pair in zip(*axes.get_legend_handles_labels(), strict=True)]
    marks = {label: mark for mark, label in pairs}
    figure.legend(marks.values(), marks.keys(), loc="outside lower center", ncols=columns or len(marks))
    return figure


def label_points(axes: Axes, places: Mapping[str, tuple[float, float]], size: float | int = 9) -> None:
    """Write each name beside its point, where it covers no other name and no point if there is such a place, with a
    line to the point if that is not close by. Call it last: the places depend on the limits and labels of the axes.
    """
    axes.margins(x=0.15)
    axes.figure.draw_without_rendering()  # finds the limits and the layout
    unit = 72 / axes.figure.dpi
    points = axes.transData.transform(np.array(list(places.values()))) * unit
    (left, bottom), (right, top) = axes.get_window_extent().get_points() * unit
    across, up = (steps.ravel() for steps in np.meshgrid(np.arange(-12, 13), np.arange(-6, 7)))
    far = abs(across) + 1.5 * abs(up) + 0.1 * (across < 0)  # best at the right: intervals go up and down
    taken = np.hstack([points - 5, points + 5])  # boxes: left, bottom, right, top
    for (name, place), (x, y) in zip(places.items(), points, strict=True):
        width, height = 0.64 * size * len(name), 1.1 * size
        lefts = x + 7 * across - np.select([across > 0, across < 0], [0, width], width / 2)
        bottoms = y + 0.9 * size * up - height / 2
        boxes = np.stack([lefts, bottoms, lefts + width, bottoms + height], axis=1)
        apart = (boxes[:, None, :2] >= taken[:, 2:]) | (boxes[:, None, 2:] <= taken[:, :2])
        outside = (boxes[:, :2] < (left, bottom)).any(1) | (boxes[:, 2:] > (right, top)).any(1)
        best = np.lexsort([far, (~apart.any(2)).sum(1) + outside])[0]
        taken = np.vstack([taken, boxes[best]])
        line = {"arrowstyle": "-", "linewidth": 0.5, "color": "grey", "shrinkA": 0} if far[best] > 2.5 else None
        offset = {"xytext": boxes[best, :2] - (x, y), "textcoords": "offset points"}
        axes.annotate(name, place, **offset, fontsize=size, arrowprops=line, va="bottom")


def rendered(figure: Figure, name: str, suffixes: Iterable[str] = tuple(METADATA)) -> dict[str, bytes]:
    """A finished figure as PNG and SVG, or one of them, by suffix. ValueError if it shows neither data nor text."""
    if not any(axes.has_data() or axes.texts for axes in figure.axes):
        raise ValueError(f"figure {name} shows no data")
    with style():
        if figure.get_layout_engine() is None and not figure.legends:  # seaborn's grids place themselves and the legend
            figure.set_layout_engine("constrained")
        figure.set_dpi(min(DPI, LARGEST_SIDE / max(figure.get_size_inches())))
        _show_powers(figure)
        # Labels that the layout adds are numbers, which matplotlib writes as mathematics on a logarithmic axis.
        mpl.rcParams["text.parse_math"] = True
        if engine := figure.get_layout_engine():
            engine.execute(figure)
        figure.set_layout_engine(None)  # places are found once: both files have the same
        box = figure.get_tightbbox().padded(mpl.rcParams["savefig.pad_inches"])
        pictures = {}
        for suffix in suffixes:
            buffer = BytesIO()
            figure.savefig(buffer, format=suffix, dpi=figure.dpi, bbox_inches=box, metadata=METADATA[suffix])
            pictures[suffix] = buffer.getvalue()
    return pictures


def _show_powers(figure: Figure) -> None:
    """Make all labels that the axes have now: powers of ten are read as mathematics, any other text as it stands."""
    for axis in figure.findobj(Axis):
        for minor, formatter in ((False, axis.get_major_formatter()), (True, axis.get_minor_formatter())):
            for label in axis.get_ticklabels(minor=minor):
                label.set_parse_math(isinstance(formatter, LogFormatter))


@cache
def _registered(registry: Path) -> list[str]:
    return list(yaml.safe_load(registry.read_text("utf-8"))) if registry.is_file() else []
