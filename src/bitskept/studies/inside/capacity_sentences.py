"""What the capacities of memories show, in words (Markdown)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bitskept.base.words import quote
from bitskept.studies.inside.capacity import TOLD


def memory(table: pd.DataFrame, growth: pd.DataFrame) -> str:
    """How the capacity of each memory grows with the dimension, which law of growth fits, and at which loads the
    perceptron learns about half of the labellings; tables of `capacity.capacities` and `capacity.growth`.
    """
    lines = [
        f"- {scale}: {_capacity(rows)}. {_law(growth[growth['scale'] == scale])}"
        for scale, rows in table[table["quantity"] == "capacity"].groupby("scale", sort=False)
    ]
    learnt = table[table["quantity"] == "learnt"].sort_values("load")
    half = learnt["estimate"] >= 0.5
    around = pd.concat([learnt[half].tail(1), learnt[~half].head(1)]).to_dict("records")
    shares = " and ".join(
        f"{quote(row, clusters='labellings')} at {row['load']:.1f} points per weight" for row in around
    )
    inside = ((learnt["low"] <= learnt["expected"]) & (learnt["expected"] <= learnt["high"])).sum()
    lines.append(
        f"- perceptron: the share of labellings learned is {shares}. Cover's count lies in {inside} of the "
        f"{len(learnt)} intervals."
    )
    return "\n".join(lines)


def _law(fits: pd.DataFrame) -> str:
    """Which laws of growth a memory's capacities can tell apart."""
    if fits.empty:
        return "With fewer than three dimensions that have an interval, no law of growth can be compared with another."
    best = fits.loc[fits["worse"].idxmin()]
    close = fits[(fits["worse"] < TOLD) & (fits["law"] != best["law"])]
    far = fits[fits["worse"] >= TOLD]
    text = f"Of the laws {', '.join(fits['law'])}, **{best['law']}** fits best to {best['n']} values of d"
    if len(close):
        text += f", but the sample **cannot tell** it from {' or '.join(close['law'])}"
    if len(far):
        text += f"; {' and '.join(far['law'])} {'is' if len(far) == 1 else 'are'} more than a hundred times less likely"
    if best["p"] < 0.05:
        text += f". Even the best misses the points by more than their errors (p = {best['p']:.1g})"
    return f"{text}."


def _capacity(rows: pd.DataFrame) -> str:
    """The capacities of one memory in its least and its most dimensions, and how near they are to what is expected."""
    known = rows.dropna(subset="estimate").sort_values("dimension")
    ends = known.iloc[sorted({0, len(known) - 1})].to_dict("records")
    text = " and ".join(f"{row['estimate']:,.0f} {_ends(row)} patterns at d = {row['dimension']}" for row in ends)
    text += f" (95 %, {known['n'].iloc[0]:.0f} draws)"
    if beyond := sorted(set(rows["dimension"]) - set(known["dimension"])):
        text += f"; more than was tried at d = {', '.join(map(str, beyond))}"
    if len(known) > 1:
        share = known["estimate"] / known["expected"]
        text += f". That is {share.min():.2f} to {share.max():.2f} times what is expected"
    return text


def _ends(row: Mapping[str, Any]) -> str:
    """The interval of a capacity, whose upper end may be more than was tried."""
    if np.isnan(row["low"]):
        return "(no interval)"
    low, high = (f"{row[end]:,.{0 if row[end] > 100 else 1}f}" for end in ("low", "high"))
    return f"[{low}, {'more' if np.isnan(row['high']) else high}]"
