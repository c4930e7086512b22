"""The figures of notebook 02, each drawn from its table."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bitskept.base.figures import FULL_SHARE, colour, curve, legend_below, points, shades
from bitskept.instruments import claims_figure
from bitskept.instruments.claims import CONTROL
from bitskept.studies.layer_sweep.bits_by_layer import READINGS
from bitskept.studies.layer_sweep.claims import RELEVANT, RULES, about_layers, primary, with_layers
from bitskept.studies.layer_sweep.forgetting_figures import forgetting as forgetting
from bitskept.studies.layer_sweep.forgetting_figures import settings as settings
from bitskept.studies.layer_sweep.learning import BEST, LAST
from bitskept.studies.layer_sweep.learning import PROBES as LEARNING_PROBES
from bitskept.studies.layer_sweep.units import UNITS

BOUNDS = {"retained_fano": ("Fano", "--"), "retained_cross_entropy": ("cross-entropy", "-")}
PROBES = {"centroid": "-", "ridge": "--", "softmax": ":", "mlp": "-."}
PLACES = {"mean": ("C0", "-"), "the other words alone": ("C1", "--"), "random copy": ("grey", "-.")}
TITLES = {
    "token": "token: from its own state",
    "window": "window: from three states",
    "bag": "bag: a word of the sentence\nfrom the mean of its states",
}
DEPTH = "depth (0 = embedding, 1 = last layer)"
USABLE = "usable share of the bits"


def retained(table: pd.DataFrame) -> Figure:
    """The share of H(X) that each layer keeps, one curve per model."""
    figure = Figure(figsize=(9.5, 5))
    axes = figure.subplots()
    _curves(axes, table, "depth", share=True, bars=True)
    axes.set(xlabel=DEPTH, ylabel="retained share of H(X)", ylim=FULL_SHARE)
    axes.set_title("Share of H(X) that the centroid probe shows in each layer")
    _label_ends(axes, table, "depth")
    return figure


def readings(table: pd.DataFrame) -> Figure:
    """The usable share by depth, one panel per reading and one curve per model."""
    figure = Figure(figsize=(14, 4.8))
    panels = figure.subplots(1, len(READINGS), sharey=True)
    for axes, reading in zip(panels, READINGS, strict=True):
        _curves(axes, table[table["reading"] == reading], "depth", share=True, bars=True)
        axes.set(title=TITLES[reading], xlabel="depth", ylim=(min(0, table["low"].min()), FULL_SHARE[1]))
    panels[0].set_ylabel(USABLE)
    panels[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def sentence(table: pd.DataFrame) -> Figure:
    """What one vector for the sentence tells about its words, one panel per model and one curve per pooling."""
    figure, panels = _panels(table)
    poolings = list(table["pooling"].unique())
    for model, axes in panels.items():
        for index, pooling in enumerate(poolings):
            rows = table[(table["model"] == model) & (table["pooling"] == pooling)]
            look = {"color": f"C{index}", "linestyle": ("-", "--", ":", "-.")[index % 4], "label": pooling}
            curve(axes, rows, "layer", share=True, **look)
        axes.set_ylim(min(0, table["low"].min()), 1.1 * table["high"].fillna(table["estimate"]).max())
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.axes[0].set_ylabel("usable share of a random word")
    figure.axes[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def places(table: pd.DataFrame) -> Figure:
    """What one vector tells about the token at a place, with the controls: a row per place, a column per model."""
    positions, models = sorted(table["position"].unique()), list(table["model"].unique())
    figure = Figure(figsize=(4.4 * len(models) + 2, 3.1 * len(positions)))
    panels = figure.subplots(len(positions), len(models), sharex="col", sharey="row", squeeze=False)
    for line, position in zip(panels, positions, strict=True):
        for axes, model in zip(line, models, strict=True):
            rows = table[(table["model"] == model) & (table["position"] == position)]
            for name, part in rows.groupby("curve", sort=False):
                shade, style = PLACES[name.partition(",")[0]]
                style = ":" if name.startswith("mean,") else style
                curve(axes, part, "layer", share=True, label=name, color=shade, linestyle=style, marker=".")
            axes.xaxis.get_major_locator().set_params(integer=True)
        line[0].set_ylabel(f"place {position + 1}\nusable share")
    _label_grid(panels, models)
    return figure


def learning(table: pd.DataFrame) -> Figure:
    """The retained share by the number of training sentences, one panel per probe and place."""
    figure = Figure(figsize=(14, 4.4))
    panels = figure.subplots(1, 4, sharey=True)
    sizes = sorted(table["train_sentences"].unique())
    for axes, (place, probe) in zip(panels, product((LAST, BEST), LEARNING_PROBES), strict=True):
        rows = table[(table["place"] == place) & (table["probe"] == probe)]
        _curves(axes, rows, "train_sentences", share=True)
        axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=45)
        axes.minorticks_off()
        axes.set(title=f"{place.replace(' above', chr(10) + 'above')}\n{probe}", ylim=FULL_SHARE)
    panels[0].set_ylabel("retained share of H(X)")
    figure.supxlabel("training sentences of the probe")
    panels[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def words(table: pd.DataFrame) -> Figure:
    """The same curves per token, per character, and for the words that are one token for all models."""
    units = [unit for unit in UNITS if unit in set(table["counted"])]
    figure = Figure(figsize=(4.2 * len(units) + 1.5, 4.2))
    panels = figure.subplots(1, len(units), squeeze=False)[0]
    for axes, unit in zip(panels, units, strict=True):
        rows = table[table["counted"] == unit]
        _curves(axes, rows, "depth")
        axes.set(title=unit, xlabel="depth", ylim=(min(0, rows["low"].min()), None))
    panels[0].set_ylabel("bits that the centroid shows")
    panels[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def bounds(table: pd.DataFrame) -> Figure:
    """Fano's bound and the cross-entropy bound, one panel per model."""
    figure, panels = _panels(table)
    for model, axes in panels.items():
        for quantity, (name, line) in BOUNDS.items():
            rows = table[(table["model"] == model) & (table["quantity"] == quantity)]
            curve(axes, rows, "layer", share=True, bars=True, color=colour(model), linestyle=line, label=name)
    figure.axes[0].set_ylabel("retained share of H(X)")
    figure.axes[-1].legend(loc="lower left")
    return figure


def probes(table: pd.DataFrame) -> Figure:
    """The share of H(X) that each probe shows, one panel per model."""
    figure, panels = _panels(table)
    for model, axes in panels.items():
        for index, (probe, line) in enumerate(PROBES.items()):
            rows = table[(table["model"] == model) & (table["probe"] == probe)]
            curve(axes, rows, "layer", share=True, bars=True, color=f"C{index}", linestyle=line, label=probe)
    figure.axes[0].set_ylabel("retained share of H(X)")
    figure.axes[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def random(table: pd.DataFrame) -> Figure:
    """Trained models and their copies with random weights at each scale: a row per reading, a column per model. Copies
    that coincide lie on each other, the thinner on the wider."""
    names, models = ["token", "bag"], list(table["model"].unique())
    scales = [name for name in table["weights"].unique() if name != "trained"]
    figure = Figure(figsize=(4.4 * len(models) + 2.2, 6.4))
    panels = figure.subplots(len(names), len(models), sharey="row", sharex="col", squeeze=False)
    looks = dict(zip(scales, shades(len(scales) + 1)[:-1], strict=True))
    for line, reading in zip(panels, names, strict=True):
        for axes, model in zip(line, models, strict=True):
            rows = table[(table["model"] == model) & (table["reading"] == reading)]
            for index, scale in enumerate(scales):
                for number, (_, copy) in enumerate(rows[rows["weights"] == scale].groupby("seed")):
                    look = {"color": looks[scale], "lw": 2 + 1.2 * (len(scales) - 1 - index)}
                    curve(axes, copy, "layer", share=True, label=scale if number == 0 else "_", marker=".", **look)
            look = {"color": "black", "lw": 3, "marker": "."}
            curve(axes, rows[rows["weights"] == "trained"], "layer", share=True, label="trained", **look)
        line[0].set_ylabel(f"{reading}\nusable share")
    _label_grid(panels, models)
    return figure


def tokens(table: pd.DataFrame) -> Figure:
    """The share of tokens named at the last layer: by frequency in training, by word class, and by the kind of text."""
    groups = list(table.groupby("by", sort=False))
    figure = Figure(figsize=(4.6 * len(groups) + 2.5, 4.6))
    panels = figure.subplots(1, len(groups), sharex=True, squeeze=False)[0]
    models = list(table["model"].unique())
    for axes, (by, rows) in zip(panels, groups, strict=True):
        names = list(rows["name"].unique())
        for place, model in enumerate(models):
            estimates = rows[rows["model"] == model]
            heights = [names.index(name) + 0.22 * (place - (len(models) - 1) / 2) for name in estimates["name"]]
            points(axes, estimates, heights, color=colour(model), label=model)
        axes.set(title=by, xlabel="share named at the last layer", yticks=range(len(names)), yticklabels=names)
    panels[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def claims(table: pd.DataFrame) -> Figure:
    """The paper's claims: the primary ones about layers, and all that are not about layers."""
    others = table[~about_layers(table) & (table["paper"] != CONTROL)]
    once = (others["outcome"] != "not tested") | ~others.duplicated("claim")
    main = with_layers(table[primary(table)])
    rows = pd.concat([main.assign(probe=None, train_sentences=None), others[once]], ignore_index=True)
    figure = claims_figure.draw(rows, relevant=RELEVANT)
    figure.suptitle(f"centroid probe, {main['train_sentences'].max():,.0f} training sentences", fontsize=11)
    return figure


def _panels(table: pd.DataFrame) -> tuple[Figure, dict[str, Axes]]:
    """A figure with a panel for each model, side by side: shares of H(X) by layer."""
    models = table.groupby("model", sort=False)["kind"].first()
    figure = Figure(figsize=(4.2 * len(models) + 1.5, 4.2))
    panels = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
    for axes, (model, kind) in zip(panels, models.items(), strict=True):
        axes.set(title=f"{model} ({kind})", xlabel="layer", ylim=FULL_SHARE)
    return figure, dict(zip(models.index, panels, strict=True))


def _label_grid(panels: np.ndarray, models: Sequence[str]) -> None:
    """Write each model above its column, "layer" below it, and the legend beside the first row."""
    for top, bottom, model in zip(panels[0], panels[-1], models, strict=True):
        top.set_title(model)
        bottom.set_xlabel("layer")
    panels[0, -1].legend(loc="upper left", bbox_to_anchor=(1, 1))


def _curves(axes: Axes, table: pd.DataFrame, x: str, **options: Any) -> None:
    """A curve for each model, whose marker shows the kind of model."""
    for (model, kind), rows in table.groupby(["model", "kind"], sort=False):
        look = {"color": colour(model), "marker": "o" if kind == "encoder" else "s", "markersize": 5}
        curve(axes, rows, x, label=f"{model} ({kind})", **look, **options)


def _label_ends(axes: Axes, table: pd.DataFrame, x: str) -> None:
    """Write each model and its kind to the right of the end of its curve, pushed apart where ends are close."""
    ends = table.sort_values(x).groupby(["model", "kind"])["estimate"].last().sort_values()
    step = 0.065 * np.ptp(axes.get_ylim())
    heights = list(ends)
    for place in range(1, len(heights)):
        heights[place] = max(heights[place], heights[place - 1] + step)
    for (model, kind), height in zip(ends.index, heights, strict=True):
        look = {"color": colour(model), "va": "center", "fontweight": "bold", "annotation_clip": False}
        axes.annotate(f"{model} ({kind})", (1.02, height), xycoords=("axes fraction", "data"), **look)


def masked_training(table: pd.DataFrame) -> Figure:
    """What the last layer keeps on the way through masked training, one panel per probe, and the cost of hidden tokens;
    one curve per rule and seed.
    """
    kept = table[table["quantity"] == "retained_cross_entropy"]
    kept, probes = kept[kept["layer"] == kept["layer"].max()], list(kept["probe"].unique())
    figure = Figure(figsize=(4.2 * (len(probes) + 1), 4.6), layout="constrained")
    *shares, cost = figure.subplots(1, len(probes) + 1)
    for (arm, seed), run in table.groupby(["arm", "seed"], sort=False):
        name = RULES[arm] if seed == table["seed"].min() else "_again"
        look = {"color": f"C{list(RULES).index(arm)}", "marker": ".", "label": name}
        for axes, probe in zip(shares, probes, strict=True):
            chosen = (kept[["arm", "seed", "probe"]] == [arm, seed, probe]).all(axis=1)
            curve(axes, kept[chosen], "step", share=True, **look)
            axes.set(title=f"last layer, {probe}", xlabel="step", ylim=FULL_SHARE)
        costs = run[run["quantity"] == "masked_cross_entropy"]
        cost.plot(costs["step"], costs["estimate"], **look)
    shares[0].set_ylabel("retained share of H(X)")
    for prior in table.loc[table["quantity"] == "prior_cross_entropy", "estimate"]:
        cost.axhline(prior, color="grey", linestyle=":")
        where = (table["step"].max(), prior)
        cost.annotate("test tokens, by\nfrequencies alone", where, ha="right", va="bottom", color="grey")
    cost.set(title="hidden tokens, held out", xlabel="step", ylabel="bits per token", ylim=(0, None))
    return legend_below(figure, shares[0], columns=2)
