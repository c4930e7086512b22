"""What the numbers of notebook 05 say. Each function gives Markdown for one conclusion."""

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from bitskept.base.words import has_interval, listed, quote
from bitskept.studies.dynamics.checkpoints import GAIN
from bitskept.studies.dynamics.gains import NO_VERDICT
from bitskept.studies.dynamics.phases import has_not_turned
from bitskept.studies.dynamics.sizes import LABELS, VARIED, along, varied

MOST = {"retained_cross_entropy": "keeps most", "late_forgetting": "forgets most late"}
"""The quantities by which twins are ordered, as a verb."""


def learned(runs: pd.DataFrame, least: float) -> str:
    """What each twin has learned (`gains.learned`), and which of them get no verdict."""
    lines = [
        f"A twin has learned if its tokens cost at least {least} bits less than by their frequency alone, by the whole "
        "interval over sentences.",
        "",
    ]
    for twin, rows in runs.groupby("twin", sort=False):
        ends = " to ".join(dict.fromkeys(f"{gain:z.2f}" for gain in (rows["estimate"].min(), rows["estimate"].max())))
        passed, many = int(rows["learned"].sum()), f"{len(rows)} run{'s' if len(rows) > 1 else ''}"
        some = f" **Only {passed} of {len(rows)} have learned, so there is no verdict on the others.**"
        none = " **It has not learned, so there is no verdict on it.**"
        end = "" if passed == len(rows) else some if passed else none
        lines.append(f"- **{twin}**: {ends} bits per token ({many}).{end}")
    return "\n".join(lines)


def measured(table: pd.DataFrame, left_out: Mapping[str, str]) -> str:
    """How much was measured, and which tasks were left out."""
    lines = [f"{table['id'].nunique()} checkpoints, {len(table):,} numbers.", ""]
    return "\n".join([*lines, *(f"- left out, {task}: {why.rpartition(': ')[2]}" for task, why in left_out.items())])


def built_in(effects: pd.DataFrame) -> str:
    """Which ingredient of an architecture has the largest effect by each probe (`built_in.effects`)."""
    lines = [f"- By the {probe}: {_largest(rows)}" for probe, rows in effects.groupby("probe", sort=False)]
    return "\n".join(lines) or "No two untrained networks differ in one ingredient only."


def _largest(rows: pd.DataFrame) -> str:
    sure = rows[rows["sure"] != ""]
    if len(sure):
        first = sure.loc[sure["estimate"].abs().idxmax(), "effect"]
        others = [
            f"the {row['effect']} (single pairs from {row['smallest']:+.2f} to {row['largest']:+.2f})"
            for row in sure[sure["effect"] != first].to_dict("records")
        ]
        also = f"Also sure: {listed(others)}." if others else "It is the only sure one."
        text = f"**the {first} makes the largest difference on average.** {also}"
    else:
        text = "**no ingredient makes a sure difference on average.**"
    if len(mixed := rows.loc[rows["varies"] == "sign", "effect"]):
        text += f" The sign of the effect of {listed(f'the {name}' for name in mixed)} depends on the rest."
    return text + (" There is one seed, so this holds for these networks only." if (rows["runs"] == 1).all() else "")


def phases(changes: pd.DataFrame, without_verdict: Collection[str]) -> str:
    """Whether the curve of each twin goes through the phases that others report (`phases.changes`); of twins
    `without_verdict`, nothing is said.
    """
    if not len(changes):
        return "There is no curve to look at."
    return "\n".join(
        f"- **{twin}**: {NO_VERDICT}." if twin in without_verdict else _phases_of(twin, rows)
        for twin, rows in changes.groupby("twin", sort=False)
    )


def _phases_of(twin: str, rows: pd.DataFrame) -> str:
    parts, still = [], has_not_turned(rows)
    for row in rows.to_dict("records")[: len(rows) - still]:
        if row["from_step"] == row["to_step"] and not row["seen"]:
            parts.append(f"no {row['phase']}")
        else:
            span, seen = f"from step {row['from_step']:,} to {row['to_step']:,}", "" if row["seen"] else "not "
            parts.append(f"{row['phase']} {span}: {_change(row)}, {seen}seen")
    if still:
        parts.append(f"at its last step the curve has not turned, so the {rows['phase'].iloc[-1]} cannot be judged")
    seen, runs = rows["seen"].tolist(), int(rows["runs"].iloc[0])
    told = rows[: len(rows) - still]
    there, missing = ([f"the {name}" for name in told.loc[told["seen"] == flag, "phase"]] for flag in (True, False))
    if there and not missing:
        verdict = f"**Seen: {listed(there)}.**" if still else "**All phases are seen**, in this order."
    else:
        verdict = f"**Seen: {listed(there)}; not {listed(missing)}.**" if there else "**None of them is surely there.**"
    if any(seen[place] and seen[place + 2] and not seen[place + 1] for place in range(len(seen) - 2)):
        verdict += " As nothing is sure between them, two phases of the same direction may be one phase."
    if runs == 1:
        verdict += (
            " The turning points were chosen on the same curve on which the changes are measured, which makes these "
            "too large. The interval is over items and holds for this run only, so there is no verdict."
        )
    return f"- **{twin}**, {_seeds(runs)}: {'; '.join(parts)}. {verdict}"


def seen(directions: pd.DataFrame, without_verdict: Collection[str]) -> str:
    """In how many of the twins with a verdict all phases of RankMe are seen (`phases.changes`)."""
    twins = directions[~directions["twin"].isin(without_verdict)].groupby("twin")
    complete = sum(bool(rows["seen"].all()) for _, rows in twins)
    still = sum(has_not_turned(rows) for _, rows in twins)
    said = f"All phases of *collapse, expansion, compression* are seen in {complete} of {len(twins)} twins"
    if still:
        said += f"; in {still} the last one cannot be judged, as the curve has not turned at its last step"
    return f"{said}."


def size_and_data(table: pd.DataFrame, least: float) -> str:
    """Each quantity in the smallest and the largest network, and with the least and the most text; the largest change
    of what the last layer keeps comes first, and whether another twin keeps or forgets most at the other end. Neither
    counts networks whose gain is not surely `least` bits or more: they have not learned.
    """
    lines, changes = [], []
    network = ["twin", "size", "amount"]
    unlearned = pd.MultiIndex.from_frame(table.loc[(table["quantity"] == GAIN) & (table["low"] < least), network])
    table = table.assign(learned=~pd.MultiIndex.from_frame(table[network]).isin(unlearned))
    at_ends: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for (twin, quantity), rows in table.groupby(["twin", "quantity"], sort=False):
        for by, name in varied(table).items():
            some = along(table, by)
            ends = some[some.index.isin(rows.index)].sort_values(by).iloc[[0, -1]]
            both = ends.to_dict("records")
            marks = ["" if row["learned"] else ", not learned" for row in both]
            low, high = (
                f"{quote(row, '.2f')} at {row[by]:,} ({_runs(row['runs'])}{mark})"
                for row, mark in zip(both, marks, strict=True)
            )
            lines.append(f"- **{twin}**, {LABELS[quantity]}, by {name}: {low}, {high}.")
            learned = some[some.index.isin(rows.index) & some["learned"]].sort_values(by)
            if quantity in MOST and len(learned) > 1:
                ends = learned.iloc[[0, -1]]
                at_ends.setdefault((by, quantity), []).append(ends)
                if quantity == "retained_cross_entropy":
                    changes.append((float(ends["estimate"].diff().iloc[-1]), f"**{twin}**, by {name}"))
    if changes:
        change, what = max(changes, key=lambda item: abs(item[0]))
        turned = "".join(_turned(by, quantity, twins) for (by, quantity), twins in at_ends.items())
        first = f"Among networks that have learned, what the last layer keeps changes most for {what}: by {change:+.2f}"
        lines.insert(0, f"{first} of $H(X)$.{turned}\n")
    if lines and (table["runs"] == 1).any():
        lines.append("\nThe interval of a single run is over sentences alone and says nothing of other seeds.")
    return "\n".join(lines)


def _turned(by: str, quantity: str, twins: list[pd.DataFrame]) -> str:
    """Which twin keeps or forgets most at either end, if it is not the same."""
    first, last = (max((ends.iloc[place] for ends in twins), key=lambda row: row["estimate"]) for place in (0, -1))
    if first["twin"] == last["twin"]:
        return ""
    most = (f"*{row['twin']}* {MOST[quantity]} at {row[by]:,}" for row in (first, last))
    return f" **The order of the twins turns** with the {VARIED[by]}: {', but '.join(most)}."


def guessing(scores: pd.DataFrame) -> str:
    """Which tasks networks do better than by guessing (`between_runs.beside_guessing`)."""
    if scores.empty:
        return "There are no scores."
    said = {True: [], False: []}
    for row in scores.to_dict("records"):
        ends = f"runs from {row['smallest']:z.2f} to {row['largest']:z.2f}, guessing gives {row['chance']:g}"
        said[row["better"]].append(f"- *{_words(row['score'])}*: {quote(row, 'z.2f')}; {ends}")
    runs = f"on average over {scores['runs'].max()} runs that have learned (intervals over runs and items)"
    if not said[True]:
        head = f"**No task is surely done better than by guessing**, {runs}, so correlations with these scores say "
        return "\n".join([f"{head}nothing:", "", *said[False]])
    lines = [f"**Surely better than guessing**, {runs}:", "", *said[True]]
    if said[False]:
        lines += ["", "Not surely better, so that correlations with these scores say nothing:", "", *said[False]]
    return "\n".join(lines)


def between_runs(table: pd.DataFrame) -> str:
    """For each target the measure that goes with it most closely over runs (`between_runs.correlations`)."""
    lines = []
    for target, rows in table.groupby("target", sort=False):
        best = rows.loc[rows["estimate"].abs().idxmax()]
        units = f"{best['runs']} runs of {'one twin' if best['twins'] == 1 else str(best['twins']) + ' twins'}"
        start = f"- **{_words(target)}**: *{_words(best['measure'])}* goes with it most closely, {quote(best, '+.2f')}"
        others = listed([f"*{_words(name)}*" for name in rows.loc[rows["sure"], "measure"] if name != best["measure"]])
        if best["sure"]:
            verdict = f"**That is significant after Holm's correction.**{f' So is that of {others}.' if others else ''}"
        elif others:  # of more runs
            verdict = f"That is not significant after Holm's correction, **but that of {others} is.**"
        else:
            verdict = "**No measure surely goes with it.**"
        seen = f"A rank correlation of {best['detectable']:.2f} would have been seen."
        lines.append(f"{start} ({units}, p = {best['p_holm']:.3f} after Holm). {verdict} {seen}")
    return "\n".join(lines) or "There are too few runs of one twin to compare."


def _change(row: Mapping[str, Any]) -> str:
    """A difference with its interval; shares in percent."""
    number, *ends = (_number(row[name], row["unit"]) for name in ("estimate", "low", "high"))
    if not has_interval(row):
        return f"{number} (no interval)"
    return f"{number} [{', '.join(end.partition(' ')[0] for end in ends)}]"


def _number(value: float, unit: str) -> str:
    if unit.startswith("share"):
        return f"{100 * value:+.1f} {unit.replace('share', '%', 1)}"
    return f"{value:{'+.3f' if unit.startswith('bits') else '+.1f'}} {unit}"


def _words(quantity: str) -> str:
    return quantity.replace("_", " ")


def _seeds(runs: int) -> str:
    return "one seed" if runs == 1 else f"{runs} seeds"


def _runs(number: int) -> str:
    return f"{number} run{'' if number == 1 else 's'}"
