"""The conclusions of notebook 03 in words (Markdown), computed from its tables."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from bitskept.base.words import quote
from bitskept.instruments.probes.readings import POOLINGS
from bitskept.studies.fine_tuning.checks import LEAST_BITS, LEAST_NAMED, matched
from bitskept.studies.fine_tuning.claims import needed
from bitskept.studies.fine_tuning.doses import NAMED, against_before
from bitskept.studies.fine_tuning.runs import BEFORE, CLAIMED, CONTROLS, SENTENCE
from bitskept.studies.fine_tuning.score_changes import LEVEL
from bitskept.studies.fine_tuning.section import Measuring
from bitskept.studies.fine_tuning.task_scores import guessing, recoverability


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


def tasks(outcomes: Mapping[str, pd.DataFrame], left_out: Mapping[str, str], measuring: Mapping[str, Measuring]) -> str:
    """The tasks that were measured, on how many items, and why others were not (from `task_scores.items`)."""
    measured = dict.fromkeys(task for table in outcomes.values() for task in table["task"].unique())
    most = ", ".join(f"{sizes.items} for {model}" for model, sizes in measuring.items())
    lines = [f"- left out, {task}; it would take this: {needed(reason)}" for task, reason in left_out.items()]
    head = (
        f"Tasks: {', '.join(measured)}. At most so many pairs or test texts of each are scored, and classifiers learn "
        f"from at most so many texts: {most}."
    )
    return "\n".join([head, "", *lines])


def above_guessing(table: pd.DataFrame) -> str:
    """Which scores are not clearly above what guessing gives before tuning (from `task_scores.scores`)."""
    before = table[table["arm"] == BEFORE]
    unclear = (
        before["score"].where(~(before["low"] > before["score"].map(guessing))).groupby(before["model"], sort=False)
    )
    said = " ".join(f"**{model}**: {names_or_none(names.dropna())}." for model, names in unclear)
    return f"Not clearly above guessing before tuning, so that little can be lost there. {said}"


def opponents(differences: pd.DataFrame) -> str:
    """For each model and arm, in which scores it is surely above and surely below each of its opponents."""
    lines = []
    for (model, arm), rows in differences.groupby(["model", "arm"], sort=False):
        against = "; ".join(
            f"above {opponent} in {scores_that_are(part, 'above')}, below in {scores_that_are(part, 'below')}"
            for opponent, part in rows.groupby("against", sort=False)
        )
        lines.append(f"- **{model}**, {arm}, {rows['score'].nunique()} scores: {against}.")
    return "\n".join(lines)


def poolings(table: pd.DataFrame) -> str:
    """Similarity under each pooling, before and after, and what leaving out the first position changes.

    A pooling under which no similarity is defined is left out: where all texts begin with the same word, a decoder has
    the same state at the first position of each.
    """
    table = recoverability(table)
    similarity, lines = table[table["quantity"] == "spearman"], []
    for model in table["model"].unique():
        wide = similarity[similarity["model"] == model].pivot(
            index="task", columns="pooling", values=["before", "after"]
        )
        wide = wide.dropna(axis=1, how="all")
        every, wide = wide, wide.dropna()  # the same tasks for all poolings
        if wide.empty:
            lines.append(f"- **{model}**: no similarity was measured that is defined.")
            continue
        means = wide.mean().unstack(level=0)
        means = means.loc[[name for name in POOLINGS if name in means.index]]
        changes = ", ".join(f"{name} {row['before']:.2f} to {row['after']:.2f}" for name, row in means.iterrows())
        number = f"{len(wide)} tasks ({', '.join(wide.index)})"
        line = f"- **{model}**, similarity on average over {number}, before and after: {changes}."
        if len(wide) < len(every):
            ends = [f"{every[end]['mean'].mean():.2f}" for end in ("before", "after")]
            line += f" Over all {len(every)} tasks, the mean goes from {ends[0]} to {ends[1]}."
        if {"mean", "mean without first"} <= set(means.index):
            worth = means.loc["mean without first", "before"] - means.loc["mean", "before"]
            line += (
                f" Before tuning, leaving the first position out of the mean changes the similarity by {worth:+z.3f}."
            )
        lines.append(line)
    return "\n".join(lines)


def doses(table: pd.DataFrame) -> str:
    """For each model and rate, when recoverability was learned, and what each score had done by then; for each score,
    the dose at which it changes most upwards (from `doses.doses`).
    """
    rows = against_before(table)
    lines, rows = [], rows[rows["arm"] == CLAIMED]
    for (model, rate), named in rows[rows["score"] == NAMED].groupby(["model", "rate"], sort=False):
        last = named["estimate"].iloc[-1]
        learned = named[named["estimate"] >= named["estimate"].iloc[0] + 0.9 * (last - named["estimate"].iloc[0])]
        lines.append(
            f"- **{model}**, rate {rate:g}: {named['estimate'].iloc[0]:.0%} of the tokens are named at the start, "
            f"{last:.0%} at the end, and nine tenths of that gain are there by step {learned['step'].iloc[0]}."
            f"{_by_then(rows[(rows['model'] == model) & (rows['rate'] == rate)], learned['step'].iloc[0])}"
        )
    tuned = rows[(rows["score"] != NAMED) & (rows["step"] > 0)]
    for (model, score), changes in tuned.groupby(["model", "score"], sort=False):
        best = changes.loc[changes["estimate"].idxmax()]
        where = f"{best['step']} steps at a rate of {best['rate']:g}"
        lines.append(
            f"- **{model}**, {score}: of {len(changes)} doses, {where} is best, {quote(best, '+.3f')} against before"
            f"{_against_controls(table, best)} (chosen afterwards, so it is favoured)."
        )
    return "\n".join(lines)


def _against_controls(table: pd.DataFrame, best: pd.Series) -> str:
    same = ["model", "arm", "rate", "step", "score"]
    rows = table[(table[same] == best[same]).all(axis=1) & table["against"].isin(CONTROLS)]
    return "".join(f", {quote(row, '+.3f')} against {row['against']}" for row in rows.to_dict("records"))


def _by_then(rows: pd.DataFrame, step: np.integer) -> str:
    """What each score had done by a step: " By then, stsb has fallen (...); ..."."""
    said = []
    for row in rows[(rows["step"] == step) & (rows["score"] != NAMED)].to_dict("records"):
        word = "has risen" if row["low"] > 0 else "has fallen" if row["high"] < 0 else "has not clearly changed"
        said.append(f"{row['score']} {word} ({quote(row, '+.3f')} against before)")
    return f" By then, {'; '.join(said)}." if said else ""


def best_layer(table: pd.DataFrame) -> str:
    """Whether the best layer before tuning scores more than the last one after it (from `best_layers.best_layers`)."""
    lines = []
    for model, rows in table.groupby("model", sort=False):
        below = rows[rows["p"] < LEVEL]
        lines.append(
            f"- **{model}**: on items on which it was not chosen, the best of {rows['layers'].max()} layers before "
            f"tuning scores "
            f"{rows['before'].mean():.2f} on average, the last layer after tuning {rows['after'].mean():.2f}. The last "
            f"layer before tuning scores {rows['last_before'].mean():.2f}, so the best one led it by "
            f"{(rows['before'] - rows['last_before']).mean():z.2f} without any tuning. The best layer before tuning "
            f"(layers {rows['best_layer'].min()} to {rows['best_layer'].max()}) is ahead of the tuned one in "
            f"{(rows['estimate'] < 0).sum()} of {len(rows)} scores. By single tests (p < .05, uncorrected) it is ahead "
            f"in {(below['estimate'] < 0).sum()}, and the tuned one in {(below['estimate'] > 0).sum()}."
        )
    return "\n".join(lines)


def manipulation(checked: pd.DataFrame, reached: pd.DataFrame) -> str:
    """Did each model learn what it was trained for, and did the controls differ in what they keep? (From
    `checks.checks`.) And what did the controls learn at other rates? (From `checks.targets`.)
    """
    lines = []
    for (model, arm), row in checked.iterrows():
        claimed = checked.loc[(model, CLAIMED)]
        alike = {
            True: "by both probes about as much as after recoverability, so bits are an unlikely reason for a "
            "difference",
            False: f"after recoverability {_kept(claimed)}",
            None: f"after recoverability {_kept(claimed)}: the probes disagree whether that is about the same",
        }
        share, surprisal = _ends(row)
        bits = f"{surprisal}; the frequencies of the tokens alone leave {row['frequencies']:.1f}."
        said = {
            CLAIMED: f"{_done(row)} to name, {share}. Its last layer keeps {_kept(row)} of H(X), "
            f"before {row['centroid_before']:.0%} and {row['ridge_before']:.0%}.",
            SENTENCE: f"{_done(row)} to name the tokens of a sentence, {bits}",
        }
        control = (
            f"(control) {_done(row, control=True)}. It goes {share} named, and {bits} Its last layer keeps "
            f"{_kept(row)}, {alike[matched(row, claimed)]}."
        )
        lines.append(f"- **{model}**, {arm}: {said.get(arm, control)}")
    first = pd.MultiIndex.from_frame(checked.reset_index()[["model", "arm", "rate"]])
    for (model, arm, rate), row in reached[~reached.index.isin(first)].iterrows():
        if arm in CONTROLS:
            share, surprisal = _ends(row)
            done = _done(row, control=True)
            lines.append(f"- **{model}**, {arm}, at a rate of {rate:g}: (control) {done}: {share} named, {surprisal}.")
    return "\n".join(lines)


def _ends(row: pd.Series) -> tuple[str, str]:
    """The share of targets that is named, and their surprisal, at the start and at the end."""
    share = f"from {row['named_before']:.0%} to {row['named']:.0%} of its targets"
    surprisal = f"from {row['bits_before']:.1f} to {row['bits']:.1f} bits of surprisal{_hidden(row)}"
    if row["bits_most"] > max(row["bits_before"], row["bits"]) + LEAST_BITS:
        surprisal += f", after {row['bits_most']:.1f} on the way (this rate first did harm)"
    return share, surprisal


def _done(row: pd.Series, *, control: bool = False) -> str:
    unknown = pd.isna(row["learned"])
    if not control:
        return "learned" if not unknown and row["learned"] else "**hardly learned**"
    if unknown and row["named"] - row["named_before"] >= LEAST_NAMED:
        falls = f"only {row['falls']}" if row["falls"] else "none"
        why = (
            f"it names more, but with {falls} of {row['seeds']} seeds is it less surprised than before and than by "
            f"frequencies alone, by {LEAST_BITS:g} bits or more"
        )
        if row["bits_previous"] - row["bits"] >= LEAST_BITS:
            why += "; its surprisal was still falling, so more steps might settle it"
        return f"**cannot tell** whether it learned its target: {why}"
    if unknown:
        return "**cannot tell** whether it learned its target: its seeds disagree"
    if row["learned"]:
        return "learned its target"
    knew = row["bits_before"] < row["frequencies"]
    return f"**learned no more than {'it knew before' if knew else 'the frequencies'}**"


def _hidden(row: pd.Series) -> str:
    """Which targets count, if not all, and whether all of them would say something else."""
    if not row["masked"]:
        return ""
    of_all = f" (hidden targets; all of them: {row['bits_of_all']:.1f}"
    by_hidden, by_all = (None if pd.isna(value) else bool(value) for value in row[["learned", "learned_by_all"]])
    if by_all == by_hidden:
        return f"{of_all})"
    said = {None: "it could not be told", True: "it would have learned its target", False: "it would not have learned"}
    return f"{of_all}, by which {said[by_all]})"


def _kept(row: pd.Series) -> str:
    return f"{row['centroid']:.0%} (centroid) and {row['ridge']:.0%} (ridge)"


def cause(differences: pd.DataFrame, last_layer: pd.DataFrame) -> str:
    """One paragraph per model with both arms: does it matter whether the names are right? `last_layer` is what each
    arm's last layer keeps, by both probes (`bits_by_layer.at_last_layer`).
    """
    against_permuted = differences[(differences["arm"] == CLAIMED) & (differences["against"] == "permuted")]
    lines = [
        _cause(model, rows, last_layer.loc[model]) for model, rows in against_permuted.groupby("model", sort=False)
    ]
    return "\n".join(lines) or "The permuted arm was not run for any model."


def _cause(model: str, rows: pd.DataFrame, kept: pd.DataFrame) -> str:
    right, permuted = kept.loc[CLAIMED], kept.loc["permuted"]
    differ = rows["sure"].isin(["above", "below"]).any()
    conclusion = {
        True: "Both probes find about the same bits, so their number is an unlikely reason for the difference."
        if differ
        else "Right and wrong names lead to about the same bits and, within the error, the same scores.",
        False: "Both probes find different shares, so names and bits differ at once.",
        None: "The probes disagree whether the last layers keep about the same, so nothing follows about the cause.",
    }[matched(right, permuted)]
    return (
        f"- **{model}**: with the right names the last layer keeps {_kept(right)} of H(X), with permuted ones "
        f"{_kept(permuted)}. Right names are surely better for {scores_that_are(rows, 'above')}, surely worse for "
        f"{scores_that_are(rows, 'below')}. {conclusion}"
    )


def scores_that_are(rows: pd.DataFrame, sure: str) -> str:
    """The names of the scores that are surely "above" or "below"."""
    return names_or_none(rows.loc[rows["sure"] == sure, "score"])


def names_or_none(names: Iterable[str]) -> str:
    """The names, or "none"."""
    return ", ".join(names) or "none"
