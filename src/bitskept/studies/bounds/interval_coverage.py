"""Do intervals over few sentences keep their promise? Data whose truth is known are drawn again and again."""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import binomtest

from bitskept.base import store
from bitskept.base.publishing import makes_table
from bitskept.studies.bounds.section import TheoryBounds
from bitskept.theory.intervals import EVEN, Ends, ratio_interval, share_interval
from bitskept.theory.statistics import cluster_bootstrap, percentiles

Values = Float[np.ndarray, "data_set cluster"]
Sizes = Float[np.ndarray, " cluster"]

BATCH = 200
"""Data sets that share one draw of the bootstrap, because they are computed at once."""
PERCENTILES, OURS = "bootstrap percentiles", "intervals of this project"
COLUMNS = ["data", "clusters", "method", "coverage", "low", "high", "none", "n"]


def normal(number: int, sizes: Sizes, rng: np.random.Generator) -> tuple[Values, Sizes, float]:
    """The mean of values that lie evenly around it, one for each sentence."""
    return rng.normal(size=(number, len(sizes))), np.ones_like(sizes), 0.0


def common_errors(number: int, sizes: Sizes, rng: np.random.Generator) -> tuple[Values, Sizes, float]:
    """A tenth of the tokens is wrong, and some sentences are harder than others (beta-binomial, correlation 0.1)."""
    chances = rng.beta(0.9, 8.1, size=(number, len(sizes)))
    return rng.binomial(sizes.astype(int), chances).astype(float), sizes, 0.1


def rare_errors(number: int, sizes: Sizes, rng: np.random.Generator) -> tuple[Values, Sizes, float]:
    """One sentence in twenty has one wrong token, and the others none."""
    errors = (rng.random((number, len(sizes))) < 0.05).astype(float)
    return errors, sizes, 0.05 * len(sizes) / sizes.sum()


def surprisal(number: int, sizes: Sizes, rng: np.random.Generator) -> tuple[Values, Sizes, float]:
    """Bits per token with a long tail: those of a sentence are lognormal, σ = 1.6."""
    return sizes * rng.lognormal(sigma=1.6, size=(number, len(sizes))), sizes, float(np.exp(1.6**2 / 2))


Draw = Callable[[int, Sizes, np.random.Generator], tuple[Values, Sizes, float]]
KINDS: dict[str, Draw] = {
    "normal values": normal,
    "errors in 10 % of the tokens": common_errors,
    "errors in 5 % of the sentences": rare_errors,
    "lognormal surprisal": surprisal,
}
SHARES = common_errors, rare_errors
PROMISED = {normal: 0.93, common_errors: 0.93, rare_errors: 0.9, surprisal: 0.9}
"""The least share of intervals, where one is given, that is to contain the truth."""


def by_percentiles(values: Values, sizes: Sizes, seed: int) -> Ends:
    """The ends between which 95 % of the bootstrap replicates lie."""
    return percentiles(cluster_bootstrap(values, sizes, seed=seed))


def by_ours(draw: Draw, values: Values, sizes: Sizes, seed: int) -> Ends:
    """The interval that this project prints for such data."""
    if draw in SHARES:
        return share_interval(values, sizes)
    return ratio_interval(values, sizes, seed=seed, **({"least": EVEN} if draw is normal else {}))


@makes_table
def coverage(section: TheoryBounds) -> pd.DataFrame:
    """The share of data sets whose interval contains the truth, by kind of data, number of sentences and method, read
    from the store or computed and stored. Measured by `studies.bounds.interval_coverage.count`.
    """
    key = {name: getattr(section, name) for name in ("clusters", "data_sets", "seed")}
    table = store.stored("interval_coverage", 1, key, lambda: count(**key))
    return table.assign(quantity="coverage", unit="share of intervals")


def count(clusters: Sequence[int], data_sets: int, seed: int) -> pd.DataFrame:
    """Draw data of each kind and number of sentences: one row for each method.

    The sentences have from 8 to 32 tokens. `coverage` is the share of intervals that contain the truth, with its 95 %
    limits (Clopper and Pearson) for `n`, the data sets that have an interval; `none` is the share of those that have
    none. Missing where no data set has an interval. ValueError for numbers below 1.
    """
    if min(clusters, default=0) < 1 or data_sets < 1:
        raise ValueError(f"give numbers of sentences and of data sets from 1, not {list(clusters)} and {data_sets}.")
    rows = []
    for (name, draw), number in product(KINDS.items(), clusters):
        sizes = np.linspace(8, 32, number).round()
        rng, within = np.random.default_rng([seed, list(KINDS).index(name), number]), {PERCENTILES: [], OURS: []}
        for batch, start in enumerate(range(0, data_sets, BATCH)):
            values, weights, truth = draw(min(BATCH, data_sets - start), sizes, rng)
            both = by_percentiles(values, weights, seed + batch), by_ours(draw, values, weights, seed + batch)
            for answers, (low, high) in zip(within.values(), both, strict=True):
                answers += np.where(np.isnan(low), np.nan, (low <= truth) & (truth <= high)).tolist()
        for method, answers in within.items():
            given = [answer for answer in answers if not np.isnan(answer)]
            share, ends = np.nan, (np.nan, np.nan)
            if given:
                test = binomtest(int(sum(given)), len(given))
                share, ends = float(test.statistic), test.proportion_ci(0.95)
            rows.append((name, number, method, share, *ends, 1 - len(given) / data_sets, len(given)))
    return pd.DataFrame(rows, columns=COLUMNS)
