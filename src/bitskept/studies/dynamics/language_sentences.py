"""What the numbers about languages with a truth say. Each function gives Markdown for one conclusion."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bitskept.base.words import has_interval, quote
from bitskept.instruments import claims as outcomes
from bitskept.studies.dynamics.language_claims import BITS, WHERE
from bitskept.studies.dynamics.language_tables import PARTS
from bitskept.theory.intervals import TAIL

NONE = 0.05
"""Bits that count as none, or as all but none."""


def learned(runs: pd.DataFrame, largest_gap: float) -> str:
    """How far each arm is from the least cost (`language_tables.learned`), and which arms get no verdict."""
    lines = []
    for arm, rows in runs.groupby("arm", sort=False):
        gaps = ", ".join(dict.fromkeys(f"{gap:z.3f}" for gap in (rows["estimate"].min(), rows["estimate"].max())))
        passed = int(rows["learned"].sum())
        many = f"{len(rows)} run{'s' if len(rows) > 1 else ''}"
        end = "" if passed == len(rows) else f" **{passed} of {len(rows)} learned; there is no verdict on the rest.**"
        lines.append(f"- **{arm}**: {gaps.replace(', ', ' to ')} bits above the least cost ({many}).{end}")
    return "\n".join([f"A network has learned if it is within {largest_gap} bits of the least cost.", "", *lines])


def kept(by_layer: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Which bits the last layer of each main arm holds, by probe; `runs` is from `language_tables.learned`."""
    passed = runs.groupby("arm")["learned"].all()
    last = by_layer[by_layer["layer"] == by_layer["layer"].max()]
    lines = []
    for arm, rows in last.groupby("arm", sort=False):
        if not passed[arm]:
            lines.append(f"- **{arm}**: no verdict, as not every run has learned.")
            continue
        clauses = []
        for probe, parts in rows.groupby("probe", sort=False):
            known = parts.set_index("quantity")
            said = (f"{quote(known.loc[part], 'z.2f')} of {known.loc[part, 'exact']:.2f} bits" for part in PARTS)
            clauses.append("{}: class {}, synonym {}".format(probe, *said))
        lines.append(f"- **{arm}**. By the {'; by the '.join(clauses)}. {_which(rows)}")
    return "\n".join(lines)


def _which(rows: pd.DataFrame) -> str:
    """What the stronger probe says: a weaker one may miss what is there."""
    best = rows.loc[rows.groupby("quantity")["estimate"].idxmax()].set_index("quantity")
    lost = {part: best.loc[part, "exact"] - best.loc[part, "estimate"] for part in PARTS}
    class_lost, synonym_lost = (lost[part] > NONE for part in PARTS)
    if not class_lost and not synonym_lost:
        return "It keeps all."
    if not class_lost:
        left = best.loc["synonym_bits", "estimate"]
        some = f"{left:.2f} bits" if left > NONE else "nothing"
        return f"It keeps what the future needs, the class; of the synonym, which nothing needs, {some} can be read."
    if not synonym_lost:
        return "It keeps the synonym and loses some of the class, which the future needs."
    return "It loses bits of both."


def over_steps(table: pd.DataFrame) -> str:
    """What the last layer tells about the synonym before the first step, where it tells least, and after the last one
    (`language_tables.by_step`).
    """
    lines = []
    for arm, rows in table[table["quantity"] == "synonym_bits"].groupby("arm", sort=False):
        rows = rows.sort_values("step")
        first, last, least = rows.iloc[0], rows.iloc[-1], rows.loc[rows["estimate"].idxmin()]
        lines.append(
            f"- **{arm}**: {quote(first, 'z.2f')} bits about the synonym before the first step, "
            f"{quote(last, 'z.2f')} after step {last['step']:,}, fewest after step {least['step']:,}: "
            f"{quote(least, 'z.2f')}."
        )
    return "\n".join(lines)


def recreated(table: pd.DataFrame) -> str:
    """Whether the last layer tells more of the token than a lower one (`language_tables.recreated`)."""
    lines = []
    for arm, rows in table.groupby("arm", sort=False):
        found = {"yes": [], "no": [], "cannot tell": []}
        for row in rows.to_dict("records"):
            found[_rises(row)].append(f"{row['estimator']} {quote(row, '+z.2f')}")
        said = [f"{answer}: {', '.join(parts)}" for answer, parts in found.items() if parts]
        lines.append(f"- **{arm}**, is the token recreated at the top? {'; '.join(said)}.")
    return "\n".join(lines)


def _rises(row: Mapping[str, Any]) -> str:
    if not has_interval(row):
        return "no" if abs(row["estimate"]) < BITS else "cannot tell"
    if row["low"] > 0 and row["estimate"] >= BITS:
        return "yes"
    return "no" if row["high"] < BITS else "cannot tell"


def factors(table: pd.DataFrame) -> str:
    """What each ingredient does to the synonym's bits (`language_tables.factors`); the largest effect comes first."""
    lines = []
    for (factor, arm, against), rows in table.groupby(["factor", "arm", "against"], sort=False):
        what = f"- **{factor}**, {arm} against {against}: "
        if not rows["learned"].all():
            lines.append(f"{what}no verdict, as a network has not learned.")
            continue
        effects = "; ".join(f"{row['probe']} {quote(row, '+z.2f')} bits" for row in rows.to_dict("records"))
        seeds = f"{rows['runs'].iloc[0]} seed{'s' if rows['runs'].iloc[0] > 1 else ''}"
        lines.append(f"{what}{effects} ({seeds}).")
    passed = table[table["learned"]]
    if len(passed):
        row = passed.loc[passed["estimate"].abs().idxmax()]
        most = f"{row['estimate']:+.2f} bits about the synonym by the {row['probe']}"
        lines.insert(0, f"The largest effect: {row['arm']} against {row['against']}, {most}.\n")
    if (table["runs"] == 1).any():
        lines.append("\nAn effect of one seed has an interval over sentences only; it holds for that pair of runs.")
    return "\n".join(lines)


def above(table: pd.DataFrame) -> str:
    """How many estimates exceed the true value (`language_tables.above`)."""
    lines = []
    for row in table.to_dict("records"):
        name = f"{row['quantity']}{'' if pd.isna(row['reading']) else ', ' + row['reading']}".replace("_", " ")
        share = f"{row['above']:,} of {row['bounds']:,} lie above the true value by more than their interval"
        number = f"{row['runs']} run{'s' if row['runs'] > 1 else ''}"
        ends = f" ({quote(row, '.1%')}, {number}" if has_interval(row) else f" ({row['estimate']:.1%}, {number}"
        worst = f"; at most {row['largest']:.3f} bits above it)" if row["above"] else ")"
        end = " That is more than the 2.5 % that intervals allow." if row["low"] > TAIL else ""
        lines.append(f"- **{name}**: {share}{ends}{worst}.{end}")
    return "\n".join(lines)


def claim(table: pd.DataFrame) -> str:
    """The outcome of each claim, by its primary rows, and how many of the other settings agree."""
    lines = []
    for (name, model), rows in table[table["primary"]].groupby(["claim", "model"], sort=False):
        others = table[table["claim"].str.startswith(name.partition(" (")[0]) & (table["model"] == model)]
        others = others.loc[~others["primary"], "outcome"]
        agree = f" {(others == rows['outcome'].iloc[0]).sum()} of {len(others)} other settings agree."
        lines.append(f"- {name[0].upper()}{name[1:]}: **{_verdict(rows)}**.{agree if len(others) else ''}")
    return "\n".join(lines)


def verdict(table: pd.DataFrame) -> str:
    """All primary claims in one sentence."""
    primary = table[table["primary"]]
    names = primary["claim"].str.partition(" (")[0]
    said = [f"{name}: **{_verdict(rows)}**" for name, rows in primary.groupby(names, sort=False)]
    return f"On the language with a truth: {'; '.join(said)}."


def _verdict(rows: pd.DataFrame) -> str:
    """The outcome by arms, without saying again that they are of the language."""
    return outcomes.verdict(rows.assign(model=rows["model"].str.removesuffix(WHERE)))
