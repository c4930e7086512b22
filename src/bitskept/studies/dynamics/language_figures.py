"""The figures of notebook 05 about languages with a truth, each drawn from its table."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bitskept.base.figures import curve, points
from bitskept.instruments import claims_figure
from bitskept.studies.dynamics.language_arms import BERT, MASK, NEXT
from bitskept.studies.dynamics.language_claims import RELEVANT, WHERE
from bitskept.studies.dynamics.language_tables import PARTS

COLOURS = {NEXT: "C0", MASK: "C2", BERT: "C1"}
"""The colour of each main arm, the same in every figure."""
NAMES = {"class_bits": "the class", "synonym_bits": "the synonym"}


def language(table: pd.DataFrame) -> Figure:
    """Bits about the class and about the synonym by layer, a panel for each and probe; dashed: all there are."""
    probes = list(table["probe"].unique())
    figure = Figure(figsize=(5.2 * len(PARTS), 3.8 * len(probes) + 0.6), layout="constrained")
    panels = figure.subplots(len(probes), len(PARTS), sharex=True, sharey="col", squeeze=False)
    for line, probe in zip(panels, probes, strict=True):
        for axes, part in zip(line, PARTS, strict=True):
            rows = table[(table["probe"] == probe) & (table["quantity"] == part)]
            _arms(axes, rows, "layer")
            axes.axhline(rows["exact"].iloc[0], color="grey", linestyle="--", linewidth=1)
            axes.set(title=f"{NAMES[part]}, {probe}", ylabel="bits per token", xticks=sorted(set(rows["layer"])))
    for axes in panels[-1]:
        axes.set_xlabel("layer")
    _legend(figure)
    return figure


def language_steps(table: pd.DataFrame) -> Figure:
    """Over training: the gap to the least cost, and bits about the class and about the synonym at the last layer."""
    titles = {"gap": "bits above the least cost"} | {part: f"bits about {NAMES[part]}" for part in PARTS}
    figure = Figure(figsize=(4.4 * len(titles), 4.4), layout="constrained")
    for axes, (quantity, title) in zip(figure.subplots(1, len(titles)), titles.items(), strict=True):
        _arms(axes, table[table["quantity"] == quantity], "step")
        axes.set_xscale("symlog", linthresh=1)
        axes.set(title=title, xlabel="step", xlim=(0, table["step"].max()))
    _legend(figure)
    return figure


def language_estimators(table: pd.DataFrame) -> Figure:
    """Information about the token by layer, one panel for each estimator."""
    names = list(table["estimator"].unique())
    figure = Figure(figsize=(13, 4.0 * -(-len(names) // 3)), layout="constrained")
    panels = figure.subplots(-(-len(names) // 3), 3, sharex=True, squeeze=False)
    for axes, name in zip(panels.flat, names, strict=False):
        rows = table[table["estimator"] == name]
        _arms(axes, rows, "layer")
        axes.set(title=name, ylabel="bits per token", xticks=sorted(set(rows["layer"])))
        axes.set_ylim(bottom=min(0, rows["estimate"].min()))
    for axes in panels[-1]:
        axes.set_xlabel("layer")
    _legend(figure)
    return figure


def language_factors(table: pd.DataFrame) -> Figure:
    """What each ingredient changes, in bits about the synonym at the last layer; hollow: not all networks learned."""
    pairs = list(dict.fromkeys(zip(table["arm"], table["against"], strict=True)))
    figure = Figure(figsize=(11, 0.42 * len(pairs) + 1.8), layout="constrained")
    axes = figure.subplots()
    for number, probe in enumerate(table["probe"].unique()):
        for passed in (True, False):
            rows = table[(table["probe"] == probe) & (table["learned"] == passed)]
            if rows.empty:
                continue
            heights = [pairs.index(pair) + 0.24 * number for pair in zip(rows["arm"], rows["against"], strict=True)]
            look = {"color": f"C{number}", "markerfacecolor": f"C{number}" if passed else "white", "markersize": 6}
            points(axes, rows, heights, label=probe if passed else f"{probe}, not learned", **look)
    axes.axvline(0, color="grey", linewidth=1)
    axes.set_yticks([place + 0.12 for place in range(len(pairs))], [f"{arm} − {against}" for arm, against in pairs])
    axes.set_xlabel("bits about the synonym: difference at the last layer")
    axes.tick_params(axis="y", labelsize=10)
    axes.invert_yaxis()
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def language_claims(table: pd.DataFrame) -> Figure:
    """The primary claims. All have the same setting, so that only the arms are named."""
    rows = table[table["primary"]].reset_index(drop=True)
    rows = rows.assign(model=rows["model"].str.removesuffix(WHERE), reading=None, probe=None, train_sentences=None)
    return claims_figure.draw(rows, relevant=RELEVANT)


def _arms(axes: Axes, rows: pd.DataFrame, x: str) -> None:
    for arm, part in rows.groupby("arm", sort=False):
        curve(axes, part, x, color=COLOURS[arm], marker=".", label=arm)


def _legend(figure: Figure) -> None:
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
