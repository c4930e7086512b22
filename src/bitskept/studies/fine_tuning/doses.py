"""How much training does it take? Scores, and the share of tokens that the last layer names, over the steps."""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.studies.fine_tuning.runs import BEFORE
from bitskept.studies.fine_tuning.section import FineTuning
from bitskept.studies.fine_tuning.task_scores import labelled

NAMED = "targets named"
COLUMNS = [
    *("model", "arm", "rate", "step", "score", "against", "before", "estimate", "low", "high", "p"),
    *("unit", "n", "clusters", "runs"),
]


@makes_table
def doses(section: FineTuning, learned: pd.DataFrame, changes: pd.DataFrame) -> pd.DataFrame:
    """By model, arm, rate and step: each score of the model's `dose_tasks`, less that of the model before and, for a
    claimed arm, that of each control (`against`), with an interval over items and seeds; and, as the score `NAMED`, the
    share of its targets that each arm's head names, from `learned` (`runs.learning`), with the range of its seeds.
    Changes are computed by `instruments.scores.changes`, from items measured by `instruments.understanding.measure`;
    the shares are measured by `instruments.training.recovery.tune`.
    """
    named = learned[learned["quantity"] == "named"].assign(score=NAMED, unit="share of targets")
    pairs = zip(changes["model"], changes["task"], strict=True)
    scores = labelled(changes[[task in section.tuning[model].dose_tasks for model, task in pairs]])
    same = ["model", "arm", "rate", "score"]
    start = against_before(scores).drop_duplicates(same)
    start = start.assign(step=0, estimate=0.0, low=0.0, high=0.0, p=float("nan"))
    table = pd.concat([named, start, scores], ignore_index=True).reindex(columns=COLUMNS)
    return table.sort_values("step", kind="stable", ignore_index=True)


def against_before(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `doses` that are no comparison with a control."""
    return table[table["against"].isna() | (table["against"] == BEFORE)]
