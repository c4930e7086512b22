"""Do compression and what a network can do go together over the runs of notebook 05? Rank correlations over runs."""

import re

import numpy as np
import pandas as pd

from bitskept.base.publishing import folders, makes_table, read_table
from bitskept.theory.statistics import (
    detectable_correlation,
    holm,
    partial_spearman,
    permutation_p,
    rank_interval,
    spearman,
)

FILE = "05_run_measures.csv"
RUN = ["run", "twin", "size", "amount", "seed", "weights", "tokens"]
MEASURES = [
    *("complexity", "expressivity", "optimality"),
    *("complexity_corrected", "expressivity_corrected", "optimality_corrected"),
    *("retained", "late_forgetting", "rankme", "alpha_req"),
]
COST, SCORE = "bits per byte", r"blimp .*accuracy"
"""The targets: the cost of held-out text, or the bound on it that a masked network has, and accuracy on BLiMP."""
FEWEST = 12
"""The fewest runs for a p-value: with fewer and several controls, hardly any order of the ranks is unlikely."""
GAIN = 0.05
"""The least bits below the cost of the tokens' frequencies alone from which a run counts as one that has learned."""


def measures(profile: str) -> tuple[pd.DataFrame, str]:
    """The table of the runs of notebook 05 of this profile, or else that of laptop, and whose it is, in words; an empty
    table, and what to do, where there is none.
    """
    for name in dict.fromkeys((profile, "laptop")):
        path = folders(name)[1] / FILE
        if path.is_file():
            table = read_table(path)
            return table, f"The {table['run'].nunique()} runs are those of the profile {name}."
    words = "Notebook 05 has not been run with this profile, nor with laptop: run `05_training_dynamics` first."
    return pd.DataFrame(columns=[*RUN, "quantity", "estimate"]), words


def by_run(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each run that has learned, one column for each quantity and for `COST`. A run whose gain was not
    measured counts as one that has.
    """
    wide = table.pivot(index=RUN, columns="quantity", values="estimate").astype(float)
    wide = wide.reindex(columns=wide.columns.union(["bits_per_byte", "bits_per_byte_bound", "unigram_gain"]))
    wide[COST] = wide["bits_per_byte"].fillna(wide["bits_per_byte_bound"])
    return wide[~(wide["unigram_gain"] < GAIN)].reset_index()


@makes_table
def runs(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Each of `MEASURES` against each target over the runs that have learned (`by_run`): `n`, the rank correlation
    (`spearman`), the same given weights, tokens and twin (`estimate`, with its 95 % interval), `p` (permutations within
    a twin), `p_holm` over all rows, and `detectable`, the smallest that would have been seen 80 % of the time. Beside
    these, `controls` is how many there were, `tests` how many p-values, and `listed` how many runs, learned or not.

    Read from the table of `studies.dynamics`, by `measures`. What too few runs leave undefined is missing.
    """
    wide = by_run(table)
    targets = [COST, *sorted(name for name in wide.columns if re.fullmatch(SCORE, name))]
    pairs = [(target, measure) for target in targets for measure in MEASURES]
    rows = [{"target": target, "measure": measure} | _row(wide, measure, target, seed) for target, measure in pairs]
    result = pd.DataFrame(rows)
    known, tests = result["p"].notna(), int(result["p"].notna().sum())
    result.loc[known, "p_holm"] = holm(result.loc[known, "p"].to_numpy(float))
    free = result["n"] - result["controls"]
    result["detectable"] = [detectable_correlation(int(units), tests=max(1, tests)) for units in free]
    return result.assign(tests=tests, listed=table["run"].nunique(), unit="rank correlation")


def _row(wide: pd.DataFrame, measure: str, target: str, seed: int) -> dict[str, float]:
    row = dict.fromkeys(("spearman", "estimate", "low", "high", "p", "p_holm"), np.nan) | {"n": 0, "controls": 0}
    if not {measure, target} <= set(wide):
        return row
    both = wide.dropna(subset=[measure, target])
    twins = pd.get_dummies(both["twin"]).to_numpy(float)[:, 1:]
    controls = np.column_stack([both[["weights", "tokens"]].to_numpy(float), twins])
    controls = controls[:, np.ptp(controls, axis=0) > 0] if len(both) else controls
    row |= {"n": len(both), "controls": controls.shape[1]}
    x, y = both[measure].to_numpy(float), both[target].to_numpy(float)
    try:
        row["spearman"] = spearman(x, y)
        row["estimate"] = partial_spearman(x, y, controls)
        row["low"], row["high"] = rank_interval(row["estimate"], len(both) - controls.shape[1])
        if len(both) >= FEWEST:
            row["p"] = permutation_p(x, y, controls, within=both["twin"].to_numpy(), seed=seed)
    except ValueError:  # too few runs, or one of the two does not vary
        pass
    return row
