"""The figures of notebook 08, each drawn from its table."""

from bitskept.studies.output.attention_figures import attention_runs, attention_spread
from bitskept.studies.output.word_classes_figures import word_classes

__all__ = ["attention_runs", "attention_spread", "word_classes"]
