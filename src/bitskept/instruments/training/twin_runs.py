"""The training runs of twins that several notebooks use: parameters, plans and checkpoints.

A **checkpoint** is a twin after some steps. Columns that name it: twin (`TWINS`), seed, size (the width of the
network), amount (training sentences), step, id (what `models.load` takes).
"""

import re
from collections.abc import Sequence
from itertools import product
from typing import Any

import pandas as pd
from pydantic import Field, NonNegativeInt, PositiveInt

from bitskept.base.parallel import each_stored
from bitskept.base.params import Dtype, Name, Strict
from bitskept.instruments.likelihood import bits_per_byte
from bitskept.instruments.training import twins
from bitskept.instruments.training.builds import Build
from bitskept.instruments.training.schedule import Schedule
from bitskept.sources import corpora

NEXT, MASK, BERT, DIFFUSION, STATE_SPACE = "next token", "mask only", "BERT's rule", "diffusion", "state space"
MASKS_ALONE = {"replaced": 0.0, "kept": 0.0}
TWINS: dict[str, tuple[str, str, dict[str, Any]]] = {
    NEXT: ("llama", "causal", {}),
    MASK: ("llama", "masked", MASKS_ALONE),
    BERT: ("llama", "masked", {}),
    DIFFUSION: ("llama", "diffusion", {}),
    STATE_SPACE: ("mamba2", "causal", {}),
    "10 % kept": ("llama", "masked", MASKS_ALONE | {"kept": 0.1}),
    f"{NEXT}, untied": ("llama", "causal", {"tied": False}),
    f"{MASK}, untied": ("llama", "masked", MASKS_ALONE | {"tied": False}),
}
"""The family of each twin, its objective, and what else of its plan is not the usual."""
COLOURS = dict(zip(TWINS, ("C0", "C2", "C1", "C4", "C3", "C5", "C9", "C8"), strict=True))
"""The colour of each twin, the same in every figure."""
HEAD = 32
"""The width of an attention head, whatever the width of the network."""
BETA2 = 0.98
"""Of AdamW, as for the networks that learn a language with a truth: below the usual 0.999, for short runs."""
CURVE = 40
"""Held-out sentences of the cost that is followed during training."""
NAMES = ["twin", "seed", "size", "amount", "step", "id"]


class TwinTraining(Strict):
    """How twins are trained."""

    width: PositiveInt  # of the states
    depth: PositiveInt  # layers
    steps: PositiveInt
    batch: PositiveInt  # rows of text per step
    rate: float = Field(gt=0)  # the highest learning rate
    weight_decay: float = Field(ge=0)
    first_weights: float = Field(gt=0)  # their standard deviation
    hidden: float = Field(gt=0, lt=1)  # share of the tokens that masked training asks for
    corpus: str = Name
    sentences: PositiveInt  # that twins are trained on
    held_out: PositiveInt  # sentences that are left out of training, for measurements
    longest: int = Field(ge=3)  # tokens of a row of text, and of a sentence; longer ones are cut
    vocabulary: PositiveInt  # types of the tokenizer, which is learned from the corpus
    test_sentences: PositiveInt  # held-out sentences for the cost of text
    draws: int = Field(ge=2)  # of hidden tokens, for each of these sentences
    seed: NonNegativeInt  # of the samples of sentences and items
    dtype: Dtype  # of training; measures take float32


def build(training: TwinTraining, family: str = "llama", size: int | None = None) -> Build:
    """The network of a family at a width, by default the middle one."""
    width = size or training.width
    shape = width, training.depth, max(1, width // HEAD), 8 * width // 3
    return Build(family, *shape, initial=training.first_weights)


def plan(
    training: TwinTraining, twin: str, seed: int, *, size: int | None = None, amount: int | None = None
) -> twins.Plan:
    """The plan of one run. Runs of the same seed, size and amount see the same text in the same order."""
    family, objective, unusual = TWINS[twin]
    others = {"weight_decay": training.weight_decay, "beta2": BETA2, "save_every": -(-training.steps // 4)}
    return twins.Plan(
        objective,
        training.corpus,
        Schedule.usual(training.steps, training.batch, training.rate, **others),
        sentences=amount or training.sentences,
        held_out=training.held_out,
        build=build(training, family, size),
        curve=min(CURVE, training.held_out),
        longest=training.longest,
        vocabulary=training.vocabulary,
        hidden=training.hidden,
        text_seed=training.seed,
        seed=seed,
        dtype=training.dtype,
        **unusual,
    )


def is_causal(twin: str) -> bool:
    """Whether a twin predicts the next token."""
    return TWINS[twin][1] == "causal"


def run_name(training: TwinTraining, twin: str, run: twins.Plan) -> str:
    """TWIN-SEED, with the width and the number of sentences if they differ from those of `training`, and letters,
    digits and hyphens alone.
    """
    name = re.sub(r"\W+", "-", f"{twin} {run.seed}")
    name += f"-width{run.build.width}" if run.build.width != training.width else ""
    return name + (f"-sentences{run.sentences}" if run.sentences != training.sentences else "")


def weights(training: TwinTraining, run: twins.Plan) -> int:
    """The approximate number of a twin's weights."""
    return 12 * run.build.depth * run.build.width**2 + training.vocabulary * run.build.width


def tokens_seen(run: twins.Plan) -> int:
    """How many tokens a run is trained on, those that it sees again among them."""
    return run.schedule.steps * run.schedule.batch * run.longest


def passes(run: twins.Plan) -> float:
    """How often a run sees each row of its text (`twins.joined`)."""
    texts = corpora.load(run.corpus, sentences=run.held_out + run.sentences, seed=run.text_seed)["text"][run.held_out :]
    tokens = sum(map(len, twins.tokenizer(run)(texts, truncation=True, max_length=run.longest)["input_ids"]))
    return run.schedule.steps * run.schedule.batch / max(1, tokens // run.longest)


def train(training: TwinTraining, wanted: Sequence[tuple[str, twins.Plan]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The checkpoints (columns `NAMES`) and learning curves (`twins.Twin`) of these runs; missing ones are trained now.
    Errors as `twins.grow`.
    """
    corpora.fetch(training.corpus)
    plans = [plan for _, plan in wanted]
    twins.tokenizer(plans[0])  # before many processes ask for it at once
    trained = each_stored(twins.grow, plans, is_stored=twins.is_trained, cost=_cost, progress="twins")
    checkpoints, curves = [], []
    for (twin, run), made in zip(wanted, trained, strict=True):
        facts = {"twin": twin, "seed": run.seed, "size": run.build.width, "amount": run.sentences}
        checkpoints += [facts | {"step": step, "id": id} for step, id in made.ids.items()]
        curves.append(made.curve.assign(**facts))
    return pd.DataFrame(checkpoints, columns=NAMES), pd.concat(curves, ignore_index=True)


def trained(training: TwinTraining, wanted: Sequence[tuple[str, twins.Plan]]) -> list[str]:
    """The ids of these runs after their last step; missing ones are trained now. Errors as `twins.grow`."""
    table = train(training, wanted)[0]
    return table.loc[table["step"] == training.steps, "id"].tolist()


def _cost(run: twins.Plan) -> int:
    """The relative time of a run. A state-space model without special kernels takes four times as long."""
    return run.build.width**2 * (4 if run.build.family == "mamba2" else 1)


def checkpoints(training: TwinTraining, names: Sequence[str], seeds: Sequence[int]) -> pd.DataFrame:
    """The checkpoints of these twins of the middle size: twin, seed, step, id. Missing runs are trained now."""
    wanted = [(name, plan(training, name, seed)) for name, seed in product(names, seeds)]
    return train(training, wanted)[0][["twin", "seed", "step", "id"]]


def cost_plan(training: TwinTraining, twin: str) -> bits_per_byte.Plan:
    """How the cost of held-out text is measured: for twins that predict hidden tokens by an upper bound, loose for
    masked ones.
    """
    way = "likelihood" if is_causal(twin) else "diffusion"
    options = {"longest": training.longest, "seed": training.seed, "dtype": "float32"}
    return bits_per_byte.Plan(training.corpus, training.test_sentences, way, training.draws, **options)
