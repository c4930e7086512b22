"""Is it worth tuning the last layer, or is it enough to read an earlier one?"""

from collections.abc import Mapping

import pandas as pd

from bitskept.instruments import scores as item_scores
from bitskept.studies.fine_tuning.runs import BEFORE, CLAIMED
from bitskept.studies.fine_tuning.task_scores import SUFFIXES, at_last_layer

SCORE = ["task", "quantity"]


def best_layers(runs: pd.DataFrame, outcomes: Mapping[str, pd.DataFrame], *, seed: int = 0) -> pd.DataFrame:
    """The last layer after tuning for recoverability, less the best layer before it, for each score under the mean
    (`instruments.scores.changes`, with the columns `model`, `layers`, how many were measured, `best_layer`, and
    `last_before`, the score of the last layer before tuning on the same items).

    The best layer is that of the items with even numbers; the two are compared on the others. For models that were
    tuned at several doses, pass the runs of one.
    """
    tables = []
    for model, rows in runs.groupby("model", sort=False):
        before, *tuned = (
            _means(outcomes[id]) for arm in (BEFORE, CLAIMED) for id in rows.loc[rows["arm"] == arm, "id"]
        )
        if not tuned:
            continue
        best = _best(before[before["item"] % 2 == 0], seed)
        odd = [table[table["item"] % 2 == 1] for table in (before, *map(at_last_layer, tuned))]
        chosen = odd[0].merge(best).assign(layer=tuned[0]["layer"].max())
        chosen = chosen.astype({"layer": "Int64"})
        compared = item_scores.stored_changes([chosen], odd[1:], seed=seed).drop(columns="layer")
        last = item_scores.stored_scores(at_last_layer(odd[0]), seed=seed)[[*SCORE, "estimate"]]
        last = last.rename(columns={"estimate": "last_before"})
        best = best.rename(columns={"layer": "best_layer"}).merge(last, how="left")
        tables.append(compared.assign(model=model, layers=before["layer"].nunique()).merge(best))
    return pd.concat(tables, ignore_index=True)


def _means(table: pd.DataFrame) -> pd.DataFrame:
    """The items of scores that have layers, under the mean."""
    return table[table["quantity"].isin(SUFFIXES) & (table["pooling"] == "mean").fillna(False) & table["layer"].notna()]


def _best(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The layer with the largest score, for each task and quantity: the first of several."""
    scored = item_scores.stored_scores(table, seed=seed).dropna(subset="estimate").sort_values("layer")
    return scored.loc[scored.groupby(SCORE, sort=False)["estimate"].idxmax(), [*SCORE, "layer"]]
