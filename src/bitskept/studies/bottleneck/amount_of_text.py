"""How complexity, expressivity and optimality change as text is added."""

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.soft_entropy import compression
from bitskept.instruments.soft_entropy.compression import KINDS
from bitskept.studies.bottleneck.section import IbCorrelations, longer_plan
from bitskept.theory.intervals import standard_error
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
    """Two sample sizes, those of `compared`: the estimate at each, as a mean over draws of the anchors, and the
    relative change.
    """
    few, many = compared(section)
    rows = stability[stability["sentences"].isin([few, many]) & stability["model"].isin(section.models)]
    index = ["quantity", "model", "anchor_seed"]
    both = rows.pivot(index=index, columns="sentences", values="estimate")
    table = pd.DataFrame({few: both[few], many: both[many]}).groupby(index[:2]).mean()
    table["change"] = (table[many] / table[few] - 1).map("{:+.0%}".format)
    names = [name + end for name in ("optimality", "complexity") for end in KINDS]
    return table.loc[pd.MultiIndex.from_product([names, section.models])]


def changes(sizes: pd.DataFrame, section: IbCorrelations) -> pd.DataFrame:
    """The change of optimality between the two sizes of `agreement` (`planned`), and between the smallest and the
    largest amount there is, by model, width and kind: a mean over the draws of the anchors that both have, with its
    interval and p, from `sentences` to `more` of them, and the `first` value. As the smaller sample is part of the
    larger one, the interval, which takes them for independent, is rather too wide.
    """
    names = {f"optimality{end}": kind for end, kind in KINDS.items()}
    rows = sizes[sizes["quantity"].isin(names)]
    rows = rows.assign(error=standard_error(rows["low"].to_numpy(float), rows["high"].to_numpy(float)))
    table = []
    for (model, width, quantity), group in rows.groupby(["model", "width", "quantity"], sort=False):
        planned = [compared(section)] if model in section.models else []
        extremes = group["sentences"].min(), group["sentences"].max()
        for few, many in dict.fromkeys([*planned, *([extremes] if group["sentences"].nunique() > 1 else [])]):
            both = group[group["sentences"].isin([few, many])]
            both = both[both.groupby("anchor_seed")["sentences"].transform("size") == 2]
            wide = both.pivot(index="anchor_seed", columns="sentences", values=["estimate", "error"]).astype(float)
            change = (wide["estimate"][many] - wide["estimate"][few]).to_numpy()
            error = np.hypot(wide["error"][few], wide["error"][many]).mean()
            row = {"model": model, "width": width, "estimator": names[quantity], "sentences": few, "more": many}
            row["first"] = wide["estimate"][few].mean()
            known = np.isfinite(change).all() and np.isfinite(error)
            ends = mean_over_runs(change, error, few)._asdict() if known else {"estimate": np.nan}
            table.append(row | {"planned": (few, many) in planned} | ends)
    facts = ["model", "width", "estimator", "sentences", "more", "first", "planned"]
    return pd.DataFrame(table, columns=[*facts, "estimate", "low", "high", "p"])


def compared(section: IbCorrelations) -> tuple[int, int]:
    """The third below the largest of `sentences`, or the smallest where there are fewer; and the largest."""
    return section.sentences[-4:][0], section.sentences[-1]
