"""Which measure of a trained network goes with what it can do? Rank correlations over runs, after the last step.

Twins of one name, of all seeds, sizes and amounts, are compared among themselves: what differs between names is taken
out of both ranks, and the test permutes within names. So no correlation comes from the objective.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.stats import norm, rankdata

from bitskept.base.publishing import makes_table
from bitskept.instruments.likelihood.bits_per_byte import QUANTITIES as COSTS
from bitskept.instruments.training import twin_runs
from bitskept.instruments.training.twin_runs import NAMES
from bitskept.sources import models
from bitskept.studies.dynamics.checkpoints import GAIN, usual
from bitskept.studies.dynamics.comparing_runs import LEVEL, at_last_layer
from bitskept.studies.dynamics.section import TrainingDynamics
from bitskept.theory.intervals import POWER
from bitskept.theory.statistics import holm, rank_interval

RETAINED = "retained"
AT_LAST_LAYER = (RETAINED, "late_forgetting", "rankme", "alpha_req")
OVER_LAYERS = ("complexity", "expressivity", "optimality")
MEASURES = (*AT_LAST_LAYER, *OVER_LAYERS, *(f"{name}_corrected" for name in OVER_LAYERS))
RUN = ["run", "twin", "size", "amount", "seed", "weights", "tokens"]
LEAST = 6
"""Runs that it takes for a correlation, beside one for each name of a twin."""
PERMUTATIONS = 9999


@makes_table
def run_measures(table: pd.DataFrame, section: TrainingDynamics) -> pd.DataFrame:
    """One number a row for each run after its last step: `RUN`, quantity, estimate. `tokens` is how many it was trained
    on, those that it saw again among them.

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
    return pd.concat(
        [pd.DataFrame([known[id] for id in rows["id"]]), rows[["quantity", "estimate"]]], axis=1
    ).reset_index(drop=True)


def _facts(training: twin_runs.TwinTraining, checkpoint: dict[str, Any]) -> dict[str, Any]:
    size, amount = int(checkpoint["size"]), int(checkpoint["amount"])
    run = twin_runs.plan(training, checkpoint["twin"], int(checkpoint["seed"]), size=size, amount=amount)
    return {
        "run": twin_runs.run_name(training, checkpoint["twin"], run),
        **{name: checkpoint[name] for name in ("twin", "size", "amount", "seed")},
        "weights": models.number_of_weights(checkpoint["id"]),
        "tokens": twin_runs.tokens_seen(run),
    }


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
            names = both.index.get_level_values("twin")
            both = both[names.map(names.value_counts()) > 1]  # a twin alone says nothing of differences within names
            groups, kinds = pd.factorize(both.index.get_level_values("twin"))
            if len(both) - len(kinds) < LEAST or (both.nunique() < 2).any():
                continue
            units_left = len(both) - len(kinds) + 1
            estimate, p = within_groups(*both.to_numpy(float).T, groups, seed=seed)
            low, high = rank_interval(estimate, units_left)
            yield {
                "target": target, "measure": measure, "estimate": estimate, "low": low, "high": high, "p": p,
                "runs": len(both), "twins": len(kinds), "detectable": _detectable(units_left, len(measures)),
            }  # fmt: skip


def within_groups(
    x: Float[np.ndarray, " unit"], y: Float[np.ndarray, " unit"], groups: Int[np.ndarray, " unit"], *, seed: int
) -> tuple[float, float]:
    """The correlation of the ranks of x and y without their means in each group, and its two-sided p-value by
    permutations within groups, an exact test (Phipson and Smyth 2010). It is 0 (p = 1) where either does not vary
    within groups.
    """
    _, group = np.unique(groups, return_inverse=True)
    ranks = [rankdata(values) for values in (x, y)]
    left, right = (rank - (np.bincount(group, rank) / np.bincount(group))[group] for rank in ranks)
    random = np.random.default_rng(seed)
    # Sorted by group and then at random: a permutation that leaves each unit in its group.
    order = np.lexsort([random.random((PERMUTATIONS, len(group))), np.broadcast_to(group, (PERMUTATIONS, len(group)))])
    shuffled = np.empty((PERMUTATIONS, len(group)))
    np.put_along_axis(shuffled, np.broadcast_to(np.argsort(group, kind="stable"), order.shape), right[order], axis=1)
    size = np.sqrt((left**2).sum() * (right**2).sum())
    if not size:
        return 0.0, 1.0
    estimate, null = float(left @ right / size), shuffled @ left / size
    count = (np.abs(null) >= abs(estimate) - 1e-12).sum()
    return estimate, float((1 + count) / (1 + PERMUTATIONS))


def _detectable(units: int, tests: int) -> float:
    """The smallest rank correlation that is significant at the first of Holm's steps in 80 % of samples (Bonett and
    Wright 2000, for the standard error without correlation).
    """
    return float(np.tanh((norm.isf(LEVEL / 2 / tests) + POWER) / np.sqrt(units - 3)))
