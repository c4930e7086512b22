"""Does an arm score more than the model before, and than the other arms? Compared item by item."""

from collections.abc import Mapping
from itertools import product

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments import scores as item_scores
from bitskept.studies.fine_tuning.runs import BEFORE, CLAIMS, CONTROLS
from bitskept.studies.fine_tuning.task_scores import SUFFIXES, at_last_layer, labelled
from bitskept.theory.intervals import detectable
from bitskept.theory.statistics import holm

LEVEL = 0.05
DOSE = ["model", "arm", "rate", "step"]
CLAIM = [*DOSE, "task", "quantity", "pooling"]


def changes(runs: pd.DataFrame, outcomes: Mapping[str, pd.DataFrame], *, seed: int = 0) -> pd.DataFrame:
    """The last layers of two arms compared item by item (`instruments.scores.changes`): each arm against the model
    before, and each claimed arm against each control of the same rate, step and seeds. Further columns: model, arm,
    rate, step, `against`. Runs without outcomes are left out: at other doses, the data of all tasks may be missing.
    """
    tables, tuned = [], runs[(runs["arm"] != BEFORE) & runs["id"].isin(list(outcomes))]
    for (model, rate, step), rows in tuned.groupby(["model", "rate", "step"], sort=False):
        arms = {arm: [at_last_layer(outcomes[id]) for id in ids] for arm, ids in rows.groupby("arm", sort=False)["id"]}
        pairs = [(arm, BEFORE) for arm in arms]
        pairs += [(arm, control) for arm, control in product(CLAIMS, CONTROLS) if {arm, control} <= arms.keys()]
        (base,) = runs.loc[(runs["model"] == model) & (runs["arm"] == BEFORE), "id"]
        measured = next(iter(arms.values()))[0][["task", "pooling"]].drop_duplicates()
        arms[BEFORE] = [at_last_layer(outcomes[base]).merge(measured)]
        for arm, against in pairs:
            table = item_scores.stored_changes(arms[against], arms[arm], seed=seed)
            tables.append(table.assign(model=model, arm=arm, rate=rate, step=step, against=against))
    table = pd.concat(tables, ignore_index=True)
    return table[[*DOSE, "against", *table.columns[:-5]]]


@makes_table
def differences(table: pd.DataFrame, *, pooling: str = "mean") -> pd.DataFrame:
    """The `changes` in scores under one pooling, with `score`, `p_holm` and `sure`.

    p is adjusted for the number of scores of the same model, arm, dose and opponent. `sure` is "above", "below" or,
    where p_holm is not below 5 % or p is not defined, "". Computed by `instruments.scores.changes` from items measured
    by `instruments.understanding.measure`.
    """
    table = labelled(table, pooling=pooling)
    p = table["p"].fillna(1.0).groupby([table[name] for name in (*DOSE, "against")], sort=False)
    table["p_holm"] = p.transform(lambda values: holm(values.to_numpy(float)))
    signs = (table["estimate"] > 0).map({True: "above", False: "below"})
    return table.assign(sure=signs.where(table["p_holm"] < LEVEL, "")).reset_index(drop=True)


def rises_elsewhere(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `differences` under each pooling but the mean in which a claimed arm is surely above the model
    before, whatever the controls do.
    """
    table = table[table["arm"].isin(CLAIMS) & (table["against"] == BEFORE)]
    others = [name for name in table["pooling"].dropna().unique() if name != "mean"]
    rows = pd.concat([differences(table, pooling=name) for name in ("mean", *others)])
    return rows[(rows["sure"] == "above") & rows["pooling"].isin(others)]


def rises(table: pd.DataFrame) -> pd.DataFrame:
    """One row per claimed arm, dose, score and pooling of the `changes`: does the arm score more than the model before
    *and* more than every control that was run?

    An intersection-union test (Berger 1982): `p` is the largest of the contrasts' p-values, 1 where one of them is not
    above 0. `against`, `estimate`, `low` and `high` are those of the contrast with the smallest estimate; the interval
    does not allow for that choice. `detectable` (`theory.intervals.detectable`) is the rise that would be seen in all
    contrasts at once, as far as the one that is known least is concerned; `room` is the largest that there can be, as
    no score exceeds 1. Scores that are not defined are left out.
    """
    table = table[table["arm"].isin(CLAIMS) & table["quantity"].isin(SUFFIXES)].reset_index(drop=True)
    p = table["p"].where(table["estimate"] > 0, 1.0).fillna(1.0)
    contrasts = table.groupby(CLAIM, sort=False, dropna=False)["estimate"].transform("size")
    seen = detectable(*(table[name].to_numpy(float) for name in ("low", "high")), contrasts.to_numpy())
    groups = table.assign(p=p, detectable=seen).groupby(CLAIM, sort=False, dropna=False)
    worst = {"p": groups["p"].transform("max"), "detectable": groups["detectable"].transform("max")}
    worst["room"] = 1 - groups["before"].transform("max")
    defined = groups["estimate"].transform("count") == groups["estimate"].transform("size")
    rows = table.assign(**worst, claim=groups.ngroup(), rounded=table["estimate"].round(9))[defined]
    # Of equal estimates, the less certain one comes first.
    rows = rows.sort_values(["claim", "rounded", "high"], ascending=[True, True, False])
    return rows.drop_duplicates("claim").drop(columns=["claim", "rounded"]).reset_index(drop=True)
