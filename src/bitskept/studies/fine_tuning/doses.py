"""How much training does it take? Scores, and the share of tokens that the last layer names, over the steps."""

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.studies.fine_tuning.runs import BEFORE
from bitskept.studies.fine_tuning.section import FineTuning
from bitskept.studies.fine_tuning.task_scores import labelled

NAMED = "targets named"
COLUMNS = ["model", "arm", "rate", "step", "score", "before", "estimate", "low", "high", "unit", "n", "runs"]


@makes_table
def doses(section: FineTuning, learned: pd.DataFrame, changes: pd.DataFrame) -> pd.DataFrame:
    """By model, arm, rate and step: the change of each score of the model's `dose_tasks` against the model before, with
    its interval over items and seeds; and, as the score `NAMED`, the share of its targets that each arm's head names,
    from `learned` (`runs.learning`), with the range of its seeds. Changes are computed by `instruments.scores.changes`,
    from items measured by `instruments.understanding.measure`; the shares are measured by
    `instruments.training.recovery.tune`.
    """
    named = learned[learned["quantity"] == "named"].assign(score=NAMED, unit="share of targets")
    against_before = changes[changes["against"] == BEFORE]
    pairs = zip(against_before["model"], against_before["task"], strict=True)
    scores = labelled(against_before[[task in section.tuning[model].dose_tasks for model, task in pairs]])
    same = ["model", "arm", "rate", "score"]
    start = scores.drop_duplicates(same).assign(step=0, estimate=0.0, low=0.0, high=0.0)
    table = pd.concat([named, start, scores], ignore_index=True).reindex(columns=COLUMNS)
    return table.sort_values("step", kind="stable", ignore_index=True)
