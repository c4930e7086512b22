"""The notebooks and their rooms."""

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path

from matplotlib.figure import Figure

from bitskept import shipped
from bitskept.base.params import Section, nearest
from bitskept.base.publishing import figure_name
from bitskept.studies.bottleneck.section import IbCorrelations
from bitskept.studies.bounds.section import TheoryBounds
from bitskept.studies.dynamics.section import TrainingDynamics
from bitskept.studies.fine_tuning.section import FineTuning
from bitskept.studies.inside.section import InsideTransformer
from bitskept.studies.layer_sweep.section import LayerSweep
from bitskept.studies.output.section import OutputUncertainty
from bitskept.studies.semantic.section import SemanticInformation
from bitskept.studies.tour.section import Tour

KINDS = (
    *(Tour, TheoryBounds, LayerSweep, FineTuning),
    *(IbCorrelations, TrainingDynamics, SemanticInformation, InsideTransformer, OutputUncertainty),
)
SECTIONS: dict[str, type[Section]] = {kind.notebook: kind for kind in KINDS}
"""The class of each notebook's parameters, in order."""


def figure_functions(stem: str) -> dict[str, Callable[..., Figure]]:
    """The functions that draw a notebook's figures, by the figures' names: all public ones in its `figures.py` that
    return a figure, wherever in its room they are defined.
    """
    section = SECTIONS[stem]
    room = section.__module__.rpartition(".")[0]
    public = [value for name, value in vars(import_module(f"{room}.figures")).items() if not name.startswith("_")]
    functions = [value for value in public if inspect.isfunction(value) and value.__module__.startswith(f"{room}.")]
    return {figure_name(section, draw): draw for draw in functions if draw.__annotations__.get("return") is Figure}


def select(names: Sequence[str], stems: Iterable[str]) -> list[Path]:
    """The notebooks of these names (a stem or its number), in order; without names, all of `stems` that exist.

    LookupError, with the nearest names, for a name of none.
    """
    folder = shipped("notebooks")
    there = [stem for stem in sorted(stems) if (folder / f"{stem}.ipynb").is_file()]
    if not there:
        raise LookupError(f"no notebook in {folder} has a section in the parameter file")
    chosen = set()
    for name in names:
        wanted = Path(name).name.removesuffix(".ipynb")
        number = f"{int(wanted):02d}_" if re.fullmatch("[0-9]{1,2}", wanted) else None
        matches = [stem for stem in there if stem == wanted or (number and stem.startswith(number))]
        if not matches:
            raise LookupError(f"there is no notebook {name}{nearest(wanted, there)}")
        chosen.update(matches)
    return [folder / f"{stem}.ipynb" for stem in there if not names or stem in chosen]
