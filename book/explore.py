"""The pictures of the page Explore: specifications in Vega-Lite, each with the rows of the committed tables in it."""

import csv
import json
from pathlib import Path

import vl_convert
from vega import COLOURS, Rows, Spec, colour, faded, interval, keep, quantity, select, spec, tips, values

POOLED = {"mean": "bag", "mean without first": "bag, without the first state", "last": "bag, last state"}
DRAW = """
for (const [id, spec] of Object.entries(specs)) {
  vegaEmbed('#' + id, spec, {renderer: 'svg', actions: false});
  // The library looks at the width once the window has another size, which is before the page has: say it again.
  new ResizeObserver(() => window.dispatchEvent(new Event('resize'))).observe(document.getElementById(id));
}"""
KINDS = ["raw", "corrected", "extrapolated"]


def write(tables: Path, folder: Path) -> None:
    """Write explore.js: the library, the specifications, and the call that draws each into the element of its name."""
    specs = {
        "explore-tour": tour(read(tables / "00_tour.csv")),
        "explore-layers": layers(tables),
        "explore-plane": plane(read(tables / "04_plane.csv")),
        "explore-optimality": optimality(read(tables / "04_optimality.csv")),
        "explore-twins": twins(tables),
    }
    for name, draw in zip(specs, (tour, layers, plane, optimality, twins), strict=True):
        specs[name]["description"] = draw.__doc__
    bundle = vl_convert.javascript_bundle(f"const specs = {json.dumps(specs)};\n{DRAW}\n")
    (folder / "explore.js").write_text(f"(() => {{{bundle}}})();\n", "utf-8")  # its names are its own


def read(path: Path) -> Rows:
    """The rows of a table, with numbers as numbers and empty fields left out."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: number(field) for name, field in row.items() if field} for row in csv.DictReader(file)]


def number(field: str) -> float | str:
    """A number, if it is one."""
    try:
        return float(field)
    except ValueError:
        return field


def tour(rows: Rows) -> Spec:
    """The tokens of the sentence with their surprisal, at a layer that a slider chooses."""
    tokens = [row for row in rows if row.get("quantity") == "surprisal" and "token" in row]
    steps = sorted(values(tokens, "layer"))
    for row in tokens:
        row["label"] = f"{row['position']:02.0f} {row['token']}"
        row["place"] = steps.index(row["layer"])
    across = {
        "field": "label",
        "type": "nominal",
        "sort": values(tokens, "label"),
        "title": None,
        "axis": {"labelExpr": "slice(datum.label, 3)"},
    }
    bar = {
        "mark": {"type": "bar", "cornerRadiusEnd": 2},
        "encoding": {
            "y": quantity("estimate", "surprisal, bits", domain=[0, max(row["without_state"] for row in tokens)]),
            "color": {
                "field": "correct",
                "type": "nominal",
                "title": "best guess",
                "scale": {"domain": ["True", "False"], "range": COLOURS[:2]},
                "legend": {"labelExpr": "datum.label == 'True' ? 'this token' : 'another'"},
            },
            "tooltip": tips("token", "layer", "estimate", "without_state", "seen"),
        },
    }
    tick = {
        "mark": {"type": "tick", "color": "gray", "thickness": 2},
        "encoding": {"y": {"field": "without_state", "type": "quantitative"}},
    }
    title = f"'after layer ' + {json.dumps([int(step) for step in steps])}[place]"
    slider = {
        "name": "place",
        "value": len(steps) - 1,
        "bind": {
            "input": "range",
            "min": 0,
            "max": len(steps) - 1,
            "step": 1,
            "name": "layer, from the first to the last ",
        },
    }
    return spec(tokens, [slider], title, ["datum.place == place"], {"x": across}, [bar, tick])


def layers(tables: Path) -> Spec:
    """What each layer keeps, by reading, probe and number of training sentences."""
    rows = [
        row | {"reading": POOLED[row["pooling"]] if "pooling" in row else row["reading"]}
        for name in ("02_probes", "02_learning", "02_readings", "02_sentence")
        for row in read(tables / f"{name}.csv")
        if row["reading"] != "token" or row["quantity"] == "retained_cross_entropy"
    ]
    chosen = ["reading", "probe", "train_sentences"]
    rows = list({tuple(row[name] for name in [*chosen, "model", "layer"]): row for row in rows}.values())
    rows = keep(rows, *chosen, "model", "layer", "depth", "estimate", "low", "high", "unit")
    options = {name: values(rows, name) for name in chosen}
    options["train_sentences"].sort()
    names = {"reading": "reading ", "probe": "probe ", "train_sentences": "training sentences "}
    most = {"reading": "token", "probe": "centroid", "train_sentences": options["train_sentences"][-1]}
    choices = [select(name, names[name], options[name], most[name]) for name in chosen]
    x = quantity("depth", "depth: the layer over their number", domain=[0, 1])
    encoding = {"x": x, "color": colour("model", rows)}
    y = quantity("estimate", "share kept", domain=[0, 1], format="%")
    curve = [
        interval(y),
        {
            "mark": {"type": "line", "point": True},
            "encoding": {
                "y": y,
                "opacity": faded(1),
                "tooltip": tips("model", "layer", "estimate", "low", "high", "unit"),
            },
        },
    ]
    measured = sorted({f"{row['reading']}/{row['probe']}/{row['train_sentences']:.0f}" for row in rows})
    combination = "reading + '/' + probe + '/' + train_sentences"
    title = (
        f"indexof({json.dumps(measured)}, {combination}) < 0 ? 'not measured: choose another combination' : "
        "reading == 'token' ? 'share of H(X)' : 'share of the usable bits'"
    )
    return spec(rows, choices, title, [f"datum.{name} == {name}" for name in chosen], encoding, curve, "model")


def plane(points: Rows) -> Spec:
    """The information plane: every layer of each model, for labels of one token."""
    rows = [row for row in points if row["kind"] in KINDS]
    rows = keep(rows, "model", "kind", "layer", "complexity", "expressivity")
    choices = [select("kind", "information ", KINDS, "corrected")]
    encoding = {
        "x": quantity("complexity", "complexity, soft bits"),
        "y": quantity("expressivity", "expressivity, soft bits"),
        "color": colour("model", rows),
        "order": {"field": "layer", "type": "quantitative"},
        "opacity": faded(1),
        "tooltip": tips("model", "layer", "complexity", "expressivity"),
    }
    marks = [{"mark": {"type": "line", "opacity": 0.4}}, {"mark": {"type": "point", "filled": True, "size": 60}}]
    return spec(rows, choices, "kind", ["datum.kind == kind"], encoding, marks, "model")


def optimality(rows: Rows) -> Spec:
    """Optimality by depth, for a width of the label and a correction."""
    for row in rows:
        row["kind"] = row["quantity"].partition("_")[2] or "raw"
    rows = keep(
        [row for row in rows if "estimate" in row],
        "model",
        "kind",
        "width",
        "layer",
        "depth",
        "estimate",
        "low",
        "high",
    )
    widths = sorted(values(rows, "width"))
    slider = {
        "name": "tokens",
        "value": widths[0],
        "bind": {"input": "range", "min": widths[0], "max": widths[-1], "step": 1, "name": "tokens in a label "},
    }
    choices = [select("kind", "optimality ", KINDS, "corrected"), slider]
    y = quantity("estimate", "expressivity over complexity")
    encoding = {
        "x": quantity("depth", "depth: the layer over their number"),
        "y": y,
        "color": colour("model", rows),
        "opacity": faded(1),
        "tooltip": tips("model", "layer", "width", "estimate", "low", "high"),
    }
    marks = [{"mark": {"type": "line", "point": True, "clip": True}}]
    title = "kind + ', labels of ' + tokens + (tokens > 1 ? ' tokens' : ' token')"
    return spec(rows, choices, title, ["datum.kind == kind", "datum.width == tokens"], encoding, marks, "model")


def twins(tables: Path) -> Spec:
    """The twins over training: what a layer keeps, where they lie in the information plane, and their ranks."""
    kept = [row | {"measure": f"share of H(X) kept, {row['probe']}"} for row in read(tables / "05_retained.csv")]
    others = [
        row | {"measure": row["quantity"].replace("_", " ")}
        for name in ("05_plane", "05_ranks")
        for row in read(tables / f"{name}.csv")
    ]
    rows = keep(kept + others, "twin", "measure", "layer", "step", "estimate", "low", "high")
    measures = values(rows, "measure")
    last = [max(row["layer"] for row in kept if row["twin"] == twin) for twin in values(kept, "twin")]
    slider = {
        "name": "layer",
        "value": min(last),
        "bind": {"input": "range", "min": 0, "max": max(last), "step": 1, "name": "layer, for shares "},
    }
    choices = [select("measure", "measure ", measures, "share of H(X) kept, centroid"), slider]
    y = {"field": "estimate", "type": "quantitative", "title": None, "scale": {"zero": False}}
    encoding = {"x": quantity("step", "training step", scale="symlog"), "color": colour("twin", rows)}
    marks = [
        interval(y),
        {
            "mark": {"type": "line", "point": True},
            "encoding": {"y": y, "opacity": faded(1), "tooltip": tips("twin", "step", "estimate", "low", "high")},
        },
    ]
    title = "measure + (indexof(measure, 'share') == 0 ? ', after layer ' + layer : '')"
    return spec(
        rows,
        choices,
        title,
        ["datum.measure == measure", "!isValid(datum.layer) || datum.layer == layer"],
        encoding,
        marks,
        "twin",
    )
