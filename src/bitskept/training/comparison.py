"""The comparison of notebook 03: each model before and after tuning, by arm and seed, in tables of one shape.

A **run** is a model as it was ("before") or tuned with one arm and seed. Columns that name it: model (the base), arm,
seed (missing before), id (what `models.load` takes).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import safe_open

from bitskept.measure import scores, sweep, understanding
from bitskept.measure.readings import POOLINGS
from bitskept.parallel import MEMORY, each_stored
from bitskept.params import FineTuning
from bitskept.sources import corpora, models, tasks
from bitskept.sources.packages import SourceError
from bitskept.training import recovery
from bitskept.training.schedule import Schedule
from bitskept.training.trends import spread

BEFORE = "before"
NAMES = ["model", "arm", "seed", "id"]


def held_out(section: FineTuning, model: str) -> int:
    """Sentences that training leaves to the sweep, which draws them from the same order. LookupError for a model that
    is tuned and not measured.
    """
    if model not in section.measuring:
        raise LookupError(f"{model} is to be tuned, but `measuring` does not say how much of it to measure")
    sizes = section.measuring[model]
    return sizes.train_sentences + sizes.validation_sentences + sizes.test_sentences


def plans(section: FineTuning) -> Iterator[recovery.Plan]:
    """The plans of all runs: the arms of a model and seed differ in the objective alone. No sentence comes twice."""
    for model, tuning in section.tuning.items():
        schedule = Schedule.usual(tuning.steps, section.batch, tuning.rate)
        for arm in tuning.arms:
            for seed in tuning.seeds:
                yield recovery.Plan(
                    model,
                    arm,
                    section.corpus,
                    schedule,
                    sentences=tuning.steps * section.batch,
                    held_out=held_out(section, model),
                    curve=section.curve_sentences,
                    longest=section.longest,
                    rank=section.rank,
                    negatives=section.negatives,
                    text_seed=section.seed,
                    seed=seed,
                    dtype=section.dtype,
                )


def run_name(plan: recovery.Plan) -> str:
    """MODEL-ARM-SEED."""
    return f"{Path(plan.model).name}-{plan.arm}-{plan.seed}"


def tune(
    section: FineTuning, names: Collection[str] = (), *, progress: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train all runs, or those named (`run_name`), or take what is there: the runs (columns `NAMES`, first each model
    before), and their curves as `recovery.Tuned` has them, one after the other.
    """
    every = list(plans(section))  # what is wrong with any is told before the first is trained
    wanted = [plan for plan in every if not names or run_name(plan) in names]
    _fetch(section)
    jobs = [(plan, section.accept_terms) for plan in wanted]
    found = each_stored(_tune, jobs, cost=_size, memory=_memory, progress="tuning" if progress else None)
    runs = []
    for plan, tuned in zip(wanted, found, strict=True):
        runs.append({"model": plan.model, "arm": plan.arm, "seed": plan.seed, "id": tuned.id})
    curves = pd.concat([tuned.curve for tuned in found], ignore_index=True)
    return pd.concat([before(section), _runs(runs)], ignore_index=True), curves


def before(section: FineTuning) -> pd.DataFrame:
    """The models as they were, as runs."""
    return _runs([{"model": model, "arm": BEFORE, "seed": None, "id": model} for model in section.measuring])


def _runs(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=NAMES).astype({"seed": "Int64"})


def _fetch(section: FineTuning) -> None:
    """Before many processes ask for it at once."""
    corpora.fetch(section.corpus)
    for model in section.measuring:
        models.fetch(model, accept_terms=section.accept_terms)


def _size(job: tuple[recovery.Plan, list[str]]) -> int:
    """What a run takes, next to the others."""
    plan, terms = job
    return weights(plan.model, accept_terms=terms) * plan.schedule.steps


def _memory(job: tuple[recovery.Plan, list[str]]) -> int:
    """Bytes: weights, gradients and two moments of each, of four bytes, and half of that again for what passes through.
    Two runs of SmolLM2 side by side took 12 GB.
    """
    plan, terms = job
    return MEMORY + 24 * weights(plan.model, accept_terms=terms)


def _tune(job: tuple[recovery.Plan, list[str]]) -> recovery.Tuned:
    plan, terms = job
    return recovery.tune(plan, accept_terms=terms, progress=False)


def effort(section: FineTuning, runs: pd.DataFrame) -> pd.DataFrame:
    """What each arm was given: its runs, steps, sentences, and the parameters that were trained and are kept (without
    the head, a square matrix), counted in the files of the tuned models.
    """
    tuned = runs[runs["arm"] != BEFORE].reset_index(drop=True)
    tuned["steps"] = [section.tuning[model].steps for model in tuned["model"]]
    tuned["sentences"] = tuned["steps"] * section.batch
    tuned["parameters"] = [weights(id) for id in tuned["id"]]
    same = ["model", "arm", "steps", "sentences", "parameters"]
    return tuned.groupby(same, sort=False).size().rename("runs").reset_index()


def weights(id: str, *, accept_terms: Collection[str] = ()) -> int:
    """The number of weights in the files of a model."""
    total = 0
    for path in models.fetch(id, accept_terms=accept_terms).glob("*.safetensors"):
        with safe_open(path, framework="numpy") as file:
            total += sum(math.prod(file.get_slice(name).get_shape()) for name in sorted(file.keys()))
    return total


def over_seeds(table: pd.DataFrame, *by: str) -> pd.DataFrame:
    """The mean of `estimate` over seeds by model, arm and these columns; `low` and `high` are the ends farthest out,
    of the intervals where there are any.
    """
    return spread(table, "model", "arm", *by)


def sweeps(section: FineTuning, runs: pd.DataFrame, *, progress: bool = True) -> pd.DataFrame:
    """What every layer of each run keeps, as `sweep.measure`, under the centroid and under ridge."""
    _fetch(section)
    jobs = [(section, run) for run in runs.to_dict("records")]
    tables = each_stored(_sweep, jobs, progress="sweeps" if progress else None)
    return pd.concat(tables, ignore_index=True).astype({"seed": "Int64"})


def sweep_plan(section: FineTuning, model: str) -> sweep.Plan:
    """The layer sweep of a model, before and after."""
    sizes = section.measuring[model]
    return sweep.Plan(
        section.corpus,
        sizes.train_sentences,
        sizes.validation_sentences,
        sizes.test_sentences,
        seed=section.seed,
        dtype=section.dtype,
        shuffled=False,
        every_layer=False,
        side_layers=sizes.layers,
        longest=section.longest,
    )


def _sweep(job: tuple[FineTuning, dict[str, Any]]) -> pd.DataFrame:
    section, run = job
    plan = sweep_plan(section, run["model"])
    return sweep.measure(run["id"], plan, accept_terms=section.accept_terms, progress=False).assign(**run)


def available(section: FineTuning) -> tuple[list[str], dict[str, str]]:
    """The tasks that are here: all `tasks`, and those `data_tasks` that can be had; and why the others cannot."""
    return tasks.available(section.tasks, section.data_tasks)


def items(
    section: FineTuning, runs: pd.DataFrame, here: list[str], *, progress: bool = True
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """What became of every item of these tasks, by the id of a run, under every pooling: at the last layer and, before
    tuning, at as many as `measuring` says. And what cannot be asked of a model, with the reason: minimal pairs of one
    that has no head to score them with.
    """
    _fetch(section)
    jobs = [(section, run, here) for run in runs.to_dict("records")]
    answers = each_stored(_items, jobs, progress="tasks" if progress else None)
    left_out = {what: why for _, refused in answers for what, why in refused.items()}
    return {id: table for id, (table, _) in zip(runs["id"], answers, strict=True)}, left_out


def task_plan(section: FineTuning, model: str, task: str, *, tuned: bool) -> understanding.Plan:
    """What is asked of a model, before and after it was tuned."""
    sizes = section.measuring[model]
    layers = (-1,) if tuned else sizes.layers
    options = {"poolings": POOLINGS, "items": sizes.items, "seed": section.seed, "dtype": section.dtype}
    return understanding.Plan((task,), layers, **options)


def _items(job: tuple[FineTuning, dict[str, Any], list[str]]) -> tuple[pd.DataFrame, dict[str, str]]:
    section, run, here = job
    tables, refused = [], {}
    for task in here:
        plan = task_plan(section, run["model"], task, tuned=run["arm"] != BEFORE)
        try:
            tables.append(understanding.measure(run["id"], plan, accept_terms=section.accept_terms, progress=False))
        except SourceError as error:
            refused[f"{task} of {run['model']}"] = str(error)
    return pd.concat(tables, ignore_index=True), refused


def scored(runs: pd.DataFrame, outcomes: Mapping[str, pd.DataFrame], *, seed: int = 0) -> pd.DataFrame:
    """The scores of each run with intervals over items, as `scores.scores`: of every pooling at the last layer, and of
    the mean at the others.
    """
    tables = []
    for run in runs.to_dict("records"):
        table = outcomes[run["id"]]
        wanted = table[(table["pooling"] == "mean").fillna(False) | table.index.isin(last(table).index)]
        tables.append(scores.kept_scores(wanted, seed=seed).assign(**run))
    return pd.concat(tables, ignore_index=True).astype({"seed": "Int64"})


def changed(runs: pd.DataFrame, outcomes: Mapping[str, pd.DataFrame], *, seed: int = 0) -> pd.DataFrame:
    """Last layers compared item by item, as `scores.changes` gives it, with model, arm and `against`: each arm against
    the model before, and recoverability against each control with the same seeds.
    """
    tables = []
    for model, mine in runs.groupby("model", sort=False):
        arms = {arm: [last(outcomes[id]) for id in rows["id"]] for arm, rows in mine.groupby("arm", sort=False)}
        controls = [arm for arm in arms if arm not in (BEFORE, "recoverability")]
        pairs = [(arm, BEFORE) for arm in arms if arm != BEFORE]
        pairs += [("recoverability", arm) for arm in controls if "recoverability" in arms]
        for arm, against in pairs:
            table = scores.kept_changes(arms[against], arms[arm], seed=seed)
            tables.append(table.assign(model=model, arm=arm, against=against))
    table = pd.concat(tables, ignore_index=True)
    return table[["model", "arm", "against", *table.columns[:-3]]]


def last(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of each model's last layer, and those that have no layer."""
    return table[table["layer"].isna() | (table["layer"] == table.groupby("model")["layer"].transform("max"))]
