"""The parameters of notebook 00, and the plan that follows from them."""

from pydantic import Field, NonNegativeInt, PositiveInt

from bitskept.base.params import Dtype, Name, Section
from bitskept.instruments.probes.sweep import Plan
from bitskept.sources.precision import resolve_dtype


class Tour(Section):
    notebook = "00_tour"

    model: str = Name
    sentence: str = Field(pattern=r"\w")
    corpus: str = Name
    train_sentences: PositiveInt
    validation_sentences: PositiveInt
    test_sentences: PositiveInt
    layers: int = Field(ge=2)
    seed: NonNegativeInt
    dtype: Dtype
    accept_terms: list[str]


def plan(section: Tour) -> Plan:
    """How the sentences are divided and which layers are read; the sentence of the tour is one more test sentence."""
    return Plan(
        section.corpus,
        train=section.train_sentences,
        validation=section.validation_sentences,
        test=1 + section.test_sentences,
        seed=section.seed,
        dtype=resolve_dtype(section.dtype),
        side_layers=section.layers,
        longest=512,
    )
