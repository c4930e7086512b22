"""The figure of switches between two models, drawn from its table."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from bitskept.base.figures import curve
from bitskept.studies.output.switch_curve import BITS, ENTROPY, GAIN, ONE, ORACLE, RANDOM, SAVED, SURPRISAL

LOOKS = {
    RANDOM: {"color": "black", "linestyle": "--", "label": "at random"},
    ENTROPY: {"color": "C0", "marker": "o", "label": "entropy of the small twin"},
    ONE: {"color": "C2", "marker": "s", "label": "entropy, one twin at a time"},
    SURPRISAL: {"color": "C1", "marker": "^", "label": "surprisal of the last token"},
    ORACLE: {"color": "C3", "linestyle": ":", "label": "oracle, which knows the token"},
}


def switching(table: pd.DataFrame) -> Figure:
    """Bits against computation for every switch, with the window that validation texts choose; what each saves beyond
    chance, and the switch by entropy with every window (thin lines); what the large twin saves of a token, by the small
    one's entropy.
    """
    figure = Figure(figsize=(16, 5.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    chosen = table[table["chosen"]]
    _curves(left, chosen[chosen["quantity"] == BITS], "computation")
    left.axvline(1, color="grey", linewidth=1)
    left.set(xlabel="computation (1: the large twin alone)", ylabel="bits per token", title="What text costs")
    without_oracle = chosen[(chosen["quantity"] == SAVED) & (chosen["policy"] != ORACLE)]
    _curves(middle, without_oracle, "share")
    _windows(middle, table[(table["quantity"] == SAVED) & (table["policy"] == ENTROPY)])
    middle.axhline(0, color=LOOKS[RANDOM]["color"], linestyle="--", linewidth=1.5)
    middle.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    middle.set(xlabel="tokens given to the large twin", ylabel="bits per token", title="Saved beyond a random switch")
    gains = table[table["quantity"] == GAIN]
    curve(right, gains, "level", color="C4", marker="o")
    right.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    right.set(xlabel="tenths of the small twin's entropies", ylabel="bits per token", title="Saved by the large twin")
    right.set_ylim(min(0, gains["low"].min()), None)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def _curves(axes: Axes, rows: pd.DataFrame, x: str) -> None:
    for policy, look in LOOKS.items():
        part = rows[rows["policy"] == policy]
        if policy == RANDOM and len(part):  # expected bits, which need no interval
            axes.plot(part[x], part["estimate"], **look)
        elif len(part):
            curve(axes, part, x, markersize=6, **look)


def _windows(axes: Axes, rows: pd.DataFrame) -> None:
    """The curves of the windows that were not chosen, and at the end of each curve its window."""
    for window, part in rows.sort_values("share").groupby("window"):
        if not part["chosen"].all():
            axes.plot(part["share"], part["estimate"], color=LOOKS[ENTROPY]["color"], linewidth=1)
        end = part.iloc[-1]
        axes.annotate(f"W = {window:.0f}", (end["share"], end["estimate"]), (8, 0), textcoords="offset points",
                      color=LOOKS[ENTROPY]["color"], fontsize=10, va="center")  # fmt: skip
    axes.margins(x=0.12)
