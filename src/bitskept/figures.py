"""One look for every figure; its numbers are kept, with where they came from, and it is drawn from them."""

import json
import os
import platform
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import psutil
import seaborn as sns
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from matplotlib.transforms import Bbox
from PIL import Image, ImageDraw, ImageFont

from bitskept import __version__, outputs, provenance, root
from bitskept.locks import alone

DPI = 120
REDRAWN, NOTE_HEIGHT = "redrawn", 14  # the id of the note that such a figure carries, and its height in points
NOTE_STYLE = "font: 9px sans-serif; fill: grey"
SVG = "http://www.w3.org/2000/svg"
LARGEST_SIDE = 2000  # pixels of a PNG; a larger figure is rendered at a lower resolution
ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")


def style() -> None:
    """Set the theme of all figures: talk-sized text, a colour-blind-safe palette, text kept as text in vector files."""
    sns.set_theme(context="talk", style="whitegrid", palette="colorblind", font_scale=0.75)
    mpl.rcParams.update(
        {
            "figure.figsize": (9.0, 5.0),
            "figure.dpi": DPI,
            "axes.titleweight": "bold",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "grid.alpha": 0.5,
            "lines.linewidth": 2.2,
            "legend.frameon": False,
            "svg.fonttype": "none",
            "svg.hashsalt": "bitskept",
            "pdf.fonttype": 42,
        }
    )


def colour(model_id: str) -> tuple[float, float, float]:
    """The colour (red, green, blue in 0..1) of a model, the same in every figure: by its place in `params/models.yaml`.

    A model that is not registered gets one by its name, which may then be another model's as well.
    """
    registered = _registered(root() / "params" / "models.yaml")
    place = registered.index(model_id) if model_id in registered else int(sha256(model_id.encode()).hexdigest(), 16)
    palette = sns.color_palette("colorblind")
    if len(palette) <= place < len(registered):
        palette, place = sns.color_palette("husl", len(registered) - len(palette)), place - len(palette)
    return palette[place % len(palette)]


def shades(number: int) -> list[tuple[float, float, float]]:
    """So many colours in order, from dark to light: for what comes one after the other."""
    return sns.color_palette("viridis", number)


def curve(axes: Axes, rows: pd.DataFrame, x: str, *, share: bool = False, **options: Any) -> None:
    """Draw `estimate` over the column `x` with its interval (`low`, `high`) as a band; `share` writes percent."""
    rows = rows.sort_values(x)
    places, low, high = (rows[name].to_numpy(float) for name in (x, "low", "high"))
    (line,) = axes.plot(places, rows["estimate"], **options)
    axes.fill_between(places, low, high, color=line.get_color(), alpha=0.18, linewidth=0)
    if share:
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def points(axes: Axes, rows: pd.DataFrame, places: Iterable[float], **options: Any) -> None:
    """Draw each `estimate` as a point with its interval (`low`, `high`), horizontally, at the given heights."""
    errors = [rows["estimate"] - rows["low"], rows["high"] - rows["estimate"]]
    axes.errorbar(rows["estimate"], list(places), xerr=errors, **({"fmt": "o", "capsize": 3} | options))


def quote(row: Mapping[str, Any], style: str = ".0%") -> str:
    """An estimate with its interval, for a sentence: "83% [81%, 85%]"."""
    return f"{row['estimate']:{style}} [{row['low']:{style}}, {row['high']:{style}}]"


@dataclass(frozen=True)
class Saved:
    """A saved figure. As the last expression of a cell it shows the PNG that was written."""

    path: Path

    def _repr_png_(self) -> bytes:
        return self.path.read_bytes()

    def __repr__(self) -> str:
        return f"<figure {self.path.stem}>"


def keep(
    name: str,
    table: pd.DataFrame,
    *,
    profile: str,
    parameters: Mapping[str, Any],
    models: Mapping[str, str] | Iterable[Any] = (),
) -> None:
    """Write the numbers behind a figure as NAME.csv (six digits), and where they came from as NAME.json.

    `models` maps ids to fingerprints, or is an iterable of objects with `id` and `fingerprint`. ValueError for an
    empty table, and for a name that is not a plain file name.
    """
    if table.empty:
        raise ValueError(f"figure {name}: its table is empty")
    pictures, tables = outputs.places(name, profile)
    fingerprints = dict(models) if isinstance(models, Mapping) else {model.id: model.fingerprint for model in models}
    origin = {
        "figure": name,
        "profile": profile,
        "parameters": dict(parameters),
        "seeds": {key: value for key, value in parameters.items() if "seed" in key},
        "models": fingerprints,
        "bitskept": __version__,
        "commit": provenance.commit(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds_since_start": round(time.time() - psutil.Process().create_time(), 1),
    }
    _write(tables / f"{name}.csv", table.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode())
    _write(pictures / f"{name}.json", (json.dumps(origin, indent=1, ensure_ascii=False) + "\n").encode())


def table(name: str, *, profile: str) -> pd.DataFrame:
    """The numbers behind a figure, as they were kept: what it is drawn from, at once or at any later time."""
    path = outputs.places(name, profile)[1] / f"{name}.csv"
    return pd.read_csv(path, keep_default_na=False, na_values=[""])  # "null" is a word, and may be a token


def save(figure: Figure, name: str, *, profile: str) -> Saved:
    """Write NAME.png and NAME.svg of a figure whose numbers were kept; close the figure.

    ValueError for a figure that shows no data, whose numbers were not kept, or whose name is not a plain file name.
    """
    pictures, tables = outputs.places(name, profile)
    if not any(axes.has_data() for axes in figure.axes):
        raise ValueError(f"figure {name} shows no data")
    if not (tables / f"{name}.csv").is_file():
        raise ValueError(f"figure {name}: keep its numbers before it is drawn, with figures.keep")
    if figure.get_layout_engine() is None and not figure.legends:  # seaborn's grids lay out themselves and their legend
        figure.set_layout_engine("constrained")
    figure.set_dpi(min(DPI, LARGEST_SIDE / max(figure.get_size_inches())))
    if engine := figure.get_layout_engine():
        engine.execute(figure)
    figure.set_layout_engine(None)  # places are found once: both files have the same, and it takes as long as to draw
    box = figure.get_tightbbox().padded(mpl.rcParams["savefig.pad_inches"])
    for suffix, content in {suffix: _rendered(figure, name, suffix, box) for suffix in ("png", "svg")}.items():
        _write(pictures / f"{name}.{suffix}", content)
    plt.close(figure)  # otherwise a notebook shows it a second time
    return Saved(pictures / f"{name}.png")


def _rendered(figure: Figure, name: str, suffix: str, box: Bbox) -> bytes:
    buffer = BytesIO()
    undated = {"Date": None} if suffix == "svg" else {"Software": None}
    figure.savefig(buffer, format=suffix, dpi=figure.dpi, bbox_inches=box, metadata=undated)
    note = f"redrawn from the kept table {name}.csv"
    return _noted(buffer.getvalue(), suffix, note) if os.environ.get(outputs.REDRAW) else buffer.getvalue()


def _noted(picture: bytes, suffix: str, note: str) -> bytes:
    """The picture with a line of text below it; what is drawn stays as it is."""
    if suffix == "svg":
        root = ElementTree.fromstring(picture)
        left, top, width, height = (float(number) for number in root.get("viewBox").split())
        root.set("viewBox", f"{left:g} {top:g} {width:g} {height + NOTE_HEIGHT:g}")
        root.set("height", f"{height + NOTE_HEIGHT:g}pt")
        look = {"id": REDRAWN, "x": f"{left + 4:g}", "y": f"{top + height + 10:g}", "style": NOTE_STYLE}
        ElementTree.SubElement(root, f"{{{SVG}}}text", look).text = note
        return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    drawn = Image.open(BytesIO(picture)).convert("RGB")
    scale = DPI / 72
    whole = Image.new("RGB", (drawn.width, drawn.height + round(NOTE_HEIGHT * scale)), "white")
    whole.paste(drawn)
    place, font = (round(4 * scale), drawn.height), ImageFont.load_default(9 * scale)
    ImageDraw.Draw(whole).text(place, note, fill="grey", font=font)
    buffer = BytesIO()
    whole.save(buffer, "png")
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    with alone(path, path.name):
        outputs.write_whole(path, content)


@cache
def _registered(registry: Path) -> list[str]:
    return list(yaml.safe_load(registry.read_text("utf-8"))) if registry.is_file() else []
