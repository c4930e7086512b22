"""The parameters of notebook 02, the plans that follow from them, and its jobs."""

from collections.abc import Iterator
from dataclasses import replace

from pydantic import Field, NonNegativeInt, PositiveInt

from bitskept.base.params import Alphabet, Dtype, Name, Names, Section
from bitskept.instruments.job import Job, measuring
from bitskept.instruments.probes import sweep


class LayerSweep(Section):
    notebook = "02_layer_sweep"

    models: list[str] = Names
    corpus: str = Name
    train_sentences: PositiveInt
    validation_sentences: PositiveInt
    test_sentences: PositiveInt
    longest: PositiveInt
    types: Alphabet
    side_layers: int = Field(ge=3)
    sentence_positions: PositiveInt
    trained_epochs: PositiveInt
    random_seeds: list[NonNegativeInt] = Names
    seed: NonNegativeInt
    dtype: Dtype
    accept_terms: list[str]


def trained_plan(section: LayerSweep) -> sweep.Plan:
    """The layer sweep of a trained model."""
    options = {"sentence_positions": section.sentence_positions, "trained_epochs": section.trained_epochs}
    return replace(_plan(section), certificate=True, **options)


def random_plan(section: LayerSweep) -> sweep.Plan:
    """The smaller sweep of copies with random weights."""
    return replace(_plan(section), ridge=False, shuffled=False, every_layer=False)


def _plan(section: LayerSweep) -> sweep.Plan:
    sizes = section.train_sentences, section.validation_sentences, section.test_sentences
    options = {"side_layers": section.side_layers, "longest": section.longest, "types": section.types}
    return sweep.Plan(section.corpus, *sizes, seed=section.seed, dtype=section.dtype, **options)


def jobs(section: LayerSweep) -> Iterator[Job]:
    """For each model one job for its sweep and one for its random copies."""
    notebook, terms = section.notebook, section.accept_terms
    for model in section.models:
        yield measuring(notebook, "sweep", model, [(sweep.measure, trained_plan(section))], terms)
        copies = [(sweep.measure, random_plan(section))]
        yield measuring(notebook, "random", model, copies, terms, weights=section.random_seeds)
