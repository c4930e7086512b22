"""The jobs behind the notebooks of a profile, each the size of a model, to be spread over cores or machines.

A job leaves its results in the store, and asks there for what its notebook will ask for. Its `key` changes whenever
these would change: with the plan, the version of a function, the model or the text.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import product
from types import ModuleType
from typing import Any

from bitskept import outputs, root
from bitskept.job import Job, bound, key_of, size
from bitskept.measure import (
    attention_energy,
    bigram_curve,
    bits_per_byte,
    compression,
    continuations,
    geometry,
    human_answers,
    infonce,
    information_density,
    next_token,
    preference,
    sweep,
    understanding,
)
from bitskept.measure import jobs as plans_of
from bitskept.params import FineTuning, IbCorrelations, LayerSweep, Section, SemanticInformation, TrainingDynamics
from bitskept.sources import tasks
from bitskept.sources.packages import SourceError
from bitskept.training import comparison, dynamics, prompted, recovery, twins
from bitskept.training.builds import CLASSES, Build

Sections = Mapping[str, Section]
MEASURED = (
    *("02_layer_sweep", "03_fine_tuning", "04_ib_correlations"),
    *("05_training_dynamics", "06_semantic_information"),
)
"""The notebooks that have jobs."""
READS = {"04_ib_correlations": ("05_predictors.csv",)}
"""The tables of other notebooks that a notebook shows."""
ALSO = {"06_semantic_information": ("05_training_dynamics",)}
"""The sections of other notebooks that a notebook reads."""
SIDE_BY_SIDE = ("03_fine_tuning", "05_training_dynamics")
"""The notebooks that compute side by side, with one thread each (`parallel.each_stored`); twins are, wherever."""


def jobs(sections: Sections, more: Sequence[str] = ()) -> list[Job]:
    """All jobs of a profile's sections, those first that others need; of `more` models that have none, what 04 asks of
    any.
    """
    semantic = partial(_semantic, learning=sections.get("05_training_dynamics"))
    every = dict(zip(MEASURED, (_layer_sweep, _fine_tuning, _correlations, _dynamics, semantic), strict=True))
    found = [job for stem, of in every.items() if stem in sections for job in of(sections[stem])]
    known = {name for job in found for name in job.known_as}
    for model in [one for one in dict.fromkeys(more) if one not in known]:
        found += _correlation(sections["04_ib_correlations"], model)
    return found


def listing(sections: Sections) -> dict[str, Any]:
    """All jobs and notebooks of a profile as plain JSON, for an engine that runs them; paths are relative to the
    project.
    """
    found = jobs(sections)
    columns = ("name", "command", "arguments", "notebook", "measurement", "subject", "parameters", "needs", "optional")
    listed = [
        {name: getattr(job, name) for name in (*columns, "key")}
        | {"one_thread": job.notebook in SIDE_BY_SIDE or job.twin is not None}
        for job in found
    ]
    notebooks = {stem: _notebook(stem, sections, found) for stem in sections}
    return {"jobs": listed, "notebooks": notebooks}


def _notebook(stem: str, sections: Sections, found: Sequence[Job]) -> dict[str, Any]:
    """What a notebook reads and leaves, its parameters, and the weights of the largest model that it needs."""
    section = sections[stem]
    pictures, tables = (folder.relative_to(root()) for folder in outputs.folders(section.profile))
    also = {name: sections[name].model_dump() for name in ALSO.get(stem, ()) if name in sections}
    return {
        "parameters": max((job.parameters for job in found if job.notebook == stem and not job.optional), default=0),
        "key": section.model_dump() | also,
        "reads": [str(tables / name) for name in READS.get(stem, ())],
        "pictures": [f"{pictures / name}.{suffix}" for name in section.figures for suffix in ("png", "svg", "json")],
        "tables": [f"{tables / name}.csv" for name in section.figures],
    }


def _measuring(
    notebook: str, measurement: str, model: str, asked: Sequence[tuple[ModuleType, Any]], terms: Collection[str],
    *, weights: Sequence[int | None] = (None,), optional: bool = False,
) -> Job:  # fmt: skip
    """A job of modules that measure by a plan with a corpus; `weights` are seeds of random copies."""

    def work() -> None:
        for module, plan in asked:
            for seed in weights:
                random = {} if seed is None else {"weights": seed}
                module.measure(model, plan, accept_terms=terms, **random)

    texts = list(dict.fromkeys(plan.corpus for _, plan in asked))
    key = key_of(asked, texts=texts, model=model) | {"weights": list(weights)}
    return Job("measure", notebook, measurement, model, size(model), key, work, optional=optional)


def _layer_sweep(section: LayerSweep) -> Iterator[Job]:
    notebook, terms = "02_layer_sweep", section.accept_terms
    full, control = plans_of.sweeps(section)
    for model in section.models:
        yield _measuring(notebook, "sweep", model, [(sweep, full)], terms)
        yield _measuring(notebook, "random", model, [(sweep, control)], terms, weights=section.random_seeds)


def _fine_tuning(section: FineTuning) -> Iterator[Job]:
    notebook, texts = "03_fine_tuning", [*section.tasks, *section.data_tasks]

    def measuring(model: str, name: str, find: Callable[[], Any], needs: tuple[str, ...], base: Any) -> Iterator[Job]:
        asked = [comparison.task_plan(section, model, task, tuned=bool(needs)) for task in texts]
        swept = key_of([(sweep, comparison.sweep_plan(section, model))], texts=[section.corpus], model=model)
        items = key_of([(understanding, plan) for plan in asked], texts=texts, model=model)
        weights = size(model)
        yield Job(
            "measure", notebook, "sweep", name, weights, swept | base,
            lambda: comparison.sweeps(section, find()), needs,
        )  # fmt: skip
        yield Job(
            "measure", notebook, "tasks", name, weights, items | base,
            lambda: comparison.items(section, find(), comparison.available(section)[0]), needs,
        )  # fmt: skip

    def untuned(model: str) -> Any:
        return comparison.before(section).loc[lambda runs: runs["id"] == model]

    def tuned(name: str) -> Any:
        return comparison.tune(section, [name])[0].loc[lambda runs: runs["arm"] != comparison.BEFORE]

    for model in section.measuring:
        yield from measuring(model, model, bound(untuned, model), (), {})
    for plan in comparison.plans(section):
        name = comparison.run_name(plan)
        key = key_of([(recovery, plan)], texts=[section.corpus], model=plan.model)
        train = Job("tune", notebook, "tune", name, size(plan.model), key, bound(comparison.tune, section, [name]))
        yield train
        yield from measuring(plan.model, name, bound(tuned, name), (train.name,), {"run": key["plans"]})


def _correlation(section: IbCorrelations, model: str) -> Iterator[Job]:
    notebook, terms = "04_ib_correlations", section.accept_terms
    plan, pairs = plans_of.plan(section), plans_of.preference(section)
    optional, weights = model not in section.models, size(model)

    def compress() -> None:
        # One that was measured on another computer need not be fetched.
        if not optional or model not in _trained(compression.measured(plan)):
            compression.measure(model, plan, accept_terms=terms)

    def judge() -> None:
        try:
            tasks.fetch(section.preference_task)
            judged = _trained(preference.measured_preference(**pairs)) if optional else ()
        except SourceError as error:
            warnings.warn(f"preference information is left out: {error}", stacklevel=2)
            return
        if model not in judged:
            preference.measure_preference(model, **pairs, dtype=section.dtype, accept_terms=terms)

    key = key_of([(compression, plan)], texts=[section.corpus], model=model)
    yield Job("measure", notebook, "compression", model, weights, key, compress, optional=optional)
    of_pairs = pairs | {"instrument": asdict(pairs["instrument"])}
    key = key_of([(compression, of_pairs)], texts=[section.preference_task], model=model)
    yield Job("measure", notebook, "preference", model, weights, key, judge, optional=optional)


def _correlations(section: IbCorrelations) -> Iterator[Job]:
    notebook, terms = "04_ib_correlations", section.accept_terms
    for model in dict.fromkeys([*section.models, *section.correlation_models]):
        yield from _correlation(section, model)
    yield _measuring(notebook, "longer", section.more_model, [(compression, plans_of.longer(section))], terms)
    model, law = section.sensitivity_model, plans_of.bigrams(section)
    yield _measuring(notebook, "trial", model, [(compression, plans_of.trial(section))], terms)
    key = key_of([(bigram_curve, law)], texts=[section.corpus], model=model)
    work = bound(bigram_curve.bigram_curve, model, **law)
    yield Job("measure", notebook, "bigrams", model, size(model), key, work)


def _dynamics(section: TrainingDynamics) -> Iterator[Job]:
    notebook, texts = "05_training_dynamics", [section.corpus, *section.tasks, *section.data_tasks]

    def measured(name: str) -> None:
        dynamics.measure(section, dynamics.grow(section, [name])[0])

    for twin, plan in dynamics.plans(section):
        name, weights = dynamics.run_name(section, twin, plan), _weights(section, plan.build)
        key = key_of([(twins, plan)], texts=[section.corpus])
        grown = Job(
            "grow", notebook, "grow", name, weights, key, bound(dynamics.grow, section, [name]), twin=twin
        )  # fmt: skip
        yield grown
        asked = dynamics.checkpoint_plans(section, twin, texts[1:])
        key = key_of(asked, texts=texts) | {"run": key["plans"], "varied_in_full": section.varied_in_full}
        work = bound(measured, name)
        yield Job("measure", notebook, "checkpoints", name, weights, key, work, (grown.name,), twin=twin)
    first = dynamics.plan(section, "causal", section.seeds[0])
    key = key_of([(sweep, dynamics.sweep_plan(section)), (twins, first)], texts=[section.corpus])
    key |= {"initials": section.initials, "seeds": section.seeds, "classes": [list(one) for one in CLASSES]}
    work = bound(dynamics.untrained, section)
    yield Job("measure", notebook, "untrained", "builds", _weights(section, first.build), key, work)


def _semantic(section: SemanticInformation, learning: TrainingDynamics | None) -> Iterator[Job]:
    notebook, model, terms = "06_semantic_information", section.model, section.accept_terms
    densities = [*plans_of.densities(section), *plans_of.by_context(section)]
    parts = {
        "density": [(information_density, plan) for plan in densities],
        "flow": [(continuations, plans_of.flow(section)), (human_answers, plans_of.people(section))],
        "geometry": [(geometry, plans_of.shape(section))],
    }
    for measurement, asked in parts.items():
        yield _measuring(notebook, measurement, model, asked, terms)
    yield _measuring(notebook, "halves", section.half_model, [(infonce, plans_of.halves(section))], terms)
    asked, copies = [(attention_energy, plans_of.energy(section))], (None, section.seed)
    yield _measuring(notebook, "energy", model, asked, terms, weights=copies)
    plan = plans_of.of_twins(section)

    def measured(twin: str, seed: int) -> None:
        found = prompted.checkpoints(learning, [twin], [seed])
        prompted.costs(learning, found)
        if dynamics.TWINS[twin][1] == "causal":
            prompted.next_tokens(learning, found)
            prompted.gains(found, plan)

    for twin, seed in product(section.twins if learning else (), section.twin_seeds):
        run = dynamics.plan(learning, twin, seed)
        name, weights = dynamics.run_name(learning, twin, run), _weights(learning, run.build)
        costs = dict(dynamics.checkpoint_plans(learning, twin, learning.tasks))[bits_per_byte]
        asked = [(twins, run), (bits_per_byte, costs), (next_token, prompted.next_plan(learning))]
        key = key_of([*asked, (information_density, plan)], texts=[learning.corpus, plan.corpus])
        needs = (f"05.grow.{name}",) if (twin, run) in dynamics.plans(learning) else ()
        work = bound(measured, twin, seed)
        yield Job("measure", notebook, "twins", name, weights, key, work, needs, twin=twin)


def _trained(table: Any) -> set[str]:
    """The models, random copies left out, of a table."""
    return set(table.loc[table["weights"] == "trained", "model"])


def _weights(section: TrainingDynamics, build: Build) -> int:
    """About the number of a twin's weights."""
    return 12 * build.depth * build.width**2 + section.vocabulary * build.width
