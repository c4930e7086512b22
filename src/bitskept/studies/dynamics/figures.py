"""The figures of notebook 05, each drawn from its table."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bitskept.base.figures import FULL_SHARE, curve, legend_below, shades
from bitskept.instruments import claims_figure
from bitskept.instruments.training.twin_runs import COLOURS, DIFFUSION, is_causal
from bitskept.studies.dynamics.checkpoints import GAIN
from bitskept.studies.dynamics.comparing_runs import means
from bitskept.studies.dynamics.language_figures import language as language
from bitskept.studies.dynamics.language_figures import language_estimators as language_estimators
from bitskept.studies.dynamics.language_figures import language_factors as language_factors
from bitskept.studies.dynamics.language_figures import language_needed as language_needed
from bitskept.studies.dynamics.language_figures import language_seeds as language_seeds
from bitskept.studies.dynamics.language_figures import language_steps as language_steps
from bitskept.studies.dynamics.last_layers import BITS, COMPARED
from bitskept.studies.dynamics.run_claims import RELEVANT
from bitskept.studies.dynamics.section import TrainingDynamics
from bitskept.studies.dynamics.sizes import LABELS, along, varied

MARKERS = dict(zip(COLOURS, "o^sXvDP*", strict=True))
"""The marker of each twin: some colours are close to each other."""
SHOWN = ("retained", "rankme", "complexity_corrected", "optimality_corrected")
"""The measures in the figure of runs."""


def learning(table: pd.DataFrame, section: TrainingDynamics) -> Figure:
    """Over steps: the bits below the unigram cost, with the least that counts as learning; and bits per byte."""
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    panels = figure.subplots(1, 2)
    for twin, rows in table.groupby("twin", sort=False):
        gains, costs = rows["quantity"] == GAIN, rows["quantity"] != GAIN
        curve(panels[0], rows[gains], "step", color=COLOURS[twin], marker=MARKERS[twin], label=twin)
        style = "--" if twin == DIFFUSION else "-"
        curve(panels[1], rows[costs], "step", color=COLOURS[twin], marker=".", linestyle=style)
    least = f"{section.least_gain:g} bits: has learned"
    panels[0].axhline(section.least_gain, color="grey", linestyle=":", linewidth=1, label=least)
    panels[0].set(title="what was learned", ylabel="bits per token below the unigram cost")
    panels[1].set(title="code length (dashed: upper bound)", ylabel="bits per byte")
    for axes in panels:
        axes.set_xscale("symlog", linthresh=1)
        axes.set(xlabel="step", xlim=(0, table["step"].max()))
    return legend_below(figure, panels[0], columns=4)


def kept_and_learned(table: pd.DataFrame) -> Figure:
    """What the last layer keeps against what was learned, a line for each run through its steps; a panel per probe."""
    probes = list(table["probe"].unique())
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    for axes, probe in zip(figure.subplots(1, len(probes), sharey=True, squeeze=False).flat, probes, strict=True):
        for (twin, seed), rows in table[table["probe"] == probe].groupby(["twin", "seed"], sort=False):
            label = twin if seed == table.loc[table["twin"] == twin, "seed"].iloc[0] else None
            look = {"color": COLOURS[twin], "marker": MARKERS[twin]}
            axes.plot(rows["gain"], rows["estimate"], label=label, alpha=0.6, markersize=5, linewidth=1.2, **look)
            axes.plot(rows["gain"].iloc[-1], rows["estimate"].iloc[-1], markersize=11, markeredgecolor="black", **look)
        axes.set(title=probe, xlabel="bits per token below the unigram cost", ylim=FULL_SHARE)
        axes.set_xlim(left=max(-1.0, table["gain"].min()))
    figure.axes[0].set_ylabel("share of H(X) kept by the last layer")
    return legend_below(figure, columns=4)


def retained(table: pd.DataFrame) -> Figure:
    """What each layer retains: one panel per twin and probe, one line per step, from dark to light."""
    twins, probes, steps = table["twin"].unique(), sorted(set(table["probe"])), sorted(set(table["step"]))
    figure = Figure(figsize=(3.4 * len(twins) + 1, 7), layout="constrained")
    panels = figure.subplots(len(probes), len(twins), sharex="col", sharey=True, squeeze=False)
    for line, probe in zip(panels, probes, strict=True):
        for axes, twin in zip(line, twins, strict=True):
            layers = table[(table["twin"] == twin) & (table["probe"] == probe)]
            for step, shade in zip(steps, shades(len(steps)), strict=True):
                rows = layers[layers["step"] == step]
                axes.plot(rows["layer"], rows["estimate"], ".-", color=shade, label=f"step {step}")
            axes.set(title=f"{twin}, {probe}", xlabel="layer", xticks=_every_second(layers))
        line[0].set(ylabel="retained share of H(X)", ylim=FULL_SHARE)
    return legend_below(figure, columns=6)


def forgetting(table: pd.DataFrame) -> Figure:
    """Late forgetting over steps, one panel per probe."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    probes = sorted(set(table["probe"]))
    panels = figure.subplots(1, len(probes), sharey=True)
    for axes, probe in zip(panels, probes, strict=True):
        _over_steps(axes, table[table["probe"] == probe])
        axes.set_title(probe)
    panels[0].set_ylabel("late forgetting (bits per token)")
    return legend_below(figure, columns=4)


def last_layers(table: pd.DataFrame) -> Figure:
    """Bits that the last layer of each run keeps, a point for each: a column of panels for every place and moment at
    which twins are compared, and a line of panels for each probe; hollow: the run does not learn.
    """
    rows = table[(table["quantity"] == BITS) & (table["train_sentences"] == table["train_sentences"].max())]
    twins, probes = list(rows["twin"].unique()), sorted(set(rows["probe"].dropna()))
    figure = Figure(figsize=(14, len(probes) * (0.36 * len(twins) + 1) + 0.6), layout="constrained")
    panels = figure.subplots(len(probes), len(COMPARED), sharex=True, sharey=True, squeeze=False)
    for line, probe in zip(panels, probes, strict=True):
        for axes, (where, title) in zip(line, COMPARED.items(), strict=True):
            part = rows[(rows["probe"] == probe) & (rows["reading"] == f"token{where}")]
            for twin, runs in part.groupby("twin", sort=False):
                filled = [COLOURS[twin] if learned else "white" for learned in runs["learned"]]
                heights = [twins.index(twin)] * len(runs)
                axes.scatter(runs["estimate"], heights, c=filled, edgecolors=COLOURS[twin], alpha=0.8, zorder=3)
            axes.set_title(f"{title}\n{probe}", fontsize="small")
            axes.set_yticks(range(len(twins)), twins)
    panels[0, 0].set_ylim(len(twins) - 0.5, -0.5)
    figure.supxlabel("bits per token kept (hollow: the network has not learned)")
    return figure


def untrained(table: pd.DataFrame) -> Figure:
    """What each layer of untrained networks retains: one panel per family and probe."""
    families, initials, probes = table["family"].unique(), list(table["initial"].unique()), sorted(set(table["probe"]))
    figure = Figure(figsize=(14, 7), layout="constrained")
    panels = figure.subplots(len(probes), len(families), sharey=True, squeeze=False)
    for line, probe in zip(panels, probes, strict=True):
        for axes, family in zip(line, families, strict=True):
            layers = table[(table["family"] == family) & (table["probe"] == probe)]
            for (causal, initial), rows in layers.groupby(["causal", "initial"], sort=False):
                side, style = ("to the left", "-") if causal else ("to both sides", "--")
                look = {"color": f"C{initials.index(initial)}", "linestyle": style, "marker": "."}
                curve(axes, rows, "layer", share=True, label=f"{side}, first weights {initial:g}", **look)
            axes.set(title=f"{family}\n{probe}", xlabel="layer", ylim=FULL_SHARE, xticks=_every_second(layers))
        line[0].set_ylabel("retained share of H(X)")
    return legend_below(figure, panels[0, 0], columns=2)


def plane(table: pd.DataFrame) -> Figure:
    """The information plane with the last checkpoint as a star, and complexity over steps; means over runs."""
    table = means(table, "twin", "quantity", "step")
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    panels = figure.subplots(1, 2)
    wide = table.pivot(index=["twin", "step"], columns="quantity", values="estimate")
    for twin, rows in wide.groupby(level="twin", sort=False):
        x, y = rows["complexity_corrected"], rows["expressivity_corrected"]
        panels[0].plot(x, y, ".-", color=COLOURS[twin], label=twin)
        panels[0].plot(x.iloc[-1], y.iloc[-1], "*", markersize=16, color=COLOURS[twin])
    panels[0].set(xlabel="complexity (bits)", ylabel="expressivity (bits)", title="the plane")
    _over_steps(panels[1], table[table["quantity"] == "complexity_corrected"])
    panels[1].set(ylabel="complexity (bits)", title="over training")
    return legend_below(figure, panels[1], columns=4)


def ranks(table: pd.DataFrame) -> Figure:
    """RankMe and alpha-ReQ over steps."""
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, (quantity, least) in zip(panels, {"rankme": 1.0, "alpha_req": -np.inf}.items(), strict=True):
        rows = table[table["quantity"] == quantity]
        _over_steps(axes, rows.assign(low=rows["low"].clip(lower=least)))
    panels[0].set(ylabel="RankMe (directions)", yscale="log")
    panels[1].set(ylabel="alpha-ReQ (exponent)")
    return legend_below(figure, columns=4)


def size_and_data(table: pd.DataFrame, section: TrainingDynamics) -> Figure:
    """The gain, what the last layer keeps, and late forgetting, by the width and by the amount of text; crossed out in
    black: not learned. A gain below the cost of frequencies alone is drawn at 0.
    """
    gains = table[table["quantity"] == GAIN]
    network = ["twin", "size", "amount"]
    unlearned = pd.MultiIndex.from_frame(gains.loc[gains["low"] < section.least_gain, network])
    ends = ["estimate", "low", "high"]
    floor = table[ends].clip(lower=0).where(table["quantity"] == GAIN, table[ends])
    table = table.assign(**floor, learned=~pd.MultiIndex.from_frame(table[network]).isin(unlearned))
    names, columns = varied(table), {name: place for place, name in enumerate(LABELS)}
    figure = Figure(figsize=(4.6 * 3, 4 * max(1, len(names))), layout="constrained")
    panels = figure.subplots(max(1, len(names)), 3, sharex="row", squeeze=False)
    for line, (by, name) in zip(panels, names.items(), strict=False):
        for (twin, quantity), rows in along(table, by).groupby(["twin", "quantity"], sort=False):
            axes = line[columns[quantity]]
            curve(axes, rows, by, color=COLOURS[twin], marker="o", label=twin)
            failed = rows[~rows["learned"]]
            axes.plot(failed[by], failed["estimate"], "kx", markersize=11, markeredgewidth=2, zorder=4)
            axes.set(xlabel=name, ylabel=LABELS[quantity], xscale="log")
            axes.set_xticks(sorted(set(rows[by])), sorted(set(rows[by])))
            axes.minorticks_off()
    if names:
        panels[0, 0].legend()
    return figure


def run_measures(table: pd.DataFrame) -> Figure:
    """Runs after their last step: gain, bits per byte and minimal pairs against some measures, a point for each run."""
    wide = table.pivot(index=["twin", "run"], columns="quantity", values="estimate")
    targets = [
        name for name in (GAIN, "bits_per_byte", *(name for name in wide if name.startswith("blimp"))) if name in wide
    ]
    measures = [name for name in SHOWN if name in wide]
    figure = Figure(figsize=(3.4 * len(measures), 2.7 * len(targets) + 1), layout="constrained")
    panels = figure.subplots(len(targets), len(measures), sharey="row", sharex="col", squeeze=False)
    for line, target in zip(panels, targets, strict=True):
        for axes, measure in zip(line, measures, strict=True):
            for twin, rows in wide[[measure, target]].dropna().groupby(level="twin", sort=False):
                if target != GAIN or not is_causal(twin):
                    axes.plot(rows[measure], rows[target], "o", color=COLOURS[twin], label=twin, markersize=5)
        line[0].set_ylabel(target.replace("_", " ").replace(" ", "\n", 1))
        if target.endswith("accuracy"):
            for axes in line:
                axes.axhline(0.5, color="grey", linestyle=":", linewidth=1)  # chance, for pairs
    for axes, measure in zip(panels[-1], measures, strict=True):
        axes.set_xlabel(measure.replace("_", " "))
    return legend_below(figure, columns=4)


def claims(table: pd.DataFrame) -> Figure:
    """The primary claims, on the language with a truth and on real text; those not tested with their networks."""
    rows = table[table["primary"]].reset_index(drop=True)
    untested = rows["model"] + ": " + rows["claim"]
    rows = rows.assign(claim=rows["claim"].where(rows["outcome"] != "not tested", untested))
    return claims_figure.draw(rows.assign(reading=None, probe=None, train_sentences=None), relevant=RELEVANT)


def _over_steps(axes: Axes, table: pd.DataFrame) -> None:
    """One curve per twin over the steps of training, on a logarithmic axis: the steps of checkpoints double. Two runs
    have no band: their interval over seeds has a single degree of freedom.
    """
    for twin, rows in table.groupby("twin", sort=False):
        label = f"{twin} (2 runs, no band)" if (two := (rows["runs"] == 2).all()) else twin
        bands = rows.assign(low=rows["estimate"], high=rows["estimate"]) if two else rows
        curve(axes, bands, "step", color=COLOURS[twin], marker=MARKERS[twin], markersize=6, label=label)
    axes.set_xscale("symlog", linthresh=1)
    axes.set(xlabel="step", xlim=(0, table["step"].max()))


def _every_second(layers: pd.DataFrame) -> range:
    return range(0, layers["layer"].max() + 1, 2)
