"""The figure of notebook 08 about who wrote a text, drawn from its table."""

from collections.abc import Iterable

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bitskept.base.figures import curve
from bitskept.studies.output.detection import HIDDEN, OWN, PEOPLE, TEXT
from bitskept.studies.output.detection_errors import ALARM, CONSTANT, MISS, Z
from bitskept.studies.output.section import OutputUncertainty

FLOOR = 1e-3
"""Errors are drawn down to this share; none at all is drawn there."""
TICKS = {FLOOR: "none", 0.01: "1%", 0.1: "10%", 1.0: "100%"}


def detection(table: pd.DataFrame, section: OutputUncertainty) -> Figure:
    """A row for each model that tests. Left: the mean of the statistic over texts, with its spread. Middle: the test
    that needs no other text, and the share of each writer's texts that it rejects. Right: both errors with a constant
    threshold, on a logarithmic scale.
    """
    read = table[table["reading"] == TEXT]
    evaluators = list(read["evaluator"].unique())
    colours = {name: f"C{place}" for place, name in enumerate(read["writer"].unique())}
    figure = Figure(figsize=(14, 4.6 * len(evaluators) + 1.0), layout="constrained")
    for (left, middle, right), name in zip(figure.subplots(len(evaluators), 3, squeeze=False), evaluators, strict=True):
        rows = read[read["evaluator"] == name]
        unknown = table[(table["reading"] == HIDDEN) & (table["evaluator"] == name) & (table["test"] == Z)]
        _concentration(left, rows[rows["panel"] == "concentration"], colours)
        errors = rows[rows["panel"] == "errors"]
        _rejected(middle, errors[errors["test"] == Z], colours)
        curve(middle, unknown, "length", share=True, color="0.5", linestyle="--", label="its own, opening unknown")
        middle.axhline(section.detection.alpha, color="black", linestyle=":", linewidth=1)
        middle.set_title(f"test of size {section.detection.alpha:.0%}")
        _errors(right, errors[errors["test"] == CONSTANT], colours)
        left.set_title(f"tested by {name}", loc="left")
        for axes in (left, middle, right):
            axes.set_xlabel("tokens of the text")
    _legend(figure, figure.axes)
    return figure


def _concentration(axes: Axes, rows: pd.DataFrame, colours: dict[str, str]) -> None:
    wide = rows.pivot(index=["writer", "length"], columns="quantity", values="estimate")
    for name in rows["writer"].unique():
        part = wide.loc[name]
        axes.plot(part.index, part["mean"], color=colours[name], label=_label(name))
        ends = (part["mean"] - part["spread"], part["mean"] + part["spread"])
        axes.fill_between(part.index, *ends, color=colours[name], alpha=0.15, linewidth=0)
    theory = wide.loc[OWN, "spread by theory"]
    for sign in (-1, 1):
        label = "spread of its own by theory" if sign > 0 else None
        axes.plot(theory.index, sign * theory, color=colours[OWN], linestyle=":", linewidth=1.5, label=label)
    axes.axhline(0, color="grey", linewidth=1)
    axes.set_ylabel("log-perplexity − entropy\n(bits per token, mean ± spread)")


def _rejected(axes: Axes, rows: pd.DataFrame, colours: dict[str, str]) -> None:
    for name, part in rows.groupby("writer", sort=False):
        if name != OWN:
            part = part.assign(estimate=1 - part["estimate"], low=1 - part["high"], high=1 - part["low"])
        curve(axes, part, "length", share=True, color=colours[str(name)], marker=".")
    axes.set(ylabel="texts that are rejected", ylim=(0, 1.02))


def _errors(axes: Axes, rows: pd.DataFrame, colours: dict[str, str]) -> None:
    for (name, error), part in rows.groupby(["writer", "error"], sort=False):
        shown = part.assign(**{end: part[end].clip(lower=FLOOR) for end in ("estimate", "low", "high")})
        style = {ALARM: "--", MISS: "-"}[str(error)]
        curve(axes, shown, "length", color=colours[str(name)], linestyle=style, marker=".")
    axes.set(yscale="log", ylim=(FLOOR / 1.2, 1.1), ylabel="errors: misses (—), false alarms (– –)")
    axes.set_yticks(list(TICKS), TICKS.values())
    axes.set_title("constant threshold")


def _label(name: str) -> str:
    return {OWN: "its own texts", PEOPLE: "people's texts"}.get(name, f"by {name}")


def _legend(figure: Figure, panels: Iterable[Axes]) -> None:
    handles = {}
    for axes in panels:
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
