"""From single items (pairs of texts, test texts, minimal pairs) to scores, and to changes of these scores by training.

The table of items comes from `understanding.measure`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Num

from bitskept.base.store import derived
from bitskept.instruments.measurement import MODEL
from bitskept.theory.intervals import Ends, derived_interval, ratio_interval, share_interval
from bitskept.theory.repeated_runs import mean_over_runs
from bitskept.theory.statistics import cluster_bootstrap

VERSION = 3
"""Raise it when the same items would give other numbers."""
REPLICATES = 1000
BLOCK = 100
"""Replicates of a rank correlation that are computed at once, which limits memory."""
SETTING = ["layer", "pooling"]
UNITS = {
    "spearman": "rank correlation",  # of the cosine of two texts' vectors (`value`) with human ratings (`reference`)
    "linear_accuracy": "share of texts",  # whose class a logistic regression on standardised vectors predicts
    "neighbour_accuracy": "share of texts",  # whose class is that of most of the 5 training texts nearest by cosine
    "pair_accuracy": "share of pairs",  # of which the good sentence is the more likely one
    "pair_margin": "bits per pair",  # -log2 of the bad sentence's likelihood minus that of the good one's
}


def scores(items: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """One row per model, task, quantity, layer and pooling: the score of its `n` items, with a 95 % interval over them
    (`theory.intervals`).

    A score is the mean of the items' `value`; for "spearman" it is the rank correlation (ties at their mean rank) of
    `value` with `reference`. The items are the sample; of classifications these are only the test texts, as another
    training sample would give another classifier. Pairs that share a text are not independent (50 documents make 1,225
    pairs), so for rank correlations a bootstrap draws the texts, and a pair counts as often as the product of its two
    counts (the pigeonhole bootstrap, Owen 2007). That triples the variance that comes from single pairs. Therefore
    twice the variance of draws of pairs is subtracted, which leaves the variance of Aronow, Samii and Assenova (2015)
    for pairs that share members, but never less than the variance of draws of pairs. In simulations with strong effects
    of single texts, such intervals, before they are widened for few texts, cover the truth in 0.88 (all pairs of 30
    texts) to 0.97 (300 pairs of 300) of all cases.

    A score that is not defined (all cosines equal) is missing. ValueError where a setting lacks some of the items.
    """
    rows = []
    for facts, table in items.groupby(list(MODEL), sort=False, dropna=False):
        for outcome in _outcomes(table).values():
            estimates = outcome.estimates()
            lows, highs = _ends(outcome, estimates, seed)
            for place, known in enumerate(outcome.rows()):
                ends = {"estimate": estimates[place], "low": lows[place], "high": highs[place]}
                rows.append(dict(zip(MODEL, facts, strict=True)) | known | ends)
    columns = [*MODEL, "task", *SETTING, "quantity", "estimate", "low", "high", "unit", "n"]
    return pd.DataFrame(rows, columns=columns).astype({name: "Int64" for name in ("seed", "layer", "n")})


def stored_scores(items: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """The table of `scores`, read from the store or computed and stored."""
    return derived("scores", VERSION, [items], {"seed": seed}, lambda: scores(items, seed=seed))


def stored_changes(before: Sequence[pd.DataFrame], after: Sequence[pd.DataFrame], *, seed: int = 0) -> pd.DataFrame:
    """The table of `changes`, read from the store or computed and stored."""
    key = {"seed": seed, "before": len(before)}
    return derived("score_changes", VERSION, [*before, *after], key, lambda: changes(before, after, seed=seed))


def changes(before: Sequence[pd.DataFrame], after: Sequence[pd.DataFrame], *, seed: int = 0) -> pd.DataFrame:
    """One row per task, quantity, layer and pooling: the score after minus the score before, of the same items.

    `after` are the tables of several runs, one per training seed. `before` is the table of the model from which all of
    them started, or one table per table of `after`: those of another arm with the same seeds. Columns: `before` and
    `after` (means over runs), `estimate` (their difference), `low`, `high` (95 %, over items and runs), `p` (two-sided,
    of no difference), unit, n (items), clusters (items, but of pairs the texts in them), runs. Items are drawn as in
    `scores`, alike for all tables; runs enter as in `mean_over_runs`.

    ValueError where the tables hold different items or settings, or different numbers of runs.
    """
    if not after or len(before) not in (1, len(after)):
        raise ValueError(f"{len(before)} tables before cannot be compared with {len(after)} after: give 1, or as many")
    tables, rows, runs = [_outcomes(table) for table in [*before, *after]], [], len(after)
    if different := set().union(*tables) ^ set.intersection(*map(set, tables)):
        raise ValueError(f"not all tables have the same tasks and quantities: {sorted(different)[0]} is not everywhere")

    def gain(scored: Float[np.ndarray, "table ..."]) -> np.ndarray:
        return (scored[-runs:] - scored[:-runs]).mean(axis=0)

    for name, first in tables[0].items():
        several = [table[name] for table in tables]
        for other in several[1:]:
            first.check_same(other)
        scored = np.array([outcome.estimates() for outcome in several])
        old, new = scored[:-runs], scored[-runs:]
        units = first.units()
        errors = _draws(several, gain, seed).std(axis=0) * np.sqrt(units / max(1, units - 1))
        for place, known in enumerate(first.rows()):
            known |= {"before": old[:, place].mean(), "after": new[:, place].mean(), "clusters": units, "runs": runs}
            differences = new[:, place] - old[:, place]
            if np.isfinite([*differences, errors[place]]).all() and units > 1:
                known |= mean_over_runs(differences, float(errors[place]), units)._asdict()
            rows.append(known)
    numbers = ["before", "after", "estimate", "low", "high", "p"]
    table = pd.DataFrame(rows, columns=["task", *SETTING, "quantity", *numbers, "unit", "n", "clusters", "runs"])
    return table.astype(
        {name: "Int64" for name in ("layer", "n", "clusters", "runs")} | {name: float for name in numbers}
    )


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

    def rows(self) -> list[dict[str, Any]]:
        """The columns of a table of scores that identify each setting."""
        facts = {"task": self.task, "quantity": self.quantity, "unit": UNITS[self.quantity], "n": len(self.items)}
        return [facts | dict(zip(SETTING, setting, strict=True)) for setting in self.settings]

    def estimates(self) -> Float[np.ndarray, " setting"]:
        if self.quantity != "spearman":
            return self.values.mean(axis=1)
        return _correlations(self.values, self.reference, np.ones((len(self.items), 1)))[..., 0]

    def units(self) -> int:
        """How many things that do not depend on each other were drawn: items, but for pairs the texts in them."""
        return len(self.items) if self.quantity != "spearman" else len(np.unique(self.texts))

    def check_same(self, other: _Outcomes) -> None:
        """ValueError unless the other outcomes are of the same items, in the same settings."""
        if self.settings != other.settings:
            raise ValueError(
                f"the tables have other layers or poolings of {self.task}: {self.settings}, {other.settings}"
            )
        for name in ("items", "reference", "texts"):
            if not np.array_equal(getattr(self, name), getattr(other, name), equal_nan=name != "items"):
                raise ValueError(f"the tables have other items of {self.task}: measure all of them by the same plan")


def _outcomes(table: pd.DataFrame) -> dict[tuple[str, str], _Outcomes]:
    """The table of one model, by task and quantity."""
    outcomes = {}
    for (task, quantity), rows in table.groupby(["task", "quantity"], sort=False):
        rows = rows.sort_values([*SETTING, "item"], kind="stable")
        items = np.sort(rows["item"].unique())
        if len(rows) % len(items) or (rows["item"].to_numpy().reshape(-1, len(items)) != items).any():
            raise ValueError(f"some items of {task}, {quantity} are not there in every layer and pooling, or twice")
        pairs = rows.iloc[:: len(items)][SETTING].itertuples(index=False)
        settings = [tuple(None if pd.isna(value) else value for value in pair) for pair in pairs]
        values = rows["value"].to_numpy(float).reshape(-1, len(items))
        first = rows.iloc[: len(items)]
        texts = first[["first", "second"]].to_numpy(float, na_value=np.nan).T
        reference = first["reference"].to_numpy(float)
        outcomes[task, quantity] = _Outcomes(task, quantity, settings, items, values, reference, texts)
    return outcomes


def _ends(outcome: _Outcomes, estimates: Float[np.ndarray, " setting"], seed: int) -> Ends:
    """The interval of each setting's score."""
    ones = np.ones(len(outcome.items))
    match UNITS[outcome.quantity]:
        case "rank correlation":
            drawn = _draws([outcome], lambda scored: scored[0], seed)
            return derived_interval(drawn, estimates, outcome.units())
        case "bits per pair":
            return ratio_interval(outcome.values, ones, seed=seed)
        case _:
            return share_interval(outcome.values, ones)


def _draws(
    outcomes: Sequence[_Outcomes], combine: Callable[[np.ndarray], np.ndarray], seed: int
) -> Float[np.ndarray, "replicate setting"]:
    """Bootstrap replicates of a linear combination of the tables' scores, with the same draws for all tables."""
    first, number = outcomes[0], len(outcomes[0].items)
    values = np.stack([outcome.values for outcome in outcomes])
    if first.quantity != "spearman":
        return cluster_bootstrap(combine(values), np.ones(number), replicates=REPLICATES, seed=seed)

    def combined(weights: Float[np.ndarray, "item replicate"]) -> Float[np.ndarray, "setting replicate"]:
        return combine(_correlations(values, first.reference, weights))

    rng = np.random.default_rng(seed)
    numbers, places = np.unique(first.texts, return_inverse=True)
    left, right = places.reshape(2, -1)
    estimate = combined(np.ones((number, 1)))
    by_pair, by_text = [], []
    for start in range(0, REPLICATES, BLOCK):
        size = min(BLOCK, REPLICATES - start)
        by_pair.append(combined(_counts(rng, number, size)))
        texts = _counts(rng, len(numbers), size)
        by_text.append(combined(texts[left] * texts[right]))
    # A draw in which all values are equal has no correlation: the estimate stands in for it.
    pairs, texts = (
        np.where(np.isnan(drawn := np.concatenate(part, axis=1)), estimate, drawn).T for part in (by_pair, by_text)
    )
    variance = np.maximum(pairs.var(axis=0), texts.var(axis=0) - 2 * pairs.var(axis=0))
    shrink = np.sqrt(variance / np.where(texts.var(axis=0) > 0, texts.var(axis=0), 1))
    return estimate[:, 0] + shrink * (texts - texts.mean(axis=0))


def _correlations(
    values: Float[np.ndarray, "*settings item"],
    reference: Float[np.ndarray, " item"],
    weights: Float[np.ndarray, "item replicate"],
) -> Float[np.ndarray, "*settings replicate"]:
    """Spearman's correlation of the values with the reference, where `weights` says how often each item counts."""
    half = weights.sum(axis=0) / 2
    ranks = _ranks(reference, weights) - half
    weighted = weights * ranks
    size = (weighted * ranks).sum(axis=0)
    correlations = np.empty((*values.shape[:-1], weights.shape[1]))
    for place in np.ndindex(values.shape[:-1]):
        ranks = _ranks(values[place], weights) - half
        with np.errstate(invalid="ignore"):
            product = np.sqrt(size * np.einsum("ir,ir,ir->r", weights, ranks, ranks))
            correlations[place] = np.einsum("ir,ir->r", weighted, ranks) / product
    return correlations


def _counts(rng: np.random.Generator, number: int, replicates: int) -> Float[np.ndarray, "unit replicate"]:
    """How often each unit comes up in as many draws with replacement."""
    return rng.multinomial(number, np.full(number, 1 / number), size=replicates).T.astype(float, order="C")


def _ranks(
    values: Float[np.ndarray, " item"], weights: Float[np.ndarray, "item replicate"]
) -> Float[np.ndarray, "item replicate"]:
    """Ranks, from 1/2, among items that count as often as `weights` says; ties at their mean rank."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=np.nan))
    sizes = np.add.reduceat(weights[order], starts)
    middles = sizes.cumsum(axis=0) - sizes / 2
    group = np.empty(len(values), dtype=np.int64)
    group[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(values)))
    return middles[group]
