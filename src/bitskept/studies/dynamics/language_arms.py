"""The arms of the experiment on languages with a truth: three main ones, and others that differ from one in one thing.

Columns that name a run: arm, language, seed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Literal

import pandas as pd
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from bitskept.base.parallel import each_stored
from bitskept.base.params import Alphabet, Names, Strict
from bitskept.instruments.job import Job, key_of
from bitskept.instruments.training.builds import Build
from bitskept.studies.dynamics import language_runs
from bitskept.studies.dynamics.language_runs import Language, Plan, Sizes
from bitskept.theory.corruption import Corruption

MAIN = NEXT, MASK, BERT = ("next token", "mask only", "BERT's rule")
FIRST, SECOND = "synonyms", "synonyms with a lag"
LAG, UNTIED, LONGER = ", with a lag", ", untied", ", longer"
"""The ends of an arm's name on the second language, with an output of its own, and with as many steps as on the second
language.
"""
LIKE = {f"{NEXT}{LAG}": NEXT, f"{MASK}{LAG}": f"{MASK}{LONGER}"}
"""Each arm on the second language, and the arm on the first that differs from it in nothing else."""
TWIN = "language"
"""The name that selects all runs on the command line."""
Factor = Literal[
    "hidden", "kept", "replaced", "tied", "own head", "attention", "norm", "first weights", "steps", "language"
]


class LanguageTwins(Strict):
    """Languages, networks, training, and how much is measured."""

    classes: Alphabet
    synonyms: Alphabet  # tokens of a class
    concentration: float = Field(gt=0)  # of the Dirichlet law of transitions: small means predictable
    lag: int = Field(ge=2)  # of the second language: how many places on a synonym matters
    language_seed: NonNegativeInt
    length: int = Field(ge=3)  # tokens of a sentence
    width: PositiveInt
    depth: int = Field(ge=2)
    heads: PositiveInt
    feed_forward: PositiveInt
    first_weights: float = Field(gt=0)  # their standard deviation
    large_first_weights: float = Field(gt=0)
    hidden: float = Field(gt=0, lt=1)  # share of the tokens that has to be named
    steps: PositiveInt
    lag_steps: PositiveInt  # of a masked network on the second language, which takes it longer to learn
    batch: PositiveInt  # sentences
    rate: float = Field(gt=0)
    seeds: list[NonNegativeInt] = Names  # of the main arms
    factors: dict[Factor, Annotated[list[NonNegativeInt], Names]] = Names  # and the seeds of their arms
    train_sentences: PositiveInt  # for the probes
    smaller_train_sentences: list[PositiveInt]
    validation_sentences: PositiveInt
    test_sentences: PositiveInt
    loss_sentences: PositiveInt
    optimum_sentences: int = Field(ge=2)  # for a least cost that has to be simulated
    anchors: Alphabet
    clusters: Alphabet
    largest_gap: float = Field(gt=0)  # bits above the least cost; a network further away has not learned

    @model_validator(mode="after")
    def _the_second_language_has_its_like(self) -> "LanguageTwins":
        if missing := {*self.factors.get("language", [])} - {*self.factors.get("steps", [])}:
            raise ValueError(f"factors.steps must have all seeds of factors.language: {sorted(missing)} are missing")
        return self


@dataclass(frozen=True)
class Arm:
    """An arm. Those that are not main ones belong to a `factor`, in which they differ from the arm `against`."""

    name: str
    plan: Plan
    factor: str = ""
    against: str = ""


def arms(twins: LanguageTwins) -> Iterator[Arm]:
    """The main arms, then those of the factors that are asked for; seeds are left at 0."""
    base = {arm.name: arm.plan for arm in _main(twins)}
    yield from _main(twins)
    for arm in _others(twins, base):
        if arm.factor in twins.factors:
            yield arm


def _main(twins: LanguageTwins) -> Iterator[Arm]:
    language = Language(twins.classes, twins.synonyms, twins.concentration, twins.language_seed)
    shape = twins.width, twins.depth, twins.heads, twins.feed_forward
    probes = twins.train_sentences, twins.validation_sentences, twins.test_sentences
    further = twins.loss_sentences, twins.optimum_sentences, twins.anchors, twins.clusters
    plan = partial(
        Plan,
        language,
        build=Build("llama", *shape, initial=twins.first_weights),
        sizes=Sizes(*probes, tuple(twins.smaller_train_sentences), *further),
        length=twins.length,
        steps=twins.steps,
        batch=twins.batch,
        rate=twins.rate,
    )
    yield Arm(NEXT, plan(None, causal=True))
    yield Arm(MASK, plan(Corruption(twins.hidden)))
    yield Arm(BERT, plan(Corruption(twins.hidden, replaced=0.1, kept=0.1)))


def _others(twins: LanguageTwins, base: dict[str, Plan]) -> Iterator[Arm]:
    """One thing at a time; corruption is compared with masks alone."""
    mask = base[MASK]

    def ruled(name: str, factor: str, **shares: float) -> Arm:
        return Arm(name, replace(mask, corruption=replace(mask.corruption, **shares)), factor, MASK)

    yield ruled("fewer hidden", "hidden", hidden=0.8 * twins.hidden)  # as many masks as under BERT's rule
    for kept in (0.01, 0.03, 0.1, 0.2):
        yield ruled(f"{kept:.0%} kept".replace("%", " %"), "kept", kept=kept)
    yield ruled("10 % replaced", "replaced", replaced=0.1)
    for name, plan in base.items():
        yield Arm(f"{name}{UNTIED}", replace(plan, tied=False), "tied", name)
    for name in (NEXT, MASK):
        yield Arm(f"{name}, own head", replace(base[name], own=True), "own head", name)
    yield Arm(f"{MASK}, to the left", replace(mask, causal=True), "attention", MASK)
    before, after = (
        replace(mask, build=replace(mask.build, family=family)) for family in ("roberta-prelayernorm", "roberta")
    )
    yield Arm(f"{MASK}, norm before", before, "norm")  # differs from the main arm in more than one thing
    yield Arm(f"{MASK}, norm after", after, "norm", f"{MASK}, norm before")
    large = replace(mask.build, initial=twins.large_first_weights)
    yield Arm(f"{MASK}, large first weights", replace(mask, build=large), "first weights", MASK)
    # An objective that keeps what nothing needs is judged by the first language alone: so, we expect, is BERT's rule.
    longer, second = replace(mask, steps=twins.lag_steps), replace(mask.language, lag=twins.lag)
    yield Arm(f"{MASK}{LONGER}", longer, "steps", MASK)
    for (name, like), plan in zip(LIKE.items(), (base[NEXT], longer), strict=True):
        yield Arm(name, replace(plan, language=second), "language", like)


def runs(twins: LanguageTwins) -> list[tuple[Arm, Plan]]:
    """Every arm with the plan of each of its runs; those of main arms are followed while they train."""
    return [
        (arm, replace(arm.plan, seed=seed, followed=not arm.factor))
        for arm in arms(twins)
        for seed in (twins.factors[arm.factor] if arm.factor else twins.seeds)
    ]


def measures(twins: LanguageTwins) -> pd.DataFrame:
    """The measures of all runs (`language_measures.COLUMNS`), each with arm, language and seed. Missing runs are made
    now, side by side.
    """
    wanted = runs(twins)
    tables = each_stored(
        language_runs.run,
        [plan for _, plan in wanted],
        is_stored=language_runs.is_stored,
        cost=lambda plan: plan.steps,
        progress="runs",
    )
    parts = []
    for (arm, plan), table in zip(wanted, tables, strict=True):
        facts = {"arm": arm.name, "language": SECOND if plan.language.lag else FIRST, "seed": plan.seed}
        parts.append(pd.DataFrame(facts, index=table.index).join(table))
    return pd.concat(parts, ignore_index=True)


def jobs(notebook: str, twins: LanguageTwins) -> Iterator[Job]:
    """One job for each run."""
    for arm, plan in runs(twins):
        name = re.sub(r"\W+", "-", f"{arm.name} {plan.seed}")
        weights = 12 * plan.build.depth * plan.build.width**2
        key = key_of([("language", language_runs.VERSION, plan)], texts=[])
        yield Job("grow", notebook, "language", name, weights, key, partial(language_runs.run, plan), twin=TWIN)
