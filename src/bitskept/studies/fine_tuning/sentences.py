"""The conclusions of notebook 03 in words (Markdown), computed from its tables."""

from collections.abc import Iterable, Mapping

import pandas as pd

from bitskept.instruments.probes.readings import POOLINGS
from bitskept.studies.fine_tuning.runs import BEFORE, CLAIMED, CONTROLS

MATCHED = 0.05
"""Two arms whose last layers differ by no more than this share of H(X) keep about the same."""


def learning(table: pd.DataFrame) -> str:
    """Where the learning curve of each model and arm begins and ends."""
    lines = []
    for (model, arm), rows in table.groupby(["model", "arm"], sort=False):
        curve = rows.pivot(index="step", columns="quantity", values="estimate")[["named", "cross_entropy"]].dropna()
        (named, bits), (named_after, bits_after) = curve.iloc[0], curve.iloc[-1]
        shares = f"from {named:.0%} to {named_after:.0%} of its targets"
        lines.append(f"- **{model}**, {arm}: {shares}, from {bits:.1f} to {bits_after:.1f} bits of surprisal.")
    return "\n".join(lines)


def layers(last_layer: pd.DataFrame) -> str:
    """What the last layer keeps before tuning, and how each arm changes that (from `bits_by_layer.at_last_layer`)."""
    lines = []
    for model, rows in last_layer.groupby("model", sort=False):
        shares = rows.loc[model]
        before = shares.loc[BEFORE]
        changes = ", ".join(
            f"{arm} {row['centroid']:+z.0%} and {row['ridge']:+z.0%}"
            for arm, row in (shares - before).drop(BEFORE).iterrows()
        )
        start = f"before, the last layer keeps {before['centroid']:.0%} (centroid) and {before['ridge']:.0%} (ridge)"
        lines.append(f"- **{model}**: {start} of H(X). Changes: {changes}.")
    return "\n".join(lines)


def tasks(outcomes: Mapping[str, pd.DataFrame], left_out: Mapping[str, str]) -> str:
    """The tasks that were measured, and why others were not (from `task_scores.items`)."""
    measured = dict.fromkeys(task for table in outcomes.values() for task in table["task"].unique())
    lines = [f"- left out, {task}: {reason.rpartition(': ')[2]}" for task, reason in left_out.items()]
    return "\n".join([f"Tasks: {', '.join(measured)}.", "", *lines])


def gains(differences: pd.DataFrame) -> str:
    """The mean change of each arm over the scores of a model."""
    lines = []
    for model, rows in differences[differences["against"] == BEFORE].groupby("model", sort=False):
        changes = ", ".join(
            f"{arm} {change.mean():+.3f} ({(change > 0).sum()} of {change.count()} rise)"
            for arm, change in rows.groupby("arm", sort=False)["estimate"]
        )
        lines.append(f"- **{model}**, mean change over its scores: {changes}.")
    return "\n".join(lines)


def poolings(table: pd.DataFrame) -> str:
    """Similarity under each pooling, before and after, and what leaving out the first position changes.

    A pooling under which no similarity is defined is left out: where all texts begin with the same word, a decoder has
    the same state at the first position of each.
    """
    similarity, lines = table[table["quantity"] == "spearman"], []
    for model in table["model"].unique():
        of_model = similarity[similarity["model"] == model]
        means = of_model.groupby("pooling")[["before", "after"]].mean().reindex(POOLINGS).dropna()
        if means.empty:
            lines.append(f"- **{model}**: no similarity was measured that is defined.")
            continue
        changes = ", ".join(f"{name} {row['before']:.2f} to {row['after']:.2f}" for name, row in means.iterrows())
        line = f"- **{model}**, similarity on average, before and after: {changes}."
        if {"mean", "mean without first"} <= set(means.index):
            worth = means.loc["mean without first", "before"] - means.loc["mean", "before"]
            line += (
                f" Before tuning, leaving the first position out of the mean changes the similarity by {worth:+z.2f}."
            )
        lines.append(line)
    return "\n".join(lines)


def rank_correlations(ranks: pd.DataFrame) -> str:
    """Whether the layers that keep more also score more (from `layers_before_tuning.rank_correlations`)."""
    ranks = ranks.dropna(subset="spearman")
    if ranks.empty:
        return "No model was measured at enough layers for a rank correlation."
    number, negative = len(ranks), int((ranks["spearman"] < 0).sum())
    low, high = ranks.loc[ranks["spearman"].idxmin()], ranks.loc[ranks["spearman"].idxmax()]
    ends = " to ".join(f"{row['spearman']:+.2f} ({row['task']}, {row['model']})" for row in (low, high))
    keeps_most, last = (int((ranks[name] == ranks["best_layer"]).sum()) for name in ("keeps_most", "last_layer"))
    conclusion = "There is no common direction: within a model, keeping more does not mean understanding more."
    if 4 * negative >= 3 * number:
        conclusion = "Within these models, layers that keep more of the tokens mostly understand *less*."
    elif 4 * negative <= number:
        conclusion = "Within these models, layers that keep more of the tokens mostly understand more as well."
    return (
        f"Of {number} rank correlations, one for each model and score, {negative} are negative; they run from {ends}. "
        f"The best layer is the one that keeps most in {keeps_most} cases, and the last one in {last}. {conclusion}"
    )


def best_layer(differences: pd.DataFrame, ranks: pd.DataFrame) -> str:
    """Whether the best layer before tuning scores more than the last one after it."""
    tuned = differences[(differences["arm"] == CLAIMED) & (differences["against"] == BEFORE)]
    table = tuned.merge(ranks[["model", "task", "quantity", "best"]], on=["model", "task", "quantity"])
    lines = []
    for model, rows in table.groupby("model", sort=False):
        better = f"in {(rows['best'] > rows['after']).sum()} of {len(rows)} scores"
        means = f"{rows['best'].mean():.2f} against {rows['after'].mean():.2f} on average"
        what = "the best layer before tuning scores more than the last layer after it"
        lines.append(f"- **{model}**: {what} {better} ({means}).")
    return "\n".join([*lines, "\n(The best layer was chosen on the same items, which favours it a little.)"])


def claim(verdicts: pd.DataFrame) -> str:
    """One paragraph per model: which scores are surely above and below, and what follows (`score_changes.verdicts`)."""
    return "\n".join(_verdict(model, rows) for model, rows in verdicts.groupby("model", sort=False))


def _verdict(model: str, rows: pd.DataFrame) -> str:
    run = [name for name in CONTROLS if name in rows and rows[name].notna().any()]
    against = "; ".join(
        f"against *{name}* it is above in {_scores(rows, name, 'above')} and below in {_scores(rows, name, 'below')}"
        for name in run
    )
    return (
        f"- **{model}**, {len(rows)} scores. After tuning for recoverability, surely above before: "
        f"{_scores(rows, BEFORE, 'above')}; surely below: {_scores(rows, BEFORE, 'below')}. "
        f"{f'With the same data and steps, {against}. ' if run else ''}{_conclusion(rows, run)}{_not_run(run)}"
    )


def _conclusion(rows: pd.DataFrame, controls: list[str]) -> str:
    if rows["holds"].any():
        what = "above before and above every control" if controls else "above before, but no control was run"
        return f"**The claim holds for {_listed(rows.loc[rows['holds'], 'score'])}**: {what}."
    if (rows[BEFORE] == "above").any():
        reason = "no score rises surely more than under every control" if controls else "no control was run"
        return f"**Recoverability itself is not shown to be the cause**: {reason}."
    fall = ", and some surely fall" if (rows[BEFORE] == "below").any() else ""
    return f"**The claim is not confirmed here**: no score surely rises{fall}."


def _not_run(run: list[str]) -> str:
    missing = [f"*{name}*" for name in CONTROLS if name not in run]
    if len(missing) == 2:
        return f" The controls {' and '.join(missing)} were not run for it."
    return f" The control {missing[0]} was not run for it." if missing else ""


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
        conclusion = "The two keep different shares, so names and bits differ at once."
    elif (rows["sure"] != "").any():
        conclusion = "They keep about the same, so the number of bits does not explain the difference."
    return (
        f"- **{model}**: with the right names the last layer keeps {right:.0%} of H(X), with permuted ones "
        f"{permuted:.0%}. Right names are surely better for {_scores(rows, 'sure', 'above')}, surely worse for "
        f"{_scores(rows, 'sure', 'below')}. {conclusion}"
    )


def _scores(rows: pd.DataFrame, column: str, sure: str) -> str:
    return _listed(rows.loc[rows[column] == sure, "score"])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
