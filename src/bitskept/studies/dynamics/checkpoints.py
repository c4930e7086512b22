"""The twins of notebook 05: their training, and one long table of all measures of all checkpoints.

A **checkpoint** is a twin after some steps. Columns that name it: twin, seed, size (the width of the network), amount
(training sentences), step, id (what `models.load` takes).
"""

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import pandas as pd

from bitskept.base.parallel import each_stored
from bitskept.base.publishing import makes_table
from bitskept.instruments import effective_rank, scores, understanding
from bitskept.instruments.likelihood import bits_per_byte
from bitskept.instruments.measurement import Measurement
from bitskept.instruments.over_seeds import spread
from bitskept.instruments.probes import sweep
from bitskept.instruments.soft_entropy import compression
from bitskept.instruments.states import cut_as_planned
from bitskept.instruments.training import twin_runs
from bitskept.instruments.training.twin_runs import NAMES
from bitskept.sources import models, tasks
from bitskept.studies.dynamics.section import TrainingDynamics, plans

COLUMNS = [*NAMES, "layer", "probe", "k", "quantity", "estimate", "low", "high", "unit"]
QUANTITIES = (
    *("entropy", "cross_entropy_bound", "retained_cross_entropy", "forgetting", "late_forgetting", "rise"),
    *("soft_entropy", "complexity", "expressivity", "optimality"),
    *("complexity_corrected", "expressivity_corrected", "optimality_corrected", "unique_input"),
    *bits_per_byte.QUANTITIES,
    *("rankme", "rankme_singular", "alpha_req"),
)
"""The rows used from the tables of the measures; scores come on top, named "TASK QUANTITY"."""


def train(section: TrainingDynamics, names: Collection[str] = ()) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Checkpoints (columns `NAMES`) and learning curves of all runs; missing runs are trained first
    (`twin_runs.train`). `names` selects runs, by the name of a run, or of a twin for all of its runs.
    """
    wanted = [
        (twin, run)
        for twin, run in plans(section)
        if not names or {twin, twin_runs.run_name(section.training, twin, run)} & set(names)
    ]
    return twin_runs.train(section.training, wanted)


def effort(checkpoints: pd.DataFrame, section: TrainingDynamics) -> pd.DataFrame:
    """How many runs, parameters and steps each twin has, and how often it saw each of its sentences (`passes`)."""
    steps, batch = section.training.steps, section.training.batch
    last = checkpoints[checkpoints["step"] == steps].reset_index(drop=True)
    last = last.assign(parameters=[models.number_of_weights(id) for id in last["id"]], steps=steps)
    last["passes"] = steps * batch / last["amount"]
    same = ["twin", "size", "amount", "parameters", "steps", "passes"]
    return last.groupby(same, sort=False).size().rename("runs").reset_index()


@makes_table
def learning(curves: pd.DataFrame, section: TrainingDynamics) -> pd.DataFrame:
    """Bits per byte of held-out text by step, for each twin of the middle size.

    Measured during training by `instruments.training.twins`.
    """
    held_out = middle(curves, section).query("quantity == 'held_out'")
    return spread(held_out, "twin", "step")


def middle(table: pd.DataFrame, section: TrainingDynamics) -> pd.DataFrame:
    """The rows of the twins of the middle size that were trained on all the text: those of section 2 to 6."""
    return table[(table["size"] == section.training.width) & (table["amount"] == section.training.sentences)]


def sweep_plan(section: TrainingDynamics) -> sweep.Plan:
    """The layer sweep of a checkpoint, on sentences that no twin was trained on."""
    sizes = section.train_sentences, section.validation_sentences, section.training.test_sentences
    return sweep.Plan(section.training.corpus, *sizes, shuffled=False, **_options(section))


def plans_of(section: TrainingDynamics, twin: str) -> list[tuple[Measurement, Any]]:
    """The measurements of each checkpoint of a twin, with their plans; `task_plan` comes on top."""
    corpus, options = section.training.corpus, _options(section)
    soft = {"widths": tuple(section.widths), "instruments": (compression.Instrument(section.anchors),)}
    return [
        (sweep.measure, sweep_plan(section)),
        (compression.measure, compression.Plan(corpus, (section.soft_sentences,), **soft, **options)),
        (bits_per_byte.measure, twin_runs.cost_plan(section.training, twin)),
        (effective_rank.measure, effective_rank.Plan(corpus, section.soft_sentences, **options)),
    ]


def task_plan(section: TrainingDynamics, names: Sequence[str]) -> understanding.Plan:
    """How well each checkpoint does these tasks."""
    return understanding.Plan(tuple(names), (-1,), items=section.items, seed=section.training.seed, dtype="float32")


def _options(section: TrainingDynamics) -> dict[str, Any]:
    return {"longest": section.training.longest, "seed": section.training.seed, "dtype": "float32"}


def measure(section: TrainingDynamics, checkpoints: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """All measures of every checkpoint: `QUANTITIES` and scores, one number per row (`COLUMNS`; layer, probe or k are
    missing where a quantity has none); and the reason for each task that was left out.

    Of the twins of other sizes and amounts only the last checkpoint is measured, unless `varied_in_full`.
    """
    here, left_out = tasks.available(section.tasks, section.data_tasks)
    if not section.varied_in_full:
        in_full = checkpoints.index.isin(middle(checkpoints, section).index)
        checkpoints = checkpoints[in_full | (checkpoints["step"] == section.training.steps)]
    tables = each_stored(
        partial(_measure, section, here),
        checkpoints[["twin", "id"]].to_numpy().tolist(),
        is_stored=partial(_is_measured, section, here),
        progress="checkpoints",
    )
    runs = zip(tables, checkpoints.to_dict("records"), strict=True)
    table = pd.concat([rows.assign(**run) for rows, run in runs], ignore_index=True)
    return table[COLUMNS].astype({"layer": "Int64", "k": "Int64"}), left_out


def _is_measured(section: TrainingDynamics, here: list[str], checkpoint: list[str]) -> bool:
    twin, id = checkpoint
    tables_are_stored = all(instrument.has(id, plan) for instrument, plan in plans_of(section, twin))
    return tables_are_stored and understanding.has(id, task_plan(section, here))


@cut_as_planned()
def _measure(section: TrainingDynamics, here: list[str], checkpoint: list[str]) -> pd.DataFrame:
    twin, id = checkpoint
    tables = [instrument(id, plan, progress=False) for instrument, plan in plans_of(section, twin)]
    rows = pd.concat([table[table["quantity"].isin(QUANTITIES)] for table in tables], ignore_index=True)
    rows = rows[rows["reading"].isna() | (rows["reading"] == "token")].rename(columns={"width": "k"})
    rows["layer"] = rows["layer"].mask(rows["other"].notna())  # a contrast between two layers is one number of a curve
    answers = understanding.measure(id, task_plan(section, here), progress=False)
    scored = scores.stored_scores(answers, seed=section.training.seed)
    return pd.concat([rows, scored.assign(quantity=scored["task"] + " " + scored["quantity"], layer=pd.NA)])


def targets(table: pd.DataFrame) -> list[str]:
    """The quantities that say what a checkpoint can do: bits per byte, and scores."""
    return [name for name in table["quantity"].unique() if name in bits_per_byte.QUANTITIES or " " in name]
