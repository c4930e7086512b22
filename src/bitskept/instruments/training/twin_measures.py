"""Measurements of all checkpoints of twins, on text and on prompts, in one table with the columns `FACTS`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import pandas as pd

from bitskept.instruments.job import Job, key_of
from bitskept.instruments.likelihood import bits_per_byte, hidden_token, information_density, next_token
from bitskept.instruments.measurement import Measurement
from bitskept.instruments.training import twin_runs, twins
from bitskept.instruments.training.twin_runs import TwinTraining, checkpoints, cost_plan
from bitskept.sources import prompts

FACTS = ["twin", "seed", "step"]
COUNTED = 2000
"""The most sentences in which tokens are counted, for what they cost by their frequency."""
DRAWS = 4
"""Draws of the hidden tokens of a sentence."""


def jobs(
    notebook: str,
    training: TwinTraining,
    twin: str,
    seeds: Sequence[int],
    measurements: Sequence[tuple[str, int, Any]],
    work: Callable[..., object],
    *,
    texts: Sequence[str] = (),
    **options: Any,
) -> Iterator[Job]:
    """A notebook's jobs on the runs of a twin, one per seed: `work(training, [twin], [seed], **options)`, after
    notebook 05 has trained the twin. `measurements` and `texts` enter the key along with those of the training
    (`key_of`).
    """
    for seed in seeds:
        run = twin_runs.plan(training, twin, seed)
        name, weights = twin_runs.run_name(training, twin, run), twin_runs.weights(training, run)
        key = key_of([("twins", twins.VERSION, run), *measurements], texts=[training.corpus, *texts])
        done = partial(work, training, [twin], [seed], **options)
        yield Job("measure", notebook, "twins", name, weights, key, done, (f"05.grow.{name}",), twin=twin)


def next_tokens_of(training: TwinTraining, names: Sequence[str], seeds: Sequence[int]) -> pd.DataFrame:
    """The information of the context about the next token (`next_token.QUANTITIES`) on held-out text, for all
    checkpoints of these causal twins, which are trained now if they are missing.
    """
    trained = checkpoints(training, names, seeds)
    return _measured(next_token.measure, trained, [next_plan(training)] * len(trained))


def next_plan(training: TwinTraining) -> next_token.Plan:
    """Held-out sentences, with tokens counted in others."""
    options = {"longest": training.longest, "seed": training.seed, "dtype": "float32"}
    sentences = min(training.held_out, training.test_sentences)
    return next_token.Plan(training.corpus, sentences, min(training.sentences, COUNTED), **options)


def gain_of(training: TwinTraining, twin: str, hidden: float) -> tuple[Measurement, next_token.Plan]:
    """The measurement of what a twin saves of its tokens' cost by frequency, and its plan: of all tokens if it predicts
    the next one, else of a share `hidden` of them that is behind masks.
    """
    plan = next_plan(training)
    if twin_runs.is_causal(twin):
        return next_token.measure, plan
    return hidden_token.measure, hidden_token.Plan(**asdict(plan), hidden=hidden, draws=DRAWS)


def architectures(
    training: TwinTraining, names: Sequence[str], seeds: Sequence[int], plan: information_density.Plan
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`costs` of all checkpoints of these twins, and `gains` of the causal ones, which predict token by token."""
    trained = checkpoints(training, names, seeds)
    causal = trained[trained["twin"].map(twin_runs.is_causal)].reset_index(drop=True)
    return costs(training, trained), gains(causal, plan) if len(causal) else pd.DataFrame()


def costs(training: TwinTraining, trained: pd.DataFrame) -> pd.DataFrame:
    """Bits per byte of held-out text of these checkpoints: exact for twins that predict the next token, an
    upper bound for those that predict hidden ones.
    """
    return _measured(bits_per_byte.measure, trained, [cost_plan(training, twin) for twin in trained["twin"]])


def gains(trained: pd.DataFrame, plan: information_density.Plan) -> pd.DataFrame:
    """`information_density.gains` of these checkpoints of causal twins."""
    prompts.fetch(plan.corpus)
    table = _measured(information_density.measure, trained, [replace(plan, dtype="float32")] * len(trained))
    parts = []
    for facts, rows in table.groupby(FACTS, sort=False):
        densities = rows.drop(columns=[*FACTS, "id"]).rename(columns={"of": "seed"})
        gained = information_density.gains(densities).drop(columns="seed")
        parts.append(gained.assign(**dict(zip(FACTS, facts, strict=True))))
    return pd.concat(parts, ignore_index=True)


def _measured(measure: Measurement, trained: pd.DataFrame, plans: Sequence[object]) -> pd.DataFrame:
    tables = measure.each([(id, plan, None) for id, plan in zip(trained["id"], plans, strict=True)])
    # Checkpoints have no seed of random weights: their column is used for the seed of training.
    runs = zip(tables, trained.to_dict("records"), strict=True)
    return pd.concat([table.rename(columns={"seed": "of"}).assign(**run) for table, run in runs], ignore_index=True)
