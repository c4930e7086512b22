"""What the comparison says about the claim that recoverability brings understanding: in numbers, then in sentences."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from bitskept.theory.statistics import holm
from bitskept.training.comparison import BEFORE

LEVEL = 0.05
MATCHED = 0.05
"""Two arms whose last layers differ by no more of H(X) keep about the same."""
CLAIMED = "recoverability"
NAMES = {
    "spearman": "",
    "linear_accuracy": ", linear",
    "neighbour_accuracy": ", neighbours",
    "pair_accuracy": "",
}
"""The quantities that count as scores, and what tells two of a task apart."""


def label(task: str, quantity: str) -> str:
    """How figures and sentences call a score."""
    return task + NAMES[quantity]


def labelled(table: pd.DataFrame, *, pooling: str = "mean") -> pd.DataFrame:
    """The rows that are scores under one pooling, or have none, with the label of each in a column `score`."""
    wanted = (table["pooling"] == pooling).fillna(False) | table["pooling"].isna()
    table = table[table["quantity"].isin(NAMES) & wanted]
    return table.assign(score=[label(*pair) for pair in zip(table["task"], table["quantity"], strict=True)])


def contrasts(changed: pd.DataFrame, *, pooling: str = "mean") -> pd.DataFrame:
    """`labelled` rows of `comparison.changed`, with `p_holm` and `sure`.

    p is adjusted for the number of scores of the same model, arm and opponent. `sure` is "above", "below" or, where
    p_holm is not below 5 % or p is not defined, "".
    """
    table = labelled(changed, pooling=pooling)
    adjusted = table["p"].fillna(1.0).groupby([table[name] for name in ("model", "arm", "against")], sort=False)
    table["p_holm"] = adjusted.transform(lambda p: holm(p.to_numpy(float)))
    signs = (table["estimate"] > 0).map({True: "above", False: "below"})
    return table.assign(sure=signs.where(table["p_holm"] < LEVEL, "")).reset_index(drop=True)


def verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """One row a model and score of `contrasts`: is recoverability above the model before *and* above every control?

    `p` is the largest of its p-values, 1 where it is not above (an intersection-union test, Berger 1982), `p_holm` is
    adjusted for the scores of the model, `holds` tells whether that is below 5 %. One column for each opponent has
    "above", "below" or "" as `contrasts`, missing where that control was not run.
    """
    mine = table[table["arm"] == CLAIMED]
    p = mine["p"].where(mine["estimate"] > 0, 1.0).fillna(1.0)
    found = mine.assign(p=p).groupby(["model", "score"], sort=False)["p"].max().reset_index()
    found["p_holm"] = found.groupby("model", sort=False)["p"].transform(lambda p: holm(p.to_numpy(float)))
    found["holds"] = found["p_holm"] < LEVEL
    return found.merge(mine.pivot(index=["model", "score"], columns="against", values="sure").reset_index())


def sentences(found: pd.DataFrame) -> list[str]:
    """One paragraph a model of `verdicts`: the counts, and what follows from them."""
    return [_sentence(model, rows) for model, rows in found.groupby("model", sort=False)]


def _sentence(model: str, rows: pd.DataFrame) -> str:
    above, below = (rows.loc[rows[BEFORE] == sure, "score"] for sure in ("above", "below"))
    controls = [name for name in ("continued", "permuted") if name in rows and rows[name].notna().any()]
    against = "; ".join(
        f"against *{name}* it is above in {listed(rows.loc[rows[name] == 'above', 'score'])} and below in "
        f"{listed(rows.loc[rows[name] == 'below', 'score'])}"
        for name in controls
    )
    start = (
        f"- **{model}**, {len(rows)} scores. After tuning for recoverability, surely above before: {listed(above)}; "
    )
    start += f"surely below: {listed(below)}. " + (f"With the same data and steps, {against}. " if controls else "")
    return start + _conclusion(rows, controls)


def _conclusion(rows: pd.DataFrame, controls: list[str]) -> str:
    holds = rows.loc[rows["holds"], "score"]
    missing = [f"*{name}*" for name in ("continued", "permuted") if name not in controls]
    untested = f" The control {missing[0]} was not run for it." if missing else ""
    if len(missing) == 2:
        untested = f" The controls {' and '.join(missing)} were not run for it."
    if len(holds):
        what = "above before and above every control at once" if controls else "above before, without any control"
        return f"**The claim holds for {listed(holds)}**: {what}.{untested}"
    if (rows[BEFORE] == "above").any():
        reason = "no gain is surely larger than what the controls gain" if controls else "nothing to compare it with"
        return f"**Recoverability itself is not shown to be the cause**: {reason}.{untested}"
    worse = (rows[BEFORE] == "below").any()
    return f"**The claim is not seen here**: no score rises for sure{', and some fall' if worse else ''}.{untested}"


def cause_sentences(table: pd.DataFrame, retained: pd.Series) -> list[str]:
    """One paragraph a model that has both arms: does it matter whether the names are right? `table` is of `contrasts`,
    `retained` the share of H(X) that the last layer keeps, by model and arm.
    """
    return [
        _cause(model, rows, retained[model])
        for model, rows in table[(table["arm"] == CLAIMED) & (table["against"] == "permuted")].groupby(
            "model", sort=False
        )
    ]


def _cause(model: str, rows: pd.DataFrame, retained: pd.Series) -> str:
    above, below = (rows.loc[rows["sure"] == sure, "score"] for sure in ("above", "below"))
    gap = retained[CLAIMED] - retained["permuted"]
    kept = f"with the right names the last layer keeps {retained[CLAIMED]:.0%} of H(X), with permuted ones"
    start = f"- **{model}**: {kept} {retained['permuted']:.0%}. Right names are surely better for {listed(above)}, "
    start += f"surely worse for {listed(below)}. "
    if abs(gap) > MATCHED:
        return f"{start}The two do not keep the same, so this compares names and bits at once."
    if len(above) or len(below):
        return f"{start}They keep about the same, so what tells them apart is not the number of bits."
    return (
        f"{start}Bits and understanding are alike under right names and wrong ones: the names make no sure difference."
    )


def listed(names: Iterable[str]) -> str:
    """Names in a sentence, "none" where there are none."""
    return ", ".join(names) or "none"
