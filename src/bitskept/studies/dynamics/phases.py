"""The curves that others describe as phases of training, and whether they rise and fall in that order here."""

from collections.abc import Mapping
from itertools import combinations_with_replacement
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.stats import norm

from bitskept.base.publishing import makes_table
from bitskept.studies.dynamics.comparing_runs import at_last_layer, item_errors, means
from bitskept.theory.repeated_runs import Mean, mean_over_runs

INFORMATION_PLANE = {"first fall": "fall", "fitting": "rise", "compression": "fall"}
"""How Conklin et al. (2026, arXiv 2604.07569) describe complexity over pre-training, after a fall at its start."""
RANK = {"collapse": "fall", "expansion": "rise", "compression": "fall"}
"""How Li et al. (2025, arXiv 2509.23024) describe RankMe over pre-training."""
SIGNS = {"rise": 1, "fall": -1}


@makes_table
def plane(soft: pd.DataFrame) -> pd.DataFrame:
    """Complexity and expressivity by step of each run, and complexity with its floor.

    Measured by `instruments.soft_entropy.compression.measure`; `soft` is from `checkpoints.measure`.
    """
    rows = soft[soft["quantity"].isin(["complexity", "complexity_corrected", "expressivity_corrected"])]
    return rows[["twin", "seed", "quantity", "step", "estimate", "low", "high", "unit"]]


@makes_table
def ranks(table: pd.DataFrame) -> pd.DataFrame:
    """RankMe and alpha-ReQ of the last layer, by twin and step.

    Measured by `instruments.effective_rank.measure`; `table` is from `checkpoints.measure`.
    """
    rows = at_last_layer(table[table["quantity"].isin(["rankme", "alpha_req"])])
    return means(rows, "twin", "quantity", "step")


def changes(table: pd.DataFrame, phases: Mapping[str, Literal["rise", "fall"]]) -> pd.DataFrame:
    """How much the curve of each twin changes in each of these phases, in this order: one row per twin and phase.

    Turning points, where one phase ends and the next begins, are the steps with the largest sum of changes, each
    counted in the direction of its phase; a phase that does not occur takes no steps. Such a choice finds turning
    points in mere noise. So they are chosen on the mean of all seeds but one, and the changes (`estimate`, `low`,
    `high`) are measured on the seed left out and averaged over the seeds. Seeds share their items, so the error over
    items is widened to hold for all pairs of steps at once (Bonferroni). `seen`: the whole interval lies on the right
    side of 0. `from_step` and `to_step` are chosen on the mean of all seeds.

    A phase to which every choice gives no steps at all has a change of exactly 0 (p = 1).

    With one seed (`runs`) the steps are chosen on the curve that is measured: the interval still holds, but the change
    is too large. Steps that are missing for any seed are left out. ValueError if a twin has several rows for a seed and
    step.
    """
    signs = np.array([SIGNS[direction] for direction in phases.values()])
    rows = []
    for twin, curve in table.assign(error=item_errors(table)).groupby("twin", sort=False):
        whole = curve.pivot(index="step", columns="seed", values=["estimate", "error"]).sort_index()
        whole = whole[whole["estimate"].notna().all(axis=1)]
        if not len(whole):
            continue
        curves, errors = (whole[name].to_numpy(float).T for name in ("estimate", "error"))
        ends, means = turning_points(curves, np.nan_to_num(errors), signs)
        facts = {"twin": twin, "unit": curve["unit"].iloc[0], "runs": len(curves)}
        steps = whole.index[ends].astype(int)
        for phase, sign, start, end, mean in zip(phases, signs, steps[:-1], steps[1:], means, strict=True):
            row = {"phase": phase, "from_step": start, "to_step": end} | mean._asdict()
            rows.append(facts | row | {"seen": min(sign * mean.low, sign * mean.high) > 0})
    return pd.DataFrame(rows)


def has_not_turned(rows: pd.DataFrame) -> bool:
    """Whether the last of a curve's phases takes no steps: then it may come later."""
    last = rows.iloc[-1]
    return bool(len(rows) > 1 and last["from_step"] == last["to_step"] and not last["seen"])


def by_quantity(table: pd.DataFrame, phases: Mapping[str, Literal["rise", "fall"]]) -> pd.DataFrame:
    """`changes` of several quantities, named in the column `quantity`."""
    parts = [changes(rows, phases).assign(quantity=name) for name, rows in table.groupby("quantity", sort=False)]
    return pd.concat(parts, ignore_index=True)


def turning_points(
    curves: Float[np.ndarray, "run step"], errors: Float[np.ndarray, "run step"], signs: Int[np.ndarray, " phase"]
) -> tuple[Int[np.ndarray, " end"], list[Mean]]:
    """Where the phases of the mean curve begin and the last one ends (indices of steps), and the change in each phase,
    as in `changes`. Signs are 1 for a rise and -1 for a fall; `errors` are over items.
    """
    runs, steps = curves.shape
    common = _ends(curves.mean(0), signs)
    others = [_ends(np.delete(curves, run, axis=0).mean(0), signs) for run in range(runs)] if runs > 1 else [common]
    run, ends = np.arange(runs)[:, None], np.array(others)
    differences = np.diff(curves[run, ends])
    noise = np.hypot(errors[run, ends[:, :-1]], errors[run, ends[:, 1:]])
    noise = _widening(steps) * np.where(np.diff(ends) > 0, noise, 0).mean(0)
    absent = (np.diff(ends) == 0).all(0)
    means = [mean_over_runs(*both) for both in zip(differences.T, noise.tolist(), strict=True)]
    return common, [Mean(0.0, 0.0, 0.0, 1.0) if gone else mean for gone, mean in zip(absent, means, strict=True)]


def _ends(curve: Float[np.ndarray, " step"], signs: Int[np.ndarray, " phase"]) -> Int[np.ndarray, " end"]:
    """Where each phase begins and the last one ends; of equally good choices the one with the latest turning points."""
    last = len(curve) - 1
    choices = combinations_with_replacement(range(last + 1), len(signs) - 1)
    ends = np.array([(0, *turns, last) for turns in choices])
    gains = (np.diff(curve[ends]) * signs).sum(-1)
    return ends[np.flatnonzero(gains >= gains.max() - 1e-9 * np.ptp(curve))[-1]]


def _widening(steps: int) -> float:
    """How much wider an interval must be to hold for all pairs of steps at once."""
    pairs = max(1, steps * (steps - 1) // 2)
    return float(norm.isf(0.025 / pairs) / norm.isf(0.025))
