"""What the claims on languages with a truth and on real text say, in Markdown."""

import re
from collections.abc import Callable

import pandas as pd

from bitskept.base.words import has_interval
from bitskept.instruments import claims as outcomes
from bitskept.studies.dynamics.language_claims import WHERE as LANGUAGE
from bitskept.studies.dynamics.language_claims import claims
from bitskept.studies.dynamics.twin_claims import WHERE as REAL_TEXT

PLACE = f"({re.escape(LANGUAGE)}|{re.escape(REAL_TEXT)})$"


def claim(table: pd.DataFrame, every: pd.DataFrame) -> str:
    """The outcome of each claim, by its primary rows; how many of the other settings agree, and what the rest say; and
    whether the outcome would be another in `every`, the same table with all runs, whether they have learned or not.
    """
    lines = []
    for (name, model), rows in table[table["primary"]].groupby(["claim", "model"], sort=False):
        found, short = rows["outcome"].iloc[0], name.partition(" (")[0]
        others, all_runs = (
            part[part["claim"].str.startswith(short) & (part["model"] == model) & (part["primary"] == primary)]
            for part, primary in ((table, False), (every, True))
        )
        counted = all_runs["outcome"].iloc[0]
        turned = "" if counted == found else f" Were all runs counted, it would be **{counted}**."
        agree = _agreement(rows.iloc[0], others) if has_interval(rows.iloc[0]) else ""
        lines.append(f"- {name[0].upper()}{name[1:]}: **{_verdict(rows)}**.{agree}{turned}")
    return "\n".join(lines)


def _agreement(primary: pd.Series, others: pd.DataFrame) -> str:
    """How many of the other settings have the outcome of the primary row, how many of those with the same probe and as
    much text, and what the rest say, by probe.
    """
    if others.empty:
        return ""
    found = primary["outcome"]
    said = [f"{(others['outcome'] == found).sum()} of {len(others)} other settings agree"]
    alike = outcomes.alike(primary, others)
    if 0 < len(alike) < len(others):
        said[0] += f", {(alike['outcome'] == found).sum()} of {len(alike)} with the same probe and as much text"
    for probe, rows in others[others["outcome"] != found].groupby("probe", sort=False):
        rest = rows["outcome"].value_counts(sort=False).items()
        said.append(
            f"by the {probe}, the answer is {' and '.join(f'“{answer}” in {number}' for answer, number in rest)}"
        )
    return f" {'; '.join(said)}."


def without_one(by_run: pd.DataFrame, weigh: Callable[[pd.DataFrame], pd.DataFrame] = claims) -> str:
    """Which primary outcomes of the claims that `weigh` makes of runs would be others without the runs of one seed."""
    known, turned, seeds = _primary(weigh(by_run)), {}, by_run["seed"].unique()
    if len(seeds) < 2:
        return "There is one seed, so none can be left out."
    for seed in seeds:
        for row, found in _primary(weigh(by_run[by_run["seed"] != seed])).items():
            if known.get(row) not in (None, "not tested", found):
                turned.setdefault((*row, found), []).append(str(seed))
    lines = [
        f"- {claim}, {model}: **{known[claim, model]}**, but **{found}** without seed {' or '.join(without)}"
        for (claim, model, found), without in turned.items()
    ]
    if not lines:
        return "Each of these outcomes is the same if the runs of any one seed are left out."
    return "\n".join(["Outcomes that would change if the runs of one seed were left out:", "", *lines])


def _primary(table: pd.DataFrame) -> dict[tuple[str, str], str]:
    rows = table[table["primary"]]
    names = outcomes.without_brackets(rows["claim"])
    return dict(
        zip(zip(names, rows["model"].str.replace(PLACE, "", regex=True), strict=True), rows["outcome"], strict=True)
    )


def verdict(table: pd.DataFrame, where: str = "the language with a truth") -> str:
    """All primary claims in one sentence."""
    primary = table[table["primary"]]
    names = outcomes.without_brackets(primary["claim"])
    said = [f"{name}: **{_verdict(rows)}**" for name, rows in primary.groupby(names, sort=False)]
    return f"On {where}: {'; '.join(said)}."


def _verdict(rows: pd.DataFrame) -> str:
    """The outcome by arms, without the place that a whole section is about; a second language is another place."""
    return outcomes.verdict(rows.assign(model=rows["model"].str.replace(PLACE, "", regex=True)))
