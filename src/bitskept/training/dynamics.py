"""The twins of notebook 05: which are grown, and every checkpoint measured in the same way, in one long table.

A **checkpoint** is a twin after some steps. Columns that name it: twin (`TWINS`), seed, size (the width of the
network), amount (sentences of training), step, id (what `models.load` takes).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import product

import pandas as pd
from tokenizers import Tokenizer

from bitskept import store
from bitskept.measure import bits_per_byte, compression, effective_rank, scores, sweep, understanding
from bitskept.parallel import each
from bitskept.params import TrainingDynamics
from bitskept.sources import corpora, tasks
from bitskept.sources.packages import SourceError
from bitskept.training import byte_pairs, twins
from bitskept.training.builds import CLASSES, Build
from bitskept.training.comparison import weights
from bitskept.training.loop import Schedule

TWINS = {
    "causal": ("llama", "causal"),
    "masked": ("llama", "masked"),
    "diffusion": ("llama", "diffusion"),
    "state-space": ("mamba2", "causal"),
}
"""Family and objective of each."""
HEAD = 48
"""Width of an attention head, at every size."""
MEASURES = 8
"""The learning curve is taken so often."""
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
    schedule = Schedule(
        section.steps,
        section.batch,
        section.rate,
        warmup=-(-section.steps // 20),
        weight_decay=section.weight_decay,
        save_every=-(-section.steps // 4),
        measure_every=-(-section.steps // MEASURES),
    )
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


def grow(
    section: TrainingDynamics, names: Sequence[str] = (), *, progress: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train all runs, or those of the twins named, or take what is there: the checkpoints (columns `NAMES`) and the
    learning curves, as `twins.Twin` has them, with the same names.
    """
    wanted = [(twin, one) for twin, one in plans(section) if not names or twin in names]
    corpora.fetch(section.corpus)
    _tokenizer(section)  # before many ask for it at once
    grown = each(_grow, [one for _, one in wanted], cost=_cost, progress="twins" if progress else None)
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
    here, left_out = available(section)
    if not section.varied_in_full:
        several = checkpoints.index.isin(middle(checkpoints, section).index)
        checkpoints = checkpoints[several | (checkpoints["step"] == section.steps)]
    jobs = [(section, run, here) for run in checkpoints.to_dict("records")]
    tables = each(_measure, jobs, progress="checkpoints" if progress else None)
    return pd.concat(tables, ignore_index=True), left_out


def targets(table: pd.DataFrame) -> list[str]:
    """What a checkpoint can do: what a byte costs it, and its scores."""
    return [name for name in table["quantity"].unique() if name in bits_per_byte.QUANTITIES or " " in name]


def available(section: TrainingDynamics) -> tuple[list[str], dict[str, str]]:
    """The tasks that are here: all `tasks`, and those `data_tasks` that can be had; and why the others cannot."""
    here, left_out = list(section.tasks), {}
    for task in section.tasks:
        tasks.fetch(task)
    for task in section.data_tasks:
        try:
            tasks.fetch(task)
            here.append(task)
        except SourceError as error:
            left_out[task] = str(error)
    return here, left_out


def untrained(section: TrainingDynamics, *, progress: bool = True) -> pd.DataFrame:
    """What networks of each build keep before their first step: the rows of the layer sweep, with family, causal,
    initial (the scale of the first weights) and seed.
    """
    builds = [
        (section, family, causal, initial, seed)
        for (family, causal), initial, seed in product(CLASSES, section.initials, section.seeds)
    ]
    return pd.concat(each(_untrained, builds, progress="untrained" if progress else None), ignore_index=True)


def sweep_plan(section: TrainingDynamics) -> sweep.Plan:
    """The layer sweep of a checkpoint, on sentences that no twin was trained on."""
    sizes = section.train_sentences, section.validation_sentences, section.test_sentences
    return sweep.Plan(
        section.corpus, *sizes, seed=section.seed, dtype="float32", shuffled=False, longest=section.longest
    )


@contextmanager
def _cut_as_planned() -> Iterator[None]:
    """Without warnings that sentences are cut: the plan says where."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* sentences are longer than", UserWarning)
        yield


def _tokenizer(section: TrainingDynamics) -> Tokenizer:
    return byte_pairs.of_corpus(section.corpus, section.vocabulary, skipped=held_out(section), seed=section.seed)


def _grow(one: twins.Plan) -> twins.Twin:
    return twins.grow(one, progress=False)


def _cost(one: twins.Plan) -> int:
    """What a run takes, next to the others: its weights, and what a state-space model takes without its own kernels."""
    return one.build.width**2 * (4 if one.build.family == "mamba2" else 1)


@_cut_as_planned()
def _measure(job: tuple[TrainingDynamics, dict[str, object], list[str]]) -> pd.DataFrame:
    section, run, here = job
    id, corpus, causal = run["id"], section.corpus, TWINS[run["twin"]][1] == "causal"
    options = {"longest": section.longest, "seed": section.seed, "dtype": "float32"}
    swept = sweep.measure(id, sweep_plan(section), progress=False)
    instruments = (compression.Instrument(section.anchors),)
    soft = compression.Plan(
        corpus, (section.soft_sentences,), tuple(section.widths), instruments=instruments, **options
    )
    # Those that name hidden tokens are asked as diffusion models, which bounds their bits, masked twins loosely.
    cost = bits_per_byte.Plan(
        corpus, section.test_sentences, "likelihood" if causal else "diffusion", section.draws, **options
    )
    ranks = effective_rank.Plan(corpus, section.soft_sentences, **options)
    asked = understanding.Plan(tuple(here), (-1,), items=section.items, seed=section.seed, dtype="float32")
    parts = [
        swept[swept["quantity"].isin(SWEPT) & (swept["reading"] == "token")],
        compression.measure(id, soft, progress=False).query("quantity in @COMPRESSED").rename(columns={"width": "k"}),
        bits_per_byte.measure(id, cost, progress=False),
        effective_rank.measure(id, ranks, progress=False).query("quantity in @RANKED"),
        _scores(understanding.measure(id, asked, progress=False), section.seed),
    ]
    table = pd.concat([part.drop(columns="seed", errors="ignore").assign(**run) for part in parts], ignore_index=True)
    return table.reindex(columns=COLUMNS).astype({"layer": "Int64", "k": "Int64"})


def _scores(outcomes: pd.DataFrame, seed: int) -> pd.DataFrame:
    table = scores.scores(outcomes, seed=seed)
    return table.assign(quantity=table["task"] + " " + table["quantity"]).drop(columns="layer")


@_cut_as_planned()
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
