"""What the sections of a profile ask of each model, as plans: notebooks, the command line and the graph share them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bitskept.measure import (
    attention_energy,
    compression,
    continuations,
    geometry,
    human_answers,
    infonce,
    information_density,
    sweep,
)
from bitskept.measure.compression import Instrument
from bitskept.params import IbCorrelations, LayerSweep, SemanticInformation

CONTEXT_OTHERS = 4
"""Prompts more in the bank, where the length of the prompt is varied."""


def sweeps(section: LayerSweep) -> tuple[sweep.Plan, sweep.Plan]:
    """The layer sweep of a trained model, and the smaller one of its copies with random weights."""
    sizes = section.train_sentences, section.validation_sentences, section.test_sentences
    options = {"side_layers": section.side_layers, "longest": section.longest, "types": section.types}
    plan = sweep.Plan(section.corpus, *sizes, seed=section.seed, dtype=section.dtype, **options)
    more = {"sentence_positions": section.sentence_positions, "trained_epochs": section.trained_epochs}
    return replace(plan, **more), replace(plan, ridge=False, shuffled=False, every_layer=False)


def plan(section: IbCorrelations, **others: Any) -> compression.Plan:
    """What a section asks to be measured of each model; `others` replace values of the plan."""
    values = {"sentences": tuple(section.sentences), "widths": tuple(section.widths), "longest": section.longest}
    values["instruments"] = tuple(Instrument(section.anchors, seed) for seed in section.anchor_seeds)
    values |= {"seed": section.seed, "dtype": section.dtype, "memory": section.memory}
    return compression.Plan(section.corpus, **(values | others))


def longer(section: IbCorrelations) -> compression.Plan:
    """The same on more text, with the first draw of the anchors: for `more_model`."""
    first = plan(section).instruments[:1]
    return plan(section, sentences=tuple(section.more_sentences), instruments=first)


def trial(section: IbCorrelations) -> compression.Plan:
    """The same with other instruments: for `sensitivity_model`."""
    seed = section.anchor_seeds[0]
    tries = [Instrument(number, seed) for number in sorted({section.anchors, *section.other_anchors})]
    tries.append(Instrument(section.anchors, seed, "reference"))
    tries.append(Instrument(section.anchors, seed, label_weights="equal"))
    return plan(section, sentences=(section.sensitivity_sentences,), instruments=tuple(tries))


def bigrams(section: IbCorrelations) -> dict[str, Any]:
    """The arguments of `bigram_curve` after the model: for `sensitivity_model`."""
    law = {"types": section.bottleneck_types, "betas": section.betas, "longest": section.longest, "seed": section.seed}
    return {"corpus": section.corpus, "sentences": section.sentences[-1], **law}


def preference(section: IbCorrelations) -> dict[str, Any]:
    """The arguments of `measure_preference` and `measured_preference` that a section stands for."""
    return {
        "task": section.preference_task,
        "pairs": section.preference_pairs,
        "longest": section.preference_longest,
        "instrument": Instrument(section.anchors, section.anchor_seeds[0]),
        "seed": section.seed,
    }


def densities(section: SemanticInformation) -> list[information_density.Plan]:
    """What prompts tell of their answers, one plan a corpus."""
    sizes = {"pairs": section.pairs, "others": section.others, "context": max(section.contexts)}
    return [information_density.Plan(corpus, **sizes, **_common(section)) for corpus in section.corpora]


def halves(section: SemanticInformation) -> infonce.Plan:
    """What the two halves of a text share: for `half_model`."""
    return infonce.Plan(section.half_corpus, blocks=section.half_texts // infonce.Plan.size, seed=section.seed)


def by_context(section: SemanticInformation) -> list[information_density.Plan]:
    """The same where fewer tokens of the prompt are read: one plan a corpus and context."""
    sizes = section.context_pairs, CONTEXT_OTHERS
    return [
        information_density.Plan(corpus, *sizes, context=context, **_common(section))
        for corpus in section.context_corpora
        for context in section.contexts
    ]


def flow(section: SemanticInformation) -> continuations.Plan:
    """The continuations of one prompt."""
    place = section.flow_place
    return continuations.Plan(section.flow_corpus, section.samples, place=place, **_bank(section))


def people(section: SemanticInformation) -> human_answers.Plan:
    """What people wrote after prompts, and what the model writes."""
    return human_answers.Plan(section.flow_corpus, section.people_prompts, **_bank(section))


def of_twins(section: SemanticInformation) -> information_density.Plan:
    """What prompts tell of their answers, asked of twins."""
    sizes = section.twin_pairs, section.twin_others
    options = {"context": section.twin_context, "length": section.length, "seed": section.seed}
    return information_density.Plan(section.twin_corpus, *sizes, **options)


def shape(section: SemanticInformation) -> geometry.Plan:
    """Distances of layers."""
    sizes = {"points": section.geometry_points, "groups": section.geometry_groups, "layers": section.geometry_layers}
    return geometry.Plan(section.corpus, **sizes, seed=section.seed, dtype="float32")


def energy(section: SemanticInformation) -> attention_energy.Plan:
    """What attention does to its energy."""
    return attention_energy.Plan(
        section.corpus, section.energy_sentences, layers=section.energy_layers, seed=section.seed
    )


def _common(section: SemanticInformation) -> dict[str, Any]:
    return {"length": section.length, "seed": section.seed, "dtype": section.dtype}


def _bank(section: SemanticInformation) -> dict[str, Any]:
    return {"others": section.flow_others, "context": section.flow_context, **_common(section)}
