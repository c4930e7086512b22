"""What one ingredient changes in networks on languages with a truth: differences between arms in the bits about the
synonym at the last layer.

`by_run` is from `language_tables.by_run`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.claims import outcome
from bitskept.studies.dynamics.comparing_runs import adjusted, item_errors, pooled
from bitskept.studies.dynamics.language_arms import BERT, MASK, Arm
from bitskept.studies.dynamics.language_tables import synonyms
from bitskept.theory.intervals import detectable
from bitskept.theory.repeated_runs import contrast_of_means

SEEDS, ITEMS = "seeds", "sentences"
"""What an interval is over."""
DOSE = "10 % kept"
"""The arm that leaves as many tokens as BERT's rule does."""
KEPT = f"leaving {DOSE.removesuffix(' kept')} as they are does all that BERT's rule does"
FEWER = "leaving another share does all that BERT's rule does"
NOTHING = "replacing does nothing"
NOT_ENOUGH = "replacing alone does all that BERT's rule does"
HEAD = "a second head does all that BERT's rule does, for any objective"


def contrast(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, Any]:
    """The mean of the first group of runs less that of the second.

    The interval is `over` seeds and items if each group has two runs or more, and otherwise over items alone; the
    latter says nothing of other seeds, so that there is neither p nor `detectable`.
    """
    groups, signs = (first, second), (1, -1)
    values = [rows["estimate"].to_numpy(float) for rows in groups]
    errors = np.array([item_errors(rows).mean() for rows in groups])
    if min(map(len, values)) > 1:
        error = float(np.sqrt(np.nansum(errors**2)))
        mean = contrast_of_means(values, signs, error)._asdict()
        return mean | {"over": SEEDS, "detectable": detectable(mean["low"], mean["high"])}
    estimate = sum(sign * each.mean() for sign, each in zip(signs, values, strict=True))
    mean = pooled(np.array([estimate]), np.sqrt((errors**2).sum(keepdims=True)))
    return mean._asdict() | {"p": np.nan, "over": ITEMS, "detectable": np.nan}


@makes_table
def factors(by_run: pd.DataFrame, arms: Sequence[Arm]) -> pd.DataFrame:
    """What one ingredient changes: bits about the synonym at the last layer of an `arm` less those of the arm
    `against`, by probe (`contrast` of all runs that count).

    `first` and `second` are the two means over `runs` and `runs_against` runs; `lowest` and `highest` are the ends of
    the range of the latter; `learned` says whether runs of both arms have. Measured by `language_probes.probe_rows`.
    """
    rows = synonyms(by_run)
    found = []
    for arm in arms:
        if arm.against:
            found += [{"factor": arm.factor} | row for row in _against(rows, arm.name, arm.against)]
    return pd.DataFrame(found)


def _against(rows: pd.DataFrame, arm: str, against: str) -> Iterator[dict[str, Any]]:
    for probe, both in rows.groupby("probe", sort=False):
        first, second = (both[both["arm"] == name] for name in (arm, against))
        other = second["estimate"]
        means = {"first": first["estimate"].mean(), "second": other.mean(), "runs": len(first)}
        spread = {"runs_against": len(second), "lowest": other.min(), "highest": other.max()}
        names = {"arm": arm, "against": against, "probe": probe}
        passed = bool(first["learned"].all() and second["learned"].all())
        yield names | contrast(first, second) | means | spread | {"learned": passed}


def predictions(by_run: pd.DataFrame, arms: Sequence[Arm], relevant: float) -> pd.DataFrame:
    """Which of the predictions about ingredients hold: one row for each prediction, arm and probe, with the effect that
    it is about, and its `outcome`: "holds", "does not hold" or "cannot tell".

    An arm does all that BERT's rule does if it keeps at most `relevant` bits less of the synonym, and nothing if it
    keeps at most so much more or less than with masks alone. Which of these an effect shows is told by
    `claims.outcome`, with p adjusted over all predictions of a probe (Holm); without an interval over seeds, and of
    networks that have not learned, it cannot be told.
    """
    rows, found = synonyms(by_run), []
    for arm in arms:
        for prediction, against in _predicted(arm):
            found += [{"prediction": prediction} | row for row in _against(rows, arm.name, against)]
    order = {name: place for place, name in enumerate((KEPT, FEWER, NOTHING, NOT_ENOUGH, HEAD))}
    table = pd.DataFrame(sorted(found, key=lambda row: order[row["prediction"]]))
    if table.empty:
        return table
    table["p"] = table.groupby("probe")["p"].transform(adjusted)
    return table.assign(outcome=[_held(row["prediction"], row, relevant) for row in table.to_dict("records")])


def _predicted(arm: Arm) -> list[tuple[str, str]]:
    """What is predicted of an arm, and the arm that this is measured against."""
    of_factor = {
        "kept": [(KEPT if arm.name == DOSE else FEWER, BERT)],
        "replaced": [(NOTHING, MASK), (NOT_ENOUGH, BERT)],
        "own head": [(HEAD, BERT)],
    }
    return of_factor.get(arm.factor, [])


def _held(prediction: str, row: dict[str, Any], relevant: float) -> str:
    if not row["learned"] or row["over"] != SEEDS:
        return "cannot tell"
    more = outcome(row["estimate"], row["low"], row["high"], row["p"], relevant)
    less = outcome(-row["estimate"], -row["high"], -row["low"], row["p"], relevant)
    against = [more, less] if prediction == NOTHING else [less]
    if "yes" in against:
        return "does not hold"
    return "cannot tell" if "cannot tell" in against else "holds"
