"""The runs that notebook 03 compares, and how they learned.

A **run** is a model as it is published ("before"), or as it was tuned with one arm and seed. A table of runs has the
columns model (the base), arm, seed (missing before) and id (what `models.load` takes).
"""

from collections.abc import Collection, Iterable
from functools import partial

import pandas as pd

from bitskept.base.parallel import MEMORY, each_stored
from bitskept.base.publishing import makes_table
from bitskept.instruments.over_seeds import spread
from bitskept.instruments.training import recovery
from bitskept.sources import model_files, models
from bitskept.studies.fine_tuning.section import FineTuning, plans, run_name

BEFORE, CLAIMED = "before", "recoverability"
CONTROLS = ("continued", "permuted")
ARMS = (BEFORE, CLAIMED, *CONTROLS)


def before(section: FineTuning, names: Collection[str] = ()) -> pd.DataFrame:
    """The models that are measured, or those named, as runs. Missing models are fetched."""
    measured = [model for model in section.measuring if not names or model in names]
    for model in measured:
        model_files.fetch(model, accept_terms=section.accept_terms)
    return _runs((model, BEFORE, None, model) for model in measured)


def tune(section: FineTuning, names: Collection[str] = ()) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train all runs, or those named (`section.run_name`), unless they are stored already. Returns the runs, and one
    table of their learning curves as in `recovery.Tuned`. Errors as `section.plans` and `recovery.tune`.
    """
    every = list(plans(section))  # raises for a mistake in any of them before the first is trained
    wanted = [plan for plan in every if not names or run_name(plan) in names]
    terms = section.accept_terms
    weights = {plan.model: models.number_of_weights(plan.model, accept_terms=terms) for plan in wanted}
    tuned = each_stored(
        partial(recovery.tune, accept_terms=terms),
        wanted,
        is_stored=recovery.is_tuned,
        cost=lambda plan: weights[plan.model] * plan.schedule.steps,
        # Weights, gradients and two moments of each, four bytes, and half of that again for what passes through. Two
        # runs of SmolLM2 side by side took 12 GB.
        memory=lambda plan: MEMORY + 24 * weights[plan.model],
        progress="tuning",
    )
    runs = _runs((plan.model, plan.arm, plan.seed, run.id) for plan, run in zip(wanted, tuned, strict=True))
    return runs, pd.concat([run.curve for run in tuned], ignore_index=True)


def _runs(rows: Iterable[tuple[str, str, int | None, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["model", "arm", "seed", "id"]).astype({"seed": "Int64"})


@makes_table
def learning(curves: pd.DataFrame) -> pd.DataFrame:
    """The learning curves of each model and arm, over the seeds. Measured by `instruments.training.recovery.tune`."""
    return spread(curves, "model", "arm", "step", "quantity")
