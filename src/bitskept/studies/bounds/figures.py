"""The figures of notebook 01, each drawn from its table."""

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from bitskept.studies.bounds.section import TheoryBounds
from bitskept.theory import bounds, information
from bitskept.theory.channels import zipf


def sandwich(table: pd.DataFrame) -> Figure:
    """The truth between its bounds, over the chance to lose a token, one panel per encoder."""
    figure = Figure(figsize=(11, 4.6))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (encoder, rows) in zip(panels, table.groupby("encoder", sort=False), strict=True):
        bits = rows.pivot(index="lost", columns="quantity", values="estimate")
        axes.fill_between(bits.index, bits["lower"], bits["upper"], alpha=0.2, label="between the bounds")
        axes.plot(bits["information"], color="black", label="the truth, I(X;Z)")
        axes.plot(bits["sum of tokens"], "--", color="C1", label="sum of the tokens")
        axes.axhline(bits["entropy"].max(), color="grey", linestyle=":", label="H(X)")
        axes.set(title=encoder, xlabel="chance to lose a token")
    panels[0].set(ylabel="bits", ylim=(0, None))
    panels[1].legend(frameon=True, framealpha=1)
    return figure


def sandwich_by_source(table: pd.DataFrame) -> Figure:
    """The truth between its bounds, over the chance that a word repeats the last one."""
    shares = table.pivot(index="repeat", columns="quantity", values="estimate")
    figure = Figure(figsize=(8, 4.4))
    axes = figure.subplots()
    axes.fill_between(shares.index, shares["lower"], shares["upper"], alpha=0.2, label="between the bounds")
    axes.plot(shares["information"], color="black", label="the truth")
    axes.set(xlabel="chance that a word repeats the last one", ylabel="share of H(X)", ylim=(0, 1.05))
    axes.legend(loc="lower left")
    return figure


def fano_region(table: pd.DataFrame, section: TheoryBounds) -> Figure:
    """What an error rate allows, with random channels as dots; and the share of H(X) that naming tokens proves."""
    figure = Figure(figsize=(12, 5))
    left, right = figure.subplots(1, 2)
    for size in section.fano_alphabets:
        error = np.linspace(0, 1 - 1 / size, 300)
        fano, least = bounds.fano_equivocation(error, size), bounds.feder_merhav(error)
        left.fill_between(error, least, fano, alpha=0.15, color="C0")
        left.plot(error, fano, color="C0", label="Fano" if size == section.fano_alphabets[0] else None)
        left.text(error[-1], fano[-1], f"  |A| = {size}", va="center")
    left.plot(error, least, color="C3", label="Feder and Merhav")
    dots = table[table["quantity"] == "equivocation"]
    look = {"ms": 3, "alpha": 0.5, "label": "random channels, |A| = 4"}
    left.plot(1 - dots["named right"], dots["estimate"], "k.", **look)
    left.set(xlabel="error of the best predictor", ylabel="H(X|Z) in bits", xlim=(0, 1.15))
    left.set_title("What an error rate allows")
    left.legend(loc="lower right")
    curves = table[table["quantity"] == "Fano bound"].groupby("alphabet")
    for (size, rows), line in zip(curves, (":", "--", "-"), strict=True):
        right.plot(rows["named right"], rows["estimate"], line, color="C0", label=f"|A| = {size:,}")
    right.set(xlabel="share of tokens named right", ylabel="kept at least, share of H(X)", title="What a probe proves")
    right.legend()
    return figure


def probes(table: pd.DataFrame) -> Figure:
    """The bits that probes prove, over the size of their training sample: median, 5 % and 95 %."""
    figure = Figure(figsize=(9, 4.8))
    axes = figure.subplots()
    for (bound, probe), rows in table.groupby(["bound", "probe"], sort=False):
        curve = rows.groupby("training")["estimate"].quantile([0.05, 0.5, 0.95]).unstack()
        axes.plot(curve.index, curve[0.5], "o-", label=bound if bound == "Fano" else f"{bound}, probe {probe}")
        axes.fill_between(curve.index, curve[0.05], curve[0.95], alpha=0.15)
    axes.axhline(table["truth"].iloc[0], color="black", label="the truth, I(X;Z)")
    axes.set(xscale="log", xlabel="training samples per class", ylabel="bits proved", ylim=(0, 3.05))
    axes.set_xticks(table["training"].unique(), table["training"].unique())
    axes.legend(loc="lower right")
    return figure


def coverage(table: pd.DataFrame) -> Figure:
    """How often each bound kept its promise where Fano is tight, and the share of the truth that is certified."""
    sizes, deltas = table["samples"].unique(), table["delta"].unique()
    largest, delta = sizes.max(), deltas[len(deltas) // 2]
    figure = Figure(figsize=(14, 4.8))
    left, right = figure.subplots(1, 2)
    tight = table[(table["channel"] == "symmetric") & (table["samples"] == largest)]
    for bound, rows in tight.groupby("bound", sort=False):
        # Rings, which can be seen around the dots of the certificate: both often hold in every repetition.
        look = {"markersize": 13, "markerfacecolor": "none"} if bound == "same samples" else {}
        left.plot(1 - rows["delta"], rows["coverage"], "o-", label=bound, **look)
    left.plot([0.75, 1], [0.75, 1], ":", color="grey", label="as promised")
    left.set(
        xlabel="promised, 1 − δ",
        ylabel="share of repetitions in which it held",
        title=f"Symmetric channel, N = {largest:,}",
        ylim=(0, 1.03),
    )
    left.legend(loc="lower right")
    at_delta = table[table["delta"] == delta].assign(share=table["bits"] / table["truth"])
    for channel, rows in at_delta.groupby("channel", sort=False):
        by_bound = rows.pivot(index="samples", columns="bound", values="share")
        (line,) = right.plot(by_bound["certificate"], "o-", label=channel)
        right.plot(by_bound["same samples"], ":", color=line.get_color(), linewidth=1.5)
    right.plot([], [], ":", color="grey", linewidth=1.5, label="H(X) from the\nsame samples")
    right.set(xlabel="samples", title=f"Share of the truth certified, δ = {delta}", xscale="log", ylim=(0, 1))
    right.set_xticks(sizes, sizes, minor=False)
    right.set_xticks([], minor=True)
    right.legend(fontsize="small", bbox_to_anchor=(1, 1))
    return figure


def interval_coverage(table: pd.DataFrame) -> Figure:
    """How many intervals miss the truth, over the number of sentences, one panel for each kind of data."""
    figure = Figure(figsize=(14, 4.6))
    panels = figure.subplots(1, table["data"].nunique(), sharex=True, sharey=True, squeeze=False)[0]
    numbers = sorted(table["clusters"].unique())
    for axes, (data, rows) in zip(panels, table.groupby("data", sort=False), strict=True):
        for method, part in rows.groupby("method", sort=False):
            missed, ends = 1 - part["coverage"], 1 - part[["high", "low"]].to_numpy(float).T
            axes.plot(part["clusters"], missed, "o-", label=method)
            axes.fill_between(part["clusters"], *ends, alpha=0.2)
        axes.axhline(0.05, color="grey", linestyle=":", label="promised: 5 %")
        if len(without := rows.loc[rows["n"] == 0, "clusters"]):
            axes.axvspan(numbers[0] * 0.9, without.max() * 1.1, color="grey", alpha=0.15)
            axes.text(numbers[0], 0.001, f"no interval\nup to {without.max()}", fontsize="small")
        axes.set_yscale("symlog", linthresh=0.01)  # shows 0 as well
        axes.set(xscale="log", xlabel="sentences", title=data.replace(" of the ", "\nof the "))
        axes.set(ylim=(0, 1), xlim=(numbers[0] * 0.9, numbers[-1] * 1.1))
        axes.set_xticks(numbers, numbers)
        axes.set_xticks([], minor=True)
        axes.yaxis.set_major_formatter(PercentFormatter(1))
    panels[0].set(ylabel="intervals that miss the truth")
    panels[0].legend(fontsize="small", loc="upper right")
    return figure


def plug_in(table: pd.DataFrame, section: TheoryBounds) -> Figure:
    """Estimates of the entropy of a Zipf vocabulary over the number of samples, and what is taken off it."""
    figure = Figure(figsize=(12, 4.8))
    left, right = figure.subplots(1, 2)
    spread = table["low"].notna()
    for estimate, rows in table[spread].groupby("quantity", sort=False):
        left.plot(rows["samples"], rows["estimate"], label=estimate)
        left.fill_between(rows["samples"], rows["low"], rows["high"], alpha=0.2)
    left.axhline(information.entropy(zipf(section.vocabulary)), color="black", label="the truth")
    title = f"Entropy of {section.vocabulary:,} Zipf types"
    left.set(xscale="log", xlabel="samples", ylabel="bits", title=title, ylim=(0, None))
    left.legend()
    for (name, rows), line in zip(table[~spread].groupby("quantity", sort=False), ("-", "-", "--"), strict=True):
        right.plot(rows["samples"], rows["estimate"], line, label=name)
    right.set(xscale="log", yscale="log", xlabel="samples", ylabel="bits", title="What is taken off H(X)")
    right.legend()
    return figure


def usable_information(table: pd.DataFrame) -> Figure:
    """The bits that probes can use over the sentences they are fitted on, for some layers, one panel for each probe."""
    usable, entropy = table[table["quantity"] == "usable"], table["entropy"].iloc[0]
    layers = np.unique(np.linspace(0, usable["layer"].max(), 4).round().astype(int))
    sizes = usable["train_sentences"].unique().astype(int)
    figure = Figure(figsize=(12, 4.8))
    panels = figure.subplots(1, usable["probe"].nunique(), sharey=True, squeeze=False)[0]
    for axes, (probe, curves) in zip(panels, usable.groupby("probe", sort=False), strict=True):
        axes.axhline(entropy, color="black", label="the truth at every layer, H(X)")
        for layer, shade in zip(layers, np.linspace(0.35, 1, len(layers)), strict=True):
            rows, colour = curves[curves["layer"] == layer], mpl.colormaps["Blues"](shade)
            axes.plot(rows["train_sentences"], rows["estimate"], "o-", color=colour, label=f"layer {layer}")
            axes.fill_between(rows["train_sentences"], rows["low"], rows["high"], color=colour, alpha=0.2)
        axes.set(xscale="log", xlabel="training sentences", title=probe)
        axes.set_ylim(min(0, usable["estimate"].min()), 1.05 * entropy)
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.set_xticks([], minor=True)
    panels[0].set(ylabel="bits per token that the probe can use")
    panels[0].legend(loc="lower right")
    return figure
