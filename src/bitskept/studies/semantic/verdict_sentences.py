"""What section 8 of notebook 06 concludes, in words (Markdown)."""

import pandas as pd

from bitskept.instruments import claims as outcomes
from bitskept.studies.semantic.claims import DIRECTS, LUCK, OWN, RELEVANT


def verdict(table: pd.DataFrame, gains: pd.DataFrame) -> str:
    """Does the claim hold? The outcome of each primary claim of `claims.claims`, and of the controls; then which other
    settings say otherwise. `gains` is a table of `prompt_information.gains`, with the most that a mixture can show.
    """
    primary = table[table["primary"]]
    names = outcomes.without_brackets(primary["claim"]).where(primary["outcome"] != "not tested", primary["claim"])
    least = ", ".join(f"{size:g} {unit}" for unit, size in RELEVANT.items())
    lines = [f"An effect counts from these sizes on, which were fixed before the run: {least}.", ""]
    for paper, rows in primary.groupby("paper", sort=False):
        lines.append("**Controls**\n" if paper == outcomes.CONTROL else "**The paper's concepts**\n")
        named = rows.groupby(names.loc[rows.index], sort=False)
        lines += [f"- {name}: **{outcomes.verdict(part)}**" for name, part in named]
        lines.append("")
    if (table.loc[table["claim"] == OWN, "outcome"] != "yes").any():
        lines.append(
            "The control with another answer's prompt was **not passed everywhere**: there, what a prompt adds is not "
            "shown to come from this prompt.\n"
        )
    others = outcomes.otherwise(table) or ["No other setting in the table below says otherwise."]
    return "\n".join([*lines, *_barely(table), *_luck(table), *_too_small_a_bank(table, gains), *others]).strip()


def _barely(table: pd.DataFrame) -> list[str]:
    """Primary rows whose answer is yes by a one-sided test, though their 95 % interval includes 0."""
    rows = table[table["primary"] & (table["outcome"] == "yes") & (table["low"] <= 0)]
    named = "; ".join(f"{row['claim']}, {row['model']}" for row in rows.to_dict("records"))
    return [f"**Barely yes**, with a 95 % interval that includes 0: {named}.\n"] if named else []


def _luck(table: pd.DataFrame) -> list[str]:
    """What it means where M drifts along the model's own answers, or where that cannot be told."""
    rows = table[table["claim"] == LUCK]
    lines = []
    for outcome, meaning in (
        ("yes", "there is a **mistake** in samples, densities or divergences"),
        ("cannot tell", "a mistake of the size that counts could go unseen there"),
    ):
        for primary, name in (
            (True, "The control of M"),
            (False, "The control of drift along human answers"),
        ):
            part = rows[(rows["outcome"] == outcome) & (rows["primary"] == primary)]
            if len(part):
                lines.append(f"{name} ({'; '.join(part.apply(outcomes.setting, axis=1))}): {meaning}.\n")
    return lines


def _too_small_a_bank(table: pd.DataFrame, gains: pd.DataFrame) -> list[str]:
    """Where a gain that would have been seen is larger than any that the mixture can show."""
    lines = []
    unsure = table[table["primary"] & (table["claim"] == DIRECTS) & (table["outcome"] == "cannot tell")]
    ceilings = gains[gains["marginal"] == "mixture"].set_index("corpus")["ceiling"]
    for corpus, ceiling in ceilings.items():
        rows = unsure[unsure["model"].str.endswith(f"({corpus})")]
        if len(rows) and (needed := rows["detectable"].iloc[0]) > ceiling:
            lines.append(
                f"For {corpus} the mixture can show {ceiling:.2f} bits per token at most, which is **less than the "
                f"{needed:.2f} that would have been seen**: only more answers or a larger bank could decide.\n"
            )
    return lines
