"""The twins of notebook 05: their training, and one long table of all measures of all checkpoints.

A **checkpoint** is a twin after some steps. Columns that name it: twin, seed, size (the width of the network), amount
(training sentences), step, id (what `models.load` takes).
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd

from bitskept.base.parallel import each_stored
from bitskept.instruments import effective_rank, scores, understanding
from bitskept.instruments.likelihood import bits_per_byte
from bitskept.instruments.measurement import Measurement
from bitskept.instruments.probes import sweep
from bitskept.instruments.soft_entropy import compression
from bitskept.instruments.states import cut_as_planned
from bitskept.instruments.training import twin_measures, twin_runs
from bitskept.instruments.training.twin_runs import DIFFUSION, NAMES, NEXT
from bitskept.sources import models, tasks
from bitskept.studies.dynamics.section import TrainingDynamics, plans

COLUMNS = [
    *(*NAMES, "layer", "reading", "probe", "train_sentences", "k"),
    *("quantity", "estimate", "low", "high", "unit"),
]
GAIN = "unigram_gain"
"""Bits per token that a twin saves of what its tokens cost by their frequency: what it has learned."""
VISIBLE = "visible"
"""The reading of a token that is left visible in a text with as many masks as in training."""
READINGS = ("token", "window", VISIBLE)
QUANTITIES = (
    *("entropy", "cross_entropy_bound", "retained_cross_entropy", "forgetting", "late_forgetting", "rise"),
    *("soft_entropy", "complexity", "expressivity", "optimality"),
    *("complexity_corrected", "expressivity_corrected", "optimality_corrected", "unique_input"),
    *(*bits_per_byte.QUANTITIES, GAIN),
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
    """How many runs, parameters and steps each twin has, and how often it saw its text (`passes`)."""
    training, steps = section.training, section.training.steps
    last = checkpoints[checkpoints["step"] == steps].reset_index(drop=True)
    last = last.assign(parameters=[models.number_of_weights(id) for id in last["id"]], steps=steps)
    runs = {amount: twin_runs.plan(training, NEXT, 0, amount=int(amount)) for amount in last["amount"].unique()}
    last["passes"] = last["amount"].map({amount: twin_runs.passes(run) for amount, run in runs.items()})
    same = ["twin", "size", "amount", "parameters", "steps", "passes"]
    return last.groupby(same, sort=False).size().rename("runs").reset_index()


def middle(table: pd.DataFrame, section: TrainingDynamics) -> pd.DataFrame:
    """The rows of the twins of the middle size that were trained on all the text."""
    return table[(table["size"] == section.training.width) & (table["amount"] == section.training.sentences)]


def usual(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the usual reading, a token from its own state in clean text, by probes with all their text; and all
    rows of other measures.
    """
    reading, text = table["reading"], table["train_sentences"]
    return table[(reading.isna() | (reading == "token")) & (text.isna() | (text == text.max()))]


def sweep_plan(section: TrainingDynamics) -> sweep.Plan:
    """The layer sweep of a checkpoint, on sentences that no twin was trained on."""
    sizes = section.train_sentences, section.validation_sentences, section.training.test_sentences
    options = _options(section) | {"smaller": tuple(section.smaller_train_sentences), "window_layers": 2}
    return sweep.Plan(section.training.corpus, *sizes, shuffled=False, **options)


def plans_of(section: TrainingDynamics, twin: str) -> list[tuple[Measurement, Any]]:
    """The measurements of each checkpoint of a twin, with their plans; `task_plan` comes on top."""
    corpus, options, training = section.training.corpus, _options(section), section.training
    ends = {"smaller": (), "window_layers": 0, "every_layer": False, "side_layers": 2}
    masks = replace(sweep_plan(section), hidden=training.hidden, **ends)
    coded = twin_runs.is_causal(twin) or twin == DIFFUSION  # other masked twins give no code length, nor a fair bound
    soft = {"widths": tuple(section.widths), "instruments": (compression.Instrument(section.anchors),)}
    return [
        (sweep.measure, sweep_plan(section)),
        *([] if twin_runs.is_causal(twin) else [(sweep.measure, masks)]),
        twin_measures.gain_of(training, twin, section.scored_hidden),
        (compression.measure, compression.Plan(corpus, (section.soft_sentences,), **soft, **options)),
        *([(bits_per_byte.measure, twin_runs.cost_plan(training, twin))] if coded else []),
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
    return table[COLUMNS].astype({"layer": "Int64", "k": "Int64", "train_sentences": "Int64"}), left_out


def _is_measured(section: TrainingDynamics, here: list[str], checkpoint: list[str]) -> bool:
    twin, id = checkpoint
    tables_are_stored = all(instrument.has(id, plan) for instrument, plan in plans_of(section, twin))
    return tables_are_stored and understanding.has(id, task_plan(section, here))


@cut_as_planned()
def _measure(section: TrainingDynamics, here: list[str], checkpoint: list[str]) -> pd.DataFrame:
    twin, id = checkpoint
    tables = [_rows(instrument(id, plan, progress=False), plan) for instrument, plan in plans_of(section, twin)]
    rows = pd.concat(tables, ignore_index=True).rename(columns={"width": "k"})
    rows = rows[rows["reading"].isna() | rows["reading"].isin(READINGS)]
    rows["layer"] = rows["layer"].mask(rows["other"].notna())  # a contrast between two layers is one number of a curve
    answers = understanding.measure(id, task_plan(section, here), progress=False)
    scored = scores.stored_scores(answers, seed=section.training.seed)
    return pd.concat([rows, scored.assign(quantity=scored["task"] + " " + scored["quantity"], layer=pd.NA)])


def _rows(table: pd.DataFrame, plan: Any) -> pd.DataFrame:
    """The rows of a measure that are used here, under their names here."""
    table = table.replace({"quantity": {"gathered": GAIN}})
    if getattr(plan, "hidden", 0) and "reading" in table:
        table = table.replace({"reading": {"token": VISIBLE}})
    return table[table["quantity"].isin(QUANTITIES)]
