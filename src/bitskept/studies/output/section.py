"""The parameters of notebook 08, the plans that follow from them, and its jobs."""

from collections.abc import Iterator
from functools import partial

from pydantic import NonNegativeInt

from bitskept.base.params import Dtype, Name, Section
from bitskept.instruments.job import Job, key_of, measuring
from bitskept.instruments.training import twin_measures
from bitskept.instruments.training.twin_runs import NEXT, TwinTraining
from bitskept.instruments.training.twin_runs import weights as weight_count
from bitskept.studies.output import (
    attention,
    attention_runs,
    capacity,
    class_checkpoints,
    decoding,
    detection,
    retrieval,
    spread,
    switching,
    word_classes,
)
from bitskept.studies.output.switches import Switching


class OutputUncertainty(Section):
    notebook = "08_uncertainty_at_the_output"

    training: TwinTraining
    model: str = Name
    corpus: str = Name
    twin_seed: NonNegativeInt
    decoding: decoding.Decoding
    detection: detection.Detection
    capacity: capacity.Capacity
    attention: attention.Attention
    retrieval: retrieval.Retrieval
    switching: Switching
    spread: spread.Spread
    word_classes: word_classes.WordClasses
    seed: NonNegativeInt
    dtype: Dtype
    accept_terms: list[str]


def decoding_plan(section: OutputUncertainty) -> decoding.Plan:
    """Continuations of texts by each decoder, and by people."""
    return decoding.plan(section.decoding, seed=section.seed, dtype=section.dtype)


def attention_plan(section: OutputUncertainty) -> attention.Plan:
    """How widely the heads of the model attend."""
    sizes = section.attention.sentences, section.attention.longest
    return attention.Plan(section.corpus, *sizes, seed=section.seed, dtype=section.dtype)


def retrieval_plan(section: OutputUncertainty) -> retrieval.Plan:
    """The kNN-LM, on held-out texts and on its own."""
    return section.retrieval.plan(section.seed, section.dtype)


def spread_plan(section: OutputUncertainty) -> spread.Plan:
    """Questions with known answers, in several wordings."""
    return spread.Plan(**section.spread.model_dump(), seed=section.seed, dtype=section.dtype)


def classes_plan(section: OutputUncertainty) -> word_classes.Plan:
    """How well states tell the classes of words, of the model."""
    return class_checkpoints.plan(section.word_classes, section.corpus, section.seed, section.dtype)


def jobs(section: OutputUncertainty) -> Iterator[Job]:
    """What each section of the notebook asks of its models."""
    notebook, training, model, terms = section.notebook, section.training, section.model, section.accept_terms
    shared = {"twin_seed": section.twin_seed, "dtype": section.dtype, "terms": terms}
    yield measuring(notebook, "decoding", model, [(decoding.measure, decoding_plan(section))], terms)
    yield from detection.jobs(notebook, section.detection, training, model, seed=section.seed, **shared)
    yield from capacity.jobs(notebook, section.capacity, training, **shared)
    yield from attention_jobs(section)
    yield measuring(notebook, "retrieval", model, [(retrieval.measure, retrieval_plan(section))], terms)
    yield from switching.jobs(notebook, training, section.switching, section.twin_seed)
    yield measuring(notebook, "spread", model, [(spread.measure, spread_plan(section))], terms)
    yield from class_jobs(section)


def attention_jobs(section: OutputUncertainty) -> Iterator[Job]:
    """How widely the model and its random copies attend, and the runs at rising rates."""
    notebook, model, terms = section.notebook, section.model, section.accept_terms
    asked, copies = [(attention.measure, attention_plan(section))], (None, *section.attention.random_seeds)
    yield measuring(notebook, "attention", model, asked, terms, weights=copies)
    runs = attention_runs.plans(section.training, section.attention)
    key = key_of([(attention_runs.NAME, attention_runs.VERSION, run) for run in runs], texts=[section.training.corpus])
    weights = sum(weight_count(section.training, run.plan) for run in runs)
    yield Job("measure", notebook, "attention", "runs", weights, key, partial(attention_runs.curves, runs))


def class_jobs(section: OutputUncertainty) -> Iterator[Job]:
    """Words' classes in the model, its random copies and the checkpoints of a twin."""
    notebook, plan, classes = section.notebook, classes_plan(section), section.word_classes
    copies = (None, *classes.random_seeds)
    asked = [(word_classes.measure, plan)]
    yield measuring(notebook, "classes", section.model, asked, section.accept_terms, weights=copies)
    training, of_twin = section.training, class_checkpoints.twin_plan(classes, section.training)
    work, options = class_checkpoints.measure, {"classes": classes}
    asks = [word_classes.measure.asks(of_twin)]
    yield from twin_measures.jobs(notebook, training, NEXT, [section.twin_seed], asks, work, **options)
