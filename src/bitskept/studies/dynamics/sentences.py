"""What the numbers of notebook 05 say. Each function gives Markdown for one conclusion."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bitskept.base.words import has_interval, quote
from bitskept.studies.dynamics.checkpoints import GAIN
from bitskept.studies.dynamics.comparing_runs import LEVEL
from bitskept.studies.dynamics.predictors import ENOUGH, STEP
from bitskept.studies.dynamics.sizes import LABELS, VARIED, along, varied

SURE = {"more": "surely more", "less": "surely less", "": "no sure difference"}


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
        end = "" if passed == len(rows) else f" **{passed} of {len(rows)} learned; there is no verdict on the rest.**"
        lines.append(f"- **{twin}**: {ends} bits per token ({many}).{end}")
    return "\n".join(lines)


def kept(last: pd.DataFrame, equal: pd.DataFrame, level: float) -> str:
    """What the last layer of each twin keeps after the last step (rows of `gains.kept_and_learned`), and where its gain
    was `level` bits (`gains.at_equal_gain`, of the usual reading), as means over runs.
    """
    lines = []
    for twin, rows in last.groupby("twin", sort=False):
        then = equal[equal["twin"] == twin]
        shares = [f"{part['estimate'].mean():.1%} by the {probe}" for probe, part in rows.groupby("probe", sort=False)]
        gain = f"after the last step, with a gain of {rows['gain'].mean():.2f} bits"
        line = f"- **{twin}**: {gain}, the last layer keeps {_list(shares)} of $H(X)$"
        means = then.groupby("probe")["estimate"].mean()
        earlier = [f"{means[probe]:.1%} by the {probe}" for probe in rows["probe"].unique() if probe in means]
        line += f"; when the gain was {level} bits, {_list(earlier)}" if earlier else ""
        lines.append(f"{line} ({_seeds(rows['seed'].nunique())}).")
    return "\n".join(lines)


def measured(table: pd.DataFrame, left_out: Mapping[str, str]) -> str:
    """How much was measured, and which tasks were left out."""
    lines = [f"{table['id'].nunique()} checkpoints, {len(table):,} numbers.", ""]
    return "\n".join([*lines, *(f"- left out, {task}: {why.rpartition(': ')[2]}" for task, why in left_out.items())])


def built_in(effects: pd.DataFrame) -> str:
    """The effect of each ingredient of an architecture (`built_in.effects`), and for each probe the largest."""
    lines = []
    for probe, rows in effects.groupby("probe", sort=False):
        lines += [_effect(row) for row in rows.to_dict("records")]
        lines.append(f"- Under {probe}: {_largest(rows)}")
    return "\n".join(lines) or "No two untrained networks differ in one ingredient only."


def _effect(row: Mapping[str, Any]) -> str:
    what = {
        "mask": "a causal mask instead of none",
        "norm": "the norm before each part instead of after it",
        "scale": "the largest scale of the initial weights instead of the smallest",
    }[row["effect"]]
    verb = "keeps" if row["sure"] else "makes"
    start = f"- **{row['effect']}**, under {row['probe']}: {what} {verb} {SURE[row['sure']]}, {_change(row)}, "
    if row["pairs"] == 1:
        return f"{start}in one pair ({row['smallest_pair']}), {_seeds(row['runs'])}."
    least, most = (f"{_number(row[name], row['unit'])} ({row[f'{name}_pair']})" for name in ("smallest", "largest"))
    rest = {
        "sign": "**Its sign depends on the rest of the architecture**, so the mean says little.",
        "size": "**Its size depends on the rest of the architecture.**",
        "": "No pair surely differs from the others.",
    }[row["varies"]]
    return f"{start}over {row['pairs']} pairs and {_seeds(row['runs'])}; from {least} to {most}. {rest}"


def _largest(rows: pd.DataFrame) -> str:
    sure = rows[rows["sure"] != ""]
    if len(sure):
        first = sure.loc[sure["estimate"].abs().idxmax(), "effect"]
        others = [f"the {name}" for name in sure["effect"] if name != first]
        also = f"Also sure: {_list(others)}." if others else "It is the only sure one."
        text = f"**the {first} makes the largest difference on average.** {also}"
    else:
        text = "**no ingredient makes a sure difference on average.**"
    if len(mixed := rows.loc[rows["varies"] == "sign", "effect"]):
        text += f" The sign of the effect of {_list(f'the {name}' for name in mixed)} depends on the rest."
    return text + (" There is one seed, so this holds for these networks only." if (rows["runs"] == 1).all() else "")


def phases(changes: pd.DataFrame) -> str:
    """Whether the curve of each twin goes through the phases that others report (`phases.changes`)."""
    if not len(changes):
        return "There is no curve to look at."
    return "\n".join(_phases_of(twin, rows) for twin, rows in changes.groupby("twin", sort=False))


def _phases_of(twin: str, rows: pd.DataFrame) -> str:
    parts = []
    for row in rows.to_dict("records"):
        if row["from_step"] == row["to_step"] and not row["seen"]:
            parts.append(f"no {row['phase']}")
        else:
            span, seen = f"from step {row['from_step']:,} to {row['to_step']:,}", "" if row["seen"] else "not "
            parts.append(f"{row['phase']} {span}: {_change(row)}, {seen}seen")
    seen, runs = rows["seen"].tolist(), int(rows["runs"].iloc[0])
    there, missing = ([f"the {name}" for name in rows.loc[rows["seen"] == flag, "phase"]] for flag in (True, False))
    if not missing:
        verdict = "**All phases are seen**, in this order."
    else:
        verdict = f"**Seen: {_list(there)}; not {_list(missing)}.**" if there else "**None of them is surely there.**"
    if any(seen[place] and seen[place + 2] and not seen[place + 1] for place in range(len(seen) - 2)):
        verdict += " As nothing is sure between them, two phases of the same direction may be one phase."
    if runs == 1:
        verdict += (
            " The turning points were chosen on the same curve on which the changes are measured, which makes these "
            "too large. The interval is over items and holds for this run only."
        )
    return f"- **{twin}**, {_seeds(runs)}: {'; '.join(parts)}. {verdict}"


def seen(directions: pd.DataFrame) -> str:
    """In how many twins all phases of RankMe are seen (`phases.changes`)."""
    complete = directions.groupby("twin")["seen"].all()
    return f"All phases of *collapse, expansion, compression* are seen in {complete.sum()} of {len(complete)} twins."


def size_and_data(table: pd.DataFrame, least: float) -> str:
    """Each quantity in the smallest and the largest network, and with the least and the most text; the largest change
    of what the last layer keeps comes first, and whether another twin keeps most at the other end. Neither counts
    networks whose gain is not surely `least` bits or more: they have not learned.
    """
    lines, changes = [], []
    network = ["twin", "size", "amount"]
    unlearned = pd.MultiIndex.from_frame(table.loc[(table["quantity"] == GAIN) & (table["low"] < least), network])
    table = table.assign(learned=~pd.MultiIndex.from_frame(table[network]).isin(unlearned))
    kept_at: dict[str, list[pd.DataFrame]] = {}
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
            if quantity == "retained_cross_entropy" and len(learned) > 1:
                ends = learned.iloc[[0, -1]]
                changes.append((float(ends["estimate"].diff().iloc[-1]), f"**{twin}**, by {name}"))
                kept_at.setdefault(by, []).append(ends)
    if changes:
        change, what = max(changes, key=lambda item: abs(item[0]))
        turned = "".join(_turned(VARIED[by], by, twins) for by, twins in kept_at.items())
        lines.insert(0, f"What the last layer keeps changes most for {what}: by {change:+.2f} of $H(X)$.{turned}\n")
    if lines and (table["runs"] == 1).any():
        lines.append("\nThe interval of a single run is over sentences alone and says nothing of other seeds.")
    return "\n".join(lines)


def _turned(name: str, by: str, twins: list[pd.DataFrame]) -> str:
    """Which twin keeps most at either end, if it is not the same."""
    first, last = (max((ends.iloc[place] for ends in twins), key=lambda row: row["estimate"]) for place in (0, -1))
    if first["twin"] == last["twin"]:
        return ""
    most = (f"*{row['twin']}* keeps most at {row[by]:,}" for row in (first, last))
    return f" **The order of the twins turns** with the {name}: {', but '.join(most)}."


def between_runs(table: pd.DataFrame) -> str:
    """For each target the measure that goes with it most closely over runs (`between_runs.correlations`)."""
    lines = []
    for target, rows in table.groupby("target", sort=False):
        best = rows.loc[rows["estimate"].abs().idxmax()]
        units = f"{best['runs']} runs of {'one twin' if best['twins'] == 1 else str(best['twins']) + ' twins'}"
        start = f"- **{_words(target)}**: *{_words(best['measure'])}* goes with it most closely, {quote(best, '+.2f')}"
        others = _list([f"*{_words(name)}*" for name in rows.loc[rows["sure"], "measure"] if name != best["measure"]])
        if best["sure"]:
            verdict = f"**That is significant after Holm's correction.**{f' So is that of {others}.' if others else ''}"
        elif others:  # of more runs
            verdict = f"That is not significant after Holm's correction, **but that of {others} is.**"
        else:
            verdict = "**No measure surely goes with it.**"
        seen = f"A rank correlation of {best['detectable']:.2f} would have been seen."
        lines.append(f"{start} ({units}, p = {best['p_holm']:.3f} after Holm). {verdict} {seen}")
    return "\n".join(lines) or "There are too few runs of one twin to compare."


def predictors(table: pd.DataFrame) -> str:
    """For each target (`predictors.over_runs`), the measure that predicts best, and whether that survives the step."""
    lines = [_best_predictor(target, rows) for target, rows in table.groupby("target", sort=False)]
    return "\n".join(lines) or "No target was measured."


def _best_predictor(target: str, rows: pd.DataFrame) -> str:
    plain, partial = (rows[rows["kind"] == kind].set_index("measure") for kind in ("spearman", "partial"))
    step, measures = plain[plain.index == STEP], plain.drop(index=STEP, errors="ignore")
    best = _closest(measures)
    if best is None:
        return f"- **{_words(target)}**: no run has enough checkpoints with values that differ."
    parts = [
        f"- **{_words(target)}**: *{_words(best)}* is most closely correlated with it, {_mean(measures.loc[best])}."
    ]
    if not _agree(measures.loc[best]):
        parts.append("The runs disagree on the sign, so it is no predictor in general.")
    if len(scarce := measures.index[measures["runs"] < measures["runs"].max()]):
        parts.append(f"Not considered, because not defined in all of these runs: {_list(map(_words, scarce))}.")
    if step["runs"].sum():
        parts.append(f"The correlation with the step itself is {step['estimate'].item():+.2f}.")
    parts.append(_survival(measures.loc[best], partial.loc[best]))
    rival = _closest(partial.drop(index=STEP, errors="ignore"))
    if rival not in (None, best):
        row = partial.loc[rival]
        sure = "surely" if row["p_holm"] < LEVEL else "but not surely"
        parts.append(f"Given the step, *{_words(rival)}* is most closely correlated with it, {sure}: {_mean(row)}.")
    if len(incomplete := measures[measures["missing"] > 0]):
        each = _list(f"{_words(name)} {missing}" for name, missing in incomplete["missing"].items())
        parts.append(f"Checkpoints left out because a value is missing: {each}.")
    return " ".join(parts)


def _closest(rows: pd.DataFrame) -> str | None:
    """The measure whose mean correlation is farthest from 0, among those defined in most runs."""
    rows = rows[(rows["runs"] > 0) & (rows["runs"] == rows["runs"].max())]
    return str(rows["estimate"].abs().idxmax()) if len(rows) else None


def _survival(plain: pd.Series, partial: pd.Series) -> str:
    """Whether a correlation whose sign the runs agree on remains given the step, after Holm's correction."""
    if not partial["runs"]:
        return "**Whether it says more than the step is open**: given the step, no correlation is defined."
    undefined = int(plain["runs"] - partial["runs"])
    value = _mean(partial) + (f", and not defined in {undefined} of {plain['runs']} runs" if undefined else "")
    if not _agree(plain):
        return f"Given the step, that of *{_words(str(plain.name))}* is {value}."
    given = f"given the step it is {value}"
    if partial["runs"] < ENOUGH:
        return f"**Whether that survives is open with so few runs**: {given}."
    if not _agree(partial) or np.sign(partial["estimate"]) != np.sign(plain["estimate"]):
        return f"**That does not survive**: {given}. Both may merely change with training."
    if not partial["p_holm"] < LEVEL:
        unsure = "" if pd.isna(partial["p_holm"]) else f"; p = {partial['p_holm']:.3f} after Holm"
        return f"**That does not surely survive**: {given}{unsure}."
    return f"**That survives**: {given}."


def _agree(row: pd.Series) -> bool:
    return bool(row["agree"] == row["runs"])


def _mean(row: pd.Series) -> str:
    """A mean over runs with its interval and its range."""
    if row["runs"] == 1:
        return f"{row['estimate']:+.2f} in the one run where it is defined"
    mean = quote(row, "+.2f") if row["runs"] >= ENOUGH else f"{row['estimate']:+.2f}"
    return (
        f"{mean} on average, from {row['smallest']:+.2f} to {row['largest']:+.2f} over {row['runs']} runs, "
        f"{row['agree']} of them with this sign"
    )


def _change(row: Mapping[str, Any]) -> str:
    """A difference with its interval; shares in percent."""
    number, *ends = (_number(row[name], row["unit"]) for name in ("estimate", "low", "high"))
    if not has_interval(row):
        return f"{number} (no interval)"
    return f"{number} [{', '.join(end.partition(' ')[0] for end in ends)}]"


def _number(value: float, unit: str) -> str:
    if unit.startswith("share"):
        return f"{100 * value:+.1f} {unit.replace('share', '%', 1)}"
    return f"{value:{'+.3f' if unit.startswith('bits') else '+.3g'}} {unit}"


def _words(quantity: str) -> str:
    return quantity.replace("_", " ")


def _seeds(runs: int) -> str:
    return "one seed" if runs == 1 else f"{runs} seeds"


def _runs(number: int) -> str:
    return f"{number} run{'' if number == 1 else 's'}"


def _list(names: Iterable[str]) -> str:
    """a, b and c; nothing of none."""
    *start, last = [*names] or [""]
    return f"{', '.join(start)} and {last}" if start else last
