"""Models trained from nothing that differ in one thing only: the same text in the same order, steps, size, tokenizer.

Every checkpoint is an ordinary model folder, so that whatever measures a model measures it.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import transformers

from bitskept import store
from bitskept.locks import alone
from bitskept.measure.likelihood import scored_bytes
from bitskept.measure.states import Encoding, batches, cut_as_planned, encode
from bitskept.sources import corpora, models
from bitskept.sources.models import LanguageModel
from bitskept.sources.packages import commit, scratch
from bitskept.sources.seals import SEAL, check, seal
from bitskept.training import byte_pairs
from bitskept.training.builds import CLASSES, Build, network
from bitskept.training.objectives import OBJECTIVES, Learner, Objective
from bitskept.training.schedule import Schedule, in_order

VERSION = 1
"""Raise it when the same plan would give another model."""
CURVE = "curve.json"
HELD_DRAWS = 4
"""Each held-out sentence of the learning curve is asked so many times, with other tokens hidden."""


@dataclass(frozen=True)
class Plan:
    """One run: which network is trained to do what, on which text.

    Of the corpus, in the order drawn by `text_seed`, the first `held_out` sentences are left to measures; the learning
    curve is taken on the last `curve` of these and training takes the `sentences` that follow, as often as the schedule
    needs them. The tokenizer, of at most `vocabulary` types, is learned from all but the held-out sentences, whatever
    training takes of them. `seed` draws the first weights, the order of the data and what is hidden. Plans that differ
    in objective and family alone give twins. `hidden` is the share of tokens that "masked" hides.
    """

    objective: str
    corpus: str
    schedule: Schedule
    sentences: int
    held_out: int
    build: Build = field(default_factory=Build)
    curve: int = 100
    longest: int = 64
    vocabulary: int = 4096
    hidden: float = 0.3
    text_seed: int = 0
    seed: int = 0
    dtype: str = "auto"

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ValueError(f"there is no objective {self.objective!r}: choose one of {', '.join(OBJECTIVES)}")
        if (self.build.family, self.causal) not in CLASSES:
            raise ValueError(
                f"{self.build.family} reads from left to right only: train it as causal, not as {self.objective}"
            )
        if not 1 <= self.curve <= self.held_out:
            raise ValueError(f"the learning curve takes 1 to {self.held_out} (held_out) sentences, not {self.curve}")
        if not 0 < self.hidden < 1:
            raise ValueError(f"hidden must lie between 0 and 1, but is {self.hidden}")
        if self.longest < 3:
            raise ValueError(f"longest must be at least 3, a token between two special ones, but is {self.longest}")

    @property
    def causal(self) -> bool:
        """Whether a token is named from those before it alone."""
        return self.objective == "causal"


@dataclass(frozen=True)
class Twin:
    """A trained twin: `ids`, by step, are for `models.load` and for all that measures; `curve` tells how it learned.

    Columns of the curve: family, objective, seed, step, quantity, estimate, unit. Quantities: `loss`, the objective on
    the batches, in bits per token, and `held_out`, the objective on held-out sentences with the same tokens hidden at
    every step, in bits per byte: -log2 p of "causal", an estimate of its upper bound of "diffusion", and of "masked"
    what its hidden tokens cost, which is no code length.
    """

    ids: dict[int, str]
    curve: pd.DataFrame


def grow(plan: Plan, *, progress: bool = True) -> Twin:
    """Run a plan, or take what it gave before. A run that was killed goes on from its last checkpoint; one that
    another process is at is waited for.

    Diverged, with the last good checkpoint kept, where a gradient is not finite; SourceError where what is there is
    damaged. Other errors as `corpora.load`.
    """
    corpora.fetch(plan.corpus)
    dtype = models.resolve_dtype(plan.dtype, models.resolve_device("auto"))
    vocabulary = {"skipped": plan.held_out, "seed": plan.text_seed}
    key = asdict(plan) | {
        "dtype": dtype,
        "text": corpora.fingerprint(plan.corpus),
        "tokenizer": byte_pairs.digest(plan.corpus, plan.vocabulary, **vocabulary),
    }
    digest = store.digest("twins", VERSION, key)[:12]
    name = f"{plan.build.family}-{plan.objective}-{plan.seed}-{digest}"
    folder, started = store.home() / "models" / "twins" / name, time.perf_counter()
    ids = {step: f"twins/{name}/step-{step}" for step in checkpoints(plan.schedule.steps)}
    parts = [folder / CURVE, *(store.home() / "models" / id for id in ids.values())]
    running = folder.with_name(f"{name}.training")
    if not (found := all(part.exists() for part in parts)) or running.exists():
        if not found:
            store.may_compute(f"the twin {name}")
        with alone(folder, f"the twin {name}"):
            if not (found := all(part.exists() for part in parts)):  # no other process has trained it meanwhile
                words = byte_pairs.of_corpus(plan.corpus, plan.vocabulary, **vocabulary)
                texts = corpora.load(plan.corpus, sentences=plan.held_out + plan.sentences, seed=plan.text_seed)["text"]
                options = {"bfloat16": dtype == "bfloat16", "progress": name if progress else None}
                train_twin(byte_pairs.ready(words, plan.longest), texts, plan, folder, **options)
            shutil.rmtree(running, ignore_errors=True)  # left by a run that was killed at its very end
    store.log("twins", digest, found, time.perf_counter() - started)
    check(folder)
    curve = pd.read_json(folder / CURVE, orient="records")
    facts = {"family": plan.build.family, "objective": plan.objective, "seed": plan.seed}
    return Twin(ids, curve.assign(**facts)[[*facts, "step", "quantity", "estimate", "unit"]])


def checkpoints(steps: int) -> list[int]:
    """The steps after which a twin is kept: 0, 1, 2, 4, ... and the last."""
    return sorted({0, *(2**power for power in range(steps.bit_length())), steps})


def train_twin(
    tokenizer: transformers.PreTrainedTokenizerBase,
    texts: Sequence[str],
    plan: Plan,
    folder: Path,
    *,
    bfloat16: bool = False,
    progress: str | None = None,
) -> None:
    """Train a twin on the texts and write its checkpoints, `step-N`, and its learning curve to `folder`.

    The curve comes last. What the run itself goes on from, if it is killed, lies beside the folder until then. Errors
    as `grow`. The caller holds the lock of the folder.
    """
    from bitskept.training.loop import train  # seconds, for the Trainer

    transformers.utils.logging.disable_progress_bar()  # one for every checkpoint
    model = untrained(tokenizer, plan)
    with cut_as_planned():
        encoding = encode(model, texts)
    objective = Objective(
        plan.objective, encoding, tokenizer, hidden=plan.hidden, batch=plan.schedule.batch, seed=plan.seed
    )
    held = [place for place in range(plan.held_out - plan.curve, plan.held_out) if encoding.measured[place].any()]
    size = sum(scored_bytes(model, [texts[place] for place in held], [encoding.measured[place] for place in held]))
    tokens_per_byte = sum(int(encoding.measured[place].sum()) for place in held) / size
    questions = _questions(objective, encoding, held, draws=1 if plan.causal else HELD_DRAWS)
    learner = Learner(model.network)

    def keep(step: int) -> None:
        if step in kept and not (folder / f"step-{step}").exists():
            with scratch(folder / f"step-{step}") as work:
                for part in (learner.network, tokenizer):
                    part.save_pretrained(work / "model")
                seal(work / "model")
                commit(work / "model", folder / f"step-{step}")

    kept, running = checkpoints(plan.schedule.steps), folder.with_name(f"{folder.name}.training")
    log = train(
        learner,
        data(encoding, plan),
        objective,
        plan.schedule,
        running,
        seed=plan.seed,
        bfloat16=bfloat16,
        measure=lambda: {"held_out": learner.bits_per_token(questions) * tokens_per_byte},
        at_step=keep,
        progress=progress,
    )
    with scratch(folder / CURVE) as work:
        (work / CURVE).write_text(_curve(log).to_json(orient="records"), "utf-8")
        seal(work)
        for name in (SEAL, CURVE):
            commit(work / name, folder / name)
    shutil.rmtree(running, ignore_errors=True)


def untrained(tokenizer: transformers.PreTrainedTokenizerBase, plan: Plan) -> LanguageModel:
    """A twin before its first step; its network has its head."""
    where = models.resolve_device("auto")
    whole = network(plan.build, tokenizer, causal=plan.causal, seed=plan.seed).to(where)
    kind = "decoder" if plan.causal else "encoder"
    return LanguageModel("twin", kind, tokenizer, whole, torch.float32, where, fingerprint="", seed=plan.seed)


def data(encoding: Encoding, plan: Plan) -> list[dict[str, int]]:
    """What is taken of the training sentences, in order: the same for all twins."""
    training = [place for place in range(plan.held_out, len(encoding)) if encoding.measured[place].any()]
    order = in_order(np.array([len(encoding.ids[place]) for place in training]), plan.schedule, seed=plan.seed)
    return [{"sentence": training[index], "draw": draw} for draw, index in enumerate(order)]


def _questions(
    objective: Objective, encoding: Encoding, held: list[int], *, draws: int
) -> list[dict[str, torch.Tensor]]:
    items = [{"sentence": place, "draw": draw} for draw, place in enumerate(np.repeat(held, draws).tolist())]
    groups = batches([len(encoding.ids[item["sentence"]]) for item in items])
    return [objective([items[index] for index in group]) for group in groups]


def _curve(log: Sequence[dict[str, int | float]]) -> pd.DataFrame:
    """The Trainer's records as rows."""
    units = {"loss": "bits per token", "held_out": "bits per byte"}
    rows = []
    for entry in log:
        for quantity in units.keys() & entry.keys():
            value = entry[quantity] / math.log(2) if quantity == "loss" else entry[quantity]
            rows.append({"step": entry["step"], "quantity": quantity, "estimate": value, "unit": units[quantity]})
    return pd.DataFrame(rows).sort_values(["quantity", "step"], ignore_index=True)
