"""The runs that notebook 03 compares, and how they learned.

A **run** is a model as it is published ("before"), or as it was tuned with one arm, rate and seed up to one step. A
table of runs has the columns model (the base), arm, rate (missing before), step (0 before), seed (missing before) and
id (what `models.load` takes).
"""

import math
from collections.abc import Collection, Iterable

import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.over_seeds import spread
from bitskept.instruments.training import recovery
from bitskept.sources import model_files
from bitskept.studies.fine_tuning.section import FineTuning, plans, run_name

BEFORE, CLAIMED, SENTENCE = "before", "recoverability", "sentence"
CLAIMS = (CLAIMED, SENTENCE)
"""The arms that are claimed to raise understanding: each token from its own state, or from the mean of its sentence."""
CONTROLS = ("continued", "permuted")
ARMS = (BEFORE, CLAIMED, *CONTROLS, SENTENCE)


def before(section: FineTuning, names: Collection[str] = ()) -> pd.DataFrame:
    """The models that are measured, or those named, as runs. Missing models are fetched."""
    measured = [model for model in section.measuring if not names or model in names]
    for model in measured:
        model_files.fetch(model, accept_terms=section.accept_terms)
    return _runs((model, BEFORE, math.nan, 0, None, model) for model in measured)


def tune(section: FineTuning, names: Collection[str] = ()) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train all runs, or those named (`section.run_name`), unless they are stored already. Returns the runs, one for
    each checkpoint and the last step, and one table of their learning curves as in `recovery.Tuned`, with the column
    `rate`. Errors as `section.plans` and `recovery.tune`.
    """
    every = list(plans(section))  # raises for a mistake in any of them before the first is trained
    wanted = [plan for plan in every if not names or run_name(plan) in names]
    tuned = recovery.tune_each(wanted, accept_terms=section.accept_terms)
    pairs = list(zip(wanted, tuned, strict=True))
    runs = _runs(
        (plan.model, plan.arm, plan.schedule.rate, step, plan.seed, id)
        for plan, run in pairs
        for step, id in run.ids.items()
    )
    return runs, pd.concat([run.curve.assign(rate=plan.schedule.rate) for plan, run in pairs], ignore_index=True)


def _runs(rows: Iterable[tuple[str, str, float, int, int | None, str]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["model", "arm", "rate", "step", "seed", "id"])
    return table.astype({"rate": float, "step": int, "seed": "Int64"})


@makes_table
def learning(curves: pd.DataFrame, frequencies: pd.Series) -> pd.DataFrame:
    """The learning curves of each model, arm and rate, over the seeds, beside what the frequencies of the tokens alone
    leave, in bits, by model (`checks.prior_bits`). Measured by `instruments.training.recovery.tune`.
    """
    table = spread(curves, "model", "arm", "rate", "step", "quantity")
    return table.assign(frequencies=table["model"].map(frequencies))


def at_first_rate(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `learning` at the first rate of each model."""
    return table[table["rate"] == table.groupby("model")["rate"].transform("first")]
