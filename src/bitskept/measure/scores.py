"""From single items (pairs of texts, test texts, minimal pairs) to scores, and to what training has changed in them.

The table of items is what `understanding.measure` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Num

from bitskept.store import derived
from bitskept.theory.repeated_runs import mean_over_runs
from bitskept.theory.statistics import cluster_bootstrap, interval

VERSION = 1
"""Raise it when the same items would give other numbers."""
REPLICATES = 1000
BLOCK = 100
"""Replicates of a rank correlation that are held at once."""
MODEL = ["model", "kind", "weights", "seed"]
SETTING = ["layer", "pooling"]
UNITS = {
    "spearman": "rank correlation",
    "linear_accuracy": "share of texts",
    "neighbour_accuracy": "share of texts",
    "pair_accuracy": "share of pairs",
    "pair_margin": "bits per pair",
}


def scores(items: pd.DataFrame, *, replicates: int = REPLICATES, seed: int = 0) -> pd.DataFrame:
    """One row a model, task, quantity, layer and pooling: the score of its items, with a 95 % bootstrap interval.

    A score is the mean of the items' `value`, and for "spearman" the rank correlation (ties at their mean rank) of
    `value`, the cosine, with `reference`, what people said. Items are drawn anew with replacement. Pairs that share a
    text are not independent (50 documents make 1,225 pairs), so for pairs of texts the texts are drawn, and a pair
    counts as often as the product of its two counts (the pigeonhole bootstrap, Owen 2007). What is particular to one
    pair then varies three times as much as it should: twice the variance of draws of pairs is taken off, which leaves
    the variance of Aronow, Samii and Assenova (2015) for pairs that share members, and the draws are pulled towards the
    score until they have it. It is never taken to be less than that of draws of pairs. In simulations with strong
    effects of single texts, such intervals cover the truth in 0.88 (all pairs of 30 texts), 0.90 (of 50) and 0.97 (300
    pairs of 300 texts) of all cases.

    Of classifications only the test texts are drawn: another training sample would give another classifier.

    A score that is not defined (all cosines equal) is missing. ValueError for items that are not all there in all
    settings.
    """
    rows = []
    for facts, table in items.groupby(MODEL, sort=False, dropna=False):
        for one in _outcomes(table).values():
            estimates = one.estimates()
            defined = np.isfinite(estimates)
            lows, highs = np.full((2, len(estimates)), np.nan)
            lows[defined], highs[defined] = interval(
                _draws([one], lambda scored: scored[0], replicates, seed)[:, defined]
            )
            known = dict(zip(MODEL, facts, strict=True)) | one.facts()
            for place, setting in enumerate(one.settings):
                ends = {"estimate": estimates[place], "low": lows[place], "high": highs[place]}
                rows.append(known | dict(zip(SETTING, setting, strict=True)) | ends)
    columns = [*MODEL, "task", *SETTING, "quantity", "estimate", "low", "high", "unit", "n"]
    return pd.DataFrame(rows, columns=columns).astype({name: "Int64" for name in ("seed", "layer", "n")})


def kept_scores(items: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """`scores` from the store, where the same items were scored before."""
    return derived("scores", VERSION, [items], {"seed": seed}, lambda: scores(items, seed=seed))


def kept_changes(before: Sequence[pd.DataFrame], after: Sequence[pd.DataFrame], *, seed: int = 0) -> pd.DataFrame:
    """`changes` from the store, where the same tables were compared before."""
    key = {"seed": seed, "before": len(before)}
    return derived("score_changes", VERSION, [*before, *after], key, lambda: changes(before, after, seed=seed))


def changes(
    before: pd.DataFrame | Sequence[pd.DataFrame],
    after: pd.DataFrame | Sequence[pd.DataFrame],
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> pd.DataFrame:
    """One row a task, quantity, layer and pooling: the score after minus the score before, of the very same items.

    `after` are the tables of several runs, one a training seed; `before` is the table of the model that all of them
    started from, or as many tables as `after`, run by run: those of another arm with the same seeds. Columns: `before`
    and `after` (means over runs), `estimate` (their difference), `low`, `high` (95 %, over items and runs), `p`
    (two-sided, of no difference), unit, n (items), runs. The items are drawn as in `scores`, the same draw for all
    tables, and the runs are allowed for as in `mean_over_runs`.

    ValueError where the tables hold different items or settings, or different numbers of runs.
    """
    before = [before] if isinstance(before, pd.DataFrame) else list(before)
    after = [after] if isinstance(after, pd.DataFrame) else list(after)
    if not after or len(before) not in (1, len(after)):
        raise ValueError(f"{len(before)} tables before cannot be compared with {len(after)} after: give 1, or as many")
    tables, rows = [_outcomes(table) for table in [*before, *after]], []
    if different := set().union(*tables) ^ set.intersection(*map(set, tables)):
        raise ValueError(f"not all tables have the same tasks and quantities: {sorted(different)[0]} is not everywhere")
    for name in tables[0]:
        several = [table[name] for table in tables]
        for other in several[1:]:
            several[0].check_same(other)
        scored = np.array([one.estimates() for one in several])
        old, new = scored[: len(before)], scored[len(before) :]
        errors = _draws(several, partial(_gain, runs=len(new)), replicates, seed).std(axis=0)
        for place, setting in enumerate(several[0].settings):
            known = several[0].facts() | dict(zip(SETTING, setting, strict=True))
            known |= {"before": old[:, place].mean(), "after": new[:, place].mean(), "runs": len(new)}
            differences = new[:, place] - old[:, place]
            if np.isfinite([*differences, errors[place]]).all():
                known |= mean_over_runs(differences, float(errors[place]))._asdict()
            rows.append(known)
    numbers = ["before", "after", "estimate", "low", "high", "p"]
    table = pd.DataFrame(rows, columns=["task", *SETTING, "quantity", *numbers, "unit", "n", "runs"])
    return table.astype({name: "Int64" for name in ("layer", "n", "runs")} | {name: float for name in numbers})


@dataclass(frozen=True)
class _Outcomes:
    """The items of one task and quantity, in the same order in every setting (a layer and a pooling)."""

    task: str
    quantity: str
    settings: list[tuple[object, object]]
    items: Int[np.ndarray, " item"]
    values: Float[np.ndarray, "setting item"]
    reference: Float[np.ndarray, " item"]
    texts: Num[np.ndarray, "2 item"]

    def facts(self) -> dict[str, object]:
        return {"task": self.task, "quantity": self.quantity, "unit": UNITS[self.quantity], "n": len(self.items)}

    def estimates(self) -> Float[np.ndarray, " setting"]:
        if self.quantity != "spearman":
            return self.values.mean(axis=1)
        return _correlations(self.values, self.reference, np.ones((len(self.items), 1)))[..., 0]

    def check_same(self, other: _Outcomes) -> None:
        """ValueError unless the other one is of the same items, in the same settings."""
        if self.settings != other.settings:
            raise ValueError(
                f"the tables have other layers or poolings of {self.task}: {self.settings}, {other.settings}"
            )
        for name in ("items", "reference", "texts"):
            if not np.array_equal(getattr(self, name), getattr(other, name), equal_nan=name != "items"):
                raise ValueError(f"the tables have other items of {self.task}: measure all of them by the same plan")


def _outcomes(table: pd.DataFrame) -> dict[tuple[str, str], _Outcomes]:
    """The table of one model, by task and quantity."""
    found = {}
    for (task, quantity), rows in table.groupby(["task", "quantity"], sort=False):
        rows = rows.sort_values([*SETTING, "item"], kind="stable")
        items = np.sort(rows["item"].unique())
        if len(rows) % len(items) or (rows["item"].to_numpy().reshape(-1, len(items)) != items).any():
            raise ValueError(f"some items of {task}, {quantity} are not there in every layer and pooling, or twice")
        first = rows.iloc[:: len(items)]
        pairs = zip(first["layer"], first["pooling"], strict=True)
        settings = [tuple(None if pd.isna(value) else value for value in pair) for pair in pairs]
        values = rows["value"].to_numpy(float).reshape(-1, len(items))
        head = rows.iloc[: len(items)]
        texts = head[["first", "second"]].to_numpy(float, na_value=np.nan).T
        reference = head["reference"].to_numpy(float)
        found[task, quantity] = _Outcomes(task, quantity, settings, items, values, reference, texts)
    return found


def _gain(scored: np.ndarray, runs: int) -> np.ndarray:
    """The mean over runs of after minus before; of the tables, the first axis, the last `runs` are those after."""
    return (scored[-runs:] - scored[:-runs]).mean(axis=0)


def _draws(
    outcomes: Sequence[_Outcomes], combine: Callable[[np.ndarray], np.ndarray], replicates: int, seed: int
) -> Float[np.ndarray, "replicate setting"]:
    """Replicates of a linear combination of the tables' scores; all tables under the same draws of items."""
    one = outcomes[0]
    if one.quantity != "spearman":
        values = combine(np.stack([each.values for each in outcomes]))
        return cluster_bootstrap(values, np.ones(len(one.items)), replicates=replicates, seed=seed)

    values = np.stack([each.values for each in outcomes])

    def total(weights: Float[np.ndarray, "item replicate"]) -> Float[np.ndarray, "setting replicate"]:
        return combine(_correlations(values, one.reference, weights))

    rng = np.random.default_rng(seed)
    numbers, places = np.unique(one.texts, return_inverse=True)
    first, second = places.reshape(2, -1)
    estimate = total(np.ones((len(one.items), 1)))
    by_pair, by_text = [], []
    for start in range(0, replicates, BLOCK):
        size = min(BLOCK, replicates - start)
        by_pair.append(total(_counts(rng, len(one.items), size)))
        texts = _counts(rng, len(numbers), size)
        by_text.append(total(texts[first] * texts[second]))
    # A draw in which all values are equal has no correlation: it counts as one that tells nothing new.
    pairs, texts = (
        np.where(np.isnan(drawn := np.concatenate(part, axis=1)), estimate, drawn).T for part in (by_pair, by_text)
    )
    wanted = np.maximum(pairs.var(axis=0), texts.var(axis=0) - 2 * pairs.var(axis=0))
    shrink = np.sqrt(wanted / np.where(texts.var(axis=0) > 0, texts.var(axis=0), 1))
    return estimate[:, 0] + shrink * (texts - texts.mean(axis=0))


def _correlations(
    values: Float[np.ndarray, "*settings item"],
    reference: Float[np.ndarray, " item"],
    weights: Float[np.ndarray, "item replicate"],
) -> Float[np.ndarray, "*settings replicate"]:
    """Spearman's correlation of the values with the reference, where items count as often as `weights` says."""
    half = weights.sum(axis=0) / 2
    ranks = _ranks(reference, weights) - half
    weighted = weights * ranks
    size = (weighted * ranks).sum(axis=0)
    found = np.empty((*values.shape[:-1], weights.shape[1]))
    for place in np.ndindex(values.shape[:-1]):
        ranks = _ranks(values[place], weights) - half
        with np.errstate(invalid="ignore"):
            product = np.sqrt(size * np.einsum("ir,ir,ir->r", weights, ranks, ranks))
            found[place] = np.einsum("ir,ir->r", weighted, ranks) / product
    return found


def _counts(rng: np.random.Generator, number: int, replicates: int) -> Float[np.ndarray, "unit replicate"]:
    """How often each unit comes up in as many draws with replacement."""
    return rng.multinomial(number, np.full(number, 1 / number), size=replicates).T.astype(float, order="C")


def _ranks(
    values: Float[np.ndarray, " item"], weights: Float[np.ndarray, "item replicate"]
) -> Float[np.ndarray, "item replicate"]:
    """Ranks from 1/2 on among items that count as often as `weights` says; ties at their mean rank."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=np.nan))
    sizes = np.add.reduceat(weights[order], starts)
    middles = sizes.cumsum(axis=0) - sizes / 2
    group = np.empty(len(values), dtype=np.int64)
    group[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(values)))
    return middles[group]
