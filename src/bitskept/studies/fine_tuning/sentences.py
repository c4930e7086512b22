"""The conclusions of notebook 03 in words (Markdown), computed from its tables."""

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from bitskept.base.words import quote
from bitskept.instruments.probes.readings import POOLINGS
from bitskept.studies.fine_tuning.checks import MATCHED, NAMING
from bitskept.studies.fine_tuning.claims import DRIFT, RELEVANT, described, near_the_border, needed
from bitskept.studies.fine_tuning.doses import NAMED
from bitskept.studies.fine_tuning.runs import BEFORE, CLAIMED, CONTROLS, SENTENCE
from bitskept.studies.fine_tuning.score_changes import LEVEL


def learning(table: pd.DataFrame) -> str:
    """Where the learning curve of each model, arm and rate begins and ends."""
    lines = []
    for (model, arm, rate), rows in table.groupby(["model", "arm", "rate"], sort=False):
        curve = rows.pivot(index="step", columns="quantity", values="estimate")[["named", "cross_entropy"]].dropna()
        (named, bits), (named_after, bits_after) = curve.iloc[0], curve.iloc[-1]
        shares = f"from {named:.0%} to {named_after:.0%} of its targets"
        lines.append(
            f"- **{model}**, {arm}, rate {rate:g}: {shares}, from {bits:.1f} to {bits_after:.1f} bits of surprisal."
        )
    return "\n".join(lines)


def layers(last_layer: pd.DataFrame) -> str:
    """What the last layer keeps before tuning, and how each arm changes that (from `bits_by_layer.at_last_layer`)."""
    lines = []
    for model, rows in last_layer.groupby("model", sort=False):
        shares = rows.loc[model]
        before = shares.loc[BEFORE]
        changes = ", ".join(
            f"{arm} {100 * row['centroid']:+z.0f} and {100 * row['ridge']:+z.0f} points"
            for arm, row in (shares - before).drop(BEFORE).iterrows()
        )
        start = f"before, the last layer keeps {before['centroid']:.0%} (centroid) and {before['ridge']:.0%} (ridge)"
        lines.append(f"- **{model}**: {start} of H(X). Changes: {changes}.")
    return "\n".join(lines)


def tasks(outcomes: Mapping[str, pd.DataFrame], left_out: Mapping[str, str]) -> str:
    """The tasks that were measured, and why others were not (from `task_scores.items`)."""
    measured = dict.fromkeys(task for table in outcomes.values() for task in table["task"].unique())
    lines = [f"- left out, {task}; it would take this: {needed(reason)}" for task, reason in left_out.items()]
    return "\n".join([f"Tasks: {', '.join(measured)}.", "", *lines])


def opponents(differences: pd.DataFrame) -> str:
    """For each model and arm, in which scores it is surely above and surely below each of its opponents."""
    lines = []
    for (model, arm), rows in differences.groupby(["model", "arm"], sort=False):
        against = "; ".join(
            f"above {opponent} in {_scores(part, 'above')}, below in {_scores(part, 'below')}"
            for opponent, part in rows.groupby("against", sort=False)
        )
        lines.append(f"- **{model}**, {arm}, {rows['score'].nunique()} scores: {against}.")
    return "\n".join(lines)


def poolings(table: pd.DataFrame) -> str:
    """Similarity under each pooling, before and after, and what leaving out the first position changes.

    A pooling under which no similarity is defined is left out: where all texts begin with the same word, a decoder has
    the same state at the first position of each.
    """
    similarity, lines = table[table["quantity"] == "spearman"], []
    for model in table["model"].unique():
        wide = similarity[similarity["model"] == model].pivot(
            index="task", columns="pooling", values=["before", "after"]
        )
        wide = wide.dropna(axis=1, how="all").dropna()  # the same tasks for all poolings
        if wide.empty:
            lines.append(f"- **{model}**: no similarity was measured that is defined.")
            continue
        means = wide.mean().unstack(level=0)
        means = means.loc[[name for name in POOLINGS if name in means.index]]
        changes = ", ".join(f"{name} {row['before']:.2f} to {row['after']:.2f}" for name, row in means.iterrows())
        line = f"- **{model}**, similarity on average over {len(wide)} tasks, before and after: {changes}."
        if {"mean", "mean without first"} <= set(means.index):
            worth = means.loc["mean without first", "before"] - means.loc["mean", "before"]
            line += (
                f" Before tuning, leaving the first position out of the mean changes the similarity by {worth:+z.3f}."
            )
        lines.append(line)
    return "\n".join(lines)


def doses(table: pd.DataFrame) -> str:
    """For each model and rate, when recoverability was learned; for each score, the dose at which it changes most
    upwards (from `doses.doses`).
    """
    lines, rows = [], table[table["arm"] == CLAIMED]
    for (model, rate), named in rows[rows["score"] == NAMED].groupby(["model", "rate"], sort=False):
        last = named["estimate"].iloc[-1]
        learned = named[named["estimate"] >= named["estimate"].iloc[0] + 0.9 * (last - named["estimate"].iloc[0])]
        lines.append(
            f"- **{model}**, rate {rate:g}: {named['estimate'].iloc[0]:.0%} of the tokens are named at the start, "
            f"{last:.0%} at the end, and nine tenths of that gain are there by step {learned['step'].iloc[0]}."
        )
    tuned = rows[(rows["score"] != NAMED) & (rows["step"] > 0)]
    for (model, score), changes in tuned.groupby(["model", "score"], sort=False):
        best = changes.loc[changes["estimate"].idxmax()]
        where = f"{best['step']} steps at a rate of {best['rate']:g}"
        lines.append(
            f"- **{model}**, {score}: of {len(changes)} doses, {where} is best, {quote(best, '+.3f')} against before "
            "(chosen afterwards, so it is favoured)."
        )
    return "\n".join(lines)


def best_layer(table: pd.DataFrame) -> str:
    """Whether the best layer before tuning scores more than the last one after it (from `best_layers.best_layers`)."""
    lines = []
    for model, rows in table.groupby("model", sort=False):
        surely = rows[rows["p"] < LEVEL]
        lines.append(
            f"- **{model}**: on items on which it was not chosen, the best layer before tuning scores "
            f"{rows['before'].mean():.2f} on average, the last layer after tuning {rows['after'].mean():.2f}. The "
            f"former (layers {rows['best_layer'].min()} to {rows['best_layer'].max()}) is ahead in "
            f"{(rows['estimate'] < 0).sum()} of {len(rows)} scores. By single tests it is surely ahead in "
            f"{(surely['estimate'] < 0).sum()}, and the latter in {(surely['estimate'] > 0).sum()}."
        )
    return "\n".join(lines)


def manipulation(checked: pd.DataFrame) -> str:
    """Did each model learn what it was trained for, and did the controls differ in what they keep? (From
    `checks.checks`.)
    """
    lines = []
    for (model, arm), row in checked.iterrows():
        done = "learned" if row["learned"] else "**hardly learned**"
        bits = (
            f"from {row['bits_before']:.1f} to {row['bits']:.1f} bits of surprisal; the frequencies of the tokens "
            f"alone leave {row['frequencies']:.1f}."
        )
        share = f"from {row['named_before']:.0%} to {row['named']:.0%} of its targets"
        named = checked.loc[(model, CLAIMED), "kept"]
        alike = abs(row["kept"] - named) <= MATCHED
        same = "by this probe about as much as after recoverability, so bits are an unlikely reason for a difference"
        shares = same if alike else f"after recoverability {named:.0%}"
        said = {
            CLAIMED: f"{done} to name, {share}. Its last layer keeps {row['kept']:.0%} of H(X) instead of "
            f"{row['kept_before']:.0%}.",
            SENTENCE: f"{done} to name the tokens of a sentence, {bits}",
        }
        target = f"to name, {share}." if arm in NAMING else f"its target, {bits}"
        control = f"(control) {done} {target} Its last layer keeps {row['kept']:.0%}, {shares}."
        lines.append(f"- **{model}**, {arm}: {said.get(arm, control)}")
    return "\n".join(lines)


def verdict(table: pd.DataFrame, differences: pd.DataFrame, checked: pd.DataFrame) -> str:
    """For each model and claimed arm: which scores rise, which do not, which cannot tell, and what would have been seen
    (from `claims.claims`, `score_changes.differences` and `checks.checks`).
    """
    rows = described(table)
    rows = rows.assign(near=near_the_border(rows))[rows["primary"]]
    lines = []
    for (model, arm), group in rows.groupby(["model", "arm"], sort=False):
        contrasts = differences[(differences["model"] == model) & (differences["arm"] == arm)]
        lines.append(
            f"- **{model}**, {arm}, {len(group)} scores. {_verdict(group, contrasts, checked.loc[model], arm)}"
        )
    return "\n".join(lines)


def _verdict(rows: pd.DataFrame, contrasts: pd.DataFrame, checked: pd.DataFrame, arm: str) -> str:
    if not checked.loc[arm, "learned"]:
        return "**Nothing follows**: the model hardly learned what it was tuned for."
    outcomes = {name: rows[rows["outcome"] == name] for name in ("yes", "no", "cannot tell")}
    unclear, sure = outcomes["cannot tell"], outcomes["yes"][~outcomes["yes"]["near"]]
    said = ["; ".join(f"{name}: {_listed(group['score'])}" for name, group in outcomes.items()) + "."]
    room = 1 - rows["score"].map(contrasts.groupby("score")["before"].max()).astype(float)  # no score exceeds 1
    if (possible := rows.loc[rows["detectable"] <= room, "detectable"]).size:
        ends = f"{possible.min():.2f} to {possible.max():.2f}, depending on the score"
        said.append(f"The smallest rise that could be seen (80 % of the time) is {ends}.")
    if (beyond := rows["detectable"] > room).any():
        said.append(f"No possible rise could be seen reliably in {_listed(rows.loc[beyond, 'score'])}.")
    if rows["near"].any():
        said.append(
            f"Closer than {DRIFT:g} to the border, so that another processor might decide otherwise, and no verdict "
            f"rests on them: {_listed(rows.loc[rows['near'], 'score'])}."
        )
    *others, last = contrasts["against"].unique()
    faced = " and ".join(filter(None, [", ".join(others), last]))
    if len(sure):
        said.append(f"**Understanding rises in {_listed(sure['score'])}**, above {faced}.")
    elif len(unclear) or rows["near"].any():
        number = f"{(~outcomes['no']['near']).sum()} of {len(rows)} scores"
        said.append(
            f"**No rise above {faced} in {number}.** In the others a rise of {RELEVANT:g} can be neither shown nor "
            "excluded."
        )
    else:
        said.append(f"**Understanding does not rise above {faced}**: by less than {RELEVANT:g} in every score.")
    before = contrasts[contrasts["against"] == BEFORE]
    said.append(f"Against before alone it surely rises in {_scores(before, 'above')} and falls in "
                f"{_scores(before, 'below')}.")  # fmt: skip
    controls = checked.reindex(CONTROLS)["learned"]
    if controls.isna().any():
        said.append(f"Controls that were not run: {_listed(controls.index[controls.isna()])}.")
    if controls.eq(False).any():
        said.append("Controls that hardly learned their target, so that they stand for the steps and the text alone: "
                    f"{_listed(controls.index[controls.eq(False)])}.")  # fmt: skip
    return " ".join(said)


def flips(table: pd.DataFrame) -> str:
    """How many outcomes at other doses or under other poolings are those of the main dose under the mean, what the
    others are, and each that is "yes" on one side alone (from `claims.claims`).
    """
    rows = described(table)
    main, same = rows[rows["primary"]], ["model", "arm", "score"]
    others = rows[~rows["primary"]].merge(main[[*same, "outcome"]], on=same, suffixes=("", "_main"))
    if others.empty:
        return "No other dose and pooling was measured."
    turned = others[others["outcome"] != others["outcome_main"]]
    counts = (turned["outcome_main"] + " to " + turned["outcome"]).value_counts()
    changed = "".join(f"; {number} change from {change}" for change, number in counts.items())
    yes, near = turned[(turned["outcome"] == "yes") | (turned["outcome_main"] == "yes")], near_the_border(turned)
    lines = [
        f"- **{row.model}**, {row.arm}, {row.score}: {row.outcome_main} at the main dose under the mean, {row.outcome} "
        f"{_setting(row)}: {quote(row._asdict(), '+.3f')} {row.unit}, {row.clusters:.0f} clusters"
        f"{f', closer than {DRIFT:g} to the border' if near[row.Index] else ''}. It faces only the controls that were "
        "run at that dose, and is not corrected for the number of settings."
        for row in yes.itertuples()
    ]
    most = rows.groupby("model")["train_sentences"].transform("max")
    dosed = rows.loc[rows["rate"].notna() | (rows["train_sentences"] < most), "score"]
    only = f"At other doses, only {_listed(dosed.unique())} was scored." if len(dosed) else "No other dose was scored."
    agree = f"{len(others) - len(turned)} have the outcome of their main row{changed}. {only}"
    return "\n".join([f"Of {len(others)} rows at other doses or under other poolings, {agree}", "", *lines])


def _setting(row: Any) -> str:
    rate = "" if pd.isna(row.rate) else f" at a rate of {row.rate:g}"
    return f"after {row.train_sentences:.0f} sentences{rate}, {row.reading}"


def cause(differences: pd.DataFrame, retained: pd.Series) -> str:
    """One paragraph per model with both arms: does it matter whether the names are right? `retained` is the share of
    H(X) that the last layer keeps, by model and arm.
    """
    against_permuted = differences[(differences["arm"] == CLAIMED) & (differences["against"] == "permuted")]
    lines = [_cause(model, rows, retained[model]) for model, rows in against_permuted.groupby("model", sort=False)]
    return "\n".join(lines) or "The permuted arm was not run for any model."


def _cause(model: str, rows: pd.DataFrame, retained: pd.Series) -> str:
    right, permuted = retained[CLAIMED], retained["permuted"]
    conclusion = "Right and wrong names lead to about the same bits and, within the error, the same scores."
    if abs(right - permuted) > MATCHED:
        conclusion = "The probe finds different shares, so names and bits differ at once."
    elif (rows["sure"] != "").any():
        conclusion = "They keep about the same, so the number of bits is an unlikely reason for the difference."
    return (
        f"- **{model}**: with the right names the last layer keeps {right:.0%} of H(X), with permuted ones "
        f"{permuted:.0%}. Right names are surely better for {_scores(rows, 'above')}, surely worse for "
        f"{_scores(rows, 'below')}. {conclusion}"
    )


def _scores(rows: pd.DataFrame, sure: str) -> str:
    return _listed(rows.loc[rows["sure"] == sure, "score"])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
