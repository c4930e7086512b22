"""What the table of claims of notebook 04 says beyond its primary rows, in words (Markdown)."""

import pandas as pd

from bitskept.base.words import listed
from bitskept.instruments import claims as outcomes
from bitskept.instruments.claims import setting
from bitskept.studies.bottleneck.claims import CHANCE, LENGTH, LIMIT, PREFERENCE

AS_LARGE = 0.8
"""From this share of a signal on, an effect counts as about as large."""


def verdicts(table: pd.DataFrame) -> str:
    """How many of the other settings agree with each claim's planned rows, and what the rest say; and what the control
    of preference says about its sample.
    """
    named = table.assign(claim=outcomes.without_brackets(table["claim"]))
    lines = [_settings(name, rows) for name, rows in named.groupby("claim", sort=False)]
    return "\n".join(filter(None, [*lines, _relative(named), _preference(named), _exchanged(named)]))


def other_settings(rows: pd.DataFrame) -> tuple[int, list[dict[str, str]]]:
    """How many settings of a claim were tested, each beside the planned row of the same model and reading, or of the
    same model where the reading is what varies; and those that have another outcome: its `outcome`, `model` and `name`.
    """
    main, total, rest = rows[rows["primary"]], 0, []
    for row in rows[~rows["primary"] & (rows["outcome"] != "not tested")].to_dict("records"):
        same = main[main["model"] == row["model"]]
        same = same[same["reading"] == row["reading"]] if len(same) > 1 else same
        if same.empty or same["outcome"].iloc[0] == "not tested":
            continue
        total += 1
        if same["outcome"].iloc[0] != row["outcome"]:
            rest.append({"outcome": row["outcome"], "model": row["model"], "name": setting(row)})
    return total, rest


def _settings(claim: str, rows: pd.DataFrame) -> str:
    """How many of a claim's other settings agree, and what the rest say."""
    total, rest = other_settings(rows)
    if not total:
        return ""
    said = []
    for outcome, part in pd.DataFrame(rest, columns=["outcome", "model", "name"]).groupby("outcome", sort=False):
        by_model = part.groupby("model", sort=False)["name"].agg("; ".join).items()
        said.append(f"“{outcome}” for {', '.join(f'{model} ({names})' for model, names in by_model)}")
    agree = f"{total - len(rest)} of {total} other settings agree"
    verdict = outcomes.verdict(rows[rows["primary"]])
    return f"- “{claim[0].upper()}{claim[1:]}”: **{verdict}**. {'. '.join([agree, *said])}."


def _relative(table: pd.DataFrame) -> str:
    """For which models the answer about the amount of text is another one if the limit is a share of optimality."""
    by_limit = table[(table["probe"] == LIMIT) & (table["outcome"] != "not tested")]
    both = by_limit.merge(table[table["primary"]], on=["claim", "model", "reading"], suffixes=("", "_planned"))
    if both.empty:
        return ""
    other = both[both["outcome"] != both["outcome_planned"]]
    flips = []
    for claim, rows in other.groupby("claim", sort=False):
        by_outcome = rows.groupby("outcome", sort=False)["model"].agg(", ".join).items()
        flips.append(f"“{claim}” would be {' and '.join(f'“{found}” for {models}' for found, models in by_outcome)}")
    return f"- By a {LIMIT} of optimality itself, {'; '.join(flips) or 'each answer would be the same'}."


def _preference(table: pd.DataFrame) -> str:
    """Whether the sample of answers can reveal a label at all: that of the longer one; and whether as much information
    about preferences would have been seen.
    """
    rows = table[(table["claim"] == LENGTH.text) & (table["outcome"] != "not tested")]
    silent = rows.loc[rows["outcome"] != "yes", "model"]
    if rows.empty:
        return ""
    if len(silent):
        said = (
            f"The sample does not show that states of {', '.join(silent)} tell which answer is longer. So it says "
            "little there about which answer people preferred."
        )
    else:
        said = "States of all models tell which answer is longer, so the sample can reveal a label of answers."
        if len(below := rows.loc[rows["low"] <= 0, "model"]):
            reach = f"intervals of {listed(below)} reach" if len(below) > 1 else f"interval of {listed(below)} reaches"
            said += f" This rests on the exchange of labels: the {reach} below 0."
    both = rows[rows["outcome"] == "yes"].merge(table[table["claim"] == PREFERENCE.text], on="model")
    blunt = both[both["detectable_y"] > AS_LARGE * both["estimate_x"]]
    if blunt.empty:
        return f"- {said}"
    seen = (
        f"{row['detectable_y']:.4f} for {row['model']}, where length has {row['estimate_x']:.4f}"
        for row in blunt.to_dict("records")
    )
    return (
        f"- {said} And the information about preferences that would have been seen is about as large as the one signal "
        f"that is seen, length, or larger: {'; '.join(seen)} bits per token. A preference that states know somewhat "
        "less well than length could have been missed."
    )


def _exchanged(table: pd.DataFrame) -> str:
    """Whether the control of exchanged labels, of which nothing should be known, can exclude that anything is."""
    rows = table[(table["claim"] == CHANCE.text) & (table["outcome"] == "cannot tell")]
    if rows.empty:
        return ""
    ends = ", ".join(f"{row['high']:.4f} in {row['model']}" for row in rows.to_dict("records"))
    return (
        "- Exchanged labels, of which nothing should be known, leave room for an error that counts: their intervals "
        f"end at {ends} bits per token. So this control shows no error, and rules none out."
    )
