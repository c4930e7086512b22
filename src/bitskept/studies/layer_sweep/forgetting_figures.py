"""The figures of notebook 02 about contrasts between layers, each drawn from its table."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bitskept.base.figures import points
from bitskept.studies.layer_sweep.bits_by_layer import READINGS
from bitskept.studies.layer_sweep.claims import BITS
from bitskept.studies.layer_sweep.forgetting import IN_WORDS, READS

MARKERS = {"centroid": "o", "ridge": "D", "softmax": "^", "mlp": "v"}


def forgetting(table: pd.DataFrame) -> Figure:
    """The contrasts of each model under each probe: a row for rise and one for fall, a column per reading. A bar
    marks the smallest true difference that would have been seen.
    """
    models, names = list(table["model"].unique()), [name for name in READINGS if name in set(table["reading"])]
    figure = Figure(figsize=(4.2 * len(names) + 2, 2.2 + 1.5 * len(models)))
    panels = figure.subplots(2, len(names), sharey=True, squeeze=False)
    for line, half in zip(panels, ("rise", "fall"), strict=True):
        for axes, reading in zip(line, names, strict=True):
            rows = table[(table["half"] == half) & (table["reading"] == reading)]
            _contrasts(axes, rows, models)
            axes.set_title(f"{reading}:\n{IN_WORDS[rows['quantity'].iloc[0]]}" if len(rows) else reading)
        line[0].set_ylim(-0.6, len(models) - 0.4)
    for axes in panels[-1]:
        axes.set_xlabel("bits per token")
    panels[0, -1].legend(*_handles(panels), loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def settings(table: pd.DataFrame) -> Figure:
    """The contrasts of each model under every setting, in the order of their estimates: a row for rise and one for
    fall. Hollow: a vector for the sentence, between any two layers. Left out are probes that read next to nothing in
    any layer.
    """
    poolings = ": " + table["pooling"].astype(object)
    table = table.assign(reading=table["reading"] + poolings.fillna(""))
    models, names = list(table["model"].unique()), list(table["reading"].unique())
    figure = Figure(figsize=(4.2 * len(models) + 2, 10))
    panels = figure.subplots(2, len(models), sharex="row", squeeze=False)
    rows = table[table["best"] >= READS].sort_values("estimate")
    for line, half in zip(panels, ("rise", "fall"), strict=True):
        for axes, model in zip(line, models, strict=True):
            chosen = rows[(rows["model"] == model) & (rows["half"] == half)].reset_index(drop=True)
            for index, reading in enumerate(names):
                part = chosen[chosen["reading"] == reading]
                for main, some in part.groupby("main", sort=False):
                    look = {"color": f"C{index}", "markersize": 5, "capsize": 0, "label": reading if main else "_"}
                    points(axes, some, some.index.astype(float), mfc=f"C{index}" if main else "white", **look)
            axes.axvline(0, color="black", linewidth=1)
            axes.axvline(BITS, color="grey", linewidth=1, linestyle=":", label="the least\nthat counts")
            axes.set(title=f"{half}: {model}", yticks=[], xlabel="bits per token")
        line[0].set_ylabel(f"contrasts, by the size of the {half}")
    panels[0, -1].legend(*_handles(panels), loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _contrasts(axes: Axes, rows: pd.DataFrame, models: Sequence[str]) -> None:
    """Estimates with their intervals at the height of their model, and what would have been seen."""
    probes = [probe for probe in MARKERS if probe in set(rows["probe"])]
    for index, probe in enumerate(probes):
        part = rows[rows["probe"] == probe]
        heights = np.array([models.index(model) for model in part["model"]]) + 0.7 * (index + 0.5) / len(probes) - 0.35
        points(axes, part, heights, fmt=MARKERS[probe], color=f"C{list(MARKERS).index(probe)}", label=probe)
        axes.plot(part["detectable"], heights, "|", color="black", markersize=11, label="would have\nbeen seen")
    axes.axvline(0, color="black", linewidth=1)
    axes.axvline(BITS, color="grey", linewidth=1, linestyle=":", label="the least\nthat counts")
    axes.set(yticks=range(len(models)), yticklabels=models)
    axes.xaxis.set_major_locator(MaxNLocator(5))


def _handles(panels: np.ndarray) -> tuple[list[object], list[str]]:
    """The handles and labels of all panels, each label once."""
    pairs = [zip(*axes.get_legend_handles_labels(), strict=True) for axes in panels.flat]
    handles = {label: handle for handle, label in chain.from_iterable(pairs)}
    labels = sorted(handles, key=lambda label: label not in MARKERS)
    return [handles[label] for label in labels], labels
