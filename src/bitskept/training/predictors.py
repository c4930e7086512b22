"""Which measure of a checkpoint predicts its bits per byte and its scores? Rank correlations within runs, over runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bitskept.theory.repeated_runs import mean_over_runs
from bitskept.theory.statistics import holm, partial_spearman, spearman
from bitskept.training.trends import at_last_layer, in_words, once

BITS_PER_BYTE = ("bits_per_byte", "bits_per_byte_bound", "pseudo_bits_per_byte")
"""Three kinds, which are not compared with each other."""
AT_LAST_LAYER = ("retained_cross_entropy", "late_forgetting", "rankme", "alpha_req")
OVER_LAYERS = ("complexity_corrected", "expressivity_corrected", "optimality_corrected")
STEP = "step"
RUN = ["twin", "seed", "size", "amount"]
ENOUGH = 3
"""Runs from which on a mean over them has an interval."""


def within_runs(table: pd.DataFrame, targets: Sequence[str]) -> pd.DataFrame:
    """One row a run (twin, seed, size, amount), target and measure, over the run's checkpoints: `spearman` of the two,
    and `partial`, the same given the step, with which everything moves. The step itself is a measure too.

    Measures: `AT_LAST_LAYER` under the centroid, the token width of `OVER_LAYERS`. `checkpoints` have both; `missing`
    lack one. A correlation is missing where fewer than 4 (partial: 5) are left, where one of the two is the same at all
    of them, or where the step fixes its ranks. ValueError where a run has several values of a target at a step.
    """
    layers = at_last_layer(table)
    layers = layers[layers["quantity"].isin([*AT_LAST_LAYER, *targets])]
    means = table[table["quantity"].isin(OVER_LAYERS) & table["layer"].isna()]
    rows = pd.concat([layers, means])
    for name, wanted in (("probe", "centroid"), ("k", 1)):
        rows = rows[rows[name].isna() | (rows[name] == wanted).fillna(False)]
    once(rows, *RUN, "step", "quantity")
    found = []
    for run, some in rows.groupby(RUN, sort=False):
        values = some.pivot(index="step", columns="quantity", values="estimate").astype(float)
        values[STEP] = values.index.to_numpy(float)
        for target in (name for name in targets if name in values):
            for measure in (name for name in (*AT_LAST_LAYER, *OVER_LAYERS, STEP) if name in values):
                both = values[[measure, target]].dropna()
                pair = both[measure].to_numpy(), both[target].to_numpy()
                row = dict(zip(RUN, run, strict=True)) | {"target": target, "measure": measure}
                row |= {"checkpoints": len(both), "missing": len(values) - len(both)}
                steps = np.log1p(both.index.to_numpy(float))
                found.append(row | {"spearman": _defined(*pair), "partial": _defined(*pair, steps)})
    columns = [*RUN, "target", "measure", "checkpoints", "missing", "spearman", "partial"]
    return pd.DataFrame(found, columns=columns)


def _defined(x: np.ndarray, y: np.ndarray, given: np.ndarray | None = None) -> float:
    try:
        return spearman(x, y) if given is None else partial_spearman(x, y, given)
    except ValueError:  # too few checkpoints, or nothing of x or y left to correlate
        return float("nan")


def predictors(found: pd.DataFrame) -> pd.DataFrame:
    """One row a target, measure and `kind` ("spearman", "partial") of `within_runs`: the mean over runs, how far runs
    range (`smallest`, `largest`), how many there are and how many share the sign of the mean (`agree`), in how many it
    is `undefined`, and the checkpoints that are `missing` in all.

    Checkpoints of a run are no independent sample, so nothing is tested within one: `low`, `high` and `p` take the runs
    for the sample, from `ENOUGH` on, and `p_holm` is adjusted for the measures of a target and kind. Runs of other
    twins, sizes and amounts count as repetitions in this. ±1 bounds the interval.
    """
    rows = []
    for (target, measure), some in found.groupby(["target", "measure"], sort=False):
        for kind in ("spearman", "partial"):
            values = some[kind].dropna().to_numpy(float)
            row = {"target": target, "measure": measure, "kind": kind, "runs": len(values)}
            row |= {"undefined": len(some) - len(values), "missing": int(some["missing"].sum())}
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


def predictor_sentences(table: pd.DataFrame) -> list[str]:
    """One paragraph a target of `predictors`: the measure that predicts best, and whether that survives the step."""
    lines = [_sentence(target, rows) for target, rows in table.groupby("target", sort=False)]
    return lines or ["No target was measured."]


def _sentence(target: str, rows: pd.DataFrame) -> str:
    name = f"- **{_name(target)}**"
    kinds = {kind: some.set_index("measure") for kind, some in rows.groupby("kind", sort=False)}
    measures = kinds["spearman"].drop(index=STEP, errors="ignore")
    best = _best(measures)
    if best is None:
        return f"{name}: no run has enough checkpoints with values that differ."
    plain, partial = measures.loc[best], kinds["partial"].loc[best]
    parts = [f"{name}: *{_name(best)}* goes with it most closely, {_told(plain)}."]
    if _signs_differ(plain):
        parts.append("The runs do not agree, so it predicts nothing in general.")
    scarce = measures.index[(measures["runs"] < measures["runs"].max())]
    if len(scarce):
        parts.append(f"Not defined in all of these runs, and so not in the choice: {in_words(map(_name, scarce))}.")
    if STEP in kinds["spearman"].index and kinds["spearman"].loc[STEP, "runs"]:
        parts.append(f"The step alone has {kinds['spearman'].loc[STEP, 'estimate']:+.2f}.")
    parts.append(_survival(plain, partial))
    rival = _best(kinds["partial"].drop(index=STEP, errors="ignore"))
    if rival not in (None, best):
        row = kinds["partial"].loc[rival]
        sure = "for sure" if row["p_holm"] < 0.05 else "not for sure"
        parts.append(f"Given the step, *{_name(rival)}* goes with it most closely, {sure}: {_told(row)}.")
    lost = rows[(rows["kind"] == "spearman") & (rows["missing"] > 0) & (rows["measure"] != STEP)]
    if len(lost):
        each = in_words(f"{_name(row.measure)} {row.missing}" for row in lost.itertuples())
        parts.append(f"Checkpoints left out for want of a value: {each}.")
    return " ".join(parts)


def _best(rows: pd.DataFrame) -> str | None:
    """The measure whose mean correlation is farthest from 0, among those defined in most runs."""
    rows = rows[(rows["runs"] > 0) & (rows["runs"] == rows["runs"].max())]
    return str(rows["estimate"].abs().idxmax()) if len(rows) else None


def _survival(plain: pd.Series, partial: pd.Series) -> str:
    if not partial["runs"]:
        return "Given the step nothing is left to correlate, so **whether it says more than the step cannot be told**."
    told, lost = f"given the step it is {_told(partial)}", int(plain["runs"] - partial["runs"])
    told += f", and not defined in {lost} of {plain['runs']} runs" if lost else ""
    if partial["runs"] < ENOUGH:
        return f"**Whether that survives cannot be told from so few runs**: {told}."
    if _signs_differ(partial) or np.sign(partial["estimate"]) != np.sign(plain["estimate"]):
        return f"**That does not survive**: {told}. It may do no more than move with training."
    if partial["low"] <= 0 <= partial["high"]:
        return f"**That does not surely survive**: {told}."
    return f"**That survives**: {told}."


def _signs_differ(row: pd.Series) -> bool:
    return bool(row["agree"] < row["runs"])


def _told(row: pd.Series) -> str:
    """A mean with its interval and the range over runs."""
    if row["runs"] == 1:
        return f"{row['estimate']:+.2f} in the one run where it is defined"
    ends = f" [{row['low']:+.2f}, {row['high']:+.2f}]" if row["runs"] >= ENOUGH else ""
    return (
        f"{row['estimate']:+.2f}{ends} on average, from {row['smallest']:+.2f} to {row['largest']:+.2f} over "
        f"{row['runs']} runs, {row['agree']} of them with this sign"
    )


def _name(quantity: str) -> str:
    return quantity.replace("_", " ")
