"""Which measure of a trained network goes with what it can do? Rank correlations over runs, after the last step.

Twins of one name, of all seeds, sizes and amounts, are compared among themselves: what differs between names is taken
out of both ranks, and the test permutes within names. So no correlation comes from the objective.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.likelihood.bits_per_byte import QUANTITIES as COSTS
from bitskept.instruments.training import twin_runs
from bitskept.instruments.training.twin_runs import NAMES
from bitskept.sources import models
from bitskept.studies.dynamics.checkpoints import GAIN, usual
from bitskept.studies.dynamics.comparing_runs import LEVEL, at_last_layer
from bitskept.studies.dynamics.section import TrainingDynamics
from bitskept.theory.repeated_runs import mean_over_runs
from bitskept.theory.statistics import detectable_correlation, holm, partial_spearman, permutation_p, rank_interval

RETAINED = "retained"
AT_LAST_LAYER = (RETAINED, "late_forgetting", "rankme", "alpha_req")
OVER_LAYERS = ("complexity", "expressivity", "optimality")
MEASURES = (*AT_LAST_LAYER, *OVER_LAYERS, *(f"{name}_corrected" for name in OVER_LAYERS))
LEAST = 6
"""Runs that it takes for a correlation, beside one for each name of a twin."""
CHANCE = {"accuracy": 0.5, "spearman": 0.0}
"""What guessing gives: a choice of two, or at most that of more; and a rank correlation."""
SPREAD = {"accuracy": 0.5, "spearman": 1.0}
"""The standard deviation of a guess at one item."""


@makes_table
def run_measures(table: pd.DataFrame, section: TrainingDynamics) -> pd.DataFrame:
    """One number a row for each run after its last step: run, twin, size, amount, seed, weights, tokens, items,
    quantity, estimate. `tokens` is how many it was trained on, those that it saw again among them; `items`, how many of
    a task it was asked.

    Quantities: `MEASURES` (those of the last layer by the centroid, and means over layers at a label width of one
    token), the gain, bits per byte, and scores ("TASK QUANTITY"). Measured by the instruments that
    `checkpoints.measure` calls; `table` is from there.
    """
    last = usual(table[table["step"] == table["step"].max()])
    last = last.replace({"quantity": {"retained_cross_entropy": RETAINED}})
    scores = last["quantity"].str.contains(" ")
    ends = at_last_layer(last[last["quantity"].isin([*AT_LAST_LAYER, GAIN, *COSTS]) | scores])
    means = last[last["quantity"].isin(MEASURES) & last["layer"].isna() & (last["k"] == 1)]
    rows = pd.concat([ends[ends["probe"].isna() | (ends["probe"] == "centroid")], means], ignore_index=True)
    rows = rows.drop_duplicates([*NAMES, "quantity"])
    training = section.training
    facts = rows[NAMES].drop_duplicates().to_dict("records")
    known = {fact["id"]: _facts(training, fact) for fact in facts}
    runs = pd.DataFrame([known[id] for id in rows["id"]]).assign(items=section.items)
    return pd.concat([runs, rows[["quantity", "estimate"]]], axis=1).reset_index(drop=True)


def _facts(training: twin_runs.TwinTraining, checkpoint: dict[str, Any]) -> dict[str, Any]:
    size, amount = int(checkpoint["size"]), int(checkpoint["amount"])
    run = twin_runs.plan(training, checkpoint["twin"], int(checkpoint["seed"]), size=size, amount=amount)
    return {
        "run": twin_runs.run_name(training, checkpoint["twin"], run),
        **{name: checkpoint[name] for name in ("twin", "size", "amount", "seed")},
        "weights": models.number_of_weights(checkpoint["id"]),
        "tokens": twin_runs.tokens_seen(run),
    }


def of_learned(measures: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The `measures` of those runs that have learned (`gains.learned`)."""
    passed = runs.loc[runs["learned"], ["twin", "size", "amount", "seed"]]
    return measures.merge(passed, on=list(passed), validate="m:1")


def beside_guessing(measures: pd.DataFrame, items: int) -> pd.DataFrame:
    """One row per `score`, an accuracy or a rank correlation: `chance`, what guessing gives; the mean over runs,
    `estimate`, with `low` and `high` over runs and items; `smallest` and `largest`, the ends of the range of the
    `runs`; and whether they are `better` than guessing: p < `LEVEL` after Holm's correction for the number of scores.

    A task has at most `items`; with fewer, its interval would be longer still.
    """
    rows = []
    for score, runs in measures.groupby("quantity"):
        kind = re.search(f" .*({'|'.join(CHANCE)})$", score)
        values = runs["estimate"].dropna().to_numpy(float)
        if kind and len(values):
            chance, error = CHANCE[kind[1]], SPREAD[kind[1]] / np.sqrt(items)
            mean = mean_over_runs(values - chance, error, items)._asdict()
            mean |= {name: mean[name] + chance for name in ("estimate", "low", "high")}
            ends = {"smallest": values.min(), "largest": values.max(), "runs": len(values)}
            rows.append({"score": score, "chance": chance} | mean | ends)
    columns = ["score", "chance", "estimate", "low", "high", "p", "smallest", "largest", "runs"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(better=(holm(table["p"].to_numpy(float)) < LEVEL) & (table["estimate"] > table["chance"]))


def beyond_guessing(measures: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """The `measures` without those of tasks of which no score is better than guessing (`beside_guessing`)."""
    done = {score.partition(" ")[0] for score in scores.loc[scores["better"], "score"]}
    can = [" " not in name or name.partition(" ")[0] in done for name in measures["quantity"]]
    return measures[np.array(can, dtype=bool)]  # an empty list would select no columns


def correlations(measures: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """One row per target (gain, bits per byte, scores) and measure: `estimate`, the rank correlation over the runs that
    have both, without the differences between twins of other names; `low` and `high`; `p`, by permutation within
    names; `p_holm` over the measures of a target, and `sure`, whether it is below `LEVEL`; the numbers of `runs` and of
    names (`twins`); `detectable`, the smallest correlation that would have been seen after Holm's correction in 80 %
    of samples.

    Gains are taken from twins that name hidden tokens, as those of the others are bits per byte with another sign.
    """
    wide = measures.pivot(index=["twin", "run"], columns="quantity", values="estimate")
    rows = list(_correlations(wide, seed))
    table = pd.DataFrame(
        rows, columns=["target", "measure", "estimate", "low", "high", "p", "runs", "twins", "detectable"]
    )
    families = table.groupby("target", sort=False)["p"]
    table = table.assign(p_holm=families.transform(lambda p: holm(p.to_numpy(float))))
    return table.assign(sure=table["p_holm"] < LEVEL)


def _correlations(wide: pd.DataFrame, seed: int) -> Iterator[dict[str, Any]]:
    measures = [name for name in MEASURES if name in wide]
    for target in (name for name in wide.columns if name == GAIN or name in COSTS or " " in name):
        causal = wide.index.get_level_values("twin").map(twin_runs.is_causal)
        units = wide[~causal] if target == GAIN else wide
        for measure in measures:
            both = units[[measure, target]].dropna()
            # A twin alone says nothing of differences within names.
            both = both[both.groupby(level="twin")[measure].transform("size") > 1]
            twins = both.index.get_level_values("twin").to_numpy()
            names = pd.get_dummies(twins, drop_first=True).to_numpy(float)
            controls, (x, y) = names.shape[1], both.to_numpy(float).T
            if len(both) - controls - 1 < LEAST:
                continue
            try:
                estimate = partial_spearman(x, y, names)
                p = permutation_p(x, y, names, within=twins, seed=seed)
            except ValueError:  # one of the two does not vary within names
                continue
            low, high = rank_interval(estimate, len(both) - controls)
            yield {
                "target": target, "measure": measure, "estimate": estimate, "low": low, "high": high, "p": p,
                "runs": len(both), "twins": controls + 1,
                "detectable": detectable_correlation(len(both), controls, len(measures)),
            }  # fmt: skip
