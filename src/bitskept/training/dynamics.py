"""The twins of notebook 05: which are grown, and every checkpoint measured in the same way, in one long table.

A **checkpoint** is a twin after some steps. Columns that name it: twin (`TWINS`), seed, size (the width of the
network), amount (sentences of training), step, id (what `models.load` takes).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from tokenizers import Tokenizer

from bitskept import store
from bitskept.measure import bits_per_byte, compression, effective_rank, scores, sweep, understanding
from bitskept.measure.states import cut_as_planned
from bitskept.parallel import each_stored
from bitskept.params import TrainingDynamics
from bitskept.sources import corpora, tasks
from bitskept.training import byte_pairs, twins
from bitskept.training.builds import CLASSES, Build
from bitskept.training.comparison import weights
from bitskept.training.schedule import Schedule

TWINS = {
    "causal": ("llama", "causal"),
    "masked": ("llama", "masked"),
    "diffusion": ("llama", "diffusion"),
    "state-space": ("mamba2", "causal"),
}
"""Family and objective of each."""
HEAD = 48
"""Width of an attention head, at every size."""
NAMES = ["twin", "seed", "size", "amount", "step", "id"]
COLUMNS = [*NAMES, "layer", "probe", "k", "quantity", "estimate", "low", "high", "unit"]
SWEPT = ("entropy", "cross_entropy_bound", "retained_cross_entropy", "forgetting", "late_forgetting", "rise")
COMPRESSED = (
    *("soft_entropy", "complexity", "expressivity", "optimality"),
    *("complexity_corrected", "expressivity_corrected", "optimality_corrected", "unique_input"),
)
RANKED = ("rankme", "rankme_singular", "alpha_req")


def held_out(section: TrainingDynamics) -> int:
    """Sentences that training leaves to the measures, which draw them from the same order."""
    return max(section.train_sentences + section.validation_sentences + section.test_sentences, section.soft_sentences)


def build(section: TrainingDynamics, family: str = "llama", size: int | None = None) -> Build:
    """The network of a family at a width, by default the middle one."""
    width = size or section.width
    return Build(family, width, section.depth, width // HEAD, 8 * width // 3)


def plan(
    section: TrainingDynamics, twin: str, seed: int, *, size: int | None = None, amount: int | None = None
) -> twins.Plan:
    """The plan of one run. Those of one seed, size and amount see the same text in the same order."""
    family, objective = TWINS[twin]
    others = {"weight_decay": section.weight_decay, "save_every": -(-section.steps // 4)}
    schedule = Schedule.usual(section.steps, section.batch, section.rate, **others)
    return twins.Plan(
        objective,
        section.corpus,
        schedule,
        sentences=amount or section.sentences,
        held_out=held_out(section),
        build=build(section, family, size),
        curve=section.test_sentences,
        longest=section.longest,
        vocabulary=section.vocabulary,
        hidden=section.hidden,
        text_seed=section.seed,
        seed=seed,
        dtype=section.dtype,
    )


def plans(section: TrainingDynamics) -> Iterator[tuple[str, twins.Plan]]:
    """Name and plan of every run: all twins of the middle size on all the text, then other sizes and amounts."""
    for twin, seed in product(section.twins, section.seeds):
        yield twin, plan(section, twin, seed)
    for twin, seed in product(section.varied, section.varied_seeds):
        for size in section.other_widths:
            yield twin, plan(section, twin, seed, size=size)
        for amount in section.other_sentences:
            yield twin, plan(section, twin, seed, amount=amount)


def run_name(section: TrainingDynamics, twin: str, plan: twins.Plan) -> str:
    """TWIN-SEED, with what differs from the middle size on all the text."""
    name = f"{twin}-{plan.seed}"
    name += f"-width{plan.build.width}" if plan.build.width != section.width else ""
    return name + (f"-sentences{plan.sentences}" if plan.sentences != section.sentences else "")


def grow(
    section: TrainingDynamics, names: Sequence[str] = (), *, progress: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train all runs, or those named (`run_name`, or a twin for all of its runs), or take what is there: the
    checkpoints (columns `NAMES`) and the learning curves, as `twins.Twin` has them, with the same names.
    """
    every = list(plans(section))
    wanted = [one for one in every if not names or {one[0], run_name(section, *one)} & set(names)]
    return train(section, wanted, progress=progress)


def train(
    section: TrainingDynamics, wanted: Sequence[tuple[str, twins.Plan]], *, progress: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`grow` of these twins and plans. Errors as `twins.grow`."""
    corpora.fetch(section.corpus)
    _tokenizer(section)  # before many ask for it at once
    grown = each_stored(_grow, [one for _, one in wanted], cost=_cost, progress="twins" if progress else None)
    checkpoints, curves = [], []
    for (twin, one), made in zip(wanted, grown, strict=True):
        facts = {"twin": twin, "seed": one.seed, "size": one.build.width, "amount": one.sentences}
        checkpoints += [facts | {"step": step, "id": id} for step, id in made.ids.items()]
        curves.append(made.curve.assign(**facts))
    return pd.DataFrame(checkpoints, columns=NAMES), pd.concat(curves, ignore_index=True)


def effort(checkpoints: pd.DataFrame, section: TrainingDynamics) -> pd.DataFrame:
    """What each twin was given: its runs, parameters, steps, and how often it saw its sentences."""
    last = checkpoints[checkpoints["step"] == section.steps].reset_index(drop=True)
    last["parameters"] = [weights(id) for id in last["id"]]
    last["steps"], last["passes"] = section.steps, section.steps * section.batch / last["amount"]
    same = ["twin", "size", "amount", "parameters", "steps", "passes"]
    return last.groupby(same, sort=False).size().rename("runs").reset_index()


def middle(table: pd.DataFrame, section: TrainingDynamics) -> pd.DataFrame:
    """The rows of the twins of the middle size that were trained on all the text."""
    return table[(table["size"] == section.width) & (table["amount"] == section.sentences)]


def measure(
    section: TrainingDynamics, checkpoints: pd.DataFrame, *, progress: bool = True
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Every checkpoint through the same measures: recoverability by layer, soft entropy with its floor, bits per byte,
    effective rank, and what it understands. The long table (`COLUMNS`; missing where a quantity has no such thing), and
    why tasks were left out. Of the twins of other sizes and amounts only the last, unless `varied_in_full`.
    """
    here, left_out = tasks.available(section.tasks, section.data_tasks)
    if not section.varied_in_full:
        several = checkpoints.index.isin(middle(checkpoints, section).index)
        checkpoints = checkpoints[several | (checkpoints["step"] == section.steps)]
    jobs = [(section, run.twin, run.id, here) for run in checkpoints.itertuples()]
    measured = each_stored(_measure, jobs, progress="checkpoints" if progress else None)
    swept, soft, cost, ranks, scored = (_one_below_the_other(tables) for tables in zip(*measured, strict=True))
    parts = [
        swept[swept["quantity"].isin(SWEPT) & (swept["reading"] == "token")],
        soft[soft["quantity"].isin(COMPRESSED)].rename(columns={"width": "k"}),
        cost,
        ranks[ranks["quantity"].isin(RANKED)],
        scored.assign(quantity=scored["task"] + " " + scored["quantity"], layer=pd.NA),
    ]
    rows = pd.concat([part.drop(columns=NAMES, errors="ignore") for part in parts]).sort_values("run", kind="stable")
    table = rows.join(checkpoints.reset_index(drop=True), on="run").reset_index(drop=True)
    return table[COLUMNS].astype({"layer": "Int64", "k": "Int64"}), left_out


def targets(table: pd.DataFrame) -> list[str]:
    """What a checkpoint can do: what a byte costs it, and its scores."""
    return [name for name in table["quantity"].unique() if name in bits_per_byte.QUANTITIES or " " in name]


def untrained(section: TrainingDynamics, *, progress: bool = True) -> pd.DataFrame:
    """What networks of each build keep before their first step: the rows of the layer sweep, with family, causal,
    initial (the scale of the first weights) and seed.
    """
    builds = [
        (section, family, causal, initial, seed)
        for (family, causal), initial, seed in product(CLASSES, section.initials, section.seeds)
    ]
    return pd.concat(each_stored(_untrained, builds, progress="untrained" if progress else None), ignore_index=True)


def sweep_plan(section: TrainingDynamics) -> sweep.Plan:
    """The layer sweep of a checkpoint, on sentences that no twin was trained on."""
    sizes = section.train_sentences, section.validation_sentences, section.test_sentences
    return sweep.Plan(
        section.corpus, *sizes, seed=section.seed, dtype="float32", shuffled=False, longest=section.longest
    )


def _tokenizer(section: TrainingDynamics) -> Tokenizer:
    return byte_pairs.of_corpus(section.corpus, section.vocabulary, skipped=held_out(section), seed=section.seed)


def _grow(one: twins.Plan) -> twins.Twin:
    return twins.grow(one, progress=False)


def _cost(one: twins.Plan) -> int:
    """What a run takes, next to the others: its weights, and what a state-space model takes without its own kernels."""
    return one.build.width**2 * (4 if one.build.family == "mamba2" else 1)


def cost_plan(section: TrainingDynamics, twin: str) -> bits_per_byte.Plan:
    """What held-out text costs a twin. Those that name hidden tokens are asked as diffusion models, which bounds their
    bits, masked twins' loosely.
    """
    way = "likelihood" if TWINS[twin][1] == "causal" else "diffusion"
    options = {"longest": section.longest, "seed": section.seed, "dtype": "float32"}
    return bits_per_byte.Plan(section.corpus, section.test_sentences, way, section.draws, **options)


def checkpoint_plans(section: TrainingDynamics, twin: str, here: Sequence[str]) -> list[tuple[ModuleType, Any]]:
    """What is asked of each checkpoint of a twin, given these tasks: what measures, and by which plan."""
    corpus = section.corpus
    options = {"longest": section.longest, "seed": section.seed, "dtype": "float32"}
    instruments = (compression.Instrument(section.anchors),)
    soft = compression.Plan(
        corpus, (section.soft_sentences,), tuple(section.widths), instruments=instruments, **options
    )
    asked = understanding.Plan(tuple(here), (-1,), items=section.items, seed=section.seed, dtype="float32")
    return [
        (sweep, sweep_plan(section)),
        (compression, soft),
        (bits_per_byte, cost_plan(section, twin)),
        (effective_rank, effective_rank.Plan(corpus, section.soft_sentences, **options)),
        (understanding, asked),
    ]


@cut_as_planned()
def _measure(job: tuple[TrainingDynamics, str, str, list[str]]) -> list[pd.DataFrame]:
    section, twin, id, here = job
    plans = checkpoint_plans(section, twin, here)
    *tables, answers = (module.measure(id, one, progress=False) for module, one in plans)
    return [*tables, scores.kept_scores(answers, seed=section.seed)]


def _one_below_the_other(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The tables of the runs as one, with the place of the run in the column `run`."""
    places = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    return pd.concat(tables, ignore_index=True).assign(run=places)


@cut_as_planned()
def _untrained(job: tuple[TrainingDynamics, str, bool, float, int]) -> pd.DataFrame:
    section, family, causal, initial, seed = job
    first = plan(section, "causal" if causal else "masked", seed)
    one = replace(first, build=replace(build(section, family), initial=initial))
    key = {
        "build": asdict(one.build),
        "causal": causal,
        "seed": seed,
        "plan": asdict(sweep_plan(section)),
        "text": corpora.fingerprint(section.corpus),
        "tokenizer": byte_pairs.digest(
            section.corpus, section.vocabulary, skipped=held_out(section), seed=section.seed
        ),
    }

    def compute() -> pd.DataFrame:
        model = twins.untrained(byte_pairs.ready(_tokenizer(section), section.longest), one)
        model = replace(model, network=model.network.base_model.eval())
        texts = corpora.load(section.corpus, sentences=held_out(section), seed=section.seed)
        return sweep.sweep(model, texts["text"], texts["domain"], sweep_plan(section))

    table = store.stored("untrained", 1, key, compute)
    facts = {"family": family, "causal": causal, "initial": initial, "seed": seed}
    rows = table[table["quantity"].isin(SWEPT) & (table["reading"] == "token")].assign(**facts)
    return rows[[*facts, "layer", "probe", "quantity", "estimate", "low", "high", "unit"]]
