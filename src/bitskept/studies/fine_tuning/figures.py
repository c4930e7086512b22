"""The figures of notebook 03, each drawn from its table."""

from collections.abc import Collection

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from bitskept.base.figures import FULL_SHARE, curve, points
from bitskept.instruments import claims_figure
from bitskept.instruments.claims import BORDER
from bitskept.studies.fine_tuning.checks import MASKED
from bitskept.studies.fine_tuning.claims import RELEVANT, described
from bitskept.studies.fine_tuning.doses import NAMED, against_before
from bitskept.studies.fine_tuning.runs import CLAIMED, at_first_rate
from bitskept.studies.fine_tuning.task_scores import guessing, recoverability

LOOKS = {
    "before": {"color": "black", "marker": "s", "linestyle": "-"},
    "recoverability": {"color": "C0", "marker": "o", "linestyle": "-"},
    "continued": {"color": "C1", "marker": "^", "linestyle": "--"},
    "permuted": {"color": "C2", "marker": "v", "linestyle": "-."},
    "sentence": {"color": "C3", "marker": "D", "linestyle": ":"},
}
"""The look of each arm, so that curves which coincide are both seen."""
POOLED = ("C4", "C5", "C7", "C9")
"""The colours of poolings, none of which is that of an arm."""
OUTCOMES = claims_figure.LOOK | {BORDER: claims_figure.LOOK["no"] | {"markerfacecolor": "white"}}
LEARNED = {"named": "share of targets named", "cross_entropy": "surprisal (bits per target)"}


def learning(table: pd.DataFrame) -> Figure:
    """Share named and surprisal of held-out targets over the steps of training at the first rate, one row of panels per
    model. Lines show the surprisal of those targets of *continued* that are hidden, where some are not, and that which
    the frequencies of the tokens alone leave.
    """
    table = at_first_rate(table)
    models = table["model"].unique()
    figure = Figure(figsize=(13, 4 * len(models)), layout="constrained")
    panels = figure.subplots(len(models), 2, sharex="row", squeeze=False)
    for line, model in zip(panels, models, strict=True):
        for axes, (quantity, name) in zip(line, LEARNED.items(), strict=True):
            rows = table[(table["model"] == model) & (table["quantity"] == quantity)]
            for arm, learned in rows.groupby("arm", sort=False):
                moved = learned.assign(place=_places(rows, learned))
                share = quantity == "named"
                curve(axes, moved, "place", share=share, label=arm, markersize=6, clip_on=False, **LOOKS[arm])
            if quantity == "cross_entropy":
                hidden = table[
                    (table["model"] == model) & (table["quantity"] == MASKED) & (table["arm"] == "continued")
                ]
                if len(hidden):
                    look = {"label": "continued, hidden targets", "markersize": 6, "markerfacecolor": "white"}
                    moved = hidden.assign(place=_places(rows, hidden))
                    curve(axes, moved, "place", **(LOOKS["continued"] | look | {"linewidth": 1.2}))
                axes.axhline(rows["frequencies"].iloc[0], color="0.4", linestyle=":", label="frequencies alone")
            _name_steps(axes, rows)
            axes.set(title=model, xlabel="step", ylabel=name, ylim=(0, 1.06 * max(rows["high"].max(), 0.97)))
    _legend_beside(figure)
    return figure


def layers(table: pd.DataFrame) -> Figure:
    """The share of H(X) that each layer keeps, by arm: one row of panels per probe, one column per model. The arms are
    moved apart by a fixed share of the distance between two layers, so that no mark comes near the next layer. The
    vertical axis of a model begins at the tenth below its data.
    """
    models = table["model"].unique()
    figure = Figure(figsize=(5.5 * len(models) + 2.5, 8), layout="constrained")
    panels = figure.subplots(2, len(models), sharex="col", sharey="col", squeeze=False)
    ends = table[["estimate", "low"]].min(axis=1).groupby(table["model"]).min()  # few sentences have no interval
    for line, probe in zip(panels, ("centroid", "ridge"), strict=True):
        for axes, model in zip(line, models, strict=True):
            rows = table[(table["model"] == model) & (table["probe"] == probe)]
            apart = 0.04 * np.diff(np.unique(rows["layer"].to_numpy(float))).min()
            for arm, kept in rows.groupby("arm", sort=False):
                moved = kept.assign(layer=kept["layer"] + apart * (list(LOOKS).index(arm) - 2))
                curve(axes, moved, "layer", share=True, bars=True, label=arm, markersize=6, linewidth=1.6, **LOOKS[arm])
            axes.set(title=f"{model}, {probe}", xlabel="layer" if probe == "ridge" else "")
            axes.set_ylim(np.floor(10 * ends[model]) / 10, FULL_SHARE[1])
            axes.set_xticks(np.unique(rows["layer"]))
        line[0].set_ylabel("retained share of H(X)")
    _legend_beside(figure)
    return figure


def scores(table: pd.DataFrame) -> Figure:
    """The scores of the last layer, by arm, one panel per model. A dotted line shows what guessing gives."""
    figure, panels = _panels(table, table["score"].unique(), height=0.62)
    for model, axes in panels.items():
        for place, (arm, look) in enumerate(LOOKS.items()):
            rows = table[(table["model"] == model) & (table["arm"] == arm)]
            if len(rows):
                heights = _heights(table, rows, "score", 0.15 * (place - 2))
                points(axes, rows, heights, fmt=look["marker"], color=look["color"], label=arm, markersize=5)
        guessed = table[table["model"] == model].drop_duplicates("score")
        heights = _heights(table, guessed, "score", 0.0)
        axes.vlines(
            guessed["score"].map(guessing), heights - 0.45, heights + 0.45, color="0.4", linestyle=":", label="guessing"
        )
        axes.set_xlabel("score")
    _legend_beside(figure)
    return figure


def differences(table: pd.DataFrame) -> Figure:
    """The scores after tuning for recoverability, less those before and those of each control, one panel per model.
    Only sure differences are filled.
    """
    table = table[table["arm"] == CLAIMED]
    figure, panels = _panels(table, table["score"].unique(), height=0.55)
    for model, axes in panels.items():
        for shift, against in zip((-0.22, 0, 0.22), ("before", "continued", "permuted"), strict=True):
            rows, look = table[(table["model"] == model) & (table["against"] == against)], LOOKS[against]
            for sure, part in rows.groupby(rows["sure"].isin(["above", "below"])):
                fill = {} if sure else {"markerfacecolor": "white"}
                style = {"fmt": look["marker"], "color": look["color"], "markersize": 6} | fill
                label = f"{against}, {'sure' if sure else 'not sure'}"
                points(axes, part, _heights(table, part, "score", shift), label=label, **style)
        axes.axvline(0, color="grey", linewidth=1)
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel("recoverability minus ...")
    _legend_beside(figure)
    return figure


def poolings(table: pd.DataFrame) -> Figure:
    """Each score before (hollow) and after (filled) tuning for recoverability, by pooling, with the interval of the
    change around the latter, one panel per model. Intervals are cut off outside the range of the scores, with an arrow.
    """
    table = recoverability(table)
    names, ends = table["pooling"].unique(), table[["before", "after"]].to_numpy()
    limits = ends.min() - 0.05, ends.max() + 0.05  # one long interval would set the scale for all
    figure, panels = _panels(table, table["task"].unique(), height=0.8)
    for model, axes in panels.items():
        for index, pooling in enumerate(names):
            rows, colour = table[(table["model"] == model) & (table["pooling"] == pooling)], POOLED[index]
            heights = _heights(table, rows, "task", 0.2 * index - 0.3)
            ends = rows[["low", "high"]].add(rows["after"] - rows["estimate"], axis=0)
            axes.hlines(heights, rows["before"], rows["after"], color=colour, linewidth=1, linestyle=":")
            axes.plot(rows["before"], heights, "o", color=colour, markerfacecolor="white", markersize=6)
            after = ends.assign(estimate=rows["after"])
            points(axes, after, heights, color=colour, label=pooling, markersize=5, elinewidth=1.6)
            for limit, cut, arrow in zip(
                limits, (ends["low"] < limits[0], ends["high"] > limits[1]), "<>", strict=True
            ):
                for height in heights[cut.to_numpy()]:
                    axes.plot(limit, height, arrow, color=colour, markersize=6, clip_on=False)
        axes.set(xlabel="score (hollow: before)", xlim=limits)
    _legend_beside(figure)
    return figure


def doses(table: pd.DataFrame) -> Figure:
    """Over the steps: the share of targets named, and the change of each score against the model before. One row of
    panels for each of these, one column for each model and rate. Each model has a vertical axis of its own.
    """
    table = against_before(table)
    names = table["score"].unique()
    settings = list(table[["model", "rate"]].drop_duplicates().itertuples(index=False))
    figure = Figure(figsize=(4.4 * len(settings) + 2, 3 * len(names)), layout="constrained")
    panels = figure.subplots(len(names), len(settings), sharex=True, squeeze=False)
    for line, score in zip(panels, names, strict=True):
        firsts: dict[str, Axes] = {}
        for axes, (model, rate) in zip(line, settings, strict=True):
            if firsts.setdefault(model, axes) is not axes:
                axes.sharey(firsts[model])
                axes.tick_params(labelleft=False)
            of_score = table[(table["model"] == model) & (table["score"] == score)]
            rows = of_score[of_score["rate"] == rate]
            if rows.empty:
                axes.set_axis_off()
                continue
            for arm, over_steps in rows.groupby("arm", sort=False):
                places = _places(table, over_steps) + 0.1 * (list(LOOKS).index(arm) - 2.5)
                ends = over_steps["estimate"] - over_steps["low"], over_steps["high"] - over_steps["estimate"]
                look = {"label": arm, "markersize": 6, "linewidth": 1.2, "elinewidth": 1.2, "capsize": 2} | LOOKS[arm]
                axes.errorbar(places, over_steps["estimate"], ends, **look)
            _name_steps(axes, table)
            if score == NAMED:
                if missing := [arm for arm in of_score["arm"].unique() if arm not in set(rows["arm"])]:
                    axes.text(0, 0.92, f"not run: {', '.join(missing)}", fontsize=11, color="0.3")
                axes.set_ylim(-0.05, 1.05)
                axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            else:
                axes.axhline(0, color="black", linewidth=1)
        line[0].set_ylabel(f"share of\n{score}" if score == NAMED else f"{score}:\nchange of score")
    for axes in panels[-1]:
        axes.set_xlabel("step")
    for axes, (model, rate) in zip(panels[0], settings, strict=True):
        axes.set_title(f"{model}\nrate {rate:g}")
    _legend_beside(figure)
    return figure


def claims(table: pd.DataFrame) -> Figure:
    """The smallest rise of each score against the model before and every control, with its interval and outcome, one
    panel per model and claimed arm (`claims.with_border`). Small: the same claim at other doses and under other
    poolings. Grey: what would not have been seen reliably.
    """
    table = described(table)
    names, arms = table["score"].unique(), list(table[["model", "arm"]].drop_duplicates().itertuples(index=False))
    figure = Figure(figsize=(4.6 * len(arms) + 4, 1.5 + 0.5 * len(names)), layout="constrained")
    panels = figure.subplots(1, len(arms), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (model, arm) in zip(panels, arms, strict=True):
        of_arm = table[(table["model"] == model) & (table["arm"] == arm)]
        main = of_arm[of_arm["primary"]]
        band = {"height": 0.9, "color": "0.9", "zorder": 0, "label": "too small to be seen reliably"}
        axes.barh(_heights(table, main, "score", 0.0), main["detectable"].clip(upper=1), **band)  # no score exceeds 1
        for height in np.setdiff1d(range(len(names)), _heights(table, main, "score", 0.0)):
            axes.text(0.06, height, "not tested", color="0.4", fontsize=10, va="center")
        small = of_arm[~of_arm["primary"]].sort_values("estimate", kind="stable")
        small = small.assign(lane=small.groupby("score").cumcount() % 4)  # neighbours beside each other, not on top
        for outcome, look in OUTCOMES.items():
            rows, others = (part[part["outcome"] == outcome] for part in (main, small))
            if len(others):
                heights = _heights(table, others, "score", 0.14) + 0.1 * others["lane"]
                style = {"linestyle": "none", "markersize": 4, "alpha": 0.6}
                axes.plot(others["estimate"], heights, **style, **look, label=f"{outcome}, other dose or pooling")
            if len(rows):
                look = look | {"label": outcome, "linestyle": "none", "markersize": 7, "elinewidth": 1.8}
                points(axes, rows, _heights(table, rows, "score", -0.15), fmt="", **look)
        axes.axvline(0, color="black", linewidth=1)
        axes.axvline(RELEVANT, color="black", linewidth=1, linestyle=":", label=f"{RELEVANT:g}: the least that counts")
        axes.set(
            title=f"{model}\n{arm}", xlabel="smallest rise of the score", yticks=range(len(names)), yticklabels=names
        )
        axes.locator_params(axis="x", nbins=4)
        axes.grid(visible=False, axis="y")
    panels[0].invert_yaxis()
    _legend_beside(figure, last="other dose or pooling")
    return figure


def _panels(table: pd.DataFrame, names: Collection[str], *, height: float) -> tuple[Figure, dict[str, Axes]]:
    """A figure with a panel for each model, side by side; the names are on the vertical axis, from the top down."""
    models = table["model"].unique()
    figure = Figure(figsize=(5.6 * len(models) + 2, 1.5 + height * len(names)), layout="constrained")
    panels = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
    for axes, model in zip(panels, models, strict=True):
        axes.set(title=model, yticks=range(len(names)), yticklabels=names)
    panels[0].invert_yaxis()
    return figure, dict(zip(models, panels, strict=True))


def _heights(table: pd.DataFrame, rows: pd.DataFrame, column: str, shift: float) -> np.ndarray:
    """The heights of the rows' names on the axis of the table's names, moved by `shift`."""
    return pd.Index(table[column].unique()).get_indexer(rows[column]) + shift


def _places(table: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    """The places of the rows' steps on an axis on which all steps of the table are evenly spaced."""
    return np.searchsorted(np.unique(table["step"]), rows["step"]).astype(float)


def _name_steps(axes: Axes, table: pd.DataFrame) -> None:
    steps = np.unique(table["step"])
    axes.set_xticks(range(len(steps)), [f"{step:g}" for step in steps])


def _legend_beside(figure: Figure, last: str = "none") -> None:
    """One legend for all panels, at the right: every label that one of them has, those that end in `last` below."""
    found = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    labels = sorted(found, key=lambda label: label.endswith(last))
    figure.legend([found[label] for label in labels], labels, loc="outside right center")
