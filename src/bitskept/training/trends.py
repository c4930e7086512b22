"""Curves over the steps of training: their means over seeds, and whether they turn as they are said to.

Tables here are of checkpoints, one row a number: twin, seed, size (width), amount (training sentences), step; layer,
probe and k where the quantity has them; quantity, estimate, unit, and low and high, 95 % over items (sentences).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations_with_replacement
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.stats import norm

from bitskept.theory.repeated_runs import Mean, mean_over_runs

NETWORK = ("twin", "size", "amount")
UNTRAINED = ("family", "causal", "initial")
INFORMATION_PLANE = {"fitting": "rise", "compression": "fall"}
"""What Conklin et al. (2026, arXiv 2604.07569) say of complexity over pre-training."""
RANK = {"collapse": "fall", "expansion": "rise", "compression": "fall"}
"""What Li et al. (2025, arXiv 2509.23024) say of RankMe over pre-training."""
SIGNS = {"rise": 1, "fall": -1}
ONE_SEED = (
    " The turns were chosen on the one curve that is measured, which makes the changes too large. "
    "The interval is over items and speaks of this run only."
)


def at_last_layer(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of each network's last layer, and those that have no layer."""
    names = [name for name in (*NETWORK, *UNTRAINED) if name in table]
    last = table.groupby(names, dropna=False)["layer"].transform("max")
    return table[table["layer"].isna() | (table["layer"] == last).fillna(False)]


def item_errors(table: pd.DataFrame) -> pd.Series:
    """The standard errors that the intervals over items stand for."""
    return ((table["high"] - table["low"]) / 3.92).astype(float)


def pooled(values: Float[np.ndarray, " run"], errors: Float[np.ndarray, " run"]) -> Mean:
    """`mean_over_runs` of runs that share their items: what is wanting in these does not shrink with more runs, so the
    error of the mean for want of items is the mean of the runs' errors. Missing values and errors are left out; all is
    missing where no value is left, and the interval where one is, of unknown error.
    """
    known = np.isfinite(values)
    errors = errors[known & np.isfinite(errors)]
    if not known.any() or (known.sum() == 1 and not len(errors)):
        return Mean(float(values[known][0]) if known.any() else np.nan, np.nan, np.nan, np.nan)
    return mean_over_runs(values[known].astype(float), float(errors.mean()) if len(errors) else 0.0)


def over_seeds(table: pd.DataFrame, *by: str) -> pd.DataFrame:
    """The mean of `estimate` over seeds for each value of these columns, with its interval as `pooled`; `runs`, the
    seeds it is taken over, and `missing`, those left out for want of a value.

    ValueError where a seed has several rows for the same values: other columns tell them apart.
    """
    once(table, *by, "seed")
    rows = []
    for key, some in table.groupby(list(by), sort=False, dropna=False):
        mean = pooled(some["estimate"].to_numpy(float), item_errors(some).to_numpy())
        rows.append([*key, *mean[:3], some["estimate"].notna().sum(), some["estimate"].isna().sum()])
    found = pd.DataFrame(rows, columns=[*by, "estimate", "low", "high", "runs", "missing"])
    return found.astype({name: table[name].dtype for name in by})


def spread(table: pd.DataFrame, *by: str) -> pd.DataFrame:
    """For a figure: the mean of `estimate` over seeds for each value of these columns; `low` and `high` are the ends
    farthest out, of the seeds' intervals where there are any. What follows for other seeds is for `over_seeds`.
    """
    ends = {} if "low" in table else {"low": table["estimate"], "high": table["estimate"]}
    groups = table.assign(**ends).groupby(list(by), sort=False, dropna=False)
    return groups.agg(estimate=("estimate", "mean"), low=("low", "min"), high=("high", "max")).reset_index()


def once(table: pd.DataFrame, *columns: str) -> None:
    """ValueError unless the columns name every row once."""
    twice = table[table.duplicated(list(columns))]
    if len(twice):
        which = ", ".join(f"{name} {twice[name].iloc[0]}" for name in columns)
        raise ValueError(f"several rows have {which}: choose one quantity, layer and probe, or name their columns")


def turning(table: pd.DataFrame, phases: Mapping[str, Literal["rise", "fall"]], *by: str) -> pd.DataFrame:
    """Does a curve over steps go through these phases, one after the other? One row a phase, for each value of `by`
    (by default `NETWORK`).

    The steps between phases are those that make the sum of the changes, each counted in the direction of its phase,
    as large as can be; a phase that does not come takes no steps. Such a choice makes something of noise. So it is
    made on the mean of the other seeds, the changes are measured on the seed left out, and averaged (`change`, `low`,
    `high`). Seeds share their items, to which that is not blind: the error for want of items is widened to hold for
    all pairs of steps at once (Bonferroni). `seen` tells whether the interval lies on the right side of 0. `from_step`
    and `to_step` are chosen on the mean of all seeds.

    With one seed (`runs` 1, `blind` false) the choice is made on the curve that is measured: the interval, widened,
    still holds for it, but the change is too large. Steps that a seed lacks are left out and counted (`missing`).
    ValueError as `over_seeds`.
    """
    by = by or NETWORK
    once(table, *by, "seed", "step")
    signs = np.array([SIGNS[direction] for direction in phases.values()])
    rows = []
    for key, some in table.assign(error=item_errors(table)).groupby(list(by), sort=False, dropna=False):
        wide = some.pivot(index="step", columns="seed", values=["estimate", "error"]).sort_index()
        whole = wide[wide["estimate"].notna().all(axis=1)]
        if not len(whole):
            continue
        curves, errors = (whole[name].to_numpy(float).T for name in ("estimate", "error"))
        ends, changes = phase_changes(curves, np.nan_to_num(errors), signs)
        facts = dict(zip(by, key, strict=True)) | {"unit": some["unit"].iloc[0], "runs": len(curves)}
        facts |= {"blind": len(curves) > 1, "missing": len(wide) - len(whole)}
        for place, (phase, mean) in enumerate(zip(phases, changes, strict=True)):
            start, end = (int(step) for step in whole.index[ends[place : place + 2]])
            row = {"phase": phase, "direction": phases[phase], "from_step": start, "to_step": end}
            row |= {"change": mean.estimate, "low": mean.low, "high": mean.high}
            rows.append(facts | row | {"seen": min(signs[place] * mean.low, signs[place] * mean.high) > 0})
    return pd.DataFrame(rows)


def phase_changes(
    curves: Float[np.ndarray, "run step"], errors: Float[np.ndarray, "run step"], signs: Int[np.ndarray, " phase"]
) -> tuple[Int[np.ndarray, " end"], list[Mean]]:
    """Where the phases of the mean curve start and the last one ends, and by how much each changes, as `turning`; signs
    are 1 for a rise and -1 for a fall, errors those for want of items.
    """
    runs, steps = curves.shape
    common = _ends(curves.mean(0), signs)
    others = [_ends(np.delete(curves, run, axis=0).mean(0), signs) for run in range(runs)] if runs > 1 else [common]
    run, ends = np.arange(runs)[:, None], np.array(others)
    changes = np.diff(curves[run, ends])
    noise = np.hypot(errors[run, ends[:, :-1]], errors[run, ends[:, 1:]])
    noise = _widening(steps) * np.where(np.diff(ends) > 0, noise, 0).mean(0)
    return common, [mean_over_runs(*both) for both in zip(changes.T, noise.tolist(), strict=True)]


def _ends(curve: Float[np.ndarray, " step"], signs: Int[np.ndarray, " phase"]) -> Int[np.ndarray, " end"]:
    """Where each phase starts, and the last one ends; of equal choices the one that turns last."""
    last = len(curve) - 1
    choices = combinations_with_replacement(range(last + 1), len(signs) - 1)
    ends = np.array([(0, *turns, last) for turns in choices])
    gains = (np.diff(curve[ends]) * signs).sum(-1)
    return ends[np.flatnonzero(gains >= gains.max() - 1e-9 * np.ptp(curve))[-1]]


def _widening(steps: int) -> float:
    pairs = max(1, steps * (steps - 1) // 2)
    return float(norm.isf(0.025 / pairs) / norm.isf(0.025))


def turning_sentences(found: pd.DataFrame, *by: str) -> list[str]:
    """One paragraph for each curve of `turning`, called with the same `by`."""
    if not len(found):
        return ["There is no curve to look at."]
    by = by or NETWORK
    told = [name for name in by if name == by[0] or found[name].nunique() > 1]
    return [
        _turning_sentence(named(dict(zip(by, key, strict=True)), told), some)
        for key, some in found.groupby(list(by), sort=False, dropna=False)
    ]


def _turning_sentence(name: str, rows: pd.DataFrame) -> str:
    parts = []
    for row in rows.to_dict("records"):
        if row["from_step"] == row["to_step"] and not row["seen"]:
            parts.append(f"no {row['phase']}")
            continue
        change = with_interval(row["change"], row["low"], row["high"], row["unit"])
        parts.append(
            f"{row['phase']} from step {row['from_step']:,} to {row['to_step']:,}: {change}, "
            f"{'seen' if row['seen'] else 'not seen'}"
        )
    seen = rows["seen"].tolist()
    there, not_there = (in_words(f"the {name}" for name in rows.loc[rows["seen"] == one, "phase"]) for one in (1, 0))
    if all(seen):
        verdict = "**All phases are seen**, in this order."
    else:
        verdict = f"**Seen: {there}; not {not_there}.**" if any(seen) else "**None of this is surely there.**"
    apart = any(seen[place] and seen[place + 2] and not seen[place + 1] for place in range(len(seen) - 2))
    verdict += " With nothing sure between them, two phases of the same direction may be one." if apart else ""
    verdict += "" if rows["blind"].all() else ONE_SEED
    return f"- {name}, {over(int(rows['runs'].iloc[0]))}: {'; '.join(parts)}. {verdict}"


def over(runs: int) -> str:
    """How sentences call a number of seeds."""
    return "one seed" if runs == 1 else f"{runs} seeds"


def named(facts: Mapping[str, object], told: Iterable[str]) -> str:
    """How sentences call what these facts name: the first in bold, then those of the others that are to be told."""
    first, *more = told
    words = {"size": "width {:,}", "amount": "{:,} training sentences"}
    rest = (words.get(name, f"{name} {{}}").format(facts[name]) for name in more)
    return ", ".join([f"**{facts[first]}**", *rest])


def with_interval(estimate: float, low: float, high: float, unit: str) -> str:
    """A difference or change with its interval; shares as percentages."""
    percent = unit.startswith("share")
    form = "{:+.1f}" if percent else "{:+.3f}" if unit.startswith("bits") else "{:+.3g}"
    one, *ends = (form.format(value * (100 if percent else 1)) for value in (estimate, low, high))
    unit = unit.replace("share", "%", 1) if percent else unit
    return f"{one} {unit} [{', '.join(ends)}]"


def in_words(names: Iterable[str]) -> str:
    """a, b and c; "none" where there are none."""
    *start, last = list(names) or ["none"]
    return f"{', '.join(start)} and {last}" if start else last
