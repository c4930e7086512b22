"""The parameters of notebook 04, the plans that follow from them, and its jobs."""

import warnings
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

import pandas as pd
from pydantic import Field, NonNegativeInt, PositiveInt

from bitskept.base.params import Alphabet, Dtype, Name, Names, Section
from bitskept.instruments.job import Job, key_of, measuring, size
from bitskept.instruments.soft_entropy import compression
from bitskept.instruments.soft_entropy.compression import Instrument
from bitskept.sources.packages import SourceError
from bitskept.studies.bottleneck import bigram_curve, preference


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
    sensitivity_model: str = Name
    sensitivity_sentences: PositiveInt
    other_anchors: list[Alphabet] = Names
    bottleneck_types: Alphabet
    betas: list[Annotated[float, Field(gt=1)]] = Names
    preference_task: str = Name
    preference_pairs: PositiveInt
    preference_longest: PositiveInt
    correlation_models: list[str]
    seed: NonNegativeInt
    dtype: Dtype
    accept_terms: list[str]


def plan(section: IbCorrelations, **others: Any) -> compression.Plan:
    """What is measured of each model; `others` replace values of the plan."""
    values = {"sentences": tuple(section.sentences), "widths": tuple(section.widths), "longest": section.longest}
    values["instruments"] = tuple(Instrument(section.anchors, seed) for seed in section.anchor_seeds)
    values |= {"seed": section.seed, "dtype": section.dtype, "memory": section.memory}
    return compression.Plan(section.corpus, **(values | others))


def longer_plan(section: IbCorrelations) -> compression.Plan:
    """The same on more text, with the first draw of the anchors: for `more_model`."""
    first = plan(section).instruments[:1]
    return plan(section, sentences=tuple(section.more_sentences), instruments=first)


def trial_plan(section: IbCorrelations) -> compression.Plan:
    """The same with other instruments: for `sensitivity_model`."""
    seed = section.anchor_seeds[0]
    tries = [Instrument(number, seed) for number in sorted({section.anchors, *section.other_anchors})]
    tries.append(Instrument(section.anchors, seed, "reference"))
    tries.append(Instrument(section.anchors, seed, label_weights="equal"))
    return plan(section, sentences=(section.sensitivity_sentences,), instruments=tuple(tries))


def bigram_plan(section: IbCorrelations) -> bigram_curve.Plan:
    """The curve of the largest sample's bigrams, in the tokens of `sensitivity_model`."""
    options = {"types": section.bottleneck_types, "betas": tuple(section.betas)}
    options |= {"longest": section.longest, "seed": section.seed}
    return bigram_curve.Plan(section.corpus, section.sentences[-1], **options)


def preference_plan(section: IbCorrelations) -> preference.Plan:
    """Pairs of answers, with the first draw of the anchors: for each model."""
    instrument = Instrument(section.anchors, section.anchor_seeds[0])
    options = {"longest": section.preference_longest, "seed": section.seed, "dtype": section.dtype}
    return preference.Plan(section.preference_task, section.preference_pairs, instrument=instrument, **options)


def jobs(section: IbCorrelations) -> Iterator[Job]:
    """Compression and preference information of each model; and more text, other instruments and the bigrams of one."""
    notebook, terms = section.notebook, section.accept_terms
    for model in dict.fromkeys([*section.models, *section.correlation_models]):
        yield from model_jobs(section, model)
    yield measuring(notebook, "longer", section.more_model, [(compression.measure, longer_plan(section))], terms)
    model, bigrams = section.sensitivity_model, bigram_plan(section)
    yield measuring(notebook, "trial", model, [(compression.measure, trial_plan(section))], terms)
    key = key_of([("bigram_curve", bigram_curve.VERSION, bigrams)], texts=[section.corpus], model=model)
    work = partial(bigram_curve.bigram_curve, model, bigrams)
    yield Job("measure", notebook, "bigrams", model, size(model), key, work)


def model_jobs(section: IbCorrelations, model: str) -> Iterator[Job]:
    """The two jobs of a model, whether the section names it or not."""
    works = {"compression": (_compress, compression.measure, plan(section))}
    works["preference"] = (_judge, preference.measure, preference_plan(section))
    for name, (work, measure, asked) in works.items():
        key = key_of([measure.asks(asked)], texts=[asked.corpus], model=model)
        optional, done = model not in section.models, partial(work, section, model)
        yield Job("measure", section.notebook, name, model, size(model), key, done, optional=optional)


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
