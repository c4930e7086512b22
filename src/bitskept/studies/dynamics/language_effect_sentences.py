"""What the effects of single ingredients on languages with a truth say, in Markdown (`language_effects`)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bitskept.base.words import has_interval, quote
from bitskept.studies.dynamics.language_arms import BERT, MASK, NEXT, UNTIED
from bitskept.studies.dynamics.language_effects import FEWER, HEAD, KEPT, NOT_ENOUGH, NOTHING, SEEDS
from bitskept.studies.dynamics.language_sentences import NONE

PRIMARY = "centroid"
"""The probe that decides."""
ANSWERS = {
    "holds": "this holds for",
    "does not hold": "this does not hold for",
    "cannot tell": "this cannot be told for",
}


def factors(table: pd.DataFrame) -> str:
    """What each ingredient does to the synonym's bits (`language_effects.factors`); the largest effect comes first,
    with all that come within `NONE` of it by the same probe. Another language is no ingredient of training.
    """
    lines = []
    for (factor, arm, against), rows in table.groupby(["factor", "arm", "against"], sort=False):
        what = f"- **{factor}**, {arm} against {against}: "
        if not rows["learned"].all():
            lines.append(f"{what}no verdict: of at least one of the two, no run has learned.")
            continue
        effects = "; ".join(f"{row['probe']} {quote(row, '+z.2f')}{_seen(row)}" for row in rows.to_dict("records"))
        row = rows.iloc[0]
        seeds = f"{row['runs']} against {row['runs_against']} runs, interval over {row['over']}"
        lines.append(f"{what}{effects} bits ({seeds}).{_beside_seeds(rows)}")
    passed = table[table["learned"] & (table["factor"] != "language")]
    if len(passed):
        row = passed.loc[passed["estimate"].abs().idxmax()]
        close = passed[(passed["estimate"] - row["estimate"]).abs() < NONE]
        close = close[close["probe"] == row["probe"]]
        pairs = "; ".join(f"{arm} against {other}" for arm, other in zip(close["arm"], close["against"], strict=True))
        start = "The largest effects are" if len(close) > 1 else "The largest effect is"
        also = f". They differ by less than {NONE} bits" if len(close) > 1 else ""
        most = f"{row['estimate']:+.2f} bits about the synonym by the {row['probe']}"
        lines.insert(0, f"{start} {most}: {pairs}{also}.\n")
    if (table.loc[table["learned"], "over"] != SEEDS).any():
        lines.append(
            "\nAn interval over sentences holds for these runs. It says nothing of other seeds, nor of the same seed "
            "on another processor; the runs of the other arm show how far seeds alone lie apart."
        )
    return "\n".join(lines)


def untied(by_run: pd.DataFrame) -> str:
    """How much more one main arm keeps than another, tied and untied, by the centroid (`language_tables.by_run`)."""
    rows = by_run[(by_run["quantity"] == "kept") & (by_run["reading"] == "token") & (by_run["probe"] == PRIMARY)]
    rows = rows[rows["learned"] & (rows["train_sentences"] == rows["train_sentences"].max())]
    kept, runs = (rows.groupby("arm")["estimate"].agg(what) for what in ("mean", "size"))
    lines = []
    for more, less in ((BERT, NEXT), (MASK, NEXT), (BERT, MASK)):
        if {more, less, f"{more}{UNTIED}", f"{less}{UNTIED}"} <= set(kept.index):
            tied, free = kept[more] - kept[less], kept[f"{more}{UNTIED}"] - kept[f"{less}{UNTIED}"]
            many = f"{runs[f'{more}{UNTIED}']} against {runs[f'{less}{UNTIED}']} runs"
            lines.append(f"*{more}* − *{less}* {free:+z.2f} bits per token ({many}), tied {tied:+z.2f}")
    return f"Where the output has a table of its own: {'; '.join(lines)}." if lines else ""


def _seen(row: Mapping[str, Any]) -> str:
    """What would have been seen, of an effect whose interval holds 0."""
    if row["over"] != SEEDS or not has_interval(row) or not row["low"] <= 0 <= row["high"]:
        return ""
    return f" (an effect of {row['detectable']:.2f} would have been seen)"


def _beside_seeds(rows: pd.DataFrame) -> str:
    """Where a single run lies beside those of the arm that it is compared with, by probe."""
    said = []
    for row in rows[(rows["runs"] == 1) & (rows["runs_against"] > 1)].to_dict("records"):
        place = "within" if row["lowest"] <= row["first"] <= row["highest"] else "outside"
        ends = f"from {row['lowest']:z.2f} to {row['highest']:z.2f} by the {row['probe']}"
        said.append(f"{ends} (this run lies {place})")
    return f" The runs of the other arm range {' and '.join(said)}." if said else ""


def predictions(table: pd.DataFrame) -> str:
    """Whether each prediction about ingredients holds (`language_effects.predictions`): in all arms, by the centroid;
    and where the ridge says something else.
    """
    lines = []
    for prediction in (KEPT, FEWER, NOTHING, NOT_ENOUGH, HEAD):
        rows = table[table["prediction"] == prediction] if len(table) else table
        if rows.empty:
            if prediction in (KEPT, NOTHING, HEAD):
                lines.append(f"- {_capital(prediction)}: **not tested**, as no such networks were trained.")
            continue
        chosen = rows[rows["probe"] == PRIMARY]
        verdict = "" if prediction == FEWER else f": **{_together(chosen['outcome'])}**"
        others = rows[rows["probe"] != PRIMARY].merge(chosen[["arm", "outcome"]], on="arm", suffixes=("", "_primary"))
        turned = others[others["outcome"] != others["outcome_primary"]]
        also = "".join(f" By the {probe}, {_by_outcome(part)}." for probe, part in turned.groupby("probe", sort=False))
        lines.append(f"- {_capital(prediction)}{verdict}. {_capital(_by_outcome(chosen))}.{also}")
    return "\n".join(lines)


def _by_outcome(rows: pd.DataFrame) -> str:
    """The effects by what they say of a prediction."""
    said = []
    for found, part in rows.groupby("outcome", sort=False):
        said.append(f"{ANSWERS[found]} {' and '.join(map(_effect, part.to_dict('records')))}")
    return "; ".join(said)


def _together(found: pd.Series) -> str:
    """A prediction about several arms holds if it does for each."""
    if (found == "does not hold").any():
        return "does not hold"
    return "holds" if (found == "holds").all() else "cannot tell"


def _effect(row: Mapping[str, Any]) -> str:
    if not row["learned"]:
        return f"{row['arm']} (of it or of {row['against']}, no run has learned)"
    effect = f"{quote(row, '+z.2f')} bits against {row['against']}"
    if row["over"] != SEEDS:
        effect = f"{row['runs']} against {row['runs_against']} runs, interval over {row['over']}: {effect}"
    elif row["outcome"] == "cannot tell" and row["low"] <= 0 <= row["high"]:
        effect += f"; an effect of {row['detectable']:.2f} would have been seen by a test on its own"
    elif row["outcome"] == "cannot tell":
        effect += f"; p = {row['p']:.2f} after the correction"
    return f"{row['arm']} ({effect})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
