"""The figures of notebook 04, each drawn from its table."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bitskept.base.figures import colour, colours_by_family, curve, label_points
from bitskept.instruments.soft_entropy.compression import KINDS
from bitskept.studies.bottleneck.amount_of_text import PAPER
from bitskept.studies.bottleneck.by_width import width_name

DEPTH = "depth (0 = embedding, 1 = last)"
WIDTH = "width of the label (tokens)"
STYLES = (("raw", "C3", "--"), ("corrected", "C0", "-"), ("extrapolated", "C2", "-."), ("floor", "C7", ":"))
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
        label = f"complexity{end}".replace("_", ", ")
        noise.bar(bars.index + shift, bars[f"complexity{end}"], width=0.24, color=LOOKS[kind]["color"], label=label)
    for width, value in bars["optimality"].items():
        noise.text(width, 4.25, f"raw\noptimality\n{value:.2f}", ha="center", fontsize=10, color="C3")
    more_states.set(title="(a) 64 labels, more states of each", xlabel="states of each label")
    more_labels.set(title="(b) 4,096 states, more labels", xlabel="labels")
    noise.set(title="(c) pure noise, Zipf labels", xlabel=WIDTH, xticks=[1, 2, 3, 4], ylim=(-0.1, 7.2))
    for axes in panels:
        axes.set_ylabel("information (bits)")
        axes.legend(fontsize=10)
    for axes in (more_states, more_labels):
        axes.set_xscale("log", base=2)
    return figure


def floor(table: pd.DataFrame) -> Figure:
    """The entropy of the mean of c random states, and the share of places whose label occurs once."""
    figure, (left, right) = _panels(1, 2, (13, 4.8))
    models = table["model"].unique()
    for place, model in enumerate(models):
        look = {"color": colour(model), "label": model}
        rows = table[table["model"] == model].set_index("quantity")
        curve(left, rows.loc[["random_entropy"]], "n", marker="o", **look)
        left.axhline(rows.loc["soft_entropy", "estimate"], color=colour(model), linestyle=":")
        bars = rows.loc[["unique_input"]]
        right.bar(bars["width"] + 0.8 * (place + 0.5) / len(models) - 0.4, bars["estimate"], 0.75 / len(models), **look)
    left.set(xscale="log", xlabel="c, the number of random states", ylim=(0, None))
    left.set(ylabel="h(c) in bits (dotted: H(Z))", title="The floor's curve (middle layer)")
    right.set(xlabel=WIDTH, ylabel="share of places", xticks=table["width"].dropna().unique())
    right.set_title(f"Places whose label occurs once ({table['sentences'].iloc[0]:,} sentences)")
    left.legend(loc="lower right")
    return figure


def layers(table: pd.DataFrame) -> Figure:
    """Soft entropy, complexity and expressivity of the token by layer, with their floor."""
    names = [f"{name} (bits per token)" for name in ("H(Z)", "complexity", "expressivity")]
    figure, columns = _by_model(table, names, 10.5, sharex=True, sharey="row")
    for model, (top, *others) in columns:
        rows = table[table["model"] == model]
        curve(top, rows[rows["quantity"] == "soft_entropy"], "depth", color="black")
        top.set_ylim(0, np.log2(table["anchors"].iloc[0]))
        for axes, quantity in zip(others, ("complexity", "expressivity"), strict=True):
            for end, kind in (KINDS | {"_floor": "floor"}).items():
                curve(axes, rows[rows["quantity"] == quantity + end], "depth", label=kind, **LOOKS[kind])
        others[-1].set_xlabel(DEPTH)
    return _with_legend(figure, columns[0][1][1], 4)


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
    return _with_legend(figure, columns[0][1][0], table["width"].nunique())


def plane(table: pd.DataFrame) -> Figure:
    """Layers in the information plane, next to the exact curve of the bigrams."""
    figure, panels = _panels(1, 3, (15, 5))
    for axes, kind in zip(panels, ("raw", "corrected", "corrected"), strict=True):
        for model, rows in table[table["kind"] == kind].groupby("model", sort=False):
            x, y = rows["complexity"], rows["expressivity"]
            if axes is panels[2]:
                x, y = x / x.max(), y / y.max()
            axes.plot(x, y, ".-", color=colour(model), linewidth=1.5, label=model)
            axes.plot(x.iloc[-1], y.iloc[-1], "*", color=colour(model), markersize=16, markeredgecolor="black")
        axes.set(title=kind, xlabel="complexity (bits)", ylabel="expressivity (bits)", xlim=(0, None), ylim=(0, None))
    for axes in panels[:2]:
        axes.axline((0, 0), slope=1, color="grey", linestyle=":", label="expressivity = complexity")
    shares = table[table["kind"] == "bigrams, shares"]
    (exact,) = panels[2].plot(shares["complexity"], shares["relevance"], "s-", color="black", label="bigrams, exact")
    panels[2].set(title="corrected, and bigrams", xlabel="complexity / maximum", ylabel="expressivity / maximum")
    handles = [*panels[0].get_legend_handles_labels()[0], exact]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def stability(table: pd.DataFrame) -> Figure:
    """Token optimality and complexity as text is added."""
    names = ["token optimality", "token complexity (bits)"]
    figure, columns = _by_model(table, names, 8, sharex="col", sharey="row")
    for model, (top, bottom) in columns:
        for axes, name in ((top, "optimality"), (bottom, "complexity")):
            _as_text_is_added(axes, table[table["model"] == model], name)
        top.set(ylim=(0, 1), xscale="log")
        _sample_sizes(bottom)
    columns[0][1][1].set_ylim(0, None)
    return _with_legend(figure, columns[0][1][0], 3)


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
    return _with_legend(figure, columns[0][1][0], 3)


def estimable(table: pd.DataFrame) -> Figure:
    """Labels seen once, extended to the paper's text, and corrected complexity over its standard error."""
    figure, (left, right) = _panels(1, 2, (13, 5))
    for width, look in _widths_of(table):
        rows = table[table["width"] == width].sort_values("n").set_index("quantity")
        once, signal = rows.loc["unique_input"], rows.loc["complexity_corrected"]
        left.plot(once["n"], once["estimate"], "o-", **look)
        ends = rows.loc["drawn_on", ["unique now", "unique in the paper's text"]]
        left.plot([once["n"].iloc[-1], PAPER], ends, linestyle="--", color=look["color"])
        ratio = signal["estimate"] / signal["error"].clip(lower=1e-9)
        right.plot(signal["sentences"][ratio > 0.1], ratio[ratio > 0.1], "o-", **look)
    for axes, line, unit in ((left, left.axvline(PAPER), "positions"), (right, right.axhline(3), "sentences")):
        line.set(color="grey", linestyle=":")
        axes.set(xscale="log", yscale="log", xlabel=unit)
    left.set(ylim=(0.005, 1.3), ylabel="share of places", title=f"Labels seen once ({table['model'].iloc[0]})")
    left.text(PAPER, 0.006, "the paper's text ", ha="right", color="grey")
    right.set(ylabel="complexity / standard error", title="Corrected: estimable above the dotted line")
    left.legend(loc="lower left")
    return figure


def widths(table: pd.DataFrame) -> Figure:
    """Complexity and expressivity by the width of the label."""
    figure, panels = _panels(2, len(KINDS), (13, 7.5), sharex=True, sharey="row")
    models = table["model"].unique()
    for line, side in zip(panels, ("complexity", "expressivity"), strict=True):
        for axes, (end, kind) in zip(line, KINDS.items(), strict=True):
            for model in models:
                rows = table[(table["quantity"] == side + end) & (table["model"] == model)]
                curve(axes, rows, "width", color=colour(model), marker="o", label=model)
            axes.set(xticks=table["width"].unique(), title=kind if side == "complexity" else None)
        line[0].set_ylabel(f"{side} (bits)")
    for axes in panels[1]:
        axes.set_xlabel(WIDTH)
    return _with_legend(figure, panels[0, 0], len(models))


def sensitivity(table: pd.DataFrame) -> Figure:
    """Token optimality and complexity by the number of anchors and the rule for the temperature."""
    table = table[table["label_weights"] == "frequency"]
    figure, panels = _panels(1, 2, (13, 4.8))
    numbers = sorted(table["anchors"].unique())
    for axes, name in zip(panels, ("optimality", "complexity"), strict=True):
        for end, kind in KINDS.items():
            rows = table[table["quantity"] == name + end].set_index("calibration")
            curve(axes, rows.loc[["exact"]], "anchors", marker="o", label=kind, **LOOKS[kind])
            other = rows.loc[["reference"]]
            axes.plot(other["anchors"], other["estimate"], "D", **LOOKS[kind], markersize=11, fillstyle="none")
        axes.set(xscale="log", xlabel="anchors m (diamonds: reference rule)", ylim=(0, None))
        axes.set_ylabel(f"token {name}" + " (bits)" * (name == "complexity"))
        axes.set_xticks(numbers, [str(number) for number in numbers])
        axes.minorticks_off()
    panels[0].legend()
    return figure


def labels(table: pd.DataFrame) -> Figure:
    """Information about the domain of a sentence and, where there are pairs, about which answer was preferred."""
    table = table[table["quantity"].str.endswith("_information_corrected")]
    quantities = table["quantity"].unique()
    figure, panels = _panels(1, len(quantities), (7 * len(quantities), 4.8), squeeze=False)
    for axes, quantity in zip(panels.flat, quantities, strict=True):
        rows = table[table["quantity"] == quantity]
        for model, of_layers in rows.groupby("model", sort=False):
            curve(axes, of_layers, "depth", color=colour(model), marker="o", markersize=4, label=model)
        axes.axhline(0, color="black", linewidth=1)
        domain = quantity.startswith("domain")
        title = "the domain of a sentence" if domain else f"which answer people preferred ({rows['corpus'].iloc[0]})"
        axes.set(title=title, xlabel=DEPTH, ylabel="corrected information (bits)")
        axes.legend()
    return figure


def correlations(table: pd.DataFrame) -> Figure:
    """Token optimality of each model against its score or, if no score is known, its complexity."""
    rows, colours = table.set_index("model"), colours_by_family(table["model"].unique())
    scored = rows["average"].notna().any()
    many, labels = len(colours) > 20, []
    figure, panels = _panels(2, 1, (13, 18)) if many else _panels(1, 2, (13, 5))
    for axes, (end, kind) in zip(panels, list(KINDS.items())[:2], strict=True):
        x = rows.loc[rows["quantity"] == f"complexity{end}", "estimate"]
        if scored:
            x = rows["average"].groupby("model").first()
        known = rows[rows["quantity"] == f"optimality{end}"].assign(x=x).dropna(subset=["x", "estimate"])
        for model, row in known.iterrows():
            error = [[row["estimate"] - row["low"]], [row["high"] - row["estimate"]]]
            axes.errorbar(row["x"], row["estimate"], error, fmt="o", color=colours[model], elinewidth=1)
        axes.set(xlabel="average score" if scored else "token complexity (bits)", ylabel="token optimality", title=kind)
        labels.append((axes, {name: (*at,) for name, *at in known[["x", "estimate"]].itertuples(name=None)}))
    for axes, places in labels:
        label_points(axes, places, size=8 if many else 11)
    return figure


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


def _with_legend(figure: Figure, axes: Axes, columns: int) -> Figure:
    """The figure with the legend of one panel below it."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=columns)
    return figure


def _widths_of(table: pd.DataFrame) -> list[tuple[int, dict[str, str]]]:
    """The widths of labels, each with its colour and name."""
    widths = table["width"].dropna().unique()
    return [(width, {"color": f"C{place}", "label": width_name(width)}) for place, width in enumerate(widths)]


def _as_text_is_added(axes: Axes, rows: pd.DataFrame, name: str) -> None:
    """A quantity over the number of sentences: the first draw of the anchors with its interval, the others thin."""
    for end, kind in KINDS.items():
        drawn = rows[rows["quantity"] == name + end]
        first = drawn[drawn["anchor_seed"] == drawn["anchor_seed"].iloc[0]]
        curve(axes, first, "sentences", marker=".", label=kind, **LOOKS[kind])
        draws = drawn.pivot(index="sentences", columns="anchor_seed", values="estimate")
        axes.plot(draws.index, draws, color=LOOKS[kind]["color"], linewidth=0.7)


def _sample_sizes(axes: Axes) -> None:
    """Name the x axis and mark the sample sizes on it."""
    axes.set(xlabel="sentences", xticks=axes.get_lines()[0].get_xdata())
    axes.set_xticklabels([f"{number:,.0f}" for number in axes.get_xticks()], rotation=45)
    axes.minorticks_off()
