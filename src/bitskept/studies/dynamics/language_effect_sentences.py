"""What the effects of single ingredients on languages with a truth say, in Markdown (`language_effects`)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bitskept.base.words import has_interval, quote
from bitskept.instruments.claims import outcome
from bitskept.studies.dynamics.language_claims import BITS
from bitskept.studies.dynamics.language_effects import FEWER, HEAD, KEPT, NOT_ENOUGH, NOTHING, SEEDS
from bitskept.studies.dynamics.language_sentences import NONE

PRIMARY = "centroid"
"""The probe that decides."""


def factors(table: pd.DataFrame) -> str:
    """What each ingredient does to the synonym's bits (`language_effects.factors`); the largest effect comes first,
    with all that come within `NONE` of it by the same probe.
    """
    lines = []
    for (factor, arm, against), rows in table.groupby(["factor", "arm", "against"], sort=False):
        what = f"- **{factor}**, {arm} against {against}: "
        if not rows["learned"].all():
            lines.append(f"{what}no verdict, as no run of one of them has learned.")
            continue
        effects = "; ".join(f"{row['probe']} {quote(row, '+z.2f')}{_seen(row)}" for row in rows.to_dict("records"))
        row = rows.iloc[0]
        seeds = f"{row['runs']} against {row['runs_against']} runs, interval over {row['over']}"
        lines.append(f"{what}{effects} bits ({seeds}).{_beside_seeds(rows)}")
    passed = table[table["learned"]]
    if len(passed):
        row = passed.loc[passed["estimate"].abs().idxmax()]
        most = f"{row['estimate']:+.2f} bits about the synonym by the {row['probe']}"
        close = (passed["estimate"] - row["estimate"]).abs() < NONE
        ties = passed[close & (passed["probe"] == row["probe"])].drop(row.name)
        also = f" As much, but for {NONE} bits: {'; '.join(ties['arm'])}." if len(ties) else ""
        lines.insert(0, f"The largest effect: {row['arm']} against {row['against']}, {most}.{also}\n")
    if (passed["over"] != SEEDS).any():
        lines.append(
            "\nAn interval over sentences holds for these runs and says nothing of other seeds; the runs of the other "
            "arm show how far seeds alone lie apart."
        )
    return "\n".join(lines)


def _seen(row: Mapping[str, Any]) -> str:
    """What would have been seen, of an effect whose interval holds 0."""
    if row["over"] != SEEDS or not has_interval(row) or not row["low"] <= 0 <= row["high"]:
        return ""
    return f" (from {row['detectable']:.2f} it would have been seen)"


def _beside_seeds(rows: pd.DataFrame) -> str:
    """Where a single run lies beside those of the arm that it is compared with, by probe."""
    places: dict[str, list[str]] = {"within": [], "outside": []}
    for row in rows[(rows["runs"] == 1) & (rows["runs_against"] > 1)].to_dict("records"):
        place = "within" if row["lowest"] <= row["first"] <= row["highest"] else "outside"
        places[place].append(f"{row['probe']} {row['lowest']:z.2f} to {row['highest']:z.2f}")
    said = [f"{place} the range of the latter ({', '.join(probes)})" for place, probes in places.items() if probes]
    return f" The run lies {' and '.join(said)}." if said else ""


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
        said = "; ".join(_effect(row) for row in chosen.to_dict("records"))
        others = rows[rows["probe"] != PRIMARY].merge(chosen[["arm", "outcome"]], on="arm", suffixes=("", "_primary"))
        turned = others[others["outcome"] != others["outcome_primary"]]
        also = "".join(f" By the {row['probe']}: {_effect(row)}." for row in turned.to_dict("records"))
        lines.append(f"- {_capital(prediction)}{verdict}. {_capital(said)}.{also}")
    return "\n".join(lines)


def _together(found: pd.Series) -> str:
    """A prediction about several arms holds if it does for each."""
    if (found == "does not hold").any():
        return "does not hold"
    return "holds" if (found == "holds").all() else "cannot tell"


def _effect(row: Mapping[str, Any]) -> str:
    if not row["learned"]:
        return f"{row['arm']}: no verdict, as no run of it or of {row['against']} has learned"
    effect = f"{quote(row, '+z.2f')} bits against {row['against']}"
    if row["over"] != SEEDS:
        effect = f"{row['runs']} against {row['runs_against']} runs, interval over {row['over']}: {effect}"
    elif row["outcome"] == "cannot tell":
        effect += f"; from {row['detectable']:.2f} it would have been seen"
    return f"{row['arm']}, {row['outcome']} ({effect})"


def crossed(table: pd.DataFrame) -> str:
    """How tying the output to the input changes what objectives do (`language_effects.crossed`)."""
    if table.empty:
        return "No untied networks were trained."
    lines = []
    for (more, less), pairs in table.groupby(["more", "less"], sort=False):
        if not pairs["learned"].all():
            lines.append(f"- **{more} − {less}**: no verdict, as an arm has no run that has learned.")
            continue
        said = []
        for probe, rows in pairs.groupby("probe", sort=False):
            known = {row["output"]: row for row in rows.to_dict("records")}
            tied, untied, both = (_over(known[name]) for name in ("tied", "untied", "both"))
            said.append(f"by the {probe} {tied} bits tied, {untied} untied: {_tying(known['both'])} ({both})")
        lines.append(f"- **{more} − {less}**, {'; '.join(said)}.")
    return "\n".join(lines)


def _over(row: Mapping[str, Any]) -> str:
    """An effect, and what its interval is over if that is not seeds."""
    return quote(row, "+z.2f") + ("" if row["over"] == SEEDS else f" (over {row['over']})")


def _tying(row: Mapping[str, Any]) -> str:
    """What an effect of tying on a difference between objectives says."""
    if row["over"] != SEEDS:
        return "what tying adds cannot be told from single runs"
    more = outcome(row["estimate"], row["low"], row["high"], row["p"], BITS)
    less = outcome(-row["estimate"], -row["high"], -row["low"], row["p"], BITS)
    if "yes" in (more, less):
        return f"tying {'adds to' if more == 'yes' else 'takes from'} the difference"
    if more == less == "no":
        return "tying makes no difference to it"
    return f"whether tying matters cannot be told; {row['detectable']:.2f} would have been seen"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
