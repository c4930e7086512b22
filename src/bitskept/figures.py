"""One look for every figure, and saving it together with its numbers and where it came from."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from bitskept import CHECKOUT, __version__, root

DPI = 120
LARGEST_SIDE = 2000  # pixels of a PNG; a larger figure is rendered at a lower resolution
_imported = time.monotonic()  # a notebook imports this module in its first cells


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


def folders(profile: str) -> tuple[Path, Path]:
    """Where the figures and the tables of a profile go. Only the laptop profile's are committed."""
    if profile == "laptop":
        return root() / "figures", root() / "results" / "laptop"
    return root() / "build" / profile / "figures", root() / "build" / profile / "results"


@dataclass(frozen=True)
class Saved:
    """A saved figure. As the last expression of a cell it shows the PNG that was written."""

    path: Path

    def _repr_png_(self) -> bytes:
        return self.path.read_bytes()

    def __repr__(self) -> str:
        return f"<figure {self.path.stem}>"


def save(
    figure: Figure,
    name: str,
    table: pd.DataFrame,
    *,
    profile: str,
    parameters: Mapping[str, Any],
    models: Mapping[str, str] | Iterable[Any] = (),
) -> Saved:
    """Write NAME.png, NAME.svg, NAME.json (where it came from) and its numbers as NAME.csv; close the figure.

    `models` maps ids to fingerprints, or is an iterable of objects with `id` and `fingerprint`. ValueError for an
    empty table, for a figure that shows no data, and for a name that is not a plain file name.
    """
    if not name.replace("_", "").isalnum():
        raise ValueError(f"the name of a figure has letters, digits and underscores only, not {name!r}")
    if table.empty:
        raise ValueError(f"figure {name}: its table is empty")
    if not any(axes.has_data() for axes in figure.axes):
        raise ValueError(f"figure {name} shows no data")
    pictures, tables = folders(profile)
    images = {suffix: _rendered(figure, suffix) for suffix in ("png", "svg")}
    fingerprints = dict(models) if isinstance(models, Mapping) else {model.id: model.fingerprint for model in models}
    origin = {
        "figure": name,
        "profile": profile,
        "parameters": dict(parameters),
        "seeds": {key: value for key, value in parameters.items() if "seed" in key},
        "models": fingerprints,
        "bitskept": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds_since_start": round(time.monotonic() - _imported, 1),
    }
    _write(tables / f"{name}.csv", table.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode())
    for suffix, content in images.items():
        _write(pictures / f"{name}.{suffix}", content)
    _write(pictures / f"{name}.json", (json.dumps(origin, indent=1, ensure_ascii=False) + "\n").encode())
    plt.close(figure)  # otherwise a notebook shows it a second time
    return Saved(pictures / f"{name}.png")


def _rendered(figure: Figure, suffix: str) -> bytes:
    if figure.get_layout_engine() is None and not figure.legends:  # seaborn's grids lay out themselves and their legend
        figure.set_layout_engine("constrained")
    buffer = BytesIO()
    dpi = min(DPI, LARGEST_SIDE / max(figure.get_size_inches()))
    undated = {"Date": None} if suffix == "svg" else {"Software": None}
    figure.savefig(buffer, format=suffix, dpi=dpi, bbox_inches="tight", metadata=undated)
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: a killed run leaves the file that was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}: {path} could not be written") from error
    finally:
        temporary.unlink(missing_ok=True)


@cache
def _registered(registry: Path) -> list[str]:
    return list(yaml.safe_load(registry.read_text("utf-8"))) if registry.is_file() else []


@cache
def _commit() -> str | None:
    """The commit of the checkout, "-dirty" where anything but figures and results differs from it; None without one."""
    if CHECKOUT is None:
        return None

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=30)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", ".", ":!figures", ":!results")
        return git("rev-parse", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None
