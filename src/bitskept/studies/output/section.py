"""The parameters of notebook 08, the plans that follow from them, and its jobs."""

from collections.abc import Iterator

from pydantic import NonNegativeInt

from bitskept.base.params import Dtype, Name, Section
from bitskept.instruments.job import Job
from bitskept.instruments.training.twin_runs import TwinTraining
from bitskept.studies.output import capacity, detection
from bitskept.studies.output.capacity import Capacity
from bitskept.studies.output.detection import Detection


class OutputUncertainty(Section):
    notebook = "08_uncertainty_at_the_output"

    training: TwinTraining
    model: str = Name
    corpus: str = Name
    detection: Detection
    capacity: Capacity
    twin_seed: NonNegativeInt
    seed: NonNegativeInt
    dtype: Dtype
    accept_terms: list[str]


def jobs(section: OutputUncertainty) -> Iterator[Job]:
    """What each section of the notebook asks of its models."""
    notebook, training = section.notebook, section.training
    shared = {"twin_seed": section.twin_seed, "dtype": section.dtype, "terms": section.accept_terms}
    yield from detection.jobs(notebook, section.detection, training, section.model, seed=section.seed, **shared)
    yield from capacity.jobs(notebook, section.capacity, training, **shared)
