"""The claims of notebook 03, as one table: does tuning for recoverability raise what a model scores?"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import norm

from bitskept.base.publishing import makes_table
from bitskept.instruments import claims as instrument
from bitskept.studies.fine_tuning.checks import LEAST_NAMED, more_named
from bitskept.studies.fine_tuning.runs import BEFORE, CLAIMED, SENTENCE
from bitskept.studies.fine_tuning.score_changes import rises
from bitskept.studies.fine_tuning.section import FineTuning, at_main_dose
from bitskept.studies.fine_tuning.task_scores import SUFFIXES

PAPER = "P1"
RELEVANT = 0.02
"""The smallest rise of a score that counts, fixed beforehand."""
DRIFT = 0.02
"""How far off a score after the same training may be on another processor; a difference of two of them, twice that."""
OBJECTIVES = {CLAIMED: "recoverability from each state", SENTENCE: "recoverability from one vector"}
PROBES = {
    "spearman": "cosine",
    "linear_accuracy": "linear",
    "neighbour_accuracy": "neighbours",
    "pair_accuracy": "likelihood",
}
"""How each quantity is scored."""
CORRELATION = "rank correlation"
"""A unit; a difference of two is not normal after Fisher's transformation, as one of them is."""
RAISES = "raises a score above before and every control"


@makes_table
def claims(
    section: FineTuning, changes: pd.DataFrame, left_out: Mapping[str, str], learned: pd.DataFrame
) -> pd.DataFrame:
    """The claims (`instruments.claims.table`) with the columns `arm`, `score` (as in `task_scores.labelled`), `rate`
    (missing for the first one of a model), `against` (the opponent of the smallest rise) and `p` (not adjusted): for
    each model, claimed arm and score, the smallest of its rises against the model before and every control
    (`score_changes.rises`), at the main dose under the mean; then the same for other poolings and doses; and, as not
    tested, other doses at which the model has hardly learned to name (`runs.learning`), the tasks that were left out
    (`task_scores.items`), and the sentence reading of a model that was not tuned for it.

    p-values are adjusted over the scores of a model, arm, dose and pooling. `detectable` is infinite where not even a
    perfect score would be so large a rise. `train_sentences` is how many sentences a
    run was tuned on. Changes are computed by `instruments.scores.changes` from items measured by
    `instruments.understanding.measure`.
    """
    rows = rises(changes)
    first_rates = {model: tuning.rates[0] for model, tuning in section.tuning.items()}
    batches = {model: tuning.batch for model, tuning in section.tuning.items()}
    other_rate = rows["rate"].where(rows["rate"] != rows["model"].map(first_rates))
    at_rate = (" at a rate of " + rows["rate"].map("{:g}".format)).where(other_rate.notna(), "")
    pooling = rows["pooling"].fillna("mean").astype(str)
    facts = {
        "paper": PAPER,
        "claim": "tuning for " + rows["arm"].map(OBJECTIVES) + f" {RAISES} (" + rows["task"] + at_rate + ")",
        "reading": rows["pooling"],
        "probe": rows["quantity"].map(PROBES),
        "unit": rows["unit"].replace(CORRELATION, f"difference in {CORRELATION}"),
        "train_sentences": (rows["step"] * rows["model"].map(batches)).astype("Int64"),
        "family": rows["model"] + rows["arm"] + rows["rate"].astype(str) + rows["step"].astype(str) + pooling,
    }
    main = at_main_dose(section, rows) & (pooling == "mean")
    rows = rows.assign(**facts, primary=main)
    more = more_named(learned[learned["arm"] == CLAIMED]).rename("more").reset_index()
    hardly = rows[["model", "arm", "rate", "step"]].merge(more, how="left")["more"].lt(LEAST_NAMED) & ~main
    rows.loc[hardly, ["estimate", "low", "high", "p", "detectable"]] = float("nan")
    rows.loc[hardly, "claim"] += " (to be tested: a dose at which the model learns to name)"
    rows = rows.assign(score=rows["task"] + rows["quantity"].map(SUFFIXES), rate=other_rate)
    tested = rows.loc[main.sort_values(ascending=False, kind="stable").index]
    rows = pd.concat([tested, _left_out(section, left_out)], ignore_index=True)
    table = instrument.table(rows, relevant=RELEVANT, sides=2)
    detectable = table["detectable"].mask(table["detectable"] > rows["room"], np.inf)
    return table.assign(detectable=detectable, **rows[["arm", "score", "rate", "against", "p"]])


def _left_out(section: FineTuning, left_out: Mapping[str, str]) -> pd.DataFrame:
    """A row for each model and task that could not be asked, and for each model that was not tuned for the sentence
    reading, with what it would take.
    """
    rows = []
    for name, reason in left_out.items():
        task, _, model = name.partition(" of ")
        claim = f"tuning for {OBJECTIVES[CLAIMED]} {RAISES} ({task}) (to be tested: {needed(reason)})"
        rows += [{"claim": claim, "model": one} for one in section.tuning if model in ("", one)]
    for model, tuning in section.tuning.items():
        if SENTENCE not in (*tuning.arms, *tuning.first_rate_arms):
            claim = f"tuning for {OBJECTIVES[SENTENCE]} {RAISES} (to be tested: the arm “{SENTENCE}”)"
            rows.append({"claim": claim, "model": model})
    return pd.DataFrame(rows, columns=["claim", "model"]).assign(paper=PAPER)


def needed(reason: str) -> str:
    """What it would take to ask a task that was left out, from the error."""
    return reason.rpartition(": ")[2].removeprefix("leave them out, or ")


def described(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table of claims that were tested, with `holm`: Holm's strictest step, over the scores of the same
    model, arm, dose and pooling, asks for an interval that is so many times as wide.
    """
    table = table[table["outcome"] != "not tested"]
    pooling = table["reading"].fillna("mean")
    family = [table[name] for name in ("model", "arm", "rate", "train_sentences")]
    number = pooling.groupby([*family, pooling], dropna=False).transform("size")
    return table.assign(holm=norm.isf(0.025 / number) / norm.isf(0.025))


def near_the_border(rows: pd.DataFrame, tuned: pd.Series | bool = True) -> pd.Series:
    """Which outcomes of `described` claims might be others if all estimates lay `DRIFT` lower (for "yes") or higher
    (for "no"), or twice that where the opponent was `tuned` as well (`tuned_opponent`). "Cannot tell" is no verdict, so
    a shift can take none back. Of "yes" the lower end is that of Holm's strictest step, so rather too many are named
    than too few.
    """
    drift = DRIFT * (1 + pd.Series(tuned, rows.index).astype(int))
    low = rows["estimate"] - rows["holm"] * (rows["estimate"] - rows["low"])
    yes = (rows["estimate"] - drift < RELEVANT) | (low - drift <= 0)
    no = rows["high"] + drift >= RELEVANT
    return (rows["outcome"] == "yes") & yes | (rows["outcome"] == "no") & no


def tuned_opponent(rows: pd.DataFrame, contrasts: pd.DataFrame) -> pd.Series:
    """Whether the outcome of each `described` claim at the main dose rests on an opponent that was tuned: a "yes" on
    every opponent, any other on that of the smallest rise (`contrasts` from `score_changes.differences`).
    """
    same = ["model", "arm", "score"]
    opponents = contrasts.sort_values("estimate", kind="stable").groupby(same)["against"]
    facts = pd.DataFrame({"smallest": opponents.first() != BEFORE, "any": opponents.nunique() > 1})
    facts = facts.reindex(pd.MultiIndex.from_frame(rows[same])).set_axis(rows.index)
    return facts["any"].where(rows["outcome"] == "yes", facts["smallest"]).astype(bool)


def with_border(table: pd.DataFrame, contrasts: pd.DataFrame) -> pd.DataFrame:
    """The claims with `instruments.claims.BORDER` as the outcome of the primary ones near it, on which no verdict rests
    (`contrasts` as in `tuned_opponent`)."""
    rows = described(table[table["primary"]])
    near = near_the_border(rows, tuned_opponent(rows, contrasts))
    return table.assign(outcome=table["outcome"].mask(near.reindex(table.index, fill_value=False), instrument.BORDER))


def by_score(table: pd.DataFrame) -> pd.DataFrame:
    """The claims with shorter words: of each that is about recoverability from each state, the task alone; and with the
    opponent of the smallest rise.
    """
    words = table["claim"].str.removeprefix("tuning for ").str.replace(f" {RAISES}", "", regex=False)
    words = words.str.replace(rf"^{OBJECTIVES[CLAIMED]} \(([^)]+)\)", r"\1", regex=True)
    return table.assign(claim=words + (", against " + table["against"]).where(table["outcome"] != "not tested", ""))
