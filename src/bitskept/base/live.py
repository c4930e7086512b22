"""Live cells: a figure of one table and a few chosen values, with a control for each value where someone can use it.

A batch runner must never see a widget: one that stays alive can hang the notebook (nbclient issue 312), and its picture
is gone without a kernel. So the picture is always an ordinary output, and controls are added only for a front end that
sends the identity of the cell with its code, as JupyterLab, Notebook 7 and VS Code do. nbclient, and with it papermill
and nbconvert, and nbval send the code alone.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from typing import Any

import pandas as pd
from IPython import get_ipython
from IPython.display import Image, Markdown, display
from matplotlib.figure import Figure

from bitskept.base import figures


def explore(draw: Callable[..., Figure], table: pd.DataFrame, **chosen: Any) -> None:
    """Show `draw(table, **chosen)`, and controls for the chosen values where the front end has widgets; elsewhere a
    sentence that says where they are.

    Each choice is among the values of the table's column of that name, in their order there. LookupError for a value
    that is not among them.
    """
    choices = {name: table[name].drop_duplicates().tolist() for name in chosen}
    for name, value in chosen.items():
        if value not in choices[name]:
            raise LookupError(f"{name} = {value!r}: choose one of {', '.join(map(str, choices[name]))}")
    if not _has_reader():
        display(_picture(draw, table, chosen))
        names = " and ".join(name.replace("_", " ") for name in chosen)
        display(Markdown(f"*To choose {names}, run this notebook in JupyterLab (`make lab`): controls appear here.*"))
        return
    controls = _controls(choices, chosen)
    shown = display(_picture(draw, table, chosen), display_id=True)

    def update(_: object) -> None:
        shown.update(_picture(draw, table, {name: control.value for name, control in controls.items()}))

    for control in controls.values():
        control.observe(update, "value")


def _has_reader() -> bool:
    """Whether the cell was run from a front end with cells, and widgets are installed."""
    kernel = getattr(get_ipython(), "kernel", None)
    parent = kernel.get_parent() if kernel else {}
    return "cellId" in parent.get("metadata", {}) and find_spec("ipywidgets") is not None


def _controls(choices: Mapping[str, Iterable[Any]], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """A control for each choice, shown side by side: a slider for numbers, buttons for words."""
    import ipywidgets

    controls = {}
    for name, values in choices.items():
        words = all(isinstance(value, str) for value in values)
        kind = ipywidgets.ToggleButtons if words else ipywidgets.SelectionSlider
        # A slider reports where it is let go, not each value on the way, whose pictures would queue up.
        options = {} if words else {"continuous_update": False}
        options |= {"description": name.replace("_", " "), "style": {"description_width": "initial"}}
        labels = [(value if words else f"{value:g}", value) for value in values]
        controls[name] = kind(options=labels, value=chosen[name], **options)
    display(ipywidgets.VBox(list(controls.values())))
    return controls


def _picture(draw: Callable[..., Figure], table: pd.DataFrame, chosen: Mapping[str, Any]) -> Image:
    with figures.style():
        figure = draw(table, **chosen)
    caption = " ".join((inspect.getdoc(draw) or draw.__name__).partition("\n\n")[0].split())
    values = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in chosen.items())
    return Image(figures.rendered(figure, draw.__name__, ["png"])["png"], alt=f"{caption} ({values})")
