"""The parameters of notebook 08, the plans that follow from them, and its jobs."""

from collections.abc import Iterator

from pydantic import NonNegativeInt

from bitskept.base.params import Dtype, Name, Section
from bitskept.instruments.job import Job, measuring
from bitskept.instruments.training.twin_runs import TwinTraining
from bitskept.studies.output import spread
from bitskept.studies.output.spread import Spread


class OutputUncertainty(Section):
    notebook = "08_uncertainty_at_the_output"

    training: TwinTraining
    model: str = Name
    corpus: str = Name
    spread: Spread
    twin_seed: NonNegativeInt
    seed: NonNegativeInt
    dtype: Dtype
    accept_terms: list[str]


def spread_plan(section: OutputUncertainty) -> spread.Plan:
    """Questions with known answers, in several wordings."""
    return spread.Plan(**section.spread.model_dump(), seed=section.seed, dtype=section.dtype)


def jobs(section: OutputUncertainty) -> Iterator[Job]:
    """What each section of the notebook asks of its models."""
    asked = [(spread.measure, spread_plan(section))]
    yield measuring(section.notebook, "spread", section.model, asked, section.accept_terms)
