"""The figures of notebook 02, each drawn from its table."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bitskept.base.figures import FULL_SHARE, colour, curve, points

BOUNDS = {"retained_fano": ("Fano", "--"), "retained_cross_entropy": ("cross-entropy", "-")}
PROBES = {"centroid": "-", "ridge": "--", "softmax": ":", "mlp": "-."}
POOLINGS = {"mean": "-", "mean without first": "--", "last": ":"}


def retained(table: pd.DataFrame) -> Figure:
    """The share of H(X) that each layer keeps, one curve per model."""
    figure = Figure(figsize=(9, 5))
    axes = figure.subplots()
    for (model, kind), rows in table.groupby(["model", "kind"], sort=False):
        look = {"color": colour(model), "marker": "o" if kind == "encoder" else "s", "markersize": 5}
        curve(axes, rows, "depth", share=True, label=f"{model} ({kind})", **look)
    axes.set(xlabel="depth (0 = embedding, 1 = last layer)", ylabel="retained share of H(X)", ylim=FULL_SHARE)
    axes.set_title("Bits about each token that a layer keeps for sure")
    axes.legend(loc="lower left")
    return figure


def bounds(table: pd.DataFrame) -> Figure:
    """Fano's bound and the cross-entropy bound, one panel per model."""
    figure, panels = _panels(table)
    for model, axes in panels.items():
        for quantity, (name, line) in BOUNDS.items():
            rows = table[(table["model"] == model) & (table["quantity"] == quantity)]
            curve(axes, rows, "layer", share=True, color=colour(model), linestyle=line, label=name)
    figure.axes[0].set_ylabel("retained share of H(X)")
    figure.axes[-1].legend(loc="lower left")
    return figure


def probes(table: pd.DataFrame) -> Figure:
    """The share of H(X) that each probe shows, one panel per model."""
    figure, panels = _panels(table, height=4.6, layout="constrained")
    for model, axes in panels.items():
        for index, (probe, line) in enumerate(PROBES.items()):
            rows = table[(table["model"] == model) & (table["probe"] == probe)]
            curve(axes, rows, "layer", share=True, color=f"C{index}", linestyle=line, label=probe)
    figure.axes[0].set_ylabel("retained share of H(X)")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(PROBES))
    return figure


def random(table: pd.DataFrame) -> Figure:
    """Trained models and their copies with random weights, one panel per model."""
    figure, panels = _panels(table)
    for model, axes in panels.items():
        rows = table[table["model"] == model]
        curve(axes, rows[rows["weights"] == "trained"], "layer", share=True, color=colour(model), label="trained")
        for seed, copy in rows.groupby("seed"):
            curve(axes, copy, "layer", share=True, color="grey", linestyle="--", label=f"random weights {seed:.0f}")
        axes.legend(loc="lower left")
    return figure


def forgetting(table: pd.DataFrame) -> Figure:
    """Forgetting, late forgetting and rise of each model under two probes, one panel per quantity."""
    models = list(table["model"].unique())
    figure = Figure(figsize=(12, 1.9 + 0.8 * len(models)))
    panels = figure.subplots(1, 3, sharey=True)
    for axes, (quantity, shape) in zip(panels, table.groupby("quantity"), strict=True):
        for shift, (probe, rows) in zip((-0.12, 0.12), shape.groupby("probe"), strict=True):
            heights = [models.index(model) + shift for model in rows["model"]]
            points(axes, rows, heights, fmt="o" if probe == "centroid" else "D", label=probe)
        axes.axvline(0, color="black", linewidth=1)
        axes.set(
            title=quantity.replace("_", " "), xlabel="bits per token", yticks=range(len(models)), yticklabels=models
        )
    panels[0].set_ylim(-0.5, len(models))
    panels[0].legend(loc="upper left", frameon=True)
    return figure


def tokens(table: pd.DataFrame) -> Figure:
    """The share of tokens named at the last layer, by frequency in training and by word class."""
    figure = Figure(figsize=(12.5, 4.6))
    panels = figure.subplots(1, 2, sharex=True)
    for axes, (by, rows) in zip(panels, table.groupby("by", sort=False), strict=True):
        _points_by_name(axes, rows, list(rows["name"].unique()), list(table["model"].unique()), spacing=0.22)
        axes.set(title=by, xlabel="share named at the last layer")
    panels[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def domains(table: pd.DataFrame) -> Figure:
    """The share of tokens named at the last layer, by the kind of text."""
    figure = Figure(figsize=(8.5, 4.2))
    axes = figure.subplots()
    names = list(table.groupby("name")["estimate"].mean().sort_values().index)
    _points_by_name(axes, table, names, list(table["model"].unique()), spacing=0.2)
    axes.set_xlabel("share of tokens named at the last layer")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def sentence(table: pd.DataFrame) -> Figure:
    """The share of first, second... tokens named from one vector for the whole sentence, one panel per position."""
    positions, models = table["position"].nunique(), table["model"].unique()
    figure = Figure(figsize=(4.4 * positions, 5), layout="constrained")
    panels = figure.subplots(1, positions, sharey=True, squeeze=False)[0]
    for axes, (position, at_position) in zip(panels, table.groupby("position"), strict=True):
        for model in models:
            for pooling, line in POOLINGS.items():
                rows = at_position[(at_position["model"] == model) & (at_position["pooling"] == pooling)]
                look = {"color": colour(model), "linestyle": line, "label": f"{model}, {pooling}"}
                curve(axes, rows, "depth", share=True, **look)
        axes.set(title=f"token {position + 1} of the sentence", xlabel="depth", ylim=(0, None))
    panels[0].set_ylabel("share named right")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(models))
    return figure


def _panels(table: pd.DataFrame, *, height: float = 4.2, layout: str | None = None) -> tuple[Figure, dict[str, Axes]]:
    """A figure with a panel for each model, side by side: shares of H(X) by layer."""
    models = table["model"].unique()
    figure = Figure(figsize=(4.2 * len(models), height), layout=layout)
    panels = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
    for axes, model in zip(panels, models, strict=True):
        axes.set(title=model, xlabel="layer", ylim=FULL_SHARE)
    return figure, dict(zip(models, panels, strict=True))


def _points_by_name(axes: Axes, rows: pd.DataFrame, names: list[str], models: list[str], *, spacing: float) -> None:
    """Estimates at one height per name; the models lie `spacing` apart, in their colours."""
    for place, model in enumerate(models):
        estimates = rows[rows["model"] == model]
        heights = [names.index(name) + spacing * (place - 1) for name in estimates["name"]]
        points(axes, estimates, heights, color=colour(model), label=model)
    axes.set(yticks=range(len(names)), yticklabels=names)
