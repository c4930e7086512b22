"""The figures of notebook 07, each drawn from its table."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bitskept.base.figures import curve
from bitskept.instruments import claims_figure
from bitskept.instruments.claims import CONTROL
from bitskept.instruments.training.twin_runs import COLOURS
from bitskept.studies.inside.claims import RELEVANT
from bitskept.studies.inside.generalisation_figures import generalisation as generalisation
from bitskept.studies.inside.projected_embeddings import EMBEDDINGS
from bitskept.studies.inside.section import InsideTransformer
from bitskept.theory import johnson_lindenstrauss
from bitskept.theory.associative_memory import cover

GAINS = {"left_out": ("-", "mixture, own prompt left out"), "promptless": (":", "no prompt (proxy)")}
STEPS = {"keys": "C0", "again": "C2", "values": "C1", "zero": "black"}
FORMS = {"full": "E, with |q|²/2", "short": "its first term alone"}
WIDE = (12, 4.8)


def elbo(table: pd.DataFrame, section: InsideTransformer) -> Figure:
    """The gap between an answer's log-probability and its ELBO, and how the bits of the prompt arrive."""
    figure = Figure(figsize=WIDE, layout="constrained")
    left, right = figure.subplots(1, 2)
    for place, (corpus, rows) in enumerate(table.groupby("corpus", sort=False)):
        gap = rows["mixture"] - rows["elbo"]
        left.plot(-rows["given_prompt"], gap, "o", color=f"C{place}", alpha=0.7, label=corpus)
        beside = rows.dropna(subset="estimate").assign(tokens=rows["tokens"] + 0.2 * (place - 1))
        curve(right, beside, "tokens", bars=True, marker=".", color=f"C{place}")
    for axes in (left, right):
        axes.axhline(0, color="black", linewidth=1)
    right.axhline(np.log2(section.bank), color="black", linestyle=":", label="log2 of the bank")
    left.set(xlabel="what the answer costs, given its prompt (bits)", ylabel="log2 p(answer) − ELBO", title="the gap")
    right.set(xlabel="tokens of the answer", ylabel="bits so far, mean", title="how the bits arrive")
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def infonce(table: pd.DataFrame) -> Figure:
    """The bits that two halves of a text certainly share, by layer and critic, with the control and the ceiling."""
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    axes = figure.subplots()
    for (critic, shuffled), rows in table.groupby(["critic", "shuffled"], sort=False):
        look = {"color": "C0" if critic == "cosine" else "C1", "linestyle": ":" if shuffled else "-"}
        curve(axes, rows, "layer", marker="o", label=f"{critic}, shuffled" if shuffled else critic, **look)
    axes.axhline(table["ceiling"].iloc[0], color="black", linestyle=":", label="log2 K")
    axes.axhline(0, color="grey", linewidth=1)
    axes.set(xlabel=f"layer of {table['model'].iloc[0]}", ylabel="bits that two halves share, at least")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def architectures(table: pd.DataFrame) -> Figure:
    """What a byte of text costs three twins over training, and what a prompt adds to those that take one."""
    figure = Figure(figsize=WIDE, layout="constrained")
    left, right = figure.subplots(1, 2)
    for twin, rows in table[table["marginal"].isna()].groupby("twin", sort=False):
        name = f"{twin} (upper bound)" if twin == "diffusion" else twin
        curve(left, rows, "step", color=COLOURS[twin], marker=".", label=name)
    for (twin, marginal), rows in table[table["marginal"].isin(GAINS)].groupby(["twin", "marginal"], sort=False):
        line, label = GAINS[marginal]
        curve(right, rows, "step", marker=".", label=f"{twin}, {label}", color=COLOURS[twin], linestyle=line)
    right.axhline(0, color="grey", linewidth=1)
    left.set(ylabel="bits per byte", title="what text costs", ylim=(0, None))
    right.set(ylabel="bits a token", title="what a prompt adds")
    for axes in (left, right):
        axes.set_xscale("symlog", linthresh=1)
        axes.set(xlabel="step", xlim=(0, table["step"].max()))
    left.legend()
    right.legend(fontsize=11)
    return figure


def dimension(table: pd.DataFrame, section: InsideTransformer) -> Figure:
    """The distortion of squared distances, by the dimension that embeddings are projected into."""
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    axes = figure.subplots()
    names = {"max_distortion": ("worst pair", "C0"), "median_distortion": ("median pair", "C1")}
    for (points, quantity), rows in table.groupby(["points", "quantity"], sort=False):
        name, colour = names[quantity]
        look = (
            {"marker": "o", "label": name} if points == EMBEDDINGS else {"linestyle": ":", "label": f"{name}, {points}"}
        )
        curve(axes, rows, "dimension", color=colour, **look)
    short = johnson_lindenstrauss.short_form(section.points, section.distortion)
    exact = johnson_lindenstrauss.dasgupta_gupta(section.points, section.distortion)
    axes.axvline(short, color="black", linestyle="--", linewidth=1.4, label=f"8 ln m / ε²: {short}")
    axes.axvline(exact, color="black", linestyle=":", linewidth=1.4, label=f"Dasgupta and Gupta: {exact}")
    axes.axhline(section.distortion, color="grey", linewidth=1)
    axes.set(xscale="log", yscale="log", xlabel="dimensions", ylabel="distortion of squared distances")
    dimensions = table["dimension"].unique()
    axes.set_xticks(dimensions, dimensions, minor=False)
    axes.set_xticks([], minor=True)
    axes.legend(loc="lower left")
    return figure


def geometry(table: pd.DataFrame) -> Figure:
    """The Gromov-Wasserstein distances between layers, and the anchors that show what they mean."""
    shapes = table[table["quantity"] == "gromov_wasserstein"]
    by_anchor = dict(list(shapes.groupby("against")))
    between, again = by_anchor["layer"], by_anchor["permuted"].set_index("layer")["estimate"]
    layers = sorted(set(between["layer"].astype(int)) | set(between["other"].astype(int)))
    square = between.pivot(index="layer", columns="other", values="estimate").reindex(index=layers, columns=layers)
    square = square.fillna(square.T).fillna(pd.DataFrame(np.diag(again.loc[layers]), layers, layers))
    figure = Figure(figsize=(13, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.colorbar(left.imshow(square, cmap="Blues"), ax=left, label="in mean distances")
    middle = square.to_numpy().max() / 2
    for (row, column), value in np.ndenumerate(square.to_numpy()):
        left.text(column, row, f"{value:.2f}", ha="center", va="center", color="white" if value > middle else "black")
    left.set(xticks=range(len(layers)), xticklabels=layers, yticks=range(len(layers)), yticklabels=layers)
    left.set(xlabel="layer", ylabel="layer", title="Gromov–Wasserstein distance of layers")
    left.grid(False)
    curve(right, between[between["layer"] == layers[0]], "other", marker="o", label=f"from layer {layers[0]}")
    for against, label in (("other texts", "from itself, other texts"), ("random points", "from random points")):
        curve(right, by_anchor[against].dropna(subset="layer"), "layer", marker=".", label=label)
    right.set(xlabel="layer", ylabel="distance (mean distances)", title="what a value means")
    right.set(xticks=layers, ylim=(0, None))
    right.legend(loc="lower right")
    return figure


def energy(table: pd.DataFrame) -> Figure:
    """The share of queries whose energy a step does not raise, by layer, for two energies. Steps stand side by side,
    since many of them lower the first energy of all queries.
    """
    figure = Figure(figsize=(13, 4.8), layout="constrained")
    panels = figure.subplots(1, 2)
    layers = table.dropna(subset="layer")
    names = sorted(set(layers["layer"].astype(int)))
    for axes, (form, title) in zip(panels, FORMS.items(), strict=True):
        parts = layers[layers["form"] == form].groupby(["weights", "step"], sort=False)
        for place, ((weights, step), rows) in enumerate(parts):
            look = {"color": STEPS[step], "linestyle": "none", "markerfacecolor": None if weights == "trained" else "w"}
            beside = rows.assign(layer=rows["layer"].map(names.index) + 0.09 * (place - 3.5))
            curve(axes, beside, "layer", share=True, bars=True, marker="o", label=f"{step}, {weights}", **look)
        axes.set(title=title, xlabel="layer", xticks=range(len(names)), xticklabels=names)
        axes.grid(visible=False, axis="x")
    panels[0].set_ylabel("queries whose energy does not rise")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def memory(table: pd.DataFrame) -> Figure:
    """The patterns that attention retrieves, by dimension, and the labellings that a perceptron learns, by load."""
    figure = Figure(figsize=WIDE, layout="constrained")
    left, right = figure.subplots(1, 2)
    capacity, learnt = table[table["quantity"] == "capacity"], table[table["quantity"] == "learnt"]
    for colour, (name, rows) in zip(("C0", "C1"), capacity.groupby("scale", sort=False), strict=True):
        curve(left, rows, "dimension", color=colour, marker="o", linestyle="none", label=name)
        left.plot(rows["dimension"], rows["expected"], color=colour, linewidth=1.2)
    dimensions = capacity["dimension"].unique()
    left.plot(dimensions, 2 * dimensions, ":", color="black", label="2 per weight, as a perceptron")
    left.set(
        yscale="log",
        xlabel="dimension d",
        ylabel="patterns at which half are lost",
        title="attention (lines: expected)",
    )
    left.set(ylim=(1, 4 * capacity[["estimate", "high"]].max().max()))
    left.set_xticks(dimensions[dimensions % 8 == 0] if len(dimensions) > 6 else dimensions)
    left.legend()
    curve(right, learnt, "load", color="C2", marker="o", label="learned, 95 % interval")
    weights, most = int(learnt["dimension"].iloc[0]), int(learnt["points"].max())
    finest = np.arange(1, most + 1)
    expected = [cover(int(points), weights) for points in finest]
    right.plot(finest / weights, expected, color="black", linewidth=1.2, label="Cover's count")
    limits = learnt["load"].min(), learnt["load"].max()
    right.set(xlim=limits, xlabel="points per weight", ylabel="labellings learned", title="perceptron")
    right.legend()
    return figure


def claims(table: pd.DataFrame) -> Figure:
    """The primary claims, and those that could not be tested; controls are named as such."""
    names = ("control: " + table["claim"]).where(table["paper"] == CONTROL, table["claim"])
    return claims_figure.draw(table.assign(claim=names)[table["primary"]], relevant=RELEVANT)
