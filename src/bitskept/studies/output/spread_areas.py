"""How well each measure of uncertainty tells the questions with a wrong answer from those with a right one."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import t as student

from bitskept.base.publishing import makes_table
from bitskept.studies.output.spread import ENTROPY, SPREAD, STATES, SURPRISAL
from bitskept.theory import roc
from bitskept.theory.intervals import derived_interval, widening

COLUMNS = [
    *("model", "measure", "layer", "pairs", "against", "estimate", "low", "high", "error", "p"),
    *("null_low", "null_high", "unit", "n", "right"),
]
MEAN_ENTROPY = "mean entropy"
"""The entropy of the first token, averaged over the wordings: it takes as many passes as the spread does."""
PLAIN = [ENTROPY, MEAN_ENTROPY, SURPRISAL]
"""What needs no spread: ENTROPY and SURPRISAL after the first wording, and MEAN_ENTROPY."""
PERMUTATIONS = 4999
CHANCE = "chance"
ALL, SAME = "all questions", "same kind"
"""Pairs of a wrong and a right answer to any two questions; only to two of the same kind."""


@makes_table
def areas(measured: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The area under the curve of each measure (`theory.roc.area`), where the answer to the first wording is wrong:
    the probability that a question with a wrong answer has the higher value. Columns: `COLUMNS`.

    Against CHANCE, `estimate` is the area, and `null_low` to `null_high` holds 95 % of the areas with right and wrong
    permuted over questions (over those of one kind, for SAME). Against the measures of PLAIN it is the difference of
    two areas. `error` and the 95 % interval are from drawing `n` questions again, with the same draws for all measures;
    p is one-sided: that of the permutations, or Student's for a difference. `right` is the share of right answers.
    Measured by `studies.output.spread.measure`.
    """
    values, kinds, wrong = _by_question(measured)
    counts = roc.resampled(len(values), seed=seed)
    rows: list[dict[str, Any]] = []
    for pairs, within in ((ALL, None), (SAME, kinds)):
        scored = {}
        for key in values:
            scores = values[key].to_numpy()
            scored[key] = roc.area(scores, wrong, within), roc.areas(scores, wrong, counts, within)
            null = roc.permuted(scores, wrong, within, permutations=PERMUTATIONS, seed=seed)
            rows.append(_name(key, pairs) | _against_chance(*scored[key], null, len(values)))
        for key, name in product(values, PLAIN):
            if key[0] in SPREAD or (name == ENTROPY and key[0] != ENTROPY):
                pair = scored[key], scored[name, -1]
                rows.append(_name(key, pairs, name) | _difference(*pair, len(values)))
    table = pd.DataFrame(rows).assign(model=measured["model"].iloc[0], n=len(values), right=1 - wrong.mean())
    return table[COLUMNS].astype({"layer": "Int64", "n": "Int64"})


def _by_question(measured: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """A row for each question and a column for each measure and layer (-1: none); kinds; whether it is wrong."""
    first = measured[(measured["wording"] == 0) & (measured["quantity"] == ENTROPY)].set_index("fact").sort_index()
    worded = measured[measured["quantity"] == ENTROPY].groupby("fact")["value"].mean()
    columns: dict[tuple[str, int], pd.Series] = {(ENTROPY, -1): first["value"], (MEAN_ENTROPY, -1): worded}
    said = measured[(measured["wording"] == 0) & (measured["quantity"] == SURPRISAL)]
    columns[SURPRISAL, -1] = said.set_index("fact")["value"]
    spread = measured[measured["quantity"].isin(SPREAD)].fillna({"layer": -1})
    for quantity in SPREAD:
        for layer, rows in spread[spread["quantity"] == quantity].groupby("layer"):
            columns[quantity, int(layer)] = rows.set_index("fact")["value"]
    values = pd.DataFrame({key: column.reindex(first.index) for key, column in columns.items()})
    return values, first["kind"].to_numpy().astype(str), ~first["right"].to_numpy().astype(bool)


def _name(key: tuple[str, int], pairs: str, against: str = CHANCE) -> dict[str, Any]:
    return {"measure": key[0], "layer": None if key[1] < 0 else key[1], "pairs": pairs, "against": against}


def _against_chance(
    estimate: float, replicates: Float[np.ndarray, " replicate"], null: Float[np.ndarray, " permutation"], n: int
) -> dict[str, Any]:
    p = (1 + np.count_nonzero(null >= estimate - 1e-12)) / (1 + len(null)) if np.isfinite(estimate) else np.nan
    ends = np.quantile(null, [0.025, 0.975])
    effect = _effect(estimate, replicates, n) | {"unit": "AUROC"}
    effect |= {name: np.clip(effect[name], 0, 1) for name in ("low", "high")}
    return effect | {"p": p, "null_low": ends[0], "null_high": ends[1]}


def _difference(
    of: tuple[float, Float[np.ndarray, " replicate"]], less: tuple[float, Float[np.ndarray, " replicate"]], n: int
) -> dict[str, Any]:
    effect = _effect(of[0] - less[0], of[1] - less[1], n)
    known = effect["error"] > 0
    p = float(student.sf(effect["estimate"] / effect["error"], n - 1)) if known else np.nan
    return effect | {"p": p, "unit": "difference of AUROC"}


def _effect(estimate: float, replicates: Float[np.ndarray, " replicate"], n: int) -> dict[str, Any]:
    low, high = derived_interval(replicates, estimate, n)
    error = widening(n) * np.nanstd(replicates) if np.isfinite(estimate) else np.nan
    return {"estimate": estimate, "low": low, "high": high, "error": error}


def main(table: pd.DataFrame, pairs: str = ALL, against: str = CHANCE) -> pd.DataFrame:
    """The rows of one comparison, by measure: of the states, those of the last layer."""
    rows = table[(table["pairs"] == pairs) & (table["against"] == against)]
    last = rows.loc[rows["measure"] == STATES, "layer"].max()
    return rows[(rows["measure"] != STATES) | (rows["layer"] == last)].set_index("measure")


def by_layer(table: pd.DataFrame, pairs: str = ALL) -> Iterator[dict[str, Any]]:
    """The areas of the volume of states, by layer."""
    rows = table[(table["measure"] == STATES) & (table["pairs"] == pairs) & (table["against"] == CHANCE)]
    yield from rows.sort_values("layer").to_dict("records")
