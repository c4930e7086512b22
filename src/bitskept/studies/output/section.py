"""The parameters of notebook 08, the plans that follow from them, and its jobs."""

from collections.abc import Iterator

from pydantic import NonNegativeInt

from bitskept.base.params import Dtype, Name, Section
from bitskept.instruments.job import Job
from bitskept.instruments.training.twin_runs import TwinTraining


class OutputUncertainty(Section):
    notebook = "08_uncertainty_at_the_output"

    training: TwinTraining
    model: str = Name
    corpus: str = Name
    twin_seed: NonNegativeInt
    seed: NonNegativeInt
    dtype: Dtype
    accept_terms: list[str]


def jobs(section: OutputUncertainty) -> Iterator[Job]:
    """What each section of the notebook asks of its models."""
    yield from ()
