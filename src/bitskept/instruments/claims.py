"""What the papers claim, and what was found: every notebook weighs its claims by one rule and says so in one form."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from bitskept.base.words import has_interval, quote, reverse
from bitskept.theory.intervals import ONE_SIDED, POWER, TAIL, detectable, standard_error
from bitskept.theory.statistics import holm

COLUMNS = [
    *("paper", "claim", "reading", "probe", "train_sentences", "model"),
    *("outcome", "estimate", "low", "high", "unit", "clusters", "detectable", "primary"),
]
OUTCOMES = ["yes", "no", "cannot tell", "not tested"]
BORDER = "too near the border"
"""In place of the outcome of a row on which, by a rule of its notebook, no verdict rests."""
LEVEL = 0.05
PAPERS = ("P1", "P2", "P3")
CONTROL = "control"
"""In place of the paper: a claim of no paper, on which the papers' claims rest."""
UNTESTED = dict.fromkeys(("estimate", "low", "high", "p", "detectable"), float("nan"))
"""What a row holds that was not tested."""
NO_POWER = "too small a sample to see any"


def effect(
    row: Mapping[str, Any] | pd.Series, *, least: float = 0.0, most: float = np.inf, sides: int = 1
) -> dict[str, float]:
    """Estimate and interval of a row, and what their test says, as `table` reads it: `p`, `detectable` and `least`.

    With one side, `p` is that of an effect above `least`, and a true effect `detectable` has p < .05 with a probability
    of 80 %: `theory.intervals.ONE_SIDED` standard errors above `least`. With two `sides`, the effect may lie on either
    side of 0 and is given by its size, as if it were above; `detectable` is that of `theory.intervals.detectable`.

    The standard error is the one that the interval stands for (`theory.intervals.standard_error`). For p it is the part
    of the interval below the estimate over 1.96 where this is more: so a one-sided p under .025 has an interval above
    `least`. But one from .025 to .05, which is significant, has an interval that reaches down to it.

    Where a true effect would have to be larger than the `most` that there can be, `detectable` is infinite. NaN for
    interval, p and what is detectable where an end is missing or both are the same.
    """
    ends = {name: float(row[name]) for name in ("estimate", "low", "high")}
    if sides == 2 and ends["estimate"] < 0:
        ends = reverse(ends)
    estimate, low, high = (ends[name] for name in ("estimate", "low", "high"))
    if not high > low:
        return UNTESTED | {"estimate": estimate, "least": least}
    error = float(standard_error(low, high))
    p = sides * norm.sf((estimate - least) / max(error, (estimate - low) / norm.isf(TAIL)))
    seen = ONE_SIDED * error if sides == 1 else detectable(low, high)
    seen = float(least + seen)
    return ends | {"p": float(p), "detectable": seen if seen <= most else np.inf, "least": least}


def outcome(estimate: float, low: float, high: float, p: float, relevant: float) -> str:
    """The answer "yes" if the effect is significant (p < .05, already adjusted) and at least `relevant`; "no" if its
    95 % interval ends below `relevant`; otherwise, and without an interval, "cannot tell".
    """
    if pd.isna(low) or pd.isna(high):
        return "cannot tell"
    if p < LEVEL and estimate >= relevant:
        return "yes"
    return "no" if high < relevant else "cannot tell"


def table(
    rows: pd.DataFrame | Iterable[Mapping[str, Any]], *, relevant: float | Mapping[str, float], sides: int = 1
) -> pd.DataFrame:
    """The table of claims: `COLUMNS`, from rows with all of these but `outcome`, and with `p` and `family`. `primary`
    says whether a row was written down before the run, rather than to vary a setting; without it, all are. A row may
    have `sides` of its own, those of its p.

    `relevant` is the smallest effect that would matter, one number or one by unit; fix it before the run. p-values are
    adjusted over all rows of a `family` (Holm 1979); a row without a family keeps its own. `detectable` is given for a
    test on its own; that of a family is raised to what the strictest of Holm's steps would see, where p has one or two
    `sides`. For the strongest of many contrasts (`theory.contrasts`), which needs more than 1.645 standard errors on
    its own, it is raised by more than it takes. Of a row that cannot be told it is also large enough for a yes: four
    estimates in five reach `relevant`. A row may be tested for an effect beyond some `least` (default 0), and then only
    what is detectable beyond that is raised. A row without an estimate is "not tested", and its claim says what it
    would take: "(to be tested: ...)". ValueError for a row with an interval and no p, and for
    one that "cannot tell" without saying what would have been seen: `detectable`.
    """
    rows = pd.DataFrame(rows).reset_index(drop=True).reindex(columns=[*COLUMNS, "p", "family", "least", "sides"])
    tested = rows["estimate"].notna()
    silent = rows[tested & rows[["low", "high"]].notna().all(axis=1) & rows["p"].isna()]
    if len(silent):
        raise ValueError(f"{_title(silent.iloc[0])} has an interval but no p: give the p-value of its test")
    rows["detectable"] = rows["detectable"].astype(float)
    rows["sides"] = rows["sides"].astype(float).fillna(sides).astype(int)
    rows["primary"] = rows["primary"].astype("boolean").fillna(True).astype(bool)
    p = rows["p"].astype(float).fillna(1.0)  # what could not be tested counts as a test of its family all the same
    adjusted = p.copy()
    for _, members in rows[tested & rows["family"].notna()].groupby("family"):
        adjusted[members.index] = holm(p[members.index].to_numpy())
        raised = [_raised(row, _strictest(len(members), row["sides"])) for _, row in members.iterrows()]
        rows.loc[members.index, "detectable"] = raised
    outcomes = pd.Series("not tested", rows.index)
    for place, row in rows[tested].iterrows():
        threshold = relevant[row["unit"]] if isinstance(relevant, Mapping) else relevant
        found = outcome(row["estimate"], row["low"], row["high"], adjusted[place], threshold)
        if found == "cannot tell" and has_interval(row) and pd.isna(row["detectable"]):
            effect = quote(row, ".3g")
            raise ValueError(f"{_title(row)} cannot be told from {effect}: give `detectable`, the effect that could be")
        if found == "cannot tell":
            rows.loc[place, "detectable"] = np.fmax(row["detectable"], _large_enough(row, threshold))
        outcomes[place] = found
    return rows.assign(outcome=outcomes)[COLUMNS]


def _raised(row: pd.Series, factor: float) -> float:
    """`detectable` times a factor; a correlation, which is normal after Fisher's transformation, stays below 1."""
    if row["unit"] == "rank correlation":
        return float(np.tanh(np.arctanh(row["detectable"]) * factor))
    least = 0.0 if pd.isna(row["least"]) else row["least"]
    return least + (row["detectable"] - least) * factor


def _large_enough(row: pd.Series, relevant: float) -> float:
    """The true effect of which four estimates in five are `relevant` or more, as a yes asks for too."""
    if row["unit"] == "rank correlation" or not has_interval(row):
        return float("nan")
    return relevant + POWER * float(standard_error(row["low"], row["high"]))


def _strictest(tests: int, sides: int) -> float:
    """What can be seen of a normal estimate at the first of Holm's steps, as a multiple of that in a single test."""
    return float((norm.isf(LEVEL / sides / tests) + POWER) / (norm.isf(LEVEL / sides) + POWER))


def words(table: pd.DataFrame, *, papers: bool = False) -> str:
    """The table in Markdown, row by row; `papers`: with a column that names them."""
    head = ["claim", "reading, probe", "model", "outcome", "estimate", "clusters", "would have been seen"]
    head = ["paper", *head] if papers else head
    lines = [head, ["---"] * len(head)]
    for _, row in table.iterrows():
        tested = row["outcome"] != "not tested"
        estimate = f"{quote(row, _style(row))} {row['unit']}" if tested else ""
        seen = _seen(row) if tested and not pd.isna(row["detectable"]) else ""
        clusters = f"{row['clusters']:,.0f}" if tested and not pd.isna(row["clusters"]) else ""
        line = [row["claim"], setting(row), model_name(row["model"]), row["outcome"], estimate, clusters, seen]
        lines.append([row["paper"], *line] if papers else line)
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def readme(tables: Mapping[str, pd.DataFrame]) -> str:
    """A Markdown table of the papers' primary claims that were tested, from the tables of all notebooks, given by their
    names; then the others, which were not. Claims with the same text before a bracket have one line: "encoders keep
    more than decoders (language)" and "... (real text)". Controls are left to the notebooks. Where fewer than half of
    the other settings of a claim about a model agree with a yes or no, the model's name says how many do.
    """
    lines, untested = [], []
    for notebook, table in tables.items():
        link = f"[`{notebook[:2]}`](notebooks/{notebook}.ipynb)"
        for claim, rows in _claims(table[table["primary"] & table["paper"].isin(PAPERS)]):
            if (rows["outcome"] == "not tested").all():
                untested.append(f"- {claim}, {link}")
            else:
                found = verdict(_with_dissent(rows, table[~table["primary"]]))
                lines.append(f"| {_cell(claim)} | {rows['paper'].iloc[0]} | {_cell(found)} | {link} |")
    parts = ["\n".join(["| claim | paper | found | notebook |", "|---|---|---|---|", *lines])] if lines else []
    if untested:
        parts += [
            "<details><summary>Not tested here, and what it would take</summary>",
            "\n".join(untested),
            "</details>",
        ]
    return "\n\n".join(parts)


def _with_dissent(rows: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """The rows; where fewer than half of the `others` agree with a model's only outcome, or of those `alike` if there
    are several, its name says how many do.
    """
    rows = rows.assign(model=rows["model"].map(model_name))
    for name, mine in rows.groupby("model"):
        found = mine["outcome"].iloc[0]
        if found not in ("yes", "no") or (mine["outcome"] != found).any():
            continue
        same = others[others["claim"].isin(mine["claim"]) & (others["model"].map(model_name) == name)]
        parts = {"other settings agree": same, "with the same probe and as much text agree": alike(mine.iloc[0], same)}
        for what, part in parts.items():
            agree = int((part["outcome"] == found).sum())
            if 2 * agree < len(part) and (part is same or len(part) > 1):
                rows.loc[mine.index, "model"] = f"{name} ({agree} of {len(part)} {what})"
                break
    return rows


def alike(row: pd.Series, others: pd.DataFrame) -> pd.DataFrame:
    """Those of the other rows that have the same probe, and as many training sentences for it."""
    same = (others["probe"] == row["probe"]) & (others["train_sentences"] == row["train_sentences"])
    return others[same.fillna(False)]


def verdict(rows: pd.DataFrame) -> str:
    """The outcome of one claim, model by model: "yes for A, B; cannot tell for C (a difference of 0.30 bits per token
    would have been seen)". Where the outcomes of a model differ: "mixed for D (yes in 2, no in 1)".
    """
    same: dict[str, list[str]] = {name: [] for name in (*OUTCOMES, BORDER)}
    mixed = []
    for name, part in rows.groupby(rows["model"].map(model_name), sort=False):
        tested = part[part["outcome"] != "not tested"]
        part = part if tested.empty else tested
        counts = part["outcome"].value_counts().reindex(list(same)).dropna()
        if len(counts) == 1:
            same[counts.index[0]].append(name + (_power(part) if counts.index[0] == "cannot tell" else ""))
        else:
            listed = ", ".join(f"{found} in {int(number)}" for found, number in counts.items())
            mixed.append(f"mixed{name and f' for {name}'} ({listed})")
    said = [
        f"{found}{' for ' if names[0][:1].strip() else ''}{', '.join(names)}" for found, names in same.items() if names
    ]
    return "; ".join([*said, *mixed])


def otherwise(table: pd.DataFrame) -> list[str]:
    """The lines (Markdown) of a list of the rows that are not primary, and whose outcome none of the primary rows of
    their claim and model has; none if there are no such rows.
    """
    lines = []
    for (claim, model), rows in table[table["outcome"] != "not tested"].groupby(["claim", "model"], sort=False):
        main = sorted(set(rows.loc[rows["primary"], "outcome"]))
        others = rows[~rows["outcome"].isin(main)].groupby("outcome", sort=False)
        named = [f"**{name}** with {'; '.join(part.apply(setting, axis=1))}" for name, part in others]
        if main and named:
            lines.append(f"- {claim}, {model}: {' and '.join(named)} (primary: {', '.join(main)})")
    return ["**Other settings that say otherwise**\n", *lines] if lines else []


def setting(row: Mapping[str, Any] | pd.Series) -> str:
    """Reading, probe and number of training sentences, as far as there are such."""
    parts = [str(row[name]) for name in ("reading", "probe") if not pd.isna(row[name])]
    if not pd.isna(row["train_sentences"]):
        parts.append(f"{row['train_sentences']:,.0f} sentences")
    return ", ".join(parts)


def without_brackets(claims: pd.Series) -> pd.Series:
    """Each claim up to its bracket, which names its object, or says what it would take to test it."""
    return claims.map(lambda claim: claim.partition(" (")[0])


def _claims(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each claim: what stands in brackets is its object, or what it would take to test it."""
    for claim, rows in table.groupby(without_brackets(table["claim"]), sort=False):
        yield rows["claim"].iloc[0] if (rows["outcome"] == "not tested").all() else claim, rows


def _power(rows: pd.DataFrame) -> str:
    """What would have been seen in each of one model's rows."""
    if rows["detectable"].isna().any():
        return " (no interval)"
    largest = rows.loc[rows["detectable"].astype(float).idxmax()]
    if np.isinf(largest["detectable"]):
        return f" ({NO_POWER})"
    share, _, whole = str(largest["unit"]).partition("share of ")
    if whole and not share:
        return f" (a difference of {largest['detectable']:.1%} of {whole} would have been seen)"
    amount = f"{largest['detectable']:{_style(largest)}}"
    if largest["unit"] == "rank correlation":
        return f" (a rank correlation of {amount} would have been seen)"
    return f" (a difference of {amount} {largest['unit']} would have been seen)"


def _seen(row: Mapping[str, Any] | pd.Series) -> str:
    return NO_POWER if np.isinf(row["detectable"]) else f"{row['detectable']:{_style(row)}} {row['unit']}"


def _style(row: Mapping[str, Any] | pd.Series) -> str:
    """The format of a row's numbers: bits have two decimals, or four where the largest of them is some thousandths."""
    if not str(row["unit"]).startswith("bits"):
        return "z.3f"
    largest = row[["estimate", "low", "high", "detectable"]].astype(float).abs().max()
    return "z.4f" if 0.001 <= largest < 0.01 else "z.2f"


def model_name(model: Any) -> str:
    """The model of a row; nothing where a claim is about none."""
    return "" if pd.isna(model) else str(model)


def _title(row: pd.Series) -> str:
    return f"the claim “{row['claim']}” ({', '.join(filter(None, (model_name(row['model']), setting(row))))})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
