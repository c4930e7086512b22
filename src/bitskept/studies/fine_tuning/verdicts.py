"""The verdict of notebook 03 on the claim in words (Markdown), computed from its tables."""

from typing import Any

import numpy as np
import pandas as pd

from bitskept.base.words import listed, quote
from bitskept.instruments.claims import BORDER
from bitskept.studies.fine_tuning.checks import LEAST_NAMED, MATCHED, matched
from bitskept.studies.fine_tuning.claims import DRIFT, RELEVANT, described, near_the_border, with_border
from bitskept.studies.fine_tuning.runs import BEFORE, CLAIMED, CLAIMS, CONTROLS
from bitskept.studies.fine_tuning.score_changes import rises_elsewhere
from bitskept.studies.fine_tuning.sentences import names_or_none, scores_that_are
from bitskept.studies.fine_tuning.task_scores import SUFFIXES

SAME = ["model", "arm", "score"]
NEAR = f"by less than {DRIFT:g}, or {2 * DRIFT:g} against a model that was tuned as well"


def verdict(table: pd.DataFrame, differences: pd.DataFrame, checked: pd.DataFrame) -> str:
    """How many scores rise; then, for each model and claimed arm, which do, which do not, which are open, and what
    would have been seen (from `claims.claims`, `score_changes.differences` and `checks.checks`).
    """
    rows = described(with_border(table, differences))
    counts, lines, outcomes = [], [], []
    for (model, arm), group in rows[rows["primary"]].groupby(["model", "arm"], sort=False):
        contrasts = differences[(differences["model"] == model) & (differences["arm"] == arm)]
        against = listed(contrasts["against"].unique())
        name = f"**{model}**, {arm} at a rate of {contrasts['rate'].iloc[0]:g}"
        if not checked.loc[(model, arm), "learned"]:
            lines.append(f"- {name}: **nothing follows**, as the model hardly learned what it was tuned for.")
            continue
        number = {key: int((group["outcome"] == key).sum()) for key in ("yes", "no")}
        of_each = f"{number['yes']} yes, {number['no']} no, {len(group) - sum(number.values())} open"
        counts.append(f"{model}, {arm}: {of_each}.")
        outcomes += list(group["outcome"])
        said = [f"- {name}, against {against}, {len(group)} scores:", *_verdict(group, contrasts, checked.loc[model])]
        lines.append("\n  - ".join(said))
    return "\n".join([" ".join(filter(None, [_lead(outcomes), *counts])), "", *lines])


def _lead(outcomes: list[str]) -> str:
    if number := outcomes.count("yes"):
        return f"**Understanding rises in {number} of {len(outcomes)} scores**, above before and every control."
    if set(outcomes) == {"no"}:
        return f"**No score rises** by {RELEVANT:g} or more above before and every control."
    return "**No score is shown to rise** above before and every control." if outcomes else ""


def _verdict(rows: pd.DataFrame, contrasts: pd.DataFrame, checked: pd.DataFrame) -> list[str]:
    notes = {BORDER: f" ({NEAR}, so another processor might decide otherwise, and no verdict rests on them)"}
    said = [
        f"{name}{notes.get(name, '')}: {names_or_none(rows.loc[rows['outcome'] == name, 'score'])}."
        for name in ("yes", "no", BORDER, "cannot tell")
        if (rows["outcome"] == name).any()
    ]
    high = rows["estimate"] + rows["holm"] * (rows["high"] - rows["estimate"])
    if (turned := (rows["outcome"] == "no") & (high >= RELEVANT)).any():
        said.append(
            "With intervals corrected for the number of scores (as wide as the strictest of Holm's steps asks for), "
            f"*cannot tell* instead of *no*: {names_or_none(rows.loc[turned, 'score'])}."
        )
    seen, beyond = rows["detectable"][np.isfinite(rows["detectable"])], np.isinf(rows["detectable"])
    if seen.size:
        ends = f"{seen.min():.2f} to {seen.max():.2f}, depending on the score"
        if seen.min() > RELEVANT:
            ends += f": at best {seen.min() / RELEVANT:.1f} times the {RELEVANT:g} that counts"
        said.append(
            f"In {seen.size} of {len(rows)} scores a rise would probably have been seen (80 % of the time) from a size "
            f"of {ends}."
        )
    if beyond.any():
        unseen = names_or_none(rows.loc[beyond, "score"])
        said.append(f"In {unseen} even a perfect score would probably go unnoticed: a *yes* was out of reach.")
    before = contrasts[contrasts["against"] == BEFORE]
    said.append(
        f"Against before alone a score surely rises in {scores_that_are(before, 'above')} and falls in "
        f"{scores_that_are(before, 'below')}."
    )
    return [*said, *_controls(checked)]


def _controls(checked: pd.DataFrame) -> list[str]:
    """What the controls of a model cannot stand for."""
    said, missing = [], [arm for arm in CONTROLS if arm not in checked.index]
    controls = checked.loc[[arm for arm in CONTROLS if arm in checked.index]]
    lifted, learned = controls["lifted"].astype(bool), controls["learned"].astype("boolean")
    if missing:
        said.append(f"Controls that were not run: {names_or_none(missing)}.")
    idle = learned.eq(False).fillna(False)
    if (idle & ~lifted).any():
        said.append(
            "Controls that hardly learned their target, so that they stand for the steps and the text alone: "
            f"{names_or_none(controls.index[idle & ~lifted])}."
        )
    if (idle & lifted).any():
        said.append(
            "Controls that hardly learned their target, but whose last layer keeps more than before: "
            f"{names_or_none(controls.index[idle & lifted])}."
        )
    if learned.isna().any():
        unknown = names_or_none(controls.index[learned.isna()])
        said.append(f"Controls of which it cannot be told whether they learned their target: {unknown}.")
    if len(controls) and lifted.all():
        said.append("No control withheld the bits about the tokens: the last layer keeps more after each of them too.")
        if controls["masked"].any():
            said.append("The arm *mask only*, in which every target is hidden, would be such a control.")
    return said


def flips(table: pd.DataFrame, contrasts: pd.DataFrame, changes: pd.DataFrame, reached: pd.DataFrame) -> str:
    """Which outcomes at other doses or under other poolings are not those of the main dose under the mean, by name;
    each that is "yes" on one side alone; and each sure rise against before alone under another pooling (from
    `claims.claims`, `score_changes.differences` at the main dose, `score_changes.changes` at all, and
    `checks.targets`).
    """
    rows = described(with_border(table, contrasts))
    main = rows[rows["primary"]]
    others = rows[~rows["primary"]].merge(main[[*SAME, "outcome", "train_sentences"]], on=SAME, suffixes=("", "_main"))
    if others.empty:
        return "No other dose and pooling was measured."
    dosed = others["rate"].notna() | (others["train_sentences"] < others["train_sentences_main"])
    others = others.assign(
        setting=[_setting(row) for row in others.itertuples()],
        kind=("*" + others["reading"].astype(str) + "*").mask(dosed, "other doses"),
    )
    compared = others[others["outcome_main"] != BORDER]
    turned = compared[compared["outcome"] != compared["outcome_main"]]
    agreeing = compared.drop(turned.index)
    agrees = (compared["outcome"] == compared["outcome_main"]).groupby(compared["kind"], sort=False)
    each = ", ".join(f"{kind} {part.sum()} of {part.size}" for kind, part in agrees)
    only = f"At other doses, only {names_or_none(others['score'][dosed].unique())} was scored."
    parts = [
        f"Of {len(compared)} rows at other doses or under other poolings, {len(compared) - len(turned)} have the "
        f"outcome of their main row{each and f': {each}'}.",
        only if dosed.any() else "No other dose was scored.",
    ]
    if rest := len(others) - len(compared):
        parts.append(f"Another {rest} are not compared, as their main row is too near the border.")
    parts += _weak(others, agreeing[agreeing["kind"] == "other doses"], changes)
    lines = []
    for (model, arm, was, becomes), group in turned.groupby(["model", "arm", "outcome_main", "outcome"], sort=False):
        where = [f"{setting}: {names_or_none(part['score'])}" for setting, part in group.groupby("setting", sort=False)]
        lines.append(f"- **{model}**, {arm}, {was} → {becomes} {'; '.join(where)}.")
    either = (others["outcome"] == "yes") != (others["outcome_main"] == "yes")
    lines += [_either(row, rows, contrasts, changes, reached) for _, row in others[either].iterrows()]
    return "\n".join([" ".join(parts), "", *lines, *_alone(others, changes)])


def _weak(others: pd.DataFrame, agreeing_doses: pd.DataFrame, changes: pd.DataFrame) -> list[str]:
    """What the other settings do not show: outcomes near the border, scores that did not move, and undefined ones."""
    said = []
    if near := near_the_border(others, others["against"] != BEFORE).sum():
        number = others["outcome"].isin(["yes", "no"]).sum()
        said.append(
            f"Of the {number} *yes* and *no* among all of them, {near} lie near the border, which counts for main rows."
        )
    if still := (agreeing_doses["estimate"].abs() < RELEVANT).sum():
        said.append(f"At {still} of the doses that agree, the smallest rise is within {RELEVANT:g} of 0: the score had "
                    "hardly moved yet.")  # fmt: skip
    undefined = changes[changes["estimate"].isna() & changes["quantity"].isin(SUFFIXES) & changes["arm"].isin(CLAIMS)]
    for (model, pooling), part in undefined.groupby(["model", "pooling"], sort=False):
        said.append(f"Not defined for {model} under *{pooling}*: {names_or_none(part['task'].unique())}.")
    return said


def _either(
    row: pd.Series, rows: pd.DataFrame, contrasts: pd.DataFrame, changes: pd.DataFrame, reached: pd.DataFrame
) -> str:
    """A row that is "yes" where its main row is not, or the reverse: what it faces, and one of how many settings."""
    arm = changes[(changes["model"] == row["model"]) & (changes["arm"] == row["arm"])]
    main = contrasts[(contrasts["model"] == row["model"]) & (contrasts["arm"] == row["arm"])]
    rate = main["rate"].iloc[0] if pd.isna(row["rate"]) else row["rate"]
    faced = arm.loc[np.isclose(arm["rate"], rate), "against"].unique()
    missing = [name for name in main["against"].unique() if name not in faced]
    near = near_the_border(row.to_frame().T).any()
    settings = (rows[SAME] == row[SAME]).all(axis=1).sum()
    knowing = reached.index[reached["learned"].fillna(False).astype(bool)]
    learned = [f"*{name}* learned its target there" for name in faced if (row["model"], name, rate) in knowing]
    p = f": p is {row['p']:.3f}, and {min(1, settings * row['p']):.2f} if it were" if row["outcome"] == "yes" else ""
    return (
        f"- **{row['model']}**, {row['arm']}, {row['score']}, {row['outcome']} {row['setting']}: "
        f"{quote(row, '+.3f')} {row['unit']}, {row['clusters']:.0f} clusters"
        f"{f', closer than {2 * DRIFT:g} to the border' if near else ''}. It faces {listed(faced)}"
        f"{f', but not {listed(missing)}' if missing else ''}{''.join(f'; {text}' for text in learned)}. It is one of "
        f"{settings} settings of this score, and not corrected for their number{p}."
    )


def _alone(others: pd.DataFrame, changes: pd.DataFrame) -> list[str]:
    """A line for each sure rise against before alone, with what is left of it against the controls."""
    dose = others["rate"].isna() & (others["train_sentences"] == others["train_sentences_main"])
    same = ["model", "arm", "score", "reading"]
    smallest = others[dose].set_index(same)
    return [
        f"- **{row['model']}**, {row['arm']}, {row['score']}, under *{row['pooling']}*: a sure rise against before "
        f"alone, by {quote(row, '+.3f')}. Against the controls too, the smallest rise is "
        f"{quote(smallest.loc[tuple(row[['model', 'arm', 'score', 'pooling']])], '+.3f')}."
        for _, row in rises_elsewhere(changes).iterrows()
    ]


def earlier_rules(table: pd.DataFrame, contrasts: pd.DataFrame, checked: pd.DataFrame) -> str:
    """What would be said by the rules of the first runs: a control that names `LEAST_NAMED` more of its targets has
    learned them; the border is `DRIFT` wide for all; the centroid alone says whether two last layers keep about the
    same (from `claims.claims`, `score_changes.differences` and `checks.checks`).
    """
    rows = described(with_border(table, contrasts))
    border = rows[rows["primary"] & (rows["outcome"] == BORDER)]
    verdicts = border.assign(outcome=np.where(border["high"] < RELEVANT, "no", "yes"))
    counted = verdicts[~near_the_border(verdicts, tuned=False)]
    names = [f"{row.score} of {row.model} ({row.outcome})" for row in counted.itertuples()]
    lines = [f"- Scores that would count with a border of {DRIFT:g} for all: {names_or_none(names)}."]
    permuted = checked[checked.index.get_level_values("arm") == "permuted"]
    more = permuted["named"] - permuted["named_before"] >= LEAST_NAMED
    taught = permuted[permuted["learned"].isna() & more].index.get_level_values("model")
    lines.append(f"- *Permuted* would have learned its target, which now cannot be told: {names_or_none(taught)}.")
    for (model, _), row in permuted.iterrows():
        claimed = checked.loc[(model, CLAIMED)]
        if matched(claimed, row) is None:
            alike = abs(claimed["centroid"] - row["centroid"]) <= MATCHED
            lines.append(
                f"- **{model}**: by the centroid alone, the last layers with right names and with permuted ones would "
                f"{'' if alike else 'not '}keep about the same."
            )
    return "\n".join(["By the rules of the first runs:", "", *lines])


def _setting(row: Any) -> str:
    """What differs from the main dose under the mean."""
    rate = "" if pd.isna(row.rate) else f" at a rate of {row.rate:g}"
    other_dose = rate or row.train_sentences != row.train_sentences_main
    steps = f"after {row.train_sentences:.0f} sentences{rate}" if other_dose else ""
    pooling = "" if pd.isna(row.reading) or row.reading == "mean" else f"under *{row.reading}*"
    return " ".join(filter(None, [steps, pooling]))
