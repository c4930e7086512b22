"""The parameters of notebook 05, the plans that follow from them, and its jobs."""

from collections.abc import Iterator
from functools import partial
from itertools import chain, product
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from bitskept.base.params import Alphabet, Names, Section
from bitskept.instruments import understanding
from bitskept.instruments.job import Job, key_of
from bitskept.instruments.probes import sweep
from bitskept.instruments.training import twin_runs, twins
from bitskept.instruments.training.builds import CLASSES
from bitskept.instruments.training.twin_runs import NEXT, TwinTraining
from bitskept.studies.dynamics import language_arms
from bitskept.studies.dynamics.language_arms import LanguageTwins

Twin = Literal[tuple(twin_runs.TWINS)]


class TrainingDynamics(Section):
    notebook = "05_training_dynamics"

    language: LanguageTwins  # networks trained on a language with a truth
    training: TwinTraining  # and on real text, like all that follows
    twins: list[Twin] = Names  # the main ones
    seeds: list[NonNegativeInt] = Names  # of weights, order and what is hidden; twins of one seed share the first two
    other_twins: dict[Twin, Annotated[list[NonNegativeInt], Names]]  # and their seeds
    least_gain: float = Field(gt=0)  # bits per token below the unigram cost; a twin with less has not learned
    scored_hidden: float = Field(gt=0, lt=1)  # share of hidden tokens at which masked twins are compared
    varied: list[Twin]  # twins that are also trained in other sizes and on less text
    varied_seeds: list[NonNegativeInt]
    other_widths: list[PositiveInt]
    other_sentences: list[PositiveInt]
    varied_in_full: bool  # whether all of their checkpoints are measured, or only the last ones
    initials: list[Annotated[float, Field(gt=0)]] = Field(min_length=2)  # scales of untrained networks' weights
    train_sentences: PositiveInt  # for the probes, like the next two
    smaller_train_sentences: list[PositiveInt]
    validation_sentences: PositiveInt
    soft_sentences: PositiveInt  # for soft entropy and effective rank
    anchors: Alphabet  # of soft entropy
    widths: list[Annotated[int, Field(ge=1, le=8)]] = Names  # tokens of its labels
    tasks: list[str] = Names  # from registry packages
    data_tasks: list[str]  # where BITSKEPT_DATA or the hub has them
    items: int = Field(ge=4)  # of each task, at most

    @model_validator(mode="after")
    def _measured_on_held_out_text(self) -> "TrainingDynamics":
        needed = self.train_sentences + self.validation_sentences + self.training.test_sentences
        if max(needed, self.soft_sentences) > self.training.held_out:
            raise ValueError(f"training.held_out must be at least {max(needed, self.soft_sentences)}")
        return self


def plans(section: TrainingDynamics) -> Iterator[tuple[str, twins.Plan]]:
    """Twin and plan of every run: first those of the middle size on all the text, then other sizes and amounts."""
    others = ((twin, seed) for twin, seeds in section.other_twins.items() for seed in seeds)
    for twin, seed in chain(product(section.twins, section.seeds), others):
        yield twin, twin_runs.plan(section.training, twin, seed)
    for twin, seed in product(section.varied, section.varied_seeds):
        for size in section.other_widths:
            yield twin, twin_runs.plan(section.training, twin, seed, size=size)
        for amount in section.other_sentences:
            yield twin, twin_runs.plan(section.training, twin, seed, amount=amount)


def jobs(section: TrainingDynamics) -> Iterator[Job]:
    """Networks that learn a language with a truth; the training of each twin, the measures of its checkpoints, and
    networks before their first step.
    """
    from bitskept.studies.dynamics import built_in, checkpoints

    notebook, training, corpus = section.notebook, section.training, section.training.corpus
    yield from language_arms.jobs(notebook, section.language)
    tasks = [*section.tasks, *section.data_tasks]

    def measure_run(name: str) -> None:
        checkpoints.measure(section, checkpoints.train(section, [name])[0])

    for twin, run in plans(section):
        name, weights = twin_runs.run_name(training, twin, run), twin_runs.weights(training, run)
        key = key_of([("twins", twins.VERSION, run)], texts=[corpus])
        train = partial(checkpoints.train, section, [name])
        training_job = Job("grow", notebook, "grow", name, weights, key, train, twin=twin)
        yield training_job
        parts = [measure.asks(plan) for measure, plan in checkpoints.plans_of(section, twin)]
        parts.append((understanding.NAME, understanding.VERSION, checkpoints.task_plan(section, tasks)))
        key = key_of(parts, texts=[corpus, *tasks]) | {"run": key["plans"], "varied_in_full": section.varied_in_full}
        needs = (training_job.name,)
        yield Job("measure", notebook, "checkpoints", name, weights, key, partial(measure_run, name), needs, twin=twin)
    first = twin_runs.plan(training, NEXT, section.seeds[0])
    key = key_of([sweep.measure.asks(checkpoints.sweep_plan(section)), ("twins", twins.VERSION, first)], texts=[corpus])
    key |= {"initials": section.initials, "seeds": section.seeds, "classes": [list(kind) for kind in CLASSES]}
    work, weights = partial(built_in.untrained, section), twin_runs.weights(training, first)
    yield Job("measure", notebook, "untrained", "builds", weights, key, work)
