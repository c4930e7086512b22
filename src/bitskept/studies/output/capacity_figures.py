"""The figure of notebook 08 about information capacity, drawn from its table."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bitskept.base.figures import curve
from bitskept.studies.output.capacity import PUBLISHED
from bitskept.studies.output.capacity_tables import ALL, CAPACITY, PARTS

CAPACITY_AXIS = "information capacity\n(bits per token and doubling of operations)"


def capacity(table: pd.DataFrame) -> Figure:
    """Left: the bits of a token, by what saves them. Middle: information capacity over the constant b. Right: by kind
    of text, for the constant 0.
    """
    models = list(table["model"].unique())
    colours = {name: f"C{place}" for place, name in enumerate(models)}
    figure = Figure(figsize=(15, 5.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    _parts(left, table[table["text"] == ALL], models)
    capacities = table[table["quantity"] == CAPACITY]
    for name, rows in capacities[capacities["text"] == ALL].groupby("model", sort=False):
        curve(middle, rows, "constant", color=colours[str(name)], marker=".", label=str(name))
    middle.axvline(PUBLISHED, color="grey", linestyle=":", linewidth=1)
    middle.axhline(0, color="grey", linewidth=1)
    middle.set(xlabel="constant b (bits; dotted: the authors')", ylabel=CAPACITY_AXIS)
    middle.set_title("over the constant")
    _texts(right, capacities[(capacities["constant"] == 0) & (capacities["text"] != ALL)], colours)
    figure.legend(*middle.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _parts(axes: Axes, rows: pd.DataFrame, models: list[str]) -> None:
    wide = rows[rows["quantity"].isin(PARTS)].set_index(["model", "quantity"])["estimate"].unstack()
    heights = np.arange(len(models))
    alone, gain, size = (wide.loc[models, name].to_numpy() for name in ("tokenizer alone", "gain", "size"))
    axes.barh(heights, alone, color="0.65", label="tokenizer alone")
    axes.barh(heights, gain - alone, left=alone, color="0.35", label="the model's distribution")
    axes.barh(heights, size - gain, left=gain, color="0.9", label="left to pay")
    axes.set_yticks(heights, models)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set(xlabel="bits per token (8 for each byte)", title="what saves the bits")
    axes.legend(loc="upper center", bbox_to_anchor=(0.3, -0.18), ncols=3, fontsize=11, columnspacing=1)


def _texts(axes: Axes, rows: pd.DataFrame, colours: dict[str, str]) -> None:
    kinds = list(rows["text"].unique())
    for shift, (name, part) in zip(
        np.linspace(-0.2, 0.2, len(colours)), rows.groupby("model", sort=False), strict=True
    ):
        places = [kinds.index(kind) + shift for kind in part["text"]]
        errors = [part["estimate"] - part["low"], part["high"] - part["estimate"]]
        axes.errorbar(places, part["estimate"], yerr=errors, fmt="o", capsize=3, color=colours[str(name)])
    axes.set_xticks(range(len(kinds)), kinds, rotation=30, ha="right")
    axes.set(ylabel=CAPACITY_AXIS, title="by kind of text, b = 0")
