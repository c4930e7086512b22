"""Parts of specifications in Vega-Lite, for the pictures of the page Explore."""

from collections.abc import Iterable
from typing import Any

Rows = list[dict[str, Any]]
Spec = dict[str, Any]
COLOURS = ["#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161"]
"""The figures' own, for colour-blind readers."""


def values(rows: Rows, name: str) -> list[Any]:
    """The different values of a column, in order of appearance."""
    return list(dict.fromkeys(row[name] for row in rows))


def spec(
    rows: Rows,
    params: list[Spec],
    title: str,
    filters: Iterable[str],
    encoding: Spec,
    marks: list[Spec],
    legend: str = "",
) -> Spec:
    """A picture as wide as its page; a click on the legend singles one of its entries out."""
    if legend:
        params = [*params, {"name": "picked", "select": {"type": "point", "fields": [legend]}, "bind": "legend"}]
    # A selection belongs to a view, so it is put into the first layer; inputs belong to the whole picture.
    inputs, selections = [[p for p in params if ("select" in p) is wanted] for wanted in (False, True)]
    marks = [marks[0] | {"params": selections}, *marks[1:]]
    plain = {"labelColor": "currentColor", "titleColor": "currentColor", "labelFontSize": 12, "titleFontSize": 12}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": "container",
        "height": 320,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "title": {"text": {"expr": title}, "anchor": "start", "color": "currentColor"},
        "data": {"values": rows},
        "params": inputs,
        "transform": [{"filter": text} for text in filters],
        "encoding": encoding,
        "layer": marks,
        "config": {
            "background": None,
            "view": {"stroke": None},
            "axis": plain | {"gridOpacity": 0.3},
            "legend": plain | {"orient": "bottom", "columns": 2},
        },
    }


def keep(rows: Rows, *names: str) -> Rows:
    """The rows with these columns only."""
    return [{name: row[name] for name in names if name in row} for row in rows]


def select(name: str, label: str, options: list[Any], value: Any) -> Spec:
    """A list to choose from."""
    return {"name": name, "value": value, "bind": {"input": "select", "options": options, "name": label}}


def quantity(
    field: str, title: str, *, domain: list[float] | None = None, scale: str = "linear", format: str = ""
) -> Spec:
    """An axis of numbers."""
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "axis": {"format": format} if format else {},
        "scale": {"type": scale} | ({"domain": domain} if domain else {}),
    }


def colour(field: str, rows: Rows) -> Spec:
    """A colour for each value of these rows, whichever of them are shown."""
    scale = {"domain": values(rows, field), "range": COLOURS}
    return {"field": field, "type": "nominal", "scale": scale, "title": None}


def interval(y: Spec) -> Spec:
    """A bar from the low end of an interval to its high end."""
    return {"mark": "rule", "encoding": {"y": y | {"field": "low"}, "y2": {"field": "high"}, "opacity": faded(0.5)}}


def faded(opacity: float) -> Spec:
    """What is not singled out in the legend is faded."""
    return {"condition": {"param": "picked", "value": opacity}, "value": opacity / 10}


def tips(*fields: str) -> list[Spec]:
    """What is shown at the pointer."""
    return [
        {"field": field}
        | (
            {"format": ".3~g"}
            if field in ("estimate", "low", "high", "complexity", "expressivity", "without_state")
            else {}
        )
        for field in fields
    ]
