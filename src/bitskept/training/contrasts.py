"""What does the objective make? Twins less each other, paired by seed, which is to say by the order of the data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bitskept.theory.statistics import holm
from bitskept.training.trends import (
    at_last_layer,
    in_words,
    item_errors,
    named,
    once,
    over,
    pooled,
    with_interval,
)

LEVEL = 0.05
NEXT_TOKEN = ("causal", "state-space")
"""Twins that learn to predict the next token."""
SHARE = "share of H(X)"
VERDICTS = {"more": "surely more", "less": "surely less", "": "not told apart"}
ONE_SEED = "There is one seed: the intervals are over items, and speak of these runs only."


def difference(more: pd.DataFrame, less: pd.DataFrame, on: Sequence[str]) -> pd.DataFrame:
    """Rows of `more` less the rows of `less` that agree in the columns `on`: `estimate`, and `error` for want of items.
    `more` and `less` keep the two values.

    The errors are combined as if independent: on the same items they mostly go together, which makes the interval too
    wide rather than too narrow. ValueError where the columns name a row twice.
    """
    for table in (more, less):
        once(table, *on)
    less = less.assign(less=less["estimate"], error_less=item_errors(less))[[*on, "less", "error_less"]]
    both = more.assign(more=more["estimate"], error=item_errors(more)).merge(less, on=list(on))
    both["estimate"] = both["more"] - both["less"]
    both["error"] = np.hypot(both["error"], both["error_less"])
    return both.drop(columns=["low", "high", "error_less"])


def learned(table: pd.DataFrame) -> pd.DataFrame:
    """Each checkpoint less the same run at step 0: what training made of what was built in. The entropy of the text
    stays as it is.
    """
    names = ("twin", "seed", "size", "amount", "layer", "probe", "k", "quantity", "unit")
    later, moves = table["step"] > 0, table["quantity"] != "entropy"
    start = table[~later & moves]
    found = difference(table[later & moves], start, [name for name in names if name in table])
    half = 1.96 * found["error"]
    found = found.assign(low=found["estimate"] - half, high=found["estimate"] + half)
    return pd.concat([found[[name for name in table if name in found]], table[later & ~moves]], ignore_index=True)


def with_shares(table: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """The rows of a quantity, and, where it is in bits per token, the same as shares of the entropy H(X), which is of
    the text alone and taken as known.
    """
    run = ["twin", "seed", "size", "amount", "step"]
    rows = table[table["quantity"] == quantity]
    entropy = table[table["quantity"] == "entropy"].groupby(run)["estimate"].first().rename("entropy").reset_index()
    shares = rows[rows["unit"] == "bits per token"].merge(entropy, on=run)
    ends = {name: shares[name] / shares["entropy"] for name in ("estimate", "low", "high")}
    return pd.concat([rows, shares.assign(**ends, unit=SHARE).drop(columns="entropy")], ignore_index=True)


def contrasts(
    table: pd.DataFrame,
    first: str = "causal",
    others: Sequence[str] | None = None,
    *,
    quantity: str = "late_forgetting",
) -> pd.DataFrame:
    """The twin `first` less each other twin (by default all) of its size and amount, at the last layer and at the last
    step that both have, paired by seed: in bits, and as share of H(X).

    Columns: those that name it; `estimate`, `low`, `high`, `p` as `trends.pooled`, `runs` (seeds with both), `missing`
    (seeds without a value), `more` and `less`, the two means; `p_holm`, adjusted for the number of others; `sure`,
    "more", "less" or, where p_holm is not below 5 %, "". `table` has quantity and entropy of checkpoints, or is of
    `learned`.
    """
    rows = with_shares(at_last_layer(table), quantity)
    facts = [name for name in ("size", "amount", "probe", "k", "quantity", "unit") if name in rows]
    others = [name for name in rows["twin"].unique() if name != first] if others is None else others
    found = []
    for other in others:
        twins = (rows[rows["twin"] == name] for name in (first, other))
        both = difference(*twins, [*facts, "seed", "step"])
        both = both[both["step"] == both.groupby(facts, dropna=False)["step"].transform("max")]
        for key, some in both.groupby([*facts, "step"], sort=False, dropna=False):
            row = dict(zip([*facts, "step"], key, strict=True)) | {"first": first, "other": other}
            row |= pooled(some["estimate"].to_numpy(float), some["error"].to_numpy())._asdict()
            row |= {"runs": some["estimate"].notna().sum(), "missing": some["estimate"].isna().sum()}
            found.append(row | dict(some[["more", "less"]].mean()))
    columns = [*facts, "step", "first", "other", "estimate", "low", "high", "p", "runs", "missing", "more", "less"]
    return judged(pd.DataFrame(found, columns=columns), *facts)


def judged(table: pd.DataFrame, *family: str) -> pd.DataFrame:
    """The table with `p_holm`, p adjusted for the number of rows with equal values in these columns, and `sure`."""
    p = table["p"].fillna(1.0).astype(float)
    adjusted = p.groupby([table[name] for name in family], dropna=False, sort=False)
    table = table.assign(p_holm=adjusted.transform(lambda p: holm(p.to_numpy())))
    signs = (table["estimate"] > 0).map({True: "more", False: "less"})
    return table.assign(sure=signs.where(table["p_holm"] < LEVEL, ""))


def contrast_sentences(found: pd.DataFrame) -> list[str]:
    """For each size and amount of `contrasts`: one paragraph an opponent, and what follows for the objective."""
    if not found["estimate"].notna().any():
        return ["No two twins were measured at the same step: there is nothing to compare."]
    found = found[found["estimate"].notna()]
    probes = ["quantity", *(["probe"] if "probe" in found else [])]
    several = [name for name in ("size", "amount") if found[name].nunique() > 1]
    lines = []
    for (size, amount), rows in found.groupby(["size", "amount"]):
        facts = {"size": size, "amount": amount, "first": rows["first"].iloc[0]}
        for other, some in rows.groupby("other", sort=False):
            where = f"{named(facts, ['first', *several])} less *{other}*"
            clauses = "; ".join(_clause(one) for _, one in some.groupby(probes, sort=False, dropna=False))
            lines.append(f"- {where}, {_what(some)} at step {some['step'].max():,}, {_seeds(some)}: {clauses}.")
        if facts["first"] in NEXT_TOKEN:
            lines.append(f"- {named(facts, ['first', *several])}: {_cause(rows)}")
    return lines


def _what(rows: pd.DataFrame) -> str:
    return in_words(name.replace("_", " ") for name in rows["quantity"].unique())


def _seeds(rows: pd.DataFrame) -> str:
    fewest, most = int(rows["runs"].min()), int(rows["runs"].max())
    return over(most) if fewest == most else f"{fewest} to {most} seeds"


def _clause(rows: pd.DataFrame) -> str:
    """One probe, in all units."""
    row = rows.iloc[0]
    under = f"under {row['probe']} " if isinstance(row.get("probe"), str) else ""
    units = (with_interval(*row) for row in rows[["estimate", "low", "high", "unit"]].itertuples(index=False))
    return f"{under}{VERDICTS[row['sure']]}, {' or '.join(units)} ({row['more']:.3g} against {row['less']:.3g})"


def _cause(rows: pd.DataFrame) -> str:
    """Whether all comparisons with other objectives say the same, in one unit: the other is in proportion."""
    asked = rows[(rows["unit"] == rows["unit"].iloc[0]) & ~rows["other"].isin(NEXT_TOKEN)]
    if not len(asked):
        return "no twin with another objective was compared, so this says nothing of the objective."
    against, what = in_words(f"*{name}*" for name in asked["other"].unique()), _what(rows)
    more, less = (int((asked["sure"] == sure).sum()) for sure in ("more", "less"))
    if more == len(asked):
        probes = ", whatever the probe" if asked["probe"].nunique() > 1 else ""
        said = f"**{what} goes with next-token prediction**: there is surely more than under {against}{probes}."
    elif less == len(asked):
        said = f"**{what} does not come of next-token prediction**: there is surely less than under {against}."
    elif not more and not less:
        said = f"**{what} is not shown to come of next-token prediction**: it is not told apart from that of {against}."
    else:
        said = (
            f"**whether {what} comes of next-token prediction is open**: of {len(asked)} comparisons with {against}, "
        )
        said += f"it is surely more in {more} and surely less in {less}."
    if alike := [f"*{name}*" for name in rows["other"].unique() if name in NEXT_TOKEN]:
        said += (
            f" *{rows['first'].iloc[0]}* and {in_words(alike)} both predict the next token, and differ in the build."
        )
    return said + (f" {ONE_SEED}" if (rows["runs"] == 1).all() else "")
