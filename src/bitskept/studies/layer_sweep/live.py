"""The live cell of notebook 02: a reading, and the amount of text that the probe was fitted on."""

import pandas as pd
from matplotlib.figure import Figure

from bitskept.base.figures import colour, curve
from bitskept.studies.layer_sweep.bits_by_layer import amounts, main_readings, usable_shares


def usable(trained: pd.DataFrame) -> pd.DataFrame:
    """The usable share that the centroid shows in each layer, under each of `bits_by_layer.main_readings` and with each
    number of training sentences. Of numbers that differ a little between models (`bits_by_layer.amounts`) the largest
    stands for all.
    """
    rows = main_readings(usable_shares(trained))
    amount = amounts(rows)
    rows = rows.assign(train_sentences=rows["train_sentences"].groupby(amount).transform("max").astype(int))
    columns = ["model", "kind", "reading", "train_sentences", "depth", "estimate", "low", "high", "unit"]
    return rows[columns].sort_values("train_sentences", kind="stable")


def layers(table: pd.DataFrame, reading: str, train_sentences: int) -> Figure:
    """The usable share by depth, one curve per model, for a reading and a number of training sentences; thin lines are
    those of the other numbers.

    `table` is that of `usable`.
    """
    rows = table[table["reading"] == reading]
    figure = Figure(figsize=(9, 4.4))
    axes = figure.subplots()
    for (model, size), others in rows.groupby(["model", "train_sentences"]):
        if size != train_sentences:
            others = others.sort_values("depth")
            axes.plot(others["depth"], others["estimate"], color=colour(model), linewidth=0.8, alpha=0.5)
    for (model, kind), part in rows[rows["train_sentences"] == train_sentences].groupby(["model", "kind"], sort=False):
        curve(axes, part, "depth", share=True, bars=True, color=colour(model), marker="o", label=f"{model} ({kind})")
    axes.set(xlabel="depth (0 = embedding, 1 = last layer)", ylabel="usable share of the bits")
    ends = rows[["low", "estimate", "high"]]  # few sentences have no interval, but an estimate
    axes.set_ylim(min(0, ends.min().min()), max(1.03 * ends.max().max(), 0.1))
    axes.set_title(f"Reading “{reading}”, a probe with {train_sentences:,} training sentences")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
