"""Its figure."""

import pandas as pd
from matplotlib.figure import Figure

from toy.drawing.section import Drawing


def line(table: pd.DataFrame, section: Drawing) -> Figure:
    """The points, joined."""
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    axes.plot(table["x"], table["y"], label=f"seed {section.seed}")
    axes.legend()
    return figure
