"""Models trained from random weights that differ in one thing only: the same text in the same order, steps, size and
tokenizer.

Every checkpoint is an ordinary model folder, so every measurement of a model works on it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging

from bitskept.base.files import commit, scratch
from bitskept.instruments.likelihood.text_bytes import scored_bytes
from bitskept.instruments.states import Encoding, cut_as_planned, encode
from bitskept.instruments.training import byte_pairs
from bitskept.instruments.training.builds import Build, class_name, network
from bitskept.instruments.training.objectives import Learner, Objective
from bitskept.instruments.training.schedule import Schedule, check_run, training_items
from bitskept.instruments.training.stored_runs import CURVE, Run, checkpoint_folder, write_curve, write_sealed
from bitskept.sources import corpora
from bitskept.sources.language_model import LanguageModel
from bitskept.sources.precision import resolve_device, resolve_dtype
from bitskept.sources.seals import SEAL, seal

VERSION = 2
"""Raise it when the same plan would give another model."""
OBJECTIVES = ("causal", "masked", "diffusion")
HELD_DRAWS = 4
"""Draws of hidden tokens for each held-out sentence of the learning curve."""


@dataclass(frozen=True)
class Plan:
    """One run: the network, its objective and its text.

    Of the corpus, in the order drawn by `text_seed`, training leaves out the first `held_out` sentences, for
    measurements, and takes the `sentences` that follow, joined and cut into rows of `longest` tokens (`joined`), as
    often as the schedule needs them; the learning curve is measured on the last `curve` of those held out. The
    tokenizer, of at most `vocabulary` types, is learned from all sentences that are not held out. `seed` draws the
    initial weights, the order of the data and the hidden tokens.

    `hidden` is the share of tokens that "masked" asks for, and of these `replaced` become another token and `kept` stay
    as they are (`masking.hide`). The output of a `tied` network reads with the table of the inputs. Plans that differ
    only in such things are twins.
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
    replaced: float = 0.1
    kept: float = 0.1
    tied: bool = True
    text_seed: int = 0
    seed: int = 0
    dtype: str = "auto"

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ValueError(f"there is no objective {self.objective!r}: choose one of {', '.join(OBJECTIVES)}")
        class_name(self.build.family, causal=self.causal)
        check_run(self.curve, self.held_out, self.hidden)
        if self.longest < 3:
            raise ValueError(f"longest must be at least 3, a token between two special ones, but is {self.longest}")

    @property
    def causal(self) -> bool:
        """Whether a token is predicted only from those before it."""
        return self.objective == "causal"


@dataclass(frozen=True)
class Twin:
    """A trained twin: `ids`, by step, for `models.load` and all measurements, and its learning `curve`.

    Columns of the curve: step, quantity, estimate, unit. Quantities: `loss`, the objective on the batches, in bits per
    token, and `held_out`, the objective on held-out sentences, in bits per byte, with the same tokens hidden at every
    step: -log2 p for "causal", an estimate of an upper bound on it for "diffusion", and for "masked" the cost of the
    hidden tokens, which is not a code length.
    """

    ids: dict[int, str]
    curve: pd.DataFrame


def grow(plan: Plan) -> Twin:
    """The twin of a plan, trained now if it is missing. A run that was killed is continued.

    Errors as `loop.train` and `corpora.load`; SourceError where the twin is damaged.
    """
    run = _run(plan)

    def train(folder: Path) -> None:
        texts = corpora.load(plan.corpus, sentences=plan.held_out + plan.sentences, seed=plan.text_seed)["text"]
        train_twin(tokenizer(plan), texts, plan, folder, bfloat16=run.key["dtype"] == "bfloat16")

    curve = run.curve(train)
    return Twin({step: f"{run.id}/step-{step}" for step in checkpoints(plan.schedule.steps)}, curve)


def is_trained(plan: Plan) -> bool:
    """Whether all checkpoints of a plan's twin exist."""
    return _run(plan).is_finished()


def tokenizer(plan: Plan) -> PreTrainedTokenizerBase:
    """The tokenizer of a twin; plans of the same text have the same one."""
    words = byte_pairs.of_corpus(plan.corpus, plan.vocabulary, skipped=plan.held_out, seed=plan.text_seed)
    return byte_pairs.ready(words, plan.longest)


def _run(plan: Plan) -> Run:
    corpora.fetch(plan.corpus)
    key = asdict(plan) | {
        "dtype": resolve_dtype(plan.dtype),
        "text": corpora.fingerprint(plan.corpus),
        "tokenizer": byte_pairs.digest(plan.corpus, plan.vocabulary, skipped=plan.held_out, seed=plan.text_seed),
    }
    parts = [CURVE, *(f"step-{step}" for step in checkpoints(plan.schedule.steps))]
    return Run("twins", VERSION, key, f"twins/{plan.build.family}-{plan.objective}-{plan.seed}", parts)


def checkpoints(steps: int) -> list[int]:
    """The steps after which a twin is saved: 0, 2, 4, 8, ... and the last. The first step changes nothing, as the rate
    rises from 0.
    """
    return sorted({0, *(2**power for power in range(1, steps.bit_length())), steps})


def train_twin(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], plan: Plan, folder: Path, *, bfloat16: bool = False
) -> None:
    """Train a twin on the texts and write its checkpoints, `step-N`, and finally its learning curve to `folder`.

    The caller holds the lock of the folder. Errors as `grow`.
    """
    from bitskept.instruments.training.loop import train

    logging.disable_progress_bar()  # otherwise there is one for every checkpoint
    model = untrained(tokenizer, plan)
    with cut_as_planned():
        encoding = joined(encode(model, texts), plan)
    options = {"types": len(tokenizer), "batch": plan.schedule.batch, "seed": plan.seed}
    shares = {"hidden": plan.hidden, "replaced": plan.replaced, "kept": plan.kept}
    objective = Objective(plan.objective, encoding, tokenizer, **options, **shares)
    held_out = [place for place in range(plan.held_out - plan.curve, plan.held_out) if encoding.measured[place].any()]
    draws = np.repeat(held_out, 1 if plan.causal else HELD_DRAWS).tolist()
    curve_batches = objective.batches([{"sentence": place, "draw": draw} for draw, place in enumerate(draws)])
    measured = [encoding.measured[place] for place in held_out]
    size = sum(scored_bytes(model, [texts[place] for place in held_out], measured))
    tokens_per_byte = sum(int(tokens.sum()) for tokens in measured) / size
    learner, saved = Learner(model.network), checkpoints(plan.schedule.steps)

    def save(target: Path) -> None:
        learner.network.save_pretrained(target)
        tokenizer.save_pretrained(target)

    def keep(step: int) -> None:
        if step in saved and not (folder / f"step-{step}").exists():
            write_sealed(folder / f"step-{step}", save)

    log = train(
        learner,
        data(encoding, plan),
        objective,
        plan.schedule,
        checkpoint_folder(folder),
        seed=plan.seed,
        bfloat16=bfloat16,
        measure=lambda: {"held_out": learner.bits_per_token(curve_batches) * tokens_per_byte},
        at_step=keep,
    )
    with scratch(folder / CURVE) as work:
        write_curve(log, work)
        seal(work)
        for name in (SEAL, CURVE):
            commit(work / name, folder / name)


def untrained(tokenizer: PreTrainedTokenizerBase, plan: Plan) -> LanguageModel:
    """A twin before its first step; its network includes its head."""
    where = resolve_device("auto")
    whole = network(plan.build, tokenizer, causal=plan.causal, seed=plan.seed, tied=plan.tied).to(where)
    kind = "decoder" if plan.causal else "encoder"
    return LanguageModel("twin", kind, tokenizer, whole, torch.float32, where, fingerprint="", seed=plan.seed)


def joined(encoding: Encoding, plan: Plan) -> Encoding:
    """The held-out sentences as they are, then the training sentences as one text, cut into rows of `longest` tokens,
    so that no time goes into padding. In these rows the ends of sentences have to be predicted too. Texts that do not
    fill a row give one short row.
    """
    text = np.concatenate(encoding.ids[plan.held_out :])
    ends = range(plan.longest, len(text) // plan.longest * plan.longest, plan.longest)
    rows = np.split(text[: max(1, len(text) // plan.longest) * plan.longest], ends)
    measured = [np.ones(len(row), dtype=bool) for row in rows]
    return Encoding(encoding.ids[: plan.held_out] + rows, encoding.measured[: plan.held_out] + measured, 0)


def data(encoding: Encoding, plan: Plan) -> list[dict[str, int]]:
    """The items of the training rows, in order: the same for all twins."""
    training = [place for place in range(plan.held_out, len(encoding)) if encoding.measured[place].any()]
    return training_items(encoding, training, plan.schedule, seed=plan.seed)
