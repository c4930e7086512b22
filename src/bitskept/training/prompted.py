"""The twins of notebook 05 under the measures of notebook 06: the same checkpoints, by their ids, on the same axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from bitskept.measure import bits_per_byte, information_density, next_token
from bitskept.measure.states import cut_as_planned
from bitskept.parallel import each_stored
from bitskept.params import TrainingDynamics
from bitskept.sources import prompts
from bitskept.training import dynamics

FACTS = ["twin", "seed", "step"]
MEASURES = {"bits_per_byte": bits_per_byte, "next_token": next_token, "density": information_density}


def checkpoints(
    section: TrainingDynamics, names: Sequence[str], seeds: Sequence[int], *, progress: bool = True
) -> pd.DataFrame:
    """The checkpoints of these twins: columns twin, seed, step, id. Where notebook 05 was run, they are there; else
    they are trained now, as it would. Errors as `twins.grow`.
    """
    wanted = [(name, dynamics.plan(section, name, seed)) for name in names for seed in seeds]
    found, _ = dynamics.train(section, wanted, progress=progress)
    return found[[*FACTS, "id"]]


def costs(section: TrainingDynamics, found: pd.DataFrame, *, progress: bool = True) -> pd.DataFrame:
    """Bits per byte of held-out text, as in notebook 05: exact for causal ones, a bound for those that fill in."""
    return _all("bits_per_byte", found, [dynamics.cost_plan(section, twin) for twin in found["twin"]], progress)


def next_tokens(section: TrainingDynamics, found: pd.DataFrame, *, progress: bool = True) -> pd.DataFrame:
    """What the context tells of the next token (`next_token.QUANTITIES`) on held-out text, of causal twins."""
    return _all("next_token", found, [next_plan(section)] * len(found), progress)


def next_plan(section: TrainingDynamics) -> next_token.Plan:
    """Held-out sentences, and tokens counted in those of training."""
    held = dynamics.held_out(section)
    options = {"longest": section.longest, "seed": section.seed, "dtype": "float32"}
    return next_token.Plan(section.corpus, min(held, section.test_sentences), section.sentences, **options)


def gains(
    found: pd.DataFrame, plan: information_density.Plan, *, replicates: int = 1000, progress: bool = True
) -> pd.DataFrame:
    """`information_density.gains` of each checkpoint of causal twins."""
    prompts.fetch(plan.corpus)
    table = _all("density", found, [replace(plan, dtype="float32")] * len(found), progress)
    parts = []
    for facts, rows in table.groupby(FACTS, sort=False):
        own = rows.drop(columns=[*FACTS, "id"]).rename(columns={"of": "seed"})
        gained = information_density.gains(own, replicates=replicates).drop(columns="seed")
        parts.append(gained.assign(**dict(zip(FACTS, facts, strict=True))))
    return pd.concat(parts, ignore_index=True)


def _all(measure: str, found: pd.DataFrame, plans: Sequence[object], progress: bool) -> pd.DataFrame:
    jobs = [(measure, id, plan) for id, plan in zip(found["id"], plans, strict=True)]
    tables = each_stored(_measure, jobs, progress=measure.replace("_", " ") if progress else None)
    runs = found.to_dict("records")
    # Checkpoints have no seed of random weights; the seed of their training takes its column.
    parts = [table.rename(columns={"seed": "of"}).assign(**run) for table, run in zip(tables, runs, strict=True)]
    return pd.concat(parts, ignore_index=True)


@cut_as_planned()
def _measure(job: tuple[str, str, object]) -> pd.DataFrame:
    measure, id, plan = job
    return MEASURES[measure].measure(id, plan, progress=False)
