"""The figures of notebook 04, each drawn from its table."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bitskept.base.figures import colour, curve, legend_below, possible
from bitskept.instruments.soft_entropy.compression import KINDS
from bitskept.studies.bottleneck.by_layer import width_name
from bitskept.studies.bottleneck.comparison_figures import claims as claims
from bitskept.studies.bottleneck.comparison_figures import correlations as correlations
from bitskept.studies.bottleneck.comparison_figures import documents as documents
from bitskept.studies.bottleneck.comparison_figures import exactness as exactness
from bitskept.studies.bottleneck.comparison_figures import floor_alone as floor_alone
from bitskept.studies.bottleneck.comparison_figures import runs as runs

DEPTH = "depth (0 = embedding, 1 = last)"
WIDTH = "width of the label (tokens)"
STYLES = (("raw", "C3", "--"), ("corrected", "C0", "-"), ("extrapolated", "C2", "-."), ("floor", "C7", ":"))
DOMAIN, ANSWER = "the domain of a sentence", "which answer people preferred"
CONTROLS = {
    "preference_beyond_length_corrected": {"color": "black", "linestyle": "--", "label": "beyond length"},
    "preference_exchanged_corrected": {"color": "0.3", "linestyle": ":", "label": "labels exchanged"},
}
LOOKS = {kind: {"color": name, "linestyle": line} for kind, name, line in STYLES}


def circle(table: pd.DataFrame) -> Figure:
    """Clouds of states on a circle, and the mean share of them that each anchor gets."""
    figure = Figure(figsize=(13, 3.9))
    panels = figure.subplots(1, table["cloud"].nunique(), subplot_kw={"projection": "polar"})
    for axes, (name, rows) in zip(panels, table.groupby("cloud", sort=False), strict=True):
        parts = rows.set_index("quantity")
        states, shares = parts.loc[["state"]], parts.loc[["anchor"]]
        heights = shares["estimate"] / shares["estimate"].max()
        axes.bar(shares["angle"], heights, width=2 * np.pi / len(shares), color="C0", alpha=0.75, edgecolor="white")
        axes.plot(states["angle"], np.full(len(states), 1.12), "o", color="C3", markersize=5, alpha=0.6)
        axes.set(xticks=[], yticks=[], ylim=(0, 1.2))
        axes.set_title(name, fontsize=13)
        axes.set_xlabel(f"{parts.loc['entropy', 'estimate']:.2f} bits")
    return figure


def known(table: pd.DataFrame) -> Figure:
    """Estimates for planted labels, for shuffled ones, and for pure noise."""
    figure, panels = _panels(1, 3, (15, 4.6))
    more_states, more_labels, noise = panels
    first = table["classes"] == table["classes"].iloc[0]
    for kind in KINDS.values():
        rows = table[first & (table["kind"] == kind)]
        curve(more_states, rows, "states_a_label", marker="o", label=kind, **LOOKS[kind])
    for kind in ("raw", "corrected"):
        for labels, line in (("planted", "-"), ("shuffled", ":")):
            rows = table[~first & (table["kind"] == kind) & (table["labels"] == labels)]
            look = LOOKS[kind] | {"linestyle": line, "marker": "o", "label": f"{kind}, {labels}"}
            curve(more_labels, rows, "classes", **look)
    bars = table.dropna(subset="width").pivot(index="width", columns="quantity", values="estimate")
    for end, shift, kind in (("", -0.26, "raw"), ("_floor", 0, "floor"), ("_corrected", 0.26, "corrected")):
        places, heights, look = bars.index + shift, bars[f"complexity{end}"], {"color": LOOKS[kind]["color"]}
        noise.bar(places, heights, width=0.1, **look)
        label = f"complexity{end}".replace("_", ", ")
        noise.plot(places, heights, "o", markersize=8, label=label, **look)  # seen where the bar is not, near 0
    for width, value in bars["optimality"].items():
        noise.text(width, 4.25, f"raw\noptimality\n{value:.2f}", ha="center", fontsize=10, color="C3")
    more_states.set(title="(a) 64 labels, more states of each", xlabel="states of each label")
    more_labels.set(title="(b) 4,096 states, more labels", xlabel="labels")
    noise.set(title="(c) pure noise, Zipf labels", xlabel=WIDTH, xticks=[1, 2, 3, 4], ylim=(-0.3, 7.2))
    for axes in panels:
        axes.set_ylabel("information (bits)")
        axes.legend(fontsize=10)
    for axes in (more_states, more_labels):
        axes.set_xscale("log", base=2)
    return figure


def floor(table: pd.DataFrame) -> Figure:
    """The entropy of the mean of c random states, and the share of places whose label occurs once."""
    figure, (left, right) = _panels(1, 2, (13, 4.8))
    models, most = table["model"].unique(), np.log2(table["anchors"].iloc[0])
    for place, model in enumerate(models):
        look = {"color": colour(model), "label": model}
        rows = possible(table[table["model"] == model], most).set_index("quantity")
        curve(left, rows.loc[["random_entropy"]], "n", bars=True, marker="o", **look)
        left.axhline(rows.loc["soft_entropy", "estimate"], color=colour(model), linestyle=":")
        bars = rows.loc[["unique_input"]]
        right.bar(bars["width"] + 0.8 * (place + 0.5) / len(models) - 0.4, bars["estimate"], 0.75 / len(models), **look)
    left.set(xscale="log", xlabel="c, the number of random states")
    _most(left, most)
    left.set(ylabel="h(c) in bits (dotted: H(Z))", title="The floor's curve (middle layer)")
    right.set(xlabel=WIDTH, ylabel="share of places", xticks=table["width"].dropna().unique())
    right.set_title(f"Places whose label occurs once ({table['sentences'].iloc[0]:,} sentences)")
    return legend_below(figure, left)


def layers(table: pd.DataFrame) -> Figure:
    """Soft entropy, complexity and expressivity of the token by layer, with their floor."""
    names = [f"{name} (bits per token)" for name in ("H(Z)", "complexity", "expressivity")]
    figure, columns = _by_model(table, names, 10.5, sharex=True, sharey="row")
    most = np.log2(table["anchors"].iloc[0])
    for model, (top, *others) in columns:
        rows = possible(table[table["model"] == model], most)
        curve(top, rows[rows["quantity"] == "soft_entropy"], "depth", color="black")
        _most(top, most)
        for axes, quantity in zip(others, ("complexity", "expressivity"), strict=True):
            for end, kind in (KINDS | {"_floor": "floor"}).items():
                curve(axes, rows[rows["quantity"] == quantity + end], "depth", label=kind, **LOOKS[kind])
        others[-1].set_xlabel(DEPTH)
    return legend_below(figure, columns[0][1][1], columns=4)


def optimality(table: pd.DataFrame) -> Figure:
    """Raw, corrected and extrapolated optimality by layer, for each width of the labels."""
    names = [f"optimality, {kind}" for kind in KINDS.values()]
    figure, columns = _by_model(table, names, 10.5, sharex=True, sharey=True)
    for model, column in columns:
        for axes, end in zip(column, KINDS, strict=True):
            rows = table[(table["model"] == model) & (table["quantity"] == f"optimality{end}")]
            for width, look in _widths_of(table):
                curve(axes, rows[rows["width"] == width], "depth", **look)
            axes.set_ylim(-0.05, 1.1)
        column[-1].set_xlabel(DEPTH)
    return legend_below(figure, columns[0][1][0])


def plane(table: pd.DataFrame) -> Figure:
    """Layers in the information plane, in soft bits, which have one scale; and the exact curve of the bigrams in
    Shannon's.
    """
    figure = Figure(figsize=(15, 8), layout="constrained")
    grid = [["raw", "bigrams"], ["corrected", "bigrams"]]
    panels = figure.subplot_mosaic(grid, width_ratios=(1.7, 1))
    soft = table["of"].notna() & table["kind"].isin(["raw", "corrected"])
    most = 1.05 * table.loc[soft, ["complexity", "expressivity"]].max()
    for kind in ("raw", "corrected"):
        axes = panels[kind]
        for (model, of), rows in table[table["kind"] == kind].groupby(["model", "of"], sort=False):
            x, y, line = rows["complexity"], rows["expressivity"], ":" if of == "encoder" else "-"
            label = f"{model} ({of})"
            axes.plot(x, y, marker=".", linestyle=line, color=colour(model), linewidth=1.5, label=label)
            axes.plot(x.iloc[-1], y.iloc[-1], "*", color=colour(model), markersize=16, markeredgecolor="black")
        axes.set(title=kind, xlabel="complexity (soft bits)", ylabel="expressivity (soft bits)")
        axes.set(xlim=(0, most["complexity"]), ylim=(0, most["expressivity"]), aspect="equal")
        axes.axline((0, 0), slope=1, color="grey", linestyle="--", label="expressivity = complexity")
    exact, bigrams = table[table["kind"] == "bigrams"], panels["bigrams"]
    bigrams.plot(exact["complexity"], exact["relevance"], "s-", color="black", label="best summary of a token")
    bigrams.axhline(exact["shuffled"].max(), color="C7", linestyle=":", label="random pairs (floor)")
    bigrams.set(title="bigrams of the corpus", xlabel="I(X; T) (bits)", ylabel="I(T; Y) (bits)", ylim=(0, None))
    bigrams.legend(fontsize=10)
    return legend_below(figure, panels["raw"])


def stability(table: pd.DataFrame) -> Figure:
    """Token optimality as text is added, raw and, on an axis of its own, corrected and extrapolated; and complexity."""
    names = ["token optimality,\nraw", "token optimality,\ncorrected, extrapolated", "token complexity (bits)"]
    figure, columns = _by_model(table, names, 11.0, sharex="col", sharey="row")
    parts = [("optimality", ["raw"]), ("optimality", ["corrected", "extrapolated"]), ("complexity", [*KINDS.values()])]
    for model, column in columns:
        for axes, (name, kinds) in zip(column, parts, strict=True):
            _as_text_is_added(axes, table[table["model"] == model], name, kinds)
            axes.set_xscale("log")
        _sample_sizes(column[-1])
    for axes in columns[0][1]:
        axes.set_ylim(0, None)
    return legend_below(figure, columns[0][1][-1], columns=4)


def by_sentences(table: pd.DataFrame) -> Figure:
    """The optimality of wider labels as text is added."""
    widths = table["width"].unique()
    names = [f"optimality,\n{width_name(width)}" for width in widths]
    figure, columns = _by_model(table, names, 1.2 + 3.2 * len(widths), sharex="col", sharey=True)
    for model, column in columns:
        for axes, width in zip(column, widths, strict=True):
            _as_text_is_added(axes, table[(table["model"] == model) & (table["width"] == width)], "optimality")
            axes.set(xscale="log", ylim=(-0.1, 1.15))
            axes.minorticks_off()
        _sample_sizes(column[-1])
    return legend_below(figure, columns[0][1][0], columns=4)


def labels(table: pd.DataFrame) -> Figure:
    """Information about the domain of a sentence and, where there are pairs, about which answer was preferred: a panel
    for each model, with the controls.
    """
    table = table[table["quantity"].str.endswith("_corrected") & table["layer"].notna()]
    domain = table["quantity"].str.startswith("domain")
    parts = [(DOMAIN, table[domain])] if domain.any() else []
    parts += [(f"{ANSWER}: {model}", rows) for model, rows in table[~domain].groupby("model", sort=False)]
    columns = int(np.ceil(np.sqrt(len(parts))))
    lines = -(-len(parts) // columns)
    figure, panels = _panels(lines, columns, (6.5 * columns, 0.6 + 4.4 * lines), squeeze=False)
    used = list(panels.flat)[: len(parts)]
    preferred = used[bool(domain.any()) :]
    for axes in preferred[1:]:
        axes.sharey(preferred[0])
    for axes, (title, rows) in zip(used, parts, strict=True):
        for (model, quantity), of_layers in rows.groupby(["model", "quantity"], sort=False):
            if quantity in CONTROLS:
                axes.plot(of_layers["depth"], of_layers["estimate"], **CONTROLS[quantity], linewidth=1.6, zorder=3)
            else:
                curve(axes, of_layers, "depth", color=colour(model), label=model, marker="o", markersize=3)
        axes.axhline(0, color="black", linewidth=1)
        axes.set(title=title, xlabel=DEPTH)
    for axes in panels.flat[len(parts) :]:
        axes.remove()
    figure.supylabel("information above the floor (bits)", fontsize=14)
    return legend_below(figure)


def _most(axes: Axes, most: float) -> None:
    """An axis from 0 to the most that there can be, the logarithm of the number of anchors, and a line there."""
    axes.axhline(most, color="grey", linestyle="--", linewidth=1.2)
    place = {"xycoords": ("axes fraction", "data"), "xytext": (0, 3), "textcoords": "offset points"}
    axes.annotate("log₂ m", (1, most), **place, ha="right", va="bottom", color="grey")
    axes.set_ylim(0, 1.1 * most)


def _panels(lines: int, columns: int, size: tuple[float | int, float | int], **options: Any) -> tuple[Figure, Any]:
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(lines, columns, **options)


def _by_model(table: pd.DataFrame, labels: Sequence[str], height: float, **shared: Any) -> tuple[Figure, Any]:
    """A figure with a column of panels for each model and a line for each label; and pairs of model and column."""
    models = table["model"].unique()
    figure, panels = _panels(len(labels), len(models), (4.4 * len(models), height), **shared, squeeze=False)
    for axes, model in zip(panels[0], models, strict=True):
        axes.set_title(model)
    for axes, label in zip(panels[:, 0], labels, strict=True):
        axes.set_ylabel(label)
    return figure, [(model, list(column)) for model, column in zip(models, panels.T, strict=True)]


def _widths_of(table: pd.DataFrame) -> list[tuple[int, dict[str, str]]]:
    """The widths of labels, each with its colour and name."""
    widths = table["width"].dropna().unique()
    return [(width, {"color": f"C{place}", "label": width_name(width)}) for place, width in enumerate(widths)]


def _as_text_is_added(axes: Axes, rows: pd.DataFrame, name: str, kinds: Collection[str] = (*KINDS.values(),)) -> None:
    """A quantity over the number of sentences: the first draw of the anchors with its interval, the others thin."""
    for end, kind in KINDS.items():
        if kind not in kinds:
            continue
        drawn = rows[rows["quantity"] == name + end]
        first = drawn[drawn["anchor_seed"] == drawn["anchor_seed"].iloc[0]]
        curve(axes, first, "sentences", marker=".", label=kind, **LOOKS[kind])
        draws = drawn.pivot(index="sentences", columns="anchor_seed", values="estimate")
        axes.plot(draws.index, draws, color=LOOKS[kind]["color"], linewidth=0.7)
    if rows["anchor_seed"].nunique() > 1:
        axes.plot([], [], color="black", linewidth=0.7, label="thin: other draws of the anchors")


def _sample_sizes(axes: Axes) -> None:
    """Name the x axis and mark the sample sizes on it."""
    axes.set(xlabel="sentences", xticks=axes.get_lines()[0].get_xdata())
    axes.set_xticklabels([f"{number:,.0f}" for number in axes.get_xticks()], rotation=45)
    axes.minorticks_off()
