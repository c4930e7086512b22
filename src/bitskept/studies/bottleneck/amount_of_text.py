"""How complexity, expressivity and optimality change as text is added, and how much text would be enough."""

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.soft_entropy import compression
from bitskept.instruments.soft_entropy.compression import KINDS
from bitskept.studies.bottleneck.section import IbCorrelations, longer_plan

PAPER = 10_000 * 512
"""Positions in the paper's text: 10,000 documents of 512 tokens."""


def sizes(compressed: pd.DataFrame, section: IbCorrelations) -> pd.DataFrame:
    """All sample sizes, those of `more_model` among them, as means over all layers but the embedding."""
    more = compression.measure(section.more_model, longer_plan(section), accept_terms=section.accept_terms)
    table = pd.concat([compressed, more])
    means = table[table["layer"].isna() & table["width"].notna()]
    return means.astype(dict.fromkeys(("sentences", "estimate", "low", "high"), float))


@makes_table
def stability(sizes: pd.DataFrame) -> pd.DataFrame:
    """Optimality and complexity of the token at each sample size and draw of the anchors. Measured by
    `instruments.soft_entropy.compression.measure`.
    """
    return sizes[(sizes["width"] == 1) & sizes["quantity"].str.match("optimality|complexity")]


@makes_table
def by_sentences(sizes: pd.DataFrame) -> pd.DataFrame:
    """The optimality of wider labels at each sample size and draw of the anchors. Measured by
    `instruments.soft_entropy.compression.measure`.
    """
    return sizes[(sizes["width"] > 1) & sizes["quantity"].str.startswith("optimality")]


def agreement(stability: pd.DataFrame, section: IbCorrelations) -> pd.DataFrame:
    """Whether two sample sizes agree: the estimate at each, as a mean over draws of the anchors, the relative change,
    and "yes" if the intervals overlap for every draw.

    The sizes are the largest of `sentences` and the third below it, or the smallest where there are fewer.
    """
    few, many = section.sentences[-4:][0], section.sentences[-1]
    rows = stability[stability["sentences"].isin([few, many]) & stability["model"].isin(section.models)]
    index, ends = ["quantity", "model", "anchor_seed"], ["estimate", "low", "high"]
    both = rows.pivot(index=index, columns="sentences", values=ends)
    early, late = (both.xs(number, axis=1, level="sentences") for number in (few, many))
    overlap = (early["low"] <= late["high"]) & (late["low"] <= early["high"])
    table = pd.DataFrame({few: early["estimate"], many: late["estimate"]}).groupby(index[:2]).mean()
    table["change"] = (table[many] / table[few] - 1).map("{:+.0%}".format)
    table["agree"] = overlap.groupby(index[:2]).all().map({True: "yes", False: "no"})
    names = [name + end for name in ("optimality", "complexity") for end in KINDS]
    return table.loc[pd.MultiIndex.from_product([names, section.models])]


def growing(sizes: pd.DataFrame, section: IbCorrelations) -> pd.DataFrame:
    """The rows of the model that was given most text, for the first draw of the anchors, in order of size."""
    first = sizes["anchor_seed"] == section.anchor_seeds[0]
    return sizes[(sizes["model"] == section.more_model) & first].sort_values("n")


@makes_table
def estimable(growing: pd.DataFrame) -> pd.DataFrame:
    """Shares of places whose label occurs once; corrected complexity with its standard error; and, by width, what the
    shares become if their lines are extended to the paper's text (`quantity` "drawn_on"). Measured by
    `instruments.soft_entropy.compression.measure`.

    `half repeat from` is the number of positions from which half of all places have a label that occurs twice or more.
    """
    once = seen_once(growing)
    now, size = once.iloc[-1], once.index[-1]
    slope = _slopes(once)
    ahead = pd.DataFrame({"unique now": now, "slope": slope})
    ahead["unique in the paper's text"] = now * (PAPER / size) ** slope
    ahead["half repeat from"] = size * (0.5 / now) ** (1 / slope)
    signal = growing[growing["quantity"] == "complexity_corrected"]
    signal = signal.assign(error=(signal["high"] - signal["low"]) / 3.92)
    unique = growing[growing["quantity"] == "unique_input"]
    return pd.concat([unique, signal, ahead.rename_axis("width").reset_index().assign(quantity="drawn_on")])


def seen_once(growing: pd.DataFrame) -> pd.DataFrame:
    """Shares of places whose label occurs once, by the number of places and the width."""
    return growing[growing["quantity"] == "unique_input"].pivot(index="n", columns="width", values="estimate")


def drawn_from_less(growing: pd.DataFrame) -> pd.DataFrame:
    """A check of this extension: shares at the largest size as predicted from the smaller sizes, and as measured."""
    once = seen_once(growing)
    known, size = once.iloc[:-1], once.index[-1]
    predicted = known.iloc[-1] * (size / known.index[-1]) ** _slopes(known)
    return pd.DataFrame({"predicted": predicted, "measured": once.iloc[-1]}).T


def needed(growing: pd.DataFrame, estimable: pd.DataFrame) -> pd.DataFrame:
    """How much text each width needs, in words: from which size on it is estimable, and to within 10 %; and the
    extended shares of `estimable`.
    """
    ahead = estimable[estimable["quantity"] == "drawn_on"].set_index("width")
    there = growing[growing["quantity"] == "optimality_corrected"].dropna(subset="estimate")
    sure = there[(there["high"] - there["low"]) / 2 < 0.1 * there["estimate"]]
    table = {}
    for title, rows in (("estimable from (sentences)", there), ("to within 10 % from (sentences)", sure)):
        smallest = rows.groupby("width")["sentences"].min().reindex(ahead.index)
        table[title] = smallest.map(lambda size: "not yet" if np.isnan(size) else f"{size:,.0f}")
    for title, style in (("unique now", "{:.1%}"), ("slope", "{:.2f}"), ("unique in the paper's text", "{:.1%}")):
        table[title] = ahead[title].map(style.format)
    half = ahead["half repeat from"]
    table["half repeat from"] = half.map("{:,.0f} positions".format).where(half < 1e10, "over 10 billion")
    return pd.DataFrame(table)


def _slopes(once: pd.DataFrame) -> pd.Series:
    """The slope of each column's last three rows on logarithmic axes (Heaps' law)."""
    sizes, shares = np.log(once.index[-3:].astype(float)), np.log(once.iloc[-3:])
    return shares.apply(lambda column: np.polyfit(sizes, column, 1)[0])
