"""The parameters of notebook 03, the plans that follow from them, and its jobs."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field, NonNegativeInt, PositiveInt

from bitskept.base.params import Dtype, Name, Names, Section, Strict
from bitskept.instruments import understanding
from bitskept.instruments.job import Job, key_of, size
from bitskept.instruments.probes import sweep
from bitskept.instruments.probes.readings import POOLINGS
from bitskept.instruments.training import recovery
from bitskept.instruments.training.schedule import Schedule


class Tuning(Strict):
    """How one model is tuned: with each of the `arms` (objectives) and each of the `seeds`."""

    arms: list[Literal["recoverability", "continued", "permuted"]] = Names
    seeds: list[NonNegativeInt] = Names
    steps: PositiveInt
    rate: float = Field(gt=0)


class Measuring(Strict):
    """How much of one model is measured: the sentences of its sweep, and the most layers and items per task."""

    train_sentences: PositiveInt
    validation_sentences: PositiveInt
    test_sentences: PositiveInt
    layers: int = Field(ge=2)
    items: PositiveInt


class FineTuning(Section):
    notebook = "03_fine_tuning"

    tuning: dict[str, Tuning] = Names
    measuring: dict[str, Measuring] = Names
    corpus: str = Name
    longest: PositiveInt
    batch: PositiveInt
    rank: NonNegativeInt
    negatives: PositiveInt
    curve_sentences: PositiveInt
    tasks: list[str] = Names
    data_tasks: list[str]
    seed: NonNegativeInt
    dtype: Dtype
    accept_terms: list[str]


def plans(section: FineTuning) -> Iterator[recovery.Plan]:
    """The plans of all runs. Those of a model and seed differ in the arm alone, and no sentence comes twice.

    LookupError for a model that is tuned but not measured.
    """
    options = {"curve": section.curve_sentences, "longest": section.longest, "rank": section.rank}
    options |= {"negatives": section.negatives, "text_seed": section.seed, "dtype": section.dtype}
    for model, tuning in section.tuning.items():
        schedule = Schedule.usual(tuning.steps, section.batch, tuning.rate)
        sentences = {"sentences": tuning.steps * section.batch, "held_out": sum(_sizes(section, model))}
        for arm, seed in product(tuning.arms, tuning.seeds):
            yield recovery.Plan(model, arm, section.corpus, schedule, **sentences, **options, seed=seed)


def _sizes(section: FineTuning, model: str) -> tuple[int, int, int]:
    """The sentences of a sweep. Training leaves them out: it draws from the same order, after them."""
    if model not in section.measuring:
        raise LookupError(f"{model} is to be tuned, but `measuring` does not say how much of it to measure")
    sizes = section.measuring[model]
    return sizes.train_sentences, sizes.validation_sentences, sizes.test_sentences


def run_name(plan: recovery.Plan) -> str:
    """MODEL-ARM-SEED."""
    return f"{Path(plan.model).name}-{plan.arm}-{plan.seed}"


def sweep_plan(section: FineTuning, model: str) -> sweep.Plan:
    """The layer sweep of a model, before and after tuning."""
    options = {"longest": section.longest, "side_layers": section.measuring[model].layers, "seed": section.seed}
    options |= {"dtype": section.dtype, "shuffled": False, "every_layer": False}
    return sweep.Plan(section.corpus, *_sizes(section, model), **options)


def task_plan(section: FineTuning, model: str, task: str, *, tuned: bool) -> understanding.Plan:
    """What is measured of a task: at several layers before tuning, at the last layer after it."""
    sizes = section.measuring[model]
    layers = (-1,) if tuned else sizes.layers
    options = {"poolings": POOLINGS, "items": sizes.items, "seed": section.seed, "dtype": section.dtype}
    return understanding.Plan((task,), layers, **options)


def jobs(section: FineTuning) -> Iterator[Job]:
    """The sweep and the tasks of each model; the training, the sweep and the tasks of each run."""
    from bitskept.studies.fine_tuning import bits_by_layer, runs, task_scores

    notebook, corpus, tasks = section.notebook, section.corpus, [*section.tasks, *section.data_tasks]

    def tune(name: str) -> pd.DataFrame:
        return runs.tune(section, [name])[0]

    def measure(measures: Callable[..., object], find_run: Callable[[], pd.DataFrame]) -> None:
        measures(section, find_run())

    def measuring(
        model: str, name: str, find_run: Callable[[], pd.DataFrame], train: Job | None = None
    ) -> Iterator[Job]:
        needs, run = ((train.name,), {"run": train.key["plans"]}) if train else ((), {})
        key = key_of([sweep.measure.asks(sweep_plan(section, model))], texts=[corpus], model=model) | run
        work = partial(measure, bits_by_layer.sweeps, find_run)
        yield Job("measure", notebook, "sweep", name, size(model), key, work, needs)
        asked = (task_plan(section, model, task, tuned=train is not None) for task in tasks)
        named = [("understanding", understanding.VERSION, plan) for plan in asked]
        key = key_of(named, texts=tasks, model=model) | run
        work = partial(measure, task_scores.items, find_run)
        yield Job("measure", notebook, "tasks", name, size(model), key, work, needs)

    for model in section.measuring:
        yield from measuring(model, model, partial(runs.before, section, [model]))
    for plan in plans(section):
        name = run_name(plan)
        key = key_of([("fine_tuning", recovery.VERSION, plan)], texts=[corpus], model=plan.model)
        train = Job("tune", notebook, "tune", name, size(plan.model), key, partial(tune, name))
        yield train
        yield from measuring(plan.model, name, train.work, train)
