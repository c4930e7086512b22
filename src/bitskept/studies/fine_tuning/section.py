"""The parameters of notebook 03, the plans that follow from them, and its jobs."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import Field, NonNegativeInt, PositiveInt

from bitskept.base.params import Dtype, Name, Names, Section, Strict
from bitskept.instruments import understanding
from bitskept.instruments.job import Job, key_of, size
from bitskept.instruments.probes import sweep
from bitskept.instruments.probes.readings import POOLINGS
from bitskept.instruments.training import recovery
from bitskept.instruments.training.schedule import Schedule

Arm = Literal["recoverability", "continued", "permuted", "sentence"]
"""An objective; `runs` says which of them are claims and which are controls."""


class Tuning(Strict):
    """How one model is tuned: with each of the `arms` (objectives), `rates` and `seeds`, and with `first_rate_arms` at
    the first rate. The first rate to the last step is the main dose, at which all tasks are scored; the other rates,
    and the `checkpoints` before the last step, are other doses, at which the `dose_tasks` are.
    """

    arms: list[Arm] = Names
    first_rate_arms: list[Arm]
    rates: list[Annotated[float, Field(gt=0)]] = Names
    seeds: list[NonNegativeInt] = Names
    steps: PositiveInt
    checkpoints: list[PositiveInt]
    dose_tasks: list[str]
    batch: PositiveInt


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
    rank: NonNegativeInt
    negatives: PositiveInt
    curve_sentences: PositiveInt
    tasks: list[str] = Names
    data_tasks: list[str]
    seed: NonNegativeInt
    dtype: Dtype
    accept_terms: list[str]


def plans(section: FineTuning) -> Iterator[recovery.Plan]:
    """The plans of all runs. Those of a model, rate and seed differ in the arm alone, and no sentence comes twice.

    LookupError for a model that is tuned but not measured, and for a dose task that is not among the tasks.
    """
    options = {"curve": section.curve_sentences, "longest": section.longest, "rank": section.rank}
    options |= {"negatives": section.negatives, "text_seed": section.seed, "dtype": section.dtype}
    for model, tuning in section.tuning.items():
        if other := sorted({*tuning.dose_tasks} - {*section.tasks, *section.data_tasks}):
            raise LookupError(
                f"{other[0]} is in `dose_tasks`, but neither in `tasks` nor in `data_tasks`: add it there"
            )
        sizes = {"sentences": tuning.steps * tuning.batch, "held_out": sum(_sizes(section, model))}
        sizes |= {"checkpoints": tuple(tuning.checkpoints)}
        for number, rate in enumerate(tuning.rates):
            # The learning curve is measured at the checkpoints, where the tasks are scored as well.
            schedule = replace(Schedule.usual(tuning.steps, tuning.batch, rate), measure_every=tuning.steps)
            arms = tuning.arms if number else [*tuning.arms, *tuning.first_rate_arms]
            for arm, seed in product(arms, tuning.seeds):
                yield recovery.Plan(model, arm, section.corpus, schedule, **sizes, **options, seed=seed)


def at_main_dose(section: FineTuning, table: pd.DataFrame) -> pd.Series:
    """Which rows of a table with the columns model, rate and step are at the main dose, or before tuning (step 0)."""
    doses = {model: (tuning.rates[0], tuning.steps) for model, tuning in section.tuning.items()}
    columns = (table[name] for name in ("model", "rate", "step"))
    main = [step == 0 or (rate, step) == doses[model] for model, rate, step in zip(*columns, strict=True)]
    return pd.Series(main, index=table.index, dtype=bool)


def _sizes(section: FineTuning, model: str) -> tuple[int, int, int]:
    """The sentences of a sweep. Training leaves them out: it draws from the same order, after them."""
    if model not in section.measuring:
        raise LookupError(f"{model} is to be tuned, but `measuring` does not say how much of it to measure")
    sizes = section.measuring[model]
    return sizes.train_sentences, sizes.validation_sentences, sizes.test_sentences


def run_name(plan: recovery.Plan) -> str:
    """MODEL-ARM-RATE-SEED."""
    return f"{Path(plan.model).name}-{plan.arm}-{plan.schedule.rate:g}-{plan.seed}"


def sweep_plan(section: FineTuning, model: str) -> sweep.Plan:
    """The layer sweep of a model, before and after tuning."""
    options = {"longest": section.longest, "side_layers": section.measuring[model].layers, "seed": section.seed}
    options |= {"dtype": section.dtype, "shuffled": False, "every_layer": False}
    return sweep.Plan(section.corpus, *_sizes(section, model), **options)


def task_plan(section: FineTuning, model: str, task: str, *, tuned: bool, main: bool = True) -> understanding.Plan:
    """What is measured of a task: at several layers before tuning, at the last layer after it; under the mean alone at
    another than the main dose.
    """
    sizes = section.measuring[model]
    layers = (-1,) if tuned else sizes.layers
    options = {"poolings": POOLINGS if main else ("mean",), "items": sizes.items}
    return understanding.Plan((task,), layers, **options, seed=section.seed, dtype=section.dtype)


def jobs(section: FineTuning) -> Iterator[Job]:
    """The sweep and the tasks of each model; the training and the tasks of each run, and the sweep at the main dose."""
    from bitskept.studies.fine_tuning import bits_by_layer, runs, task_scores

    notebook, corpus, every = section.notebook, section.corpus, [*section.tasks, *section.data_tasks]

    def tune(name: str) -> pd.DataFrame:
        return runs.tune(section, [name])[0]

    def measure(measures: Callable[..., object], find_runs: Callable[[], pd.DataFrame]) -> None:
        measures(section, find_runs())

    def measuring(
        model: str, name: str, find_runs: Callable[[], pd.DataFrame], train: Job | None = None, *, main: bool = True
    ) -> Iterator[Job]:
        needs, run = ((train.name,), {"run": train.key["plans"]}) if train else ((), {})
        if main:
            key = key_of([sweep.measure.asks(sweep_plan(section, model))], texts=[corpus], model=model) | run
            work = partial(measure, bits_by_layer.sweeps, find_runs)
            yield Job("measure", notebook, "sweep", name, size(model), key, work, needs)
        asked = [task_plan(section, model, task, tuned=train is not None) for task in every if main]
        few = section.tuning[model].dose_tasks if train else []
        asked += [task_plan(section, model, task, tuned=True, main=False) for task in few]
        named = [("understanding", understanding.VERSION, plan) for plan in asked]
        key = key_of(named, texts=every if main else few, model=model) | run
        work = partial(measure, task_scores.items, find_runs)
        yield Job("measure", notebook, "tasks", name, size(model), key, work, needs)

    for model in section.measuring:
        yield from measuring(model, model, partial(runs.before, section, [model]))
    for plan in plans(section):
        name = run_name(plan)
        key = key_of([("fine_tuning", recovery.VERSION, plan)], texts=[corpus], model=plan.model)
        train = Job("tune", notebook, "tune", name, size(plan.model), key, partial(tune, name))
        yield train
        main = plan.schedule.rate == section.tuning[plan.model].rates[0]
        yield from measuring(plan.model, name, partial(tune, name), train, main=main)
