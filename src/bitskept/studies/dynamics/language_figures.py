"""The figures of notebook 05 about languages with a truth, each drawn from its table."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bitskept.base.figures import curve, legend_below, points, possible
from bitskept.studies.dynamics.language_arms import BERT, FIRST, MASK, NEXT, SECOND
from bitskept.studies.dynamics.language_tables import PARTS, synonyms

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
            exact = rows["exact"].iloc[0]
            _arms(axes, possible(rows, exact), "layer")
            axes.axhline(exact, color="grey", linestyle="--", linewidth=1)
            axes.set(title=f"{NAMES[part]}, {probe}", ylabel="bits per token", xticks=sorted(set(rows["layer"])))
    for axes in panels[-1]:
        axes.set_xlabel("layer")
    return legend_below(figure, columns=3)


def language_steps(table: pd.DataFrame) -> Figure:
    """Over training: the gap to the least cost, and bits about the class and about the synonym at the last layer."""
    titles = {"gap": "bits above the least cost"} | {part: f"bits about {NAMES[part]}" for part in PARTS}
    figure = Figure(figsize=(4.4 * len(titles), 4.4), layout="constrained")
    for axes, (quantity, title) in zip(figure.subplots(1, len(titles)), titles.items(), strict=True):
        rows = table[table["quantity"] == quantity]
        _arms(axes, rows if quantity == "gap" else possible(rows, rows["estimate"].max()), "step")
        axes.set_xscale("symlog", linthresh=1)
        axes.set(title=title, xlabel="step", xlim=(0, table["step"].max()))
    return legend_below(figure, columns=3)


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
    return legend_below(figure, columns=3)


def language_seeds(table: pd.DataFrame) -> Figure:
    """Bits about the synonym at the last layer, a point for each run, a line for each arm and a panel for each probe;
    hollow: it has not learned. The dashed line is all there is.
    """
    rows = synonyms(table)
    arms, probes = list(rows["arm"].unique()), list(rows["probe"].unique())
    figure = Figure(figsize=(11, 0.34 * len(arms) + 1.8), layout="constrained")
    panels = figure.subplots(1, len(probes), sharex=True, sharey=True, squeeze=False)[0]
    for axes, probe in zip(panels, probes, strict=True):
        for arm, part in rows[rows["probe"] == probe].groupby("arm", sort=False):
            colour, heights = COLOURS.get(arm, "0.35"), [arms.index(arm)] * len(part)
            filled = [colour if learned else "white" for learned in part["learned"]]
            axes.scatter(part["estimate"], heights, c=filled, edgecolors=colour, alpha=0.8, zorder=3)
        axes.axvline(rows["exact"].iloc[0], color="grey", linestyle="--", linewidth=1)
        axes.set(title=probe, xlabel="bits about the synonym")
        axes.set_yticks(range(len(arms)), arms)
        axes.tick_params(axis="y", labelsize=10)
    panels[0].invert_yaxis()
    return figure


def language_needed(table: pd.DataFrame) -> Figure:
    """Bits about the synonym by layer, where nothing needs it and where the future does (dashed), a column for each
    arm and a line of panels for each probe; thin and without an interval: no run has learned. The grey line is all
    there is.
    """
    rows = table[table["quantity"] == "synonym_bits"]
    arms, probes = list(rows["arm"].unique()), list(rows["probe"].unique())
    figure = Figure(figsize=(4.2 * len(arms), 3.4 * len(probes) + 0.8), layout="constrained")
    panels = figure.subplots(len(probes), len(arms), sharex=True, sharey=True, squeeze=False)
    looks = {FIRST: ("nothing needs it", "C0", "-"), SECOND: ("the future needs it", "C3", "--")}
    for line, probe in zip(panels, probes, strict=True):
        for axes, arm in zip(line, arms, strict=True):
            part = rows[(rows["probe"] == probe) & (rows["arm"] == arm)]
            part = possible(part, part["exact"].iloc[0])
            for language, curves in part.groupby("language", sort=False):
                label, colour, style = looks[language]
                if curves["learned"].all():
                    curve(axes, curves, "layer", marker=".", label=label, color=colour, linestyle=style)
                else:
                    axes.plot(curves["layer"], curves["estimate"], ":", label=f"{label}, not learned", color="0.6")
            axes.axhline(part["exact"].iloc[0], color="grey", linewidth=1)
            axes.set(title=f"{arm}, {probe}", xticks=sorted(set(rows["layer"])))
        line[0].set_ylabel("bits about the synonym")
    for axes in panels[-1]:
        axes.set_xlabel("layer")
    return legend_below(figure, columns=3)


def language_factors(table: pd.DataFrame) -> Figure:
    """What each ingredient changes, in bits about the synonym at the last layer; hollow: no run of an arm has learned.
    Grey: how far the runs of the arm that it is compared with lie from their own mean.
    """
    pairs = list(dict.fromkeys(zip(table["arm"], table["against"], strict=True)))
    figure = Figure(figsize=(11, 0.42 * len(pairs) + 1.8), layout="constrained")
    axes = figure.subplots()
    for number, probe in enumerate(table["probe"].unique()):
        for passed in (True, False):
            rows = table[(table["probe"] == probe) & (table["learned"] == passed)]
            if rows.empty:
                continue
            heights = [pairs.index(pair) + 0.24 * number for pair in zip(rows["arm"], rows["against"], strict=True)]
            left, width = rows["lowest"] - rows["second"], rows["highest"] - rows["lowest"]
            axes.barh(heights, width, left=left, height=0.24, color="0.85", zorder=0)
            look = {"color": f"C{number}", "markerfacecolor": f"C{number}" if passed else "white", "markersize": 6}
            points(axes, rows, heights, label=probe if passed else f"{probe}, not learned", **look)
    axes.axvline(0, color="grey", linewidth=1)
    single = set(table.loc[table["runs"] == 1, "arm"])
    names = [f"{arm} − {against}{' (1 run)' if arm in single else ''}" for arm, against in pairs]
    axes.set_yticks([place + 0.12 for place in range(len(pairs))], names)
    factors = table.drop_duplicates(["arm", "against"])["factor"].tolist()
    for place in range(1, len(pairs)):
        if factors[place] != factors[place - 1]:
            axes.axhline(place - 0.38, color="0.6", linewidth=0.8, linestyle=":")
    axes.set_xlabel("bits about the synonym: difference at the last layer")
    axes.tick_params(axis="y", labelsize=10)
    axes.grid(visible=False, axis="y")
    axes.set_ylim(len(pairs) - 0.38, -0.38)
    return legend_below(figure, columns=4)


def _arms(axes: Axes, rows: pd.DataFrame, x: str) -> None:
    for arm, part in rows.groupby("arm", sort=False):
        label = arm if part["learned"].all() else f"{arm}, not learned"
        curve(axes, part, x, color=COLOURS[arm], marker=".", label=label)
