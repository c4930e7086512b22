"""The figures of notebook 03, each drawn from its table."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bitskept.base.figures import FULL_SHARE, colour, curve, points

ARMS = {"before": "black", "recoverability": "C0", "continued": "C1", "permuted": "C2"}
LEARNED = {"named": "share of targets named", "cross_entropy": "surprisal (bits per target)"}


def learning(table: pd.DataFrame) -> Figure:
    """Share named and surprisal of held-out targets over the steps of training, one row of panels per model."""
    models = table["model"].unique()
    figure = Figure(figsize=(11.5, 4 * len(models)), layout="constrained")
    panels = figure.subplots(len(models), 2, sharex="row", squeeze=False)
    for line, model in zip(panels, models, strict=True):
        for axes, (quantity, name) in zip(line, LEARNED.items(), strict=True):
            rows = table[(table["model"] == model) & (table["quantity"] == quantity)]
            for arm, learned in rows.groupby("arm", sort=False):
                curve(axes, learned, "step", share=quantity == "named", color=ARMS[arm], marker=".", label=arm)
            axes.set(title=model, xlabel="step", ylabel=name, ylim=(0, 1.06 * max(rows["high"].max(), 0.97)))
    _legend_below(figure)
    return figure


def layers(table: pd.DataFrame) -> Figure:
    """The share of H(X) that each layer keeps, by arm: one row of panels per probe, one column per model."""
    models = table["model"].unique()
    figure = Figure(figsize=(5.5 * len(models) + 1.5, 8), layout="constrained")
    panels = figure.subplots(2, len(models), sharex="col", sharey=True, squeeze=False)
    for line, probe in zip(panels, ("centroid", "ridge"), strict=True):
        for axes, model in zip(line, models, strict=True):
            rows = table[(table["model"] == model) & (table["probe"] == probe)]
            for arm, kept in rows.groupby("arm", sort=False):
                curve(axes, kept, "layer", share=True, color=ARMS[arm], marker=".", label=arm)
            axes.set(title=f"{model}, {probe}", xlabel="layer", ylim=FULL_SHARE)
        line[0].set_ylabel("retained share of H(X)")
    _legend_below(figure, columns=len(ARMS))
    return figure


def scores(table: pd.DataFrame) -> Figure:
    """The scores of the last layer, by arm, one panel per model."""
    figure, panels = _panels(table, table["score"].unique(), height=0.62)
    for model, axes in panels.items():
        for shift, (arm, shade) in zip((-0.27, -0.09, 0.09, 0.27), ARMS.items(), strict=True):
            rows = table[(table["model"] == model) & (table["arm"] == arm)]
            points(axes, rows, _heights(table, rows, "score", shift), color=shade, label=arm, markersize=5)
        axes.set_xlabel("score")
    _legend_below(figure, columns=len(ARMS))
    return figure


def differences(table: pd.DataFrame) -> Figure:
    """The scores after tuning for recoverability, less those before and those of each control, one panel per model."""
    table = table[table["arm"] == "recoverability"]
    figure, panels = _panels(table, table["score"].unique(), height=0.55)
    for model, axes in panels.items():
        for shift, against in zip((-0.22, 0, 0.22), ("before", "continued", "permuted"), strict=True):
            rows = table[(table["model"] == model) & (table["against"] == against)]
            points(axes, rows, _heights(table, rows, "score", shift), color=ARMS[against], label=against, markersize=5)
        axes.axvline(0, color="grey", linewidth=1)
        axes.locator_params(axis="x", nbins=6)
        axes.set_xlabel("recoverability minus ...")
    _legend_below(figure, columns=3)
    return figure


def poolings(table: pd.DataFrame) -> Figure:
    """Each score before (hollow) and after (filled) tuning for recoverability, by pooling, one panel per model."""
    names = table["pooling"].unique()
    figure, panels = _panels(table, table["task"].unique(), height=0.72)
    for model, axes in panels.items():
        for index, pooling in enumerate(names):
            rows = table[(table["model"] == model) & (table["pooling"] == pooling)]
            heights = _heights(table, rows, "task", 0.18 * index - 0.27)
            axes.hlines(heights, rows["before"], rows["after"], color=f"C{index}")
            axes.plot(rows["before"], heights, "o", color=f"C{index}", markerfacecolor="white")
            axes.plot(rows["after"], heights, "o", color=f"C{index}", label=pooling)
        axes.set_xlabel("score")
    _legend_below(figure, columns=len(names))
    return figure


def untrained(table: pd.DataFrame) -> Figure:
    """Score against retained share over the layers of models as they are published, one panel per score."""
    names = table["score"].unique()
    lines = -(-len(names) // 3)
    figure = Figure(figsize=(13, 4 * lines), layout="constrained")
    panels = figure.subplots(lines, 3, squeeze=False).flat
    for axes, score in zip(panels, names, strict=False):
        for model, rows in table[table["score"] == score].groupby("model", sort=False):
            look, x, y = {"color": colour(model), "linewidth": 1}, rows["retained"], rows["estimate"]
            axes.errorbar(x, y, [y - rows["low"], rows["high"] - y], fmt=".-", elinewidth=0.6, label=model, **look)
            axes.plot(x.iloc[-1], y.iloc[-1], "*", markersize=15, **look)
        axes.set(title=score, xlabel="retained share of H(X)", ylabel="score")
    for axes in figure.axes[len(names) :]:
        axes.set_axis_off()
    _legend_below(figure, columns=table["model"].nunique())
    return figure


def _panels(table: pd.DataFrame, names: Sequence[str], *, height: float) -> tuple[Figure, dict[str, Axes]]:
    """A figure with a panel for each model, side by side; the names are on the vertical axis, from the top down."""
    models = table["model"].unique()
    figure = Figure(figsize=(5.6 * len(models) + 2, 1.5 + height * len(names)), layout="constrained")
    panels = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
    for axes, model in zip(panels, models, strict=True):
        axes.set(title=model, yticks=range(len(names)), yticklabels=names)
    panels[0].invert_yaxis()
    return figure, dict(zip(models, panels, strict=True))


def _heights(table: pd.DataFrame, rows: pd.DataFrame, column: str, shift: float) -> np.ndarray:
    """The heights of the rows' names on the axis of the table's names, moved by `shift`."""
    return pd.Index(table[column].unique()).get_indexer(rows[column]) + shift


def _legend_below(figure: Figure, *, columns: int | None = None) -> None:
    """One legend for all panels: that of the first."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns or len(handles))
