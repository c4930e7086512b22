"""The parameters of notebook 08, the plans that follow from them, and its jobs."""

from collections.abc import Iterator

from pydantic import NonNegativeInt

from bitskept.base.params import Dtype, Name, Section
from bitskept.instruments.job import Job, measuring
from bitskept.instruments.training.twin_runs import TwinTraining
from bitskept.studies.output import decoding
from bitskept.studies.output.decoding import Decoding


class OutputUncertainty(Section):
    notebook = "08_uncertainty_at_the_output"

    training: TwinTraining
    model: str = Name
    corpus: str = Name
    twin_seed: NonNegativeInt
    decoding: Decoding
    seed: NonNegativeInt
    dtype: Dtype
    accept_terms: list[str]


def decoding_plan(section: OutputUncertainty) -> decoding.Plan:
    """Continuations of texts by each decoder, and by people."""
    return decoding.plan(section.decoding, seed=section.seed, dtype=section.dtype)


def jobs(section: OutputUncertainty) -> Iterator[Job]:
    """What each section of the notebook asks of its models."""
    notebook, model, terms = section.notebook, section.model, section.accept_terms
    yield measuring(notebook, "decoding", model, [(decoding.measure, decoding_plan(section))], terms)
