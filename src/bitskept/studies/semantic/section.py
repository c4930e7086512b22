"""The parameters of notebook 06, the plans that follow from them, and its jobs."""

from collections.abc import Iterator
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from bitskept.base.params import Dtype, Name, Names, Section
from bitskept.instruments.job import Job, measuring
from bitskept.instruments.likelihood import information_density, next_token
from bitskept.instruments.training import twin_measures
from bitskept.instruments.training.twin_runs import TwinTraining
from bitskept.studies.semantic import continuations, human_answers


class SemanticInformation(Section):
    notebook = "06_semantic_information"

    training: TwinTraining
    model: str = Name
    corpora: list[str] = Names
    pairs: PositiveInt
    others: PositiveInt
    length: PositiveInt
    shown_corpus: str = Name
    shown: NonNegativeInt
    context_corpora: list[str] = Names
    contexts: list[PositiveInt] = Field(min_length=2)
    context_pairs: PositiveInt
    flow_corpus: str = Name
    flow_place: NonNegativeInt
    samples: int = Field(ge=2)
    flow_others: PositiveInt
    flow_context: PositiveInt
    people_prompts: int = Field(ge=2)
    flips: list[Annotated[float, Field(gt=0, le=0.5)]] = Names
    markov_steps: Annotated[int, Field(ge=2, le=6)]
    tolerance: float = Field(ge=1e-6)
    reward_words: list[str] = Names
    slopes: list[Annotated[float, Field(ge=0)]] = Names
    best_of: list[PositiveInt] = Names
    twins: list[Literal["next token", "state space"]] = Names
    twin_seeds: list[NonNegativeInt] = Names
    seed: NonNegativeInt
    dtype: Dtype
    accept_terms: list[str]

    @property
    def bank(self) -> int:
        """The number of prompts in the mixture of an answer."""
        return 1 + self.others


def density_plans(section: SemanticInformation) -> list[information_density.Plan]:
    """What prompts add to their answers, one plan per corpus."""
    sizes = {"pairs": section.pairs, "others": section.others, "context": max(section.contexts)}
    return [information_density.Plan(corpus, **sizes, **_reading(section)) for corpus in section.corpora]


def context_plans(section: SemanticInformation) -> list[information_density.Plan]:
    """The same where less of each prompt is read, one plan per corpus and context. With as many pairs, the longest
    context is that of `density_plans`.
    """
    sizes = {"pairs": section.context_pairs, "others": section.others} | _reading(section)
    both = product(section.context_corpora, section.contexts)
    return [information_density.Plan(corpus, context=context, **sizes) for corpus, context in both]


def flow_plan(section: SemanticInformation) -> continuations.Plan:
    """Continuations of one prompt."""
    return continuations.Plan(section.flow_corpus, section.samples, place=section.flow_place, **_bank(section))


def people_plan(section: SemanticInformation) -> human_answers.Plan:
    """Human answers to several prompts, and the model's."""
    return human_answers.Plan(section.flow_corpus, section.people_prompts, **_bank(section))


def _reading(section: SemanticInformation) -> dict[str, Any]:
    return {"length": section.length, "seed": section.seed, "dtype": section.dtype}


def _bank(section: SemanticInformation) -> dict[str, Any]:
    return {"others": section.flow_others, "context": section.flow_context} | _reading(section)


def jobs(section: SemanticInformation) -> Iterator[Job]:
    """Densities and flows of the model, and what the context is worth to each twin."""
    notebook, model, terms = section.notebook, section.model, section.accept_terms
    densities = [(information_density.measure, plan) for plan in density_plans(section) + context_plans(section)]
    yield measuring(notebook, "density", model, densities, terms)
    flows = [(continuations.measure, flow_plan(section)), (human_answers.measure, people_plan(section))]
    yield measuring(notebook, "flow", model, flows, terms)
    training, seeds = section.training, section.twin_seeds
    asked, work = next_token.measure.asks(twin_measures.next_plan(training)), twin_measures.next_tokens_of
    for twin in section.twins:
        yield from twin_measures.jobs(notebook, training, twin, seeds, [asked], work)
