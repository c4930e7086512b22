"""The figures of notebook 08, each drawn from its table."""

from bitskept.studies.output.decoding_figures import decoders, decoding_along

__all__ = ["decoders", "decoding_along"]
from bitskept.studies.output.capacity_figures import capacity
from bitskept.studies.output.detection_figures import detection

__all__ = ["capacity", "detection"]
from bitskept.studies.output.retrieval_figures import retrieval, retrieval_drift
from bitskept.studies.output.switching_figures import switching

__all__ = ["retrieval", "retrieval_drift", "switching"]
from bitskept.studies.output.attention_figures import attention_runs, attention_spread
from bitskept.studies.output.word_classes_figures import word_classes

__all__ = ["attention_runs", "attention_spread", "word_classes"]
from bitskept.studies.output.spread_figures import spread as spread
