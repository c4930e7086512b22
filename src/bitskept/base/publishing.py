"""A figure of a notebook: its numbers are written as a table, and it is drawn from that table."""

import inspect
import json
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from io import BytesIO
from pathlib import Path
from typing import Any, ParamSpec

import pandas as pd
from matplotlib.figure import Figure

from bitskept import __version__, root
from bitskept.base import figures, provenance
from bitskept.base.files import locked, write_whole
from bitskept.base.params import Section
from bitskept.base.path_names import without_paths

RUN = "BITSKEPT_RUN"
"""Set by `bitskept run`: the profile whose figures and tables the notebooks make."""
CUSTOM = "custom"
"""Any other run leaves its figures and tables in build/custom/."""
P = ParamSpec("P")


def makes_table(function: Callable[P, pd.DataFrame]) -> Callable[P, pd.DataFrame]:
    """Mark a function whose table a figure is drawn from: the table carries its name to the figure's origin."""

    @wraps(function)
    def made(*arguments: P.args, **options: P.kwargs) -> pd.DataFrame:
        table = function(*arguments, **options)
        table.attrs["made by"] = _full_name(function)
        return table

    return made


@dataclass(frozen=True)
class Shown:
    """A figure that was written. As the last expression of a cell it shows its PNG."""

    path: Path

    def _repr_png_(self) -> bytes:
        return self.path.read_bytes()

    def __repr__(self) -> str:
        return f"<figure {self.path.stem}>"


class Publisher:
    """`show = Publisher(section, fingerprints)`, and then `show(figures.name, table)` for each figure of a notebook.

    `fingerprints` are those of the models, by id.
    """

    def __init__(self, section: Section, fingerprints: Mapping[str, str] | None = None) -> None:
        self._section, self._fingerprints = section, dict(fingerprints or {})

    def __call__(self, draw: Callable[..., Figure], table: pd.DataFrame) -> Shown:
        """Write the table as NN_name.csv (six digits), draw the figure from what was written, and write it as .png and
        .svg with its origin as .json. NN is the notebook's number, and `draw` has the figure's name.

        ValueError for an empty table, one from a function that `makes_table` does not mark, and a figure without data.
        """
        name = figure_name(self._section, draw)
        if table.empty:
            raise ValueError(f"figure {name}: its table is empty")
        if "made by" not in table.attrs:
            raise ValueError(f"figure {name}: its table has to come from a function marked by makes_table")
        pictures, tables = folders(os.environ.get(RUN, CUSTOM))
        made_by = table.attrs["made by"]
        parameters, models, table = without_paths(self._section.model_dump(), self._fingerprints, table)
        section = type(self._section).model_validate(parameters)
        content = table.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()
        rendered = figures.rendered(drawn(draw, read_table(BytesIO(content)), section), name)
        with locked(pictures / name, f"figure {name}"):
            write_whole(tables / f"{name}.csv", content)
            write_whole(pictures / f"{name}.json", _origin(name, draw, made_by, parameters, models))
            for suffix, picture in rendered.items():
                write_whole(pictures / f"{name}.{suffix}", picture)
        return Shown(pictures / f"{name}.png")


def _origin(
    name: str, draw: Callable[..., Figure], made_by: str, parameters: dict[str, Any], models: dict[str, str]
) -> bytes:
    origin = {
        "figure": name,
        "table made by": made_by,
        "drawn by": _full_name(draw),
        "profile": parameters["profile"],
        "parameters": parameters,
        "seeds": {name: value for name, value in parameters.items() if "seed" in name},
        "models": models,
        "bitskept": __version__,
        "commit": provenance.commit(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return (json.dumps(origin, indent=1, ensure_ascii=False) + "\n").encode()


def drawn(draw: Callable[..., Figure], table: pd.DataFrame, section: Section) -> Figure:
    """The figure of a table, in the project's style; `draw` gets the section too if it takes one."""
    more = {"section": section} if "section" in inspect.signature(draw).parameters else {}
    with figures.style():
        return draw(table, **more)


def figure_name(section: Section | type[Section], draw: Callable[..., Figure]) -> str:
    """NN_name: the number of the notebook and the name of the function that draws."""
    return f"{section.notebook[:2]}_{draw.__name__}"


def read_table(file: Path | BytesIO) -> pd.DataFrame:
    """A table as it was written. Only empty fields are missing values: "null" may be a token."""
    return pd.read_csv(file, keep_default_na=False, na_values=[""])


def folders(profile: str) -> tuple[Path, Path]:
    """The folders of a profile's figures and tables. Only those of laptop are committed."""
    if profile == "laptop":
        return root() / "figures", root() / "results" / "laptop"
    return root() / "build" / profile / "figures", root() / "build" / profile / "results"


def _full_name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"
