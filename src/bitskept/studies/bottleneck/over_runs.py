"""Do compression and what a network can do go together over the runs of notebook 05? Rank correlations over runs."""

import re
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped
from scipy.stats import rankdata

from bitskept.base.params import find
from bitskept.base.publishing import folders, makes_table, read_table
from bitskept.theory.repeated_runs import Mean, mean_over_runs
from bitskept.theory.statistics import (
    detectable_correlation,
    holm,
    partial_ranks,
    partial_spearman,
    permutation_p,
    rank_interval,
    spearman,
)

NOTEBOOK, FILE = "05_training_dynamics", "05_run_measures.csv"
CONTROLS = ["weights", "tokens", "amount"]
"""What differs between runs of one kind, beside the seed: size, tokens read, and the sentences that these are from."""
RUN = ["run", "twin", "size", "seed", *CONTROLS]
SHOWN = "optimality_corrected"
"""The measure whose runs are drawn one by one."""
LEFT = ["left_of_measure", "left_of_target"]
MEASURES = [
    *("complexity", "expressivity", "optimality"),
    *("complexity_corrected", "expressivity_corrected", SHOWN),
    *("retained", "late_forgetting", "rankme", "alpha_req"),
]
COST, SAVED, SCORE = "bits per byte", "bits saved per token", r"blimp .*accuracy"
"""The targets: the cost of held-out text, or the bound on it that a diffusion model has; what any run saves of what its
tokens cost by their frequency, at its own task; and accuracy on BLiMP.
"""
PLAIN, EVERYONE = "without controls", "all runs, also those that are left out"
"""The settings that are varied (`with_settings`)."""
GUESSING = 0.5
"""The accuracy of guessing which of two sentences is the right one, and the standard deviation of one such guess."""
LEAST = 6
"""The fewest runs for a p-value, beside one for each control. With 11 runs and 4 controls of which the target depends,
7 % of 1,000 simulated tables without a correlation had p < .05.
"""
GAIN = 0.05
"""The least bits that a run has to save per token, of what tokens cost by their frequencies, to count."""
PERMUTATIONS = 99_999
"""With a tenth of them, the p-values that decide after Holm's correction would depend on the draw."""


class Pair(NamedTuple):
    """A measure and a target over the runs that have both, with what they are given, and the kind of each run."""

    x: Float[np.ndarray, " run"]
    y: Float[np.ndarray, " run"]
    controls: Float[np.ndarray, "run control"]
    twins: Shaped[np.ndarray, " run"]
    runs: pd.DataFrame


def measures(profile: str) -> tuple[pd.DataFrame, str]:
    """The table of the runs of notebook 05 of this profile, or else that of laptop, and whose it is, in words; an empty
    table, and what to do, where there is none.
    """
    for parameters in dict.fromkeys((find(profile), find("laptop"))):
        path = folders(parameters.stem)[1] / FILE
        if path.is_file():
            table = read_table(path)
            return table, f"The {table['run'].nunique()} runs are those of the profile {parameters.stem}."
    words = f"Notebook 05 has not been run with this profile, nor with laptop: run `{NOTEBOOK}` first."
    return pd.DataFrame(columns=[*RUN, "items", "quantity", "estimate"]), words


def by_run(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each run, one column for each quantity and for `COST` and `SAVED`."""
    wide = table.pivot(index=[*RUN, "items"], columns="quantity", values="estimate").astype(float)
    wide = wide.reindex(columns=wide.columns.union(["bits_per_byte", "bits_per_byte_bound", "unigram_gain"]))
    wide[COST] = wide["bits_per_byte"].fillna(wide["bits_per_byte_bound"])
    wide[SAVED] = wide["unigram_gain"]
    return wide.reset_index()


def that_learned(wide: pd.DataFrame) -> pd.DataFrame:
    """The runs of `by_run` that save `GAIN`. A run whose gain was not measured counts as one that does."""
    return wide[~(wide[SAVED] < GAIN)]


def targets(learned: pd.DataFrame) -> dict[str, bool]:
    """The targets that runs may have, and whether those of `that_learned` are good enough at each for a correlation to
    mean something: the whole interval of an accuracy has to be above `GUESSING`.
    """
    accuracies = sorted(name for name in learned.columns if re.fullmatch(SCORE, name))
    able = {name: bool(learned[name].any() and accuracy(name, learned).low > GUESSING) for name in accuracies}
    return {COST: True, SAVED: True} | able


def accuracy(name: str, learned: pd.DataFrame) -> Mean:
    """An accuracy as a mean over runs, with its 95 % interval over runs and items. All runs answer the same items, so
    more runs do not make up for few of them.
    """
    known = learned[learned[name].notna()]
    items = int(known["items"].iloc[0])
    return mean_over_runs(known[name].to_numpy(float), GUESSING / np.sqrt(items), items)


@makes_table
def runs(table: pd.DataFrame, seed: int, *, everyone: bool = False, plain: bool = False) -> pd.DataFrame:
    """Each of `MEASURES` against each target over the runs of `that_learned`: `n`, the rank correlation (`spearman`),
    the same given `CONTROLS` and the kind of run (`estimate`, with its 95 % interval), `p` (permutations
    within a kind), `p_holm` over all rows, and `detectable`, the smallest that would have been seen 80 % of the time.
    Beside these, `twins` names the kinds, `controls` is how many controls differed, `able` whether runs are good enough
    at the target (`targets`; without it there is no p), `tests` how many p-values, and `listed` how many runs there
    are, learned or not. With `everyone` runs count whether they have learned or not; `plain` correlations are given
    nothing, and values are permuted over all runs.

    Read from the table of `studies.dynamics`, by `measures`. What too few runs leave undefined is missing.
    """
    wide, rows = by_run(table), []
    wide = wide if everyone else that_learned(wide)
    for target, able in targets(wide).items():
        for measure in MEASURES:
            pair = _pair(wide, measure, target)
            pair = pair._replace(controls=pair.controls[:, :0]) if plain else pair
            rows.append({"target": target, "able": able, "measure": measure} | _row(pair, able, seed))
    result = pd.DataFrame(rows)
    known = result["p"].notna()
    tests = int(known.sum())
    result.loc[known, "p_holm"] = holm(result.loc[known, "p"].to_numpy(float))
    numbers = zip(result["n"], result["controls"], strict=True)
    result["detectable"] = [detectable_correlation(units, controls, max(1, tests)) for units, controls in numbers]
    return result.assign(tests=tests, listed=table["run"].nunique(), unit="rank correlation")


def with_settings(correlations: pd.DataFrame, table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The table of `runs`, and those of two other settings, which the column `setting` names."""
    plain = runs(table, seed, plain=True).assign(setting=PLAIN)
    everyone = runs(table, seed, everyone=True).assign(setting=EVERYONE)
    return pd.concat([correlations.assign(setting=None), plain, everyone], ignore_index=True)


@makes_table
def with_points(correlations: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The table of `runs` and, with a `run`, what is left of each run's ranks once the controls and the kinds are taken
    out: of `SHOWN` (`left_of_measure`) and of the target (`left_of_target`), whose correlation is that estimate.
    """
    wide, parts = that_learned(by_run(table)), [correlations]
    for target in correlations.loc[correlations["estimate"].notna() & (correlations["measure"] == SHOWN), "target"]:
        pair = _pair(wide, SHOWN, target)
        left = dict(zip(LEFT, partial_ranks(pair.x, pair.y, pair.controls), strict=True))
        parts.append(pair.runs[RUN].assign(target=target, measure=SHOWN, **left))
    columns = [*correlations, *(name for name in [*RUN, *LEFT] if name not in correlations)]
    return pd.concat(parts, ignore_index=True).reindex(columns=columns)


def _pair(wide: pd.DataFrame, measure: str, target: str) -> Pair:
    both = wide.reindex(columns=[*RUN, measure, target]).dropna(subset=[measure, target])
    kinds = pd.get_dummies(both["twin"]).to_numpy(float)[:, 1:]
    controls = np.column_stack([both[CONTROLS].to_numpy(float), kinds])
    controls = controls[:, np.ptp(controls, axis=0) > 0] if len(both) else controls
    # Of those that order runs in the same way, one is enough.
    controls = np.unique(rankdata(controls, axis=0), axis=1)
    x, y = (both[name].to_numpy(float) for name in (measure, target))
    return Pair(x, y, controls, both["twin"].to_numpy(), both)


def _row(pair: Pair, able: bool, seed: int) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(("spearman", "estimate", "low", "high", "p", "p_holm"), np.nan)
    number, controls = pair.controls.shape
    row |= {"n": number, "controls": controls, "twins": "; ".join(dict.fromkeys(pair.twins))}
    try:
        row["spearman"] = spearman(pair.x, pair.y)
        row["estimate"] = partial_spearman(pair.x, pair.y, pair.controls)
        row["low"], row["high"] = rank_interval(row["estimate"], number - controls)
        if able and number - controls >= LEAST:
            within = pair.twins if controls else None  # without controls kinds are not told apart
            row["p"] = permutation_p(pair.x, pair.y, pair.controls, within=within, permutations=PERMUTATIONS, seed=seed)
    except ValueError:  # too few runs, or one of the two does not vary
        pass
    return row
