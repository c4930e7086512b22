"""Which measure of a checkpoint predicts its bits per byte and its scores? Rank correlations within and over runs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.studies.dynamics.comparing_runs import at_last_layer
from bitskept.theory.repeated_runs import mean_over_runs
from bitskept.theory.statistics import holm, partial_spearman, spearman

AT_LAST_LAYER = ("retained_cross_entropy", "late_forgetting", "rankme", "alpha_req")
OVER_LAYERS = ("complexity_corrected", "expressivity_corrected", "optimality_corrected")
STEP = "step"
RUN = ["twin", "seed", "size", "amount"]
ENOUGH = 3
"""The least number of runs for an interval of their mean."""


def within_runs(table: pd.DataFrame, targets: Sequence[str]) -> pd.DataFrame:
    """One row per run (`RUN`), target and measure: Spearman's correlation of the two over the run's checkpoints
    (`spearman`), and the same given the step (`partial`), because everything changes with the step. The step itself is
    a measure too.

    Measures: `AT_LAST_LAYER` under the centroid, and `OVER_LAYERS`, means over layers, at a label width of one token.
    `checkpoints` counts those with both values, `missing` those without. A correlation is missing if there are fewer
    than 4 checkpoints (partial: 5), if one of the two is the same at all of them, or if the step determines its ranks.
    ValueError if a run has several values of a target at a step.

    The measures come from `checkpoints.measure`, which calls the instruments' `measure` functions.
    """
    layers = at_last_layer(table)
    layers = layers[layers["quantity"].isin([*AT_LAST_LAYER, *targets])]
    means = table[table["quantity"].isin(OVER_LAYERS) & table["layer"].isna()]
    rows = pd.concat([layers, means])
    for name, wanted in (("probe", "centroid"), ("k", 1)):
        rows = rows[rows[name].isna() | (rows[name] == wanted).fillna(False)]
    correlations = []
    for run, checkpoints in rows.groupby(RUN, sort=False):
        values = checkpoints.pivot(index=STEP, columns="quantity", values="estimate").astype(float)
        values[STEP] = values.index.to_numpy(float)
        for target in (name for name in targets if name in values):
            for measure in (name for name in (*AT_LAST_LAYER, *OVER_LAYERS, STEP) if name in values):
                both = values[[measure, target]].dropna()
                pair, steps = (both[measure].to_numpy(), both[target].to_numpy()), np.log1p(both.index.to_numpy(float))
                row = dict(zip(RUN, run, strict=True)) | {"target": target, "measure": measure}
                row |= {"checkpoints": len(both), "missing": len(values) - len(both)}
                correlations.append(row | {"spearman": _defined(*pair), "partial": _defined(*pair, steps)})
    columns = [*RUN, "target", "measure", "checkpoints", "missing", "spearman", "partial"]
    return pd.DataFrame(correlations, columns=columns)


def _defined(x: np.ndarray, y: np.ndarray, given: np.ndarray | None = None) -> float:
    try:
        return spearman(x, y) if given is None else partial_spearman(x, y, given)
    except ValueError:  # too few checkpoints, or x or y does not vary
        return float("nan")


@makes_table
def over_runs(within: pd.DataFrame) -> pd.DataFrame:
    """One row per target, measure and `kind` ("spearman", "partial") of `within_runs`: the mean over runs (`estimate`),
    the range (`smallest`, `largest`), the number of `runs`, how many have the sign of the mean (`agree`), in how many
    it is `undefined`, and how many checkpoints are `missing` in all.

    The checkpoints of a run are not independent, so nothing is tested within a run. `low`, `high` and `p` treat the
    runs as the sample if there are at least `ENOUGH`; `p_holm` is adjusted for the measures of a target and kind. Runs
    of other twins, sizes and amounts count as repetitions. Intervals end at ±1.

    Computed from `within_runs`; measured by `checkpoints.measure`.
    """
    rows = []
    for (target, measure), runs in within.groupby(["target", "measure"], sort=False):
        for kind in ("spearman", "partial"):
            values = runs[kind].dropna().to_numpy(float)
            row = {"target": target, "measure": measure, "kind": kind, "runs": len(values)}
            row |= {"undefined": len(runs) - len(values), "missing": int(runs["missing"].sum())}
            row |= dict.fromkeys(("estimate", "low", "high", "p", "smallest", "largest"), np.nan) | {"agree": 0}
            if len(values):
                mean = values.mean()
                row |= {"estimate": mean, "smallest": values.min(), "largest": values.max()}
                row["agree"] = int((np.sign(values) == np.sign(mean)).sum())
            if len(values) >= ENOUGH:
                _, low, high, row["p"] = mean_over_runs(values, 0.0)
                row |= {"low": max(low, -1.0), "high": min(high, 1.0)}
            rows.append(row)
    columns = [
        *("target", "measure", "kind", "estimate", "low", "high", "p", "smallest", "largest", "runs", "agree"),
        *("undefined", "missing"),
    ]
    table = pd.DataFrame(rows, columns=columns)
    tested = table["p"].notna() & (table["measure"] != STEP)
    family = table[tested].groupby(["target", "kind"], sort=False)["p"]
    return table.assign(p_holm=family.transform(lambda p: holm(p.to_numpy(float))))
