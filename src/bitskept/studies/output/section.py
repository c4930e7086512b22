"""The parameters of notebook 08, the plans that follow from them, and its jobs."""

from collections.abc import Iterator

from pydantic import NonNegativeInt

from bitskept.base.params import Dtype, Name, Section
from bitskept.instruments.job import Job, measuring
from bitskept.instruments.training.twin_runs import TwinTraining
from bitskept.studies.output import retrieval, switching
from bitskept.studies.output.retrieval import Retrieval
from bitskept.studies.output.switches import Switching


class OutputUncertainty(Section):
    notebook = "08_uncertainty_at_the_output"

    training: TwinTraining
    model: str = Name
    corpus: str = Name
    retrieval: Retrieval
    switching: Switching
    twin_seed: NonNegativeInt
    seed: NonNegativeInt
    dtype: Dtype
    accept_terms: list[str]


def retrieval_plan(section: OutputUncertainty) -> retrieval.Plan:
    """The kNN-LM, on held-out texts and on its own."""
    return section.retrieval.plan(section.seed, section.dtype)


def jobs(section: OutputUncertainty) -> Iterator[Job]:
    """What each section of the notebook asks of its models."""
    notebook, model, terms = section.notebook, section.model, section.accept_terms
    yield measuring(notebook, "retrieval", model, [(retrieval.measure, retrieval_plan(section))], terms)
    yield from switching.jobs(notebook, section.training, section.switching, section.twin_seed)
