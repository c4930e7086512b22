"""Do compression and preference information go together with benchmark scores? Rank correlations over models.

Conklin and others (2026, arXiv 2604.07569) report four over 47 models, for the token: `REPORTED`.
"""

from bisect import bisect_left
from functools import partial

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.job import size
from bitskept.instruments.soft_entropy import compression
from bitskept.instruments.soft_entropy.compression import KINDS
from bitskept.sources import tasks
from bitskept.sources.packages import SourceError
from bitskept.studies.bottleneck import preference
from bitskept.studies.bottleneck.section import IbCorrelations, plan, preference_plan
from bitskept.theory.statistics import (
    detectable_correlation,
    holm,
    partial_spearman,
    permutation_p,
    rank_interval,
    spearman,
)

REPORTED = {"complexity": -0.38, "expressivity": 0.08, "optimality": 0.52, "preference_information": 0.76}
QUANTITIES = [name + end for name in ("complexity", "expressivity", "optimality") for end in KINDS]
QUANTITIES += ["preference_information", "preference_information_corrected", "preference_beyond_length_corrected"]
FEWEST = 8
"""The fewest models for which a p-value is given: with fewer, hardly any order of the ranks is unlikely."""


def models_needed(coefficient: float, tests: int = 1) -> int:
    """The fewest models with which a correlation of this size, given the number of weights, is significant 80 % of the
    time at the strictest of Holm's steps over so many `tests`.
    """
    numbers = range(5, 10**6)
    seen = bisect_left(numbers, True, key=lambda number: detectable_correlation(number, 1, tests) <= abs(coefficient))
    return numbers[seen]


def measured(section: IbCorrelations, *, preferred: bool) -> pd.DataFrame:
    """`per_model` of all models that have been measured by this section's plans, here or on any computer whose store
    was copied; `preferred` says whether there is preference information.
    """
    tables = [compression.measured(plan(section))]
    if preferred:
        tables.append(preference.measured(preference_plan(section)))
    return per_model(pd.concat(tables))


def per_model(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each trained model and quantity: the mean over layers at the largest sample and, for quantities that
    have a width, at the width 1, averaged over anchor seeds.

    `low` and `high` are the outermost ends over the seeds.
    """
    fits = table["layer"].isna() & (table["width"].isna() | (table["width"] == 1)) & (table["weights"] == "trained")
    rows = table[fits]
    rows = rows[rows["sentences"] == rows.groupby(["model", "quantity"])["sentences"].transform("max")]
    ends = {"estimate": "mean", "low": "min", "high": "max"}
    return rows.groupby(["model", "kind", "quantity"], sort=False).agg(ends).reset_index()


def scores() -> tuple[pd.DataFrame, str]:
    """The average benchmark score of each model and its number of parameters; none, and the reason, where they are
    not available.
    """
    try:
        return tasks.benchmark_scores(), ""
    except SourceError as error:
        none = pd.DataFrame(columns=["model", "parameters", "average"], dtype=object)
        return none, f"Scores are left out: {error}."


def with_scores(measured: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """The table of `measured`, with the score of each model that has one and the number of weights of all."""
    sizes = {model: size(model) for model in measured["model"].unique()}
    found = measured.merge(scores.drop(columns="parameters"), on="model", how="left")
    return found.assign(parameters=found["model"].map(sizes))


@makes_table
def with_coefficients(scored: pd.DataFrame, correlated: pd.DataFrame) -> pd.DataFrame:
    """The models of `with_scores` and, without a model, the correlations of the four quantities that the paper reports
    (`reported`) over the models that have a score, and how many models it takes to see that of the paper in one test
    (`needed`) and in the strictest of as many as there are quantities (`needed_of_all`). Measured by
    `instruments.soft_entropy.compression.measure` and `studies.bottleneck.preference.measure`.
    """
    four = correlated[correlated["quantity"].isin(REPORTED)]
    four = four.rename(columns={"spearman": "estimate", "paper": "reported"})
    for name, tests in (("needed", 1), ("needed_of_all", len(QUANTITIES))):
        four[name] = four["reported"].map(partial(models_needed, tests=tests))
    return pd.concat([scored, four.assign(unit="rank correlation")], ignore_index=True)


def correlations(measured: pd.DataFrame, scores: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Each of `QUANTITIES` against the average score, over the models that have both.

    Columns: quantity, paper (what it reports), n, spearman with its interval (low, high, 95 % over models), partial
    (given the number of parameters; for ranks their logarithms are the same), p (two-sided, of the partial one) and
    p_holm, over all quantities. What too few models leave undefined is missing; p-values need `FEWEST` models.
    """
    rows = []
    for quantity in QUANTITIES:
        both = measured[measured["quantity"] == quantity].dropna(subset="estimate").merge(scores, on="model")
        x, y, size = (both[name].to_numpy(float) for name in ("estimate", "average", "parameters"))
        row = {"quantity": quantity, "paper": REPORTED.get(quantity), "n": len(both)}
        row |= dict.fromkeys(("spearman", "low", "high", "partial", "p"), np.nan)
        if len(both) >= 4:
            row["spearman"] = spearman(x, y)
            row["low"], row["high"] = rank_interval(row["spearman"], len(both))
        if len(both) >= 5:
            row["partial"] = partial_spearman(x, y, size)
        if len(both) >= FEWEST:
            row["p"] = permutation_p(x, y, size, seed=seed)
        rows.append(row)
    table = pd.DataFrame(rows)
    known = table["p"].notna()
    table.loc[known, "p_holm"] = holm(table.loc[known, "p"].to_numpy(float))
    return table
