"""The parameters of notebook 02, the plans that follow from them, and its jobs."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from bitskept.base.params import Alphabet, Dtype, Name, Names, Section
from bitskept.instruments.job import Job, key_of, measuring, size
from bitskept.instruments.probes import sweep
from bitskept.instruments.training import recovery
from bitskept.sources.random_weights import Weights


class LayerSweep(Section):
    notebook = "02_layer_sweep"

    models: list[str] = Names
    corpus: str = Name
    train_sentences: PositiveInt
    smaller_train_sentences: list[PositiveInt] = Names
    validation_sentences: PositiveInt
    test_sentences: PositiveInt
    longest: PositiveInt
    types: Alphabet
    side_layers: int = Field(ge=3)
    window_layers: int = Field(ge=3)
    places: PositiveInt
    more_poolings: list[Literal["mean without first", "last", "mean of the others"]]  # beside the mean
    trained_epochs: PositiveInt
    random_seeds: list[NonNegativeInt] = Names
    random_scales: list[Literal["embeddings", "residual", "both"]]
    masked_model: str = Name  # trained on by masking
    masked_steps: int = Field(ge=2)
    masked_batch: PositiveInt
    masked_rate: float = Field(gt=0)
    masked_seeds: list[NonNegativeInt] = Names
    seed: NonNegativeInt
    dtype: Dtype
    accept_terms: list[str]


def trained_plan(section: LayerSweep, words: Sequence[str] = ()) -> sweep.Plan:
    """The layer sweep of a trained model; `words` are one token for all models (`tokenizers.shared_words`)."""
    options = {"smaller": tuple(section.smaller_train_sentences), "window_layers": section.window_layers}
    options |= {"poolings": ("mean", *section.more_poolings), "places": section.places}
    options |= {"trained_epochs": section.trained_epochs}
    return replace(_plan(section, section.train_sentences), certificate=True, words=tuple(words), **options)


def random_plan(section: LayerSweep) -> sweep.Plan:
    """The smaller sweep that compares a model with copies of random weights: it has the fewest training sentences."""
    fewest = min([section.train_sentences, *section.smaller_train_sentences])
    options = {"ridge": False, "shuffled": False, "every_layer": False}
    return replace(_plan(section, fewest), poolings=("mean",), places=section.places, **options)


def compared_weights(section: LayerSweep) -> list[int | Weights | None]:
    """None for the model as it was trained; then its random copies: every seed at the scale of its configuration, the
    first at each other scale."""
    first, *_ = seeds = section.random_seeds
    return [None, *seeds, *(Weights(first, scale) for scale in section.random_scales)]


def _plan(section: LayerSweep, train: int) -> sweep.Plan:
    sizes = train, section.validation_sentences, section.test_sentences
    options = {"side_layers": section.side_layers, "longest": section.longest, "types": section.types}
    return sweep.Plan(section.corpus, *sizes, seed=section.seed, dtype=section.dtype, **options)


def jobs(section: LayerSweep) -> Iterator[Job]:
    """For each model one job for its sweep and one for its random copies, and one for training one of them further."""
    from bitskept.studies.layer_sweep import masked_training
    from bitskept.studies.layer_sweep.tokenizers import shared_words

    notebook, corpus, terms = section.notebook, section.corpus, section.accept_terms

    def measure_trained(model: str) -> None:
        sweep.measure(model, trained_plan(section, shared_words(section)), accept_terms=terms)

    compared = [key_of([], texts=[], model=model)["model"] for model in section.models]
    for model in section.models:
        # The words depend on all tokenizers, which may not have been fetched yet: they are found when the job runs.
        key = key_of([sweep.measure.asks(trained_plan(section))], texts=[corpus], model=model) | {"models": compared}
        yield Job("measure", notebook, "sweep", model, size(model), key, partial(measure_trained, model))
        copies = [(sweep.measure, random_plan(section))]
        yield measuring(notebook, "random", model, copies, terms, weights=compared_weights(section))
    model = section.masked_model
    runs = [("fine_tuning", recovery.VERSION, plan) for plan in masked_training.training_plans(section)]
    key = key_of([*runs, sweep.measure.asks(masked_training.sweep_plan(section))], texts=[corpus], model=model)
    yield Job("measure", notebook, "masked", model, size(model), key, partial(masked_training.masked_training, section))
