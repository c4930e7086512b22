"""The parameters of notebook 01."""

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from bitskept.base.params import Alphabet, Names, Rate, Section


class TheoryBounds(Section):
    notebook = "01_theory_bounds"

    seed: NonNegativeInt
    words: int = Field(ge=2, le=4)
    length: int = Field(ge=2, le=5)
    losses: list[Rate] = Names
    fano_alphabets: list[Alphabet] = Names
    vocabulary: Alphabet
    deviation: float = Field(gt=0)
    training: list[PositiveInt] = Names
    repetitions: PositiveInt
    sample_sizes: list[PositiveInt] = Names
    deltas: list[Annotated[float, Field(gt=0, lt=1)]] = Names
    corpus_sentences: PositiveInt
    clusters: list[PositiveInt] = Names
    data_sets: PositiveInt
    networks: PositiveInt
    network_layers: PositiveInt
    network_training: list[PositiveInt] = Names
