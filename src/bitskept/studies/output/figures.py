"""The figures of notebook 08, each drawn from its table."""

from bitskept.studies.output.retrieval_figures import retrieval, retrieval_drift
from bitskept.studies.output.switching_figures import switching

__all__ = ["retrieval", "retrieval_drift", "switching"]
