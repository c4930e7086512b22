"""Does an arm score more than the model before, and than the other arms? Compared item by item."""

from collections.abc import Mapping

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments import scores as item_scores
from bitskept.studies.fine_tuning.runs import BEFORE, CLAIMED
from bitskept.studies.fine_tuning.task_scores import at_last_layer, labelled
from bitskept.theory.statistics import holm

LEVEL = 0.05


def changes(runs: pd.DataFrame, outcomes: Mapping[str, pd.DataFrame], *, seed: int = 0) -> pd.DataFrame:
    """The last layers of two arms compared item by item (`instruments.scores.changes`): each arm against the model
    before, and recoverability against each control with the same seeds. Further columns: model, arm, `against`.
    """
    tables = []
    for model, rows in runs.groupby("model", sort=False):
        arms = {arm: [at_last_layer(outcomes[id]) for id in ids] for arm, ids in rows.groupby("arm", sort=False)["id"]}
        tuned = [arm for arm in arms if arm != BEFORE]
        pairs = [(arm, BEFORE) for arm in tuned]
        pairs += [(CLAIMED, arm) for arm in tuned if arm != CLAIMED and CLAIMED in tuned]
        for arm, against in pairs:
            table = item_scores.stored_changes(arms[against], arms[arm], seed=seed)
            tables.append(table.assign(model=model, arm=arm, against=against))
    table = pd.concat(tables, ignore_index=True)
    return table[["model", "arm", "against", *table.columns[:-3]]]


@makes_table
def differences(table: pd.DataFrame, *, pooling: str = "mean") -> pd.DataFrame:
    """The `changes` in scores under one pooling, with `score`, `p_holm` and `sure`.

    p is adjusted for the number of scores of the same model, arm and opponent. `sure` is "above", "below" or, where
    p_holm is not below 5 % or p is not defined, "". Computed by `instruments.scores.changes` from items measured by
    `instruments.understanding.measure`.
    """
    table = labelled(table, pooling=pooling)
    p = table["p"].fillna(1.0).groupby([table[name] for name in ("model", "arm", "against")], sort=False)
    table["p_holm"] = p.transform(lambda values: holm(values.to_numpy(float)))
    signs = (table["estimate"] > 0).map({True: "above", False: "below"})
    return table.assign(sure=signs.where(table["p_holm"] < LEVEL, "")).reset_index(drop=True)


def verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """One row per model and score of `differences`: is recoverability above the model before *and* above every control?

    `p` is the largest of its p-values, 1 where it is not above (an intersection-union test, Berger 1982). `p_holm` is
    adjusted for the scores of the model; `holds` says whether that is below 5 %. One column for each opponent has
    "above", "below" or "" as in `differences`, and is missing where that control was not run.
    """
    claimed = table[table["arm"] == CLAIMED]
    p = claimed["p"].where(claimed["estimate"] > 0, 1.0).fillna(1.0)
    rows = claimed.assign(p=p).groupby(["model", "score"], sort=False)["p"].max().reset_index()
    rows["p_holm"] = rows.groupby("model", sort=False)["p"].transform(lambda values: holm(values.to_numpy(float)))
    rows["holds"] = rows["p_holm"] < LEVEL
    return rows.merge(claimed.pivot(index=["model", "score"], columns="against", values="sure").reset_index())
