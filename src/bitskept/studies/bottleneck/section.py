"""The parameters of notebook 04, the plans that follow from them, and its jobs."""

import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import Field, NonNegativeInt, PositiveInt

from bitskept.base.params import Alphabet, Dtype, Name, Names, Section, Strict
from bitskept.instruments.job import Job, key_of, measuring, size
from bitskept.instruments.soft_entropy import compression
from bitskept.instruments.soft_entropy.compression import Instrument
from bitskept.sources.packages import SourceError
from bitskept.studies.bottleneck import bigram_curve, exact_information, floor_alone, preference


class Sample(Strict):
    """So many texts of a corpus, cut at `longest` tokens."""

    sentences: PositiveInt
    longest: PositiveInt


class IbCorrelations(Section):
    notebook = "04_ib_correlations"

    models: list[str] = Names
    corpus: str = Name
    sentences: list[PositiveInt] = Field(min_length=2)
    more_model: str = Name
    more_sentences: list[PositiveInt] = Names
    widths: list[Annotated[int, Field(ge=1, le=8)]] = Field(min_length=2)
    longest: PositiveInt
    anchors: Alphabet
    anchor_seeds: list[NonNegativeInt] = Names
    memory: PositiveInt
    exact_model: str = Name
    exact_population: PositiveInt
    exact_sentences: list[PositiveInt] = Field(min_length=2)
    exact_repeats: Annotated[int, Field(ge=2)]
    documents: dict[str, Sample]
    bigram_model: str = Name
    bottleneck_types: Alphabet
    betas: list[Annotated[float, Field(gt=1)]] = Names
    preference_task: str = Name
    preference_pairs: PositiveInt
    preference_longest: PositiveInt
    correlation_models: list[str]
    simulated_models: Annotated[int, Field(ge=4)]
    simulated_positions: PositiveInt
    simulated_per_type: list[PositiveInt] = Field(min_length=2, max_length=2)
    seed: NonNegativeInt
    dtype: Dtype
    accept_terms: list[str]


def plan(section: IbCorrelations, **others: Any) -> compression.Plan:
    """What is measured of each model; `others` replace values of the plan."""
    values = {"sentences": tuple(section.sentences), "widths": tuple(section.widths), "longest": section.longest}
    values |= {"instruments": draws(section)}
    values |= {"seed": section.seed, "dtype": section.dtype, "memory": section.memory}
    return compression.Plan(section.corpus, **(values | others))


def draws(section: IbCorrelations) -> tuple[Instrument, ...]:
    """An instrument for each draw of the anchors."""
    return tuple(Instrument(section.anchors, seed) for seed in section.anchor_seeds)


def longer_plan(section: IbCorrelations) -> compression.Plan:
    """The same on more text, with the first draw of the anchors: for `more_model`."""
    first = draws(section)[:1]
    return plan(section, sentences=tuple(section.more_sentences), instruments=first)


def document_plans(section: IbCorrelations) -> dict[str, compression.Plan]:
    """Other texts with the first draw of the anchors, by corpus: for the last of the models."""
    first = draws(section)[:1]
    common = {"widths": tuple(section.widths), "instruments": first, "seed": section.seed}
    common |= {"dtype": section.dtype, "memory": section.memory}
    return {
        corpus: compression.Plan(corpus, (sample.sentences,), longest=sample.longest, **common)
        for corpus, sample in section.documents.items()
    }


def exact_plan(section: IbCorrelations) -> exact_information.Plan:
    """Samples whose exact values are known, in the tokens and embeddings of `exact_model`."""
    sizes = tuple(section.exact_sentences)
    repeats, longest = section.exact_repeats, section.longest
    return exact_information.Plan(section.corpus, section.exact_population, sizes, repeats, longest, section.seed)


def simulation(section: IbCorrelations) -> tuple[int, int, tuple[int, int], int]:
    """The arguments of `floor_alone.simulated`."""
    few, many = section.simulated_per_type
    return section.simulated_models, section.simulated_positions, (few, many), section.seed


def bigram_plan(section: IbCorrelations) -> bigram_curve.Plan:
    """The curve of the largest sample's bigrams, in the tokens of `bigram_model`."""
    options = {"types": section.bottleneck_types, "betas": tuple(section.betas)}
    options |= {"longest": section.longest, "seed": section.seed}
    return bigram_curve.Plan(section.corpus, section.sentences[-1], **options)


def preference_plan(section: IbCorrelations) -> preference.Plan:
    """Pairs of answers, with all draws of the anchors: for each model."""
    options = {"longest": section.preference_longest, "seed": section.seed, "dtype": section.dtype}
    return preference.Plan(section.preference_task, section.preference_pairs, instruments=draws(section), **options)


def jobs(section: IbCorrelations) -> Iterator[Job]:
    """Compression and preference information of each model; more text, other texts and the bigrams of one; what has an
    exact value, and the simulation.
    """
    notebook, terms = section.notebook, section.accept_terms
    for model in dict.fromkeys([*section.models, *section.correlation_models]):
        yield from model_jobs(section, model)
    yield measuring(notebook, "longer", section.more_model, [(compression.measure, longer_plan(section))], terms)
    for corpus, plan_of_text in document_plans(section).items():
        yield _document_job(section, corpus, plan_of_text)
    model, bigrams = section.bigram_model, bigram_plan(section)
    key = key_of([("bigram_curve", bigram_curve.VERSION, bigrams)], texts=[section.corpus], model=model)
    work = partial(bigram_curve.bigram_curve, model, bigrams)
    yield Job("measure", notebook, "bigrams", model, size(model), key, work)
    model, samples = section.exact_model, exact_plan(section)
    key = key_of([("against_exact", exact_information.VERSION, samples)], texts=[section.corpus], model=model)
    work = partial(exact_information.against_exact, model, samples, terms)
    yield Job("measure", notebook, "exact", model, size(model), key, work)
    asked = simulation(section)
    key = key_of([("floor_alone", floor_alone.VERSION, list(asked))], texts=[])
    yield Job("measure", notebook, "simulation", "floor-alone", 0, key, partial(floor_alone.simulated, *asked))


def _document_job(section: IbCorrelations, corpus: str, asked: compression.Plan) -> Job:
    model = section.models[-1]
    key = key_of([compression.measure.asks(asked)], texts=[corpus], model=model)
    work = partial(_read_documents, section, model, asked)
    name = f"documents-{Path(corpus).name}"
    return Job("measure", section.notebook, name, model, size(model), key, work)


def _read_documents(section: IbCorrelations, model: str, asked: compression.Plan) -> None:
    try:
        compression.measure(model, asked, accept_terms=section.accept_terms)
    except SourceError as error:
        warnings.warn(f"{asked.corpus} is left out: {error}", stacklevel=2)


def model_jobs(section: IbCorrelations, model: str) -> Iterator[Job]:
    """The two jobs of a model, whether the section names it or not."""
    compressing, judging = plan(section), preference_plan(section)
    works = {"compression": (_compress, compression.measure, compressing)}
    works["preference"] = (_judge, preference.measure, judging)
    read = {"compression": compressing.sentences[-1] * compressing.longest}
    read["preference"] = 2 * judging.pairs * judging.longest
    for name, (work, measure, asked) in works.items():
        key = key_of([measure.asks(asked)], texts=[asked.corpus], model=model)
        optional, done = model not in section.models, partial(work, section, model)
        facts = {"optional": optional, "tokens": read[name]}
        yield Job("measure", section.notebook, name, model, size(model), key, done, **facts)


def _compress(section: IbCorrelations, model: str) -> None:
    if model in section.models or model not in _trained(compression.measured(plan(section))):
        compression.measure(model, plan(section), accept_terms=section.accept_terms)


def _judge(section: IbCorrelations, model: str) -> None:
    try:
        judged = _trained(preference.measured(preference_plan(section)))
    except SourceError as error:
        warnings.warn(f"preference information is left out: {error}", stacklevel=2)
        return
    if model in section.models or model not in judged:
        preference.measure(model, preference_plan(section), accept_terms=section.accept_terms)


def _trained(table: pd.DataFrame) -> set[str]:
    """The trained models of a table. One that another computer has measured need not be fetched here."""
    return set(table.loc[table["weights"] == "trained", "model"])
