"""The figure of the section on semantic spread."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bitskept.base.figures import points
from bitskept.studies.output.spread import ANSWERS, DISAGREEMENT, ENTROPY, INVERSE, SAMPLES, STATES, SURPRISAL, WORDING
from bitskept.studies.output.spread_areas import ALL, CHANCE, MEAN_ENTROPY, PLAIN, SAME, by_layer, main

NAMES = {
    ENTROPY: "entropy of the first token",
    MEAN_ENTROPY: "the same, mean over wordings",
    SURPRISAL: "surprisal of the answer",
    STATES: "volume of states",
    ANSWERS: "volume of answers",
    INVERSE: "inverse entropy",
    DISAGREEMENT: "entropy of answers",
    SAMPLES: "semantic entropy (samples)",
    WORDING: "information of the wording",
}
"""Each measure as the axis names it; the first three need no spread."""
LOOK = {ALL: {"color": "C0", "fmt": "o"}, SAME: {"color": "C1", "fmt": "s", "markerfacecolor": "white"}}
APART = 0.17
"""How far the two kinds of pairs are above and below the line of their measure."""


def spread(table: pd.DataFrame) -> Figure:
    """Left, the area under the curve of each measure; in the middle, less that of the plain entropy; right, the area of
    the volume of states by layer.
    """
    figure = Figure(figsize=(15, 6), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(4, 3, 3))
    names = [name for name in NAMES if name in set(table["measure"])]
    heights = pd.Series(np.arange(len(names), 0.0, -1), names)
    for axes, against in ((left, CHANCE), (middle, ENTROPY)):
        for pairs, shift in ((ALL, APART), (SAME, -APART)):
            rows = main(table, pairs, against).reindex(names).dropna(subset="estimate")
            points(axes, rows, heights[rows.index] + shift, **LOOK[pairs])
            if against == CHANCE:
                null = {"left": rows["null_low"], "width": rows["null_high"] - rows["null_low"]}
                axes.barh(heights[rows.index] + shift, height=2 * APART, color="0.88", zorder=0, **null)
        axes.grid(visible=False, axis="y")
        axes.axhline(len(names) - len(PLAIN) + 0.5, color="grey", linewidth=1, linestyle=":")  # the spread begins
        axes.set_ylim(0.4, len(names) + 0.6)
    left.axvline(0.5, color="grey", linewidth=1)
    left.set_yticks(heights, [NAMES[name] for name in names])
    left.set_xlabel("AUROC (wrong answers)")
    left.set_title("Which answers are wrong?", loc="left")
    middle.axvline(0, color="grey", linewidth=1)
    middle.set_yticks(heights, [])
    middle.set_xlabel("difference of AUROC")
    middle.set_title("Against the plain entropy", loc="left")
    _layers(right, table)
    handles = [Line2D([], [], linestyle="", marker=look["fmt"], label=f"pairs: {pairs}", **_marker(look))
               for pairs, look in LOOK.items()]  # fmt: skip
    handles.append(Patch(color="0.88", label="right and wrong permuted (95 %)"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _layers(axes: Axes, table: pd.DataFrame) -> None:
    for pairs, look in LOOK.items():
        rows = pd.DataFrame(by_layer(table, pairs))
        shift = APART if pairs == ALL else -APART
        errors = [rows["estimate"] - rows["low"], rows["high"] - rows["estimate"]]
        axes.errorbar(rows["layer"].astype(float) + shift, rows["estimate"], errors, capsize=3, linewidth=1.2, **look)
    axes.axhline(0.5, color="grey", linewidth=1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("layer")
    axes.set_ylabel("AUROC")
    axes.set_title("Volume of states", loc="left")


def _marker(look: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in look.items() if name != "fmt"}
