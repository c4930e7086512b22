"""How complexity, expressivity and optimality change as text is added."""

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.soft_entropy import compression
from bitskept.instruments.soft_entropy.compression import KINDS
from bitskept.studies.bottleneck.section import IbCorrelations, longer_plan
from bitskept.theory.repeated_runs import mean_over_runs


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
    and "yes" if the intervals overlap for every draw. The sizes are those of `compared`.
    """
    few, many = compared(section)
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


def changes(stability: pd.DataFrame, section: IbCorrelations) -> pd.DataFrame:
    """The change of token optimality between the two sizes of `agreement`, by model and kind: a mean over the draws of
    the anchors with its interval and p; `sentences` are those of the smaller sample. As it is part of the larger one,
    the interval, which takes them for independent, is rather too wide.
    """
    few, many = compared(section)
    names = {f"optimality{end}": kind for end, kind in KINDS.items()}
    rows = stability[stability["sentences"].isin([few, many]) & stability["quantity"].isin(names)]
    rows = rows[rows["model"].isin(section.models)].assign(error=(rows["high"] - rows["low"]) / 3.92)
    table = []
    for (model, quantity), group in rows.groupby(["model", "quantity"], sort=False):
        wide = group.pivot(index="anchor_seed", columns="sentences", values=["estimate", "error"]).astype(float)
        change = (wide["estimate"][many] - wide["estimate"][few]).to_numpy()
        error = np.hypot(wide["error"][few], wide["error"][many]).mean()
        row = {"model": model, "estimator": names[quantity], "sentences": few}
        known = np.isfinite(change).all() and np.isfinite(error)
        table.append(row | (mean_over_runs(change, error, few)._asdict() if known else {"estimate": np.nan}))
    return pd.DataFrame(table, columns=["model", "estimator", "sentences", "estimate", "low", "high", "p"])


def compared(section: IbCorrelations) -> tuple[int, int]:
    """The third below the largest of `sentences`, or the smallest where there are fewer; and the largest."""
    return section.sentences[-4:][0], section.sentences[-1]
