"""The parameters of notebook 08, the plans that follow from them, and its jobs."""

from collections.abc import Iterator

from pydantic import NonNegativeInt

from bitskept.base.params import Dtype, Name, Section
from bitskept.instruments.job import Job, measuring
from bitskept.instruments.training.twin_runs import TwinTraining
from bitskept.studies.output import decoding
from bitskept.studies.output.decoding import Decoding
from bitskept.studies.output import capacity, detection
from bitskept.studies.output.capacity import Capacity
from bitskept.studies.output.detection import Detection
from bitskept.studies.output import retrieval, switching
from bitskept.studies.output.retrieval import Retrieval
from bitskept.studies.output.switches import Switching


class OutputUncertainty(Section):
    notebook = "08_uncertainty_at_the_output"

    training: TwinTraining
    model: str = Name
    corpus: str = Name
    detection: Detection
    capacity: Capacity
    retrieval: Retrieval
    switching: Switching
    twin_seed: NonNegativeInt
    decoding: Decoding
    seed: NonNegativeInt
    dtype: Dtype
    accept_terms: list[str]


def decoding_plan(section: OutputUncertainty) -> decoding.Plan:
    """Continuations of texts by each decoder, and by people."""
    return decoding.plan(section.decoding, seed=section.seed, dtype=section.dtype)
def retrieval_plan(section: OutputUncertainty) -> retrieval.Plan:
    """The kNN-LM, on held-out texts and on its own."""
    return section.retrieval.plan(section.seed, section.dtype)


def jobs(section: OutputUncertainty) -> Iterator[Job]:
    """What each section of the notebook asks of its models."""
    notebook, model, terms = section.notebook, section.model, section.accept_terms
    yield measuring(notebook, "decoding", model, [(decoding.measure, decoding_plan(section))], terms)
    notebook, training = section.notebook, section.training
    shared = {"twin_seed": section.twin_seed, "dtype": section.dtype, "terms": section.accept_terms}
    yield from detection.jobs(notebook, section.detection, training, section.model, seed=section.seed, **shared)
    yield from capacity.jobs(notebook, section.capacity, training, **shared)
    yield measuring(notebook, "retrieval", model, [(retrieval.measure, retrieval_plan(section))], terms)
    yield from switching.jobs(notebook, section.training, section.switching, section.twin_seed)
