"""Figures of notebook 04 that compare estimators, texts, runs or models; `figures` passes them on."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bitskept.base.figures import colour, colours_by_family, label_points, legend_below, points
from bitskept.instruments import claims_figure
from bitskept.instruments.claims import CONTROL, LEVEL, without_brackets
from bitskept.instruments.soft_entropy.compression import KINDS
from bitskept.instruments.training.twin_runs import COLOURS
from bitskept.studies.bottleneck.claims import NEAR, PART, PREFERENCE, REFERENCE, RELEVANT
from bitskept.studies.bottleneck.correlations import QUANTITIES
from bitskept.studies.bottleneck.floor_alone import TEXT, VOCABULARY
from bitskept.studies.bottleneck.over_runs import LEAST, SHOWN

STYLES = {"raw": ("C3", "s", "--"), "corrected": ("C0", "o", "-"), "extrapolated": ("C2", "^", "-.")}
TITLES = {VOCABULARY: "models with more types", TEXT: "models that are given more text"}
UNTESTED = {"color": "0.35", "marker": "o", "markerfacecolor": "white", "linestyle": "none"}
MANY = 20
"""With more models than this, each panel takes the whole width."""


def exactness(table: pd.DataFrame) -> Figure:
    """Mean estimates of samples of each size beside the exact value (black). Markers differ in size: some coincide."""
    sources, quantities = table["source"].unique(), table["quantity"].unique()
    figure = Figure(figsize=(4.6 * len(quantities), 3.9 * len(sources)), layout="constrained")
    panels = figure.subplots(len(sources), len(quantities), squeeze=False)
    for line, source in zip(panels, sources, strict=True):
        for axes, quantity in zip(line, quantities, strict=True):
            rows = table[(table["source"] == source) & (table["quantity"] == quantity)]
            for size, (kind, (shade, marker, style)) in zip((14, 9, 6), STYLES.items(), strict=True):
                drawn = rows[rows["kind"] == kind]
                look = {"color": shade, "marker": marker, "markersize": size, "linestyle": style, "label": kind}
                axes.plot(drawn["sentences"], drawn["estimate"], **look)
            axes.axhline(rows["exact"].iloc[0], color="black", linewidth=1.5, label="exact", zorder=1)
            sizes = rows["sentences"].unique()
            top = 1.08 * rows[["estimate", "exact"]].max(axis=None)
            axes.set(xscale="log", ylim=(0, top), title=f"{source}: {quantity}", xlabel="sentences")
            axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
            axes.minorticks_off()
            axes.set_ylabel("ratio" if quantity == "optimality" else "bits per token")
    return legend_below(figure, panels[0, 0])


def documents(table: pd.DataFrame) -> Figure:
    """Labels seen once, and optimality raw and corrected, by width, for each text."""
    figure = Figure(figsize=(15, 4.8), layout="constrained")
    panels = figure.subplots(1, 3)
    titles = {"unique_input": "labels seen once", "optimality": "optimality, raw"}
    titles |= {"optimality_corrected": "optimality, corrected"}
    texts = list(table.groupby(["corpus", "longest"], sort=False))
    for axes, (quantity, title) in zip(panels, titles.items(), strict=True):
        for place, ((corpus, longest), rows) in enumerate(texts):
            drawn = rows[rows["quantity"] == quantity]
            label = f"{corpus}, up to {longest} tokens ({rows['n'].max():,} places)"
            axes.plot(drawn["width"], drawn["estimate"], "o-", color=f"C{place}", label=label)
            axes.fill_between(drawn["width"], drawn["low"], drawn["high"], color=f"C{place}", alpha=0.15, linewidth=0)
        axes.set(title=title, ylim=(0, 1.05), xlabel="width of the label (tokens)", xticks=table["width"].unique())
    panels[0].set_ylabel("share of places")
    return legend_below(figure, panels[0], columns=2)


def runs(table: pd.DataFrame) -> Figure:
    """Above, each run of notebook 05 by what is left of its ranks; below, partial rank correlations of all measures,
    with what would not have been seen in grey and, for those that are tested, their intervals. One column for each
    target; what has too few runs for a p-value is left out.
    """
    targets, drawn = table["target"].unique(), table[table["run"].notna()]
    figure = Figure(figsize=(16, 10), layout="constrained")
    above, below = figure.subplots(2, len(targets), squeeze=False, height_ratios=(1, 1.15))
    for places, target in zip(zip(above, below, strict=True), targets, strict=True):
        known = table[(table["target"] == target) & table["run"].isna()].reset_index(drop=True)
        enough = known["n"] - known["controls"] >= LEAST
        lacking = "" if enough.any() else ", too few to test"
        lacking = lacking if known["able"].astype(bool).all() else ", not above guessing"
        places[0].set_title(f"{target.replace('_', ' ')}\n({known['n'].max():.0f} runs{lacking})", fontsize=13)
        _left_of_runs(places[0], drawn[(drawn["target"] == target) & enough.any()])
        _partial(places[1], known.assign(estimate=known["estimate"].where(enough)))
    above[0].set_ylabel("target: rank residual")
    for axes in below[1:]:
        axes.set_yticklabels([])
    kinds = [name for name in COLOURS if name in set(drawn["twin"])]
    dots = [Line2D([], [], marker="o", linestyle="none", color=COLOURS[name], label=name) for name in kinds]
    figure.legend(handles=dots, loc="outside right upper", title="runs (larger: more weights)")
    marks = [
        Line2D([], [], color="0.35", marker="o", label="95 % interval"),
        Line2D([], [], **UNTESTED, label="not tested"),
        Line2D([], [], color="black", marker="D", linestyle="none", label="significant (Holm)"),
        Patch(color="0.92", label="too small to be seen"),
    ]
    figure.legend(handles=marks, loc="outside right lower")
    return figure


def _left_of_runs(axes: Axes, rows: pd.DataFrame) -> None:
    weights = rows["weights"].astype(float)
    look = {"color": [COLOURS[twin] for twin in rows["twin"]], "alpha": 0.85, "edgecolors": "white"}
    axes.scatter(rows["left_of_measure"], rows["left_of_target"], 15 + 75 * weights / weights.max(), **look)
    axes.set_xlabel(f"{SHOWN.replace('_', ' ')}: rank residual", fontsize=11)
    if rows.empty:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "too few runs", ha="center", color="grey", transform=axes.transAxes)


def _partial(axes: Axes, rows: pd.DataFrame) -> None:
    heights = np.arange(len(rows), 0.0, -1)
    tested = rows["p"].notna().to_numpy()
    seen = rows.loc[tested, "detectable"].max()
    if pd.notna(seen):
        axes.axvspan(-seen, seen, color="0.92", zorder=0)
    points(axes, rows[tested], heights[tested].tolist(), color="0.35")
    axes.plot(rows.loc[~tested, "estimate"], heights[~tested], **UNTESTED)
    sure = (rows["p_holm"] < LEVEL).to_numpy()
    axes.plot(rows.loc[sure, "estimate"], heights[sure], "D", color="black", markersize=9, zorder=3)
    axes.axvline(0, color="grey", linewidth=1)
    axes.set_yticks(heights, rows["measure"].str.replace("_", " "))
    axes.set(xlim=(-1.05, 1.05), ylim=(0.4, len(rows) + 0.6), xticks=[-1, -0.5, 0, 0.5, 1])
    axes.set_xlabel("partial rank correlation", fontsize=11)
    if rows["estimate"].isna().all():
        axes.text(0, heights.mean(), "too few runs", ha="center", color="grey")


def floor_alone(table: pd.DataFrame) -> Figure:
    """Optimality of made-up models that know the same, by the number of types and by the amount of text."""
    figure = Figure(figsize=(13, 4.8), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    models, found = table[table["size"].notna()], table[table["size"].isna()].set_index(["varied", "kind"])
    for axes, (varied, title) in zip(panels, TITLES.items(), strict=True):
        for kind, (shade, marker, _) in STYLES.items():
            rows = models[(models["varied"] == varied) & (models["kind"] == kind)]
            label = f"{kind}: ρ = {found.loc[(varied, kind), 'estimate']:+.2f}"
            axes.plot(rows["size"], rows["estimate"], marker, color=shade, alpha=0.75, label=label)
        axes.set(xscale="log", title=title)
        axes.legend(loc="lower left")
    panels[0].set(xlabel="types in the text", ylabel="optimality", ylim=(0, 1.05 * models["estimate"].max()))
    panels[1].set(xlabel="positions")
    return figure


def correlations(table: pd.DataFrame) -> Figure:
    """The paper's four coefficients beside those found here; above them, where scores are known, optimality of each
    model against its score. Without any, how many models it takes to see the paper's.
    """
    models, four = table[table["average"].notna()], table[table["model"].isna()]
    if models.empty:
        figure = Figure(figsize=(11, 4), layout="constrained")
        _needed(figure.subplots(), four)
        return figure
    many = models["model"].nunique() > MANY
    figure = Figure(figsize=(13, 23) if many else (15, 9), layout="constrained")
    grid = [["raw"], ["corrected"], ["four"]] if many else [["raw", "corrected"], ["four", "four"]]
    heights = (4, 4, 1.2) if many else (1.8, 1)
    panels = list(figure.subplot_mosaic(grid, height_ratios=heights).values())
    named = [
        (axes, _models(axes, models[models["quantity"] == f"optimality{end}"], kind))
        for axes, (end, kind) in zip(panels, list(KINDS.items())[:2], strict=False)
    ]
    _coefficients(panels[2], four)
    for axes, places in named:
        if places:
            label_points(axes, places, size=11 if not many else 9 if len(places) <= 2 * MANY else 7)
    return figure


def _models(axes: Axes, rows: pd.DataFrame, kind: str) -> dict[str, tuple[float, float]]:
    """Draw a point for each model, as large as the logarithm of its weights; the places, by name."""
    rows = rows.dropna(subset="estimate")
    colours = colours_by_family(rows["model"])
    for row in rows.to_dict("records"):
        error = [[row["estimate"] - row["low"]], [row["high"] - row["estimate"]]]
        large = 3 + 2.2 * max(0.0, np.log10(max(row["parameters"], 1)) - 7)
        shade = colours[row["model"]]
        look = {"fmt": "o", "markersize": large, "elinewidth": 1, "ecolor": (*shade, 0.35)}
        axes.errorbar(row["average"], row["estimate"], error, color=shade, **look)
    title = f"{kind}; larger points have more weights"
    axes.set(title=title, xlabel="average score", ylabel="token optimality")
    return {row["model"]: (row["average"], row["estimate"]) for row in rows.to_dict("records")}


def _needed(axes: Axes, four: pd.DataFrame) -> None:
    """How many models it takes to see each of the paper's coefficients."""
    heights = np.arange(len(four), 0.0, -1)
    axes.plot(four["needed"], heights, "o", color="C0", zorder=3, label="in one test")
    look = {"color": "C0", "markerfacecolor": "white", "zorder": 3}
    axes.plot(four["needed_of_all"], heights, "s", **look, label=f"in the strictest of {len(QUANTITIES)} tests")
    axes.hlines(heights, four["needed"], four["needed_of_all"], color="C0", linewidth=1)
    names = zip(four["quantity"].str.replace("_", " "), four["reported"], strict=True)
    axes.set_yticks(heights, [f"{name}: {value:+.2f}" for name, value in names])
    axes.set(xscale="log", ylim=(0.4, len(four) + 0.6), xlabel="models it takes to see it 80 % of the time")
    axes.set_xticks([10, 30, 100, 300, 1000, 3000], ["10", "30", "100", "300", "1,000", "3,000"])
    axes.minorticks_off()
    axes.set_title(f"The paper's coefficients (models with a score here: {int(four['n'].max())})", loc="left")
    axes.legend(loc="upper right")


def _coefficients(axes: Axes, four: pd.DataFrame) -> None:
    four = four.reset_index(drop=True)
    heights = np.arange(len(four), 0.0, -1)
    axes.plot(four["reported"], heights, "D", color="black", label="the paper, 47 models")
    if four["estimate"].notna().any():
        points(
            axes, four, heights.tolist(), color=colour("found here"), label=f"found here, {int(four['n'].max())} models"
        )
    axes.axvline(0, color="grey", linewidth=1)
    axes.set_yticks(heights, four["quantity"].str.replace("_", " "))
    axes.set(xlim=(-1.05, 1.05), ylim=(0.4, len(four) + 0.6), xlabel="rank correlation with the average score")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)


def claims(table: pd.DataFrame) -> Figure:
    """The primary rows of the paper's claims and of the two controls that stand in for what it says of its bound and of
    preferences; of what is not tested each claim once.
    """
    beside = without_brackets(table["claim"]).isin([REFERENCE.text, PREFERENCE.text])
    primary = table[table["primary"] & ((table["paper"] != CONTROL) | beside)]
    once = (primary["outcome"] != "not tested") | ~primary.duplicated("claim")
    return claims_figure.draw(primary[once], relevant=RELEVANT, shares={PART: NEAR})
