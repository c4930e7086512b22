"""Short training runs at rising learning rates, up to one that breaks training: what the loss and the entropy of
attention do, step by step.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitskept.base import store
from bitskept.base.parallel import each_stored
from bitskept.base.publishing import makes_table
from bitskept.instruments.states import cut_as_planned, encode
from bitskept.instruments.training import byte_pairs, loop, twins
from bitskept.instruments.training.masking import LEFT_OUT
from bitskept.instruments.training.objectives import Learner, Objective
from bitskept.instruments.training.schedule import Schedule
from bitskept.instruments.training.twin_runs import BETA2, NEXT, TwinTraining
from bitskept.instruments.training.twin_runs import plan as twin_plan
from bitskept.sources import corpora
from bitskept.sources.precision import resolve_dtype
from bitskept.studies.output.attention import Attention

NAME, VERSION = "attention_runs", 1
EVERY = 32
"""A run is measured about so many times."""
EARLY = 8
"""The first of these parts of a run is measured at every step."""
SENTENCES = 8
"""Held-out sentences for each row that is wanted: more than enough to fill it."""
OF_SCORES = ("q_proj", "k_proj", "input_layernorm")
"""The weights of a Llama block that its scores of attention depend on."""
RISE = 1.0
"""A run has diverged if its held-out loss rises by so many bits a token above the lowest so far, or is not finite."""
GAIN = 0.1
"""A run has learned if it ends so many bits a token below the distribution of the single tokens."""
OUTCOMES = ("learned", "stuck", "diverged")
QUANTITIES = {"loss": "bits per token", "spread": "share", "lowest": "share"}


@dataclass(frozen=True)
class Run:
    """A twin that predicts the next token, trained with an unusual schedule and measured on `rows` of held-out text.

    Where scores are `fixed`, the maps from states to queries and keys keep their first weights, and so does the norm
    before them: no training can make the scores of attention larger, whatever the rate.
    """

    plan: twins.Plan
    rows: int
    fixed: bool = False

    @property
    def dtype(self) -> str:
        return self.plan.dtype


def plans(training: TwinTraining, attention: Attention) -> list[Run]:
    """The runs: one per rate and seed, and with fixed scores one per seed at each of the `fixed_rates`."""
    kinds = [(rate, False) for rate in attention.rates] + [(rate, True) for rate in attention.fixed_rates]
    both = product(kinds, attention.run_seeds)
    return [Run(_plan(training, attention, rate, seed), attention.rows, fixed) for (rate, fixed), seed in both]


def _plan(training: TwinTraining, attention: Attention, rate: float, seed: int) -> twins.Plan:
    usual = twin_plan(training, NEXT, seed, size=attention.width, amount=attention.run_sentences)
    steps = attention.steps
    schedule = Schedule(
        steps,
        attention.batch,
        rate,
        warmup=-(-steps // 20),
        weight_decay=training.weight_decay,
        beta2=BETA2,
        save_every=steps,
        measure_every=max(1, steps // EVERY),
    )
    return replace(usual, schedule=schedule, build=replace(usual.build, heads=attention.heads))


def run(wanted: Run) -> pd.DataFrame:
    """The curve of a run: one row per step at which it is measured, up to the one at which it stopped.

    Columns: rate, fixed, seed, step, loss (held-out bits per token), spread (the mean over heads of the entropy of
    attention as a share of its maximum), lowest (the same of the head that has least), single (bits per token of the
    distribution of single tokens in the training text, with one added to each count), stopped (a gradient was not
    finite).
    """
    return store.stored(NAME, VERSION, _key(wanted), lambda: _trained(wanted))


def is_stored(wanted: Run) -> bool:
    """Whether the curve of a run is in the store."""
    return store.has(NAME, VERSION, _key(wanted))


def _key(wanted: Run) -> dict[str, Any]:
    plan = wanted.plan
    corpora.fetch(plan.corpus)
    words = byte_pairs.digest(plan.corpus, plan.vocabulary, skipped=plan.held_out, seed=plan.text_seed)
    text = {"text": corpora.fingerprint(plan.corpus), "tokenizer": words}
    return asdict(plan) | text | {"rows": wanted.rows, "fixed": wanted.fixed, "dtype": resolve_dtype(plan.dtype)}


@makes_table
def curves(wanted: Sequence[Run]) -> pd.DataFrame:
    """The curves of these runs (`run`), trained now where they are missing."""
    twins.tokenizer(wanted[0].plan)  # before many processes ask for it at once
    made = each_stored(run, list(wanted), is_stored=is_stored, progress="runs")
    return pd.concat(made, ignore_index=True)


def _trained(wanted: Run) -> pd.DataFrame:
    tokenizer, (plan, texts) = twins.tokenizer(wanted.plan), _texts(wanted)
    model = twins.untrained(tokenizer, plan)
    with cut_as_planned():
        encoding = twins.joined(encode(model, texts), plan)
    if wanted.fixed:
        for name, weight in model.network.named_parameters():
            weight.requires_grad_(not any(part in name for part in OF_SCORES))
    learner, types = Learner(model.network), len(tokenizer)
    objective = Objective("causal", encoding, tokenizer, types, plan.hidden, plan.schedule.batch, plan.seed)
    held_out = _rows(encoding.ids[: plan.held_out], plan.longest, wanted.rows).to(model.device)
    single = _single(np.concatenate(encoding.ids[plan.held_out :]), held_out.cpu().numpy(), types)
    rows: list[dict[str, Any]] = []

    def measure() -> dict[str, float]:
        spreads = spread(model.network, held_out)
        loss = learner.bits_per_token([_batch(held_out)])
        rows.append({"loss": loss, "spread": spreads.mean(), "lowest": spreads.min()})
        return {"held_out": loss}

    schedule, stopped = plan.schedule, False
    steps = _measured(schedule)
    bfloat16 = resolve_dtype(plan.dtype) == "bfloat16"
    with TemporaryDirectory() as folder:
        try:
            options = {"seed": plan.seed, "bfloat16": bfloat16, "measure": measure, "measure_at": steps}
            loop.train(learner, twins.data(encoding, plan), objective, schedule, Path(folder), **options)
        except loop.Diverged:
            stopped = True
    facts = {"rate": schedule.rate, "fixed": wanted.fixed, "seed": plan.seed, "single": single, "stopped": stopped}
    return pd.DataFrame(rows).assign(step=steps[: len(rows)], **facts)


def _texts(wanted: Run) -> tuple[twins.Plan, list[str]]:
    """The text of a run, with no more held-out sentences than it takes, and the plan for it."""
    plan = wanted.plan
    texts = corpora.load(plan.corpus, sentences=plan.held_out + plan.sentences, seed=plan.text_seed)["text"]
    few = min(plan.held_out, wanted.rows * SENTENCES)
    return replace(plan, held_out=few, curve=1), [*texts[:few], *texts[plan.held_out :]]


def _measured(schedule: Schedule) -> list[int]:
    """The steps after which a run is measured."""
    early, every = range(schedule.steps // EARLY + 1), range(0, schedule.steps, schedule.measure_every)
    return sorted({*early, *every, schedule.steps})


def _rows(texts: Sequence[Int[np.ndarray, " _length"]], longest: int, rows: int) -> Int[Tensor, "row token"]:
    """The first rows of held-out text, joined."""
    text = np.concatenate(texts)
    rows = min(rows, len(text) // longest)
    if not rows:
        raise ValueError(f"the held-out text has {len(text)} tokens, too few for a row of {longest}")
    return torch.from_numpy(text[: rows * longest].reshape(rows, longest))


def _batch(ids: Int[Tensor, "row token"]) -> dict[str, Tensor]:
    """Rows of text with the next token wanted at each place."""
    wanted = torch.cat([ids[:, 1:], torch.full_like(ids[:, :1], LEFT_OUT)], dim=1)
    ones = torch.ones_like(ids)
    return {"ids": ids, "attention": ones, "wanted": wanted, "weights": ones.float()}


def _single(training: Int[np.ndarray, " text"], held_out: Int[np.ndarray, "row token"], types: int) -> float:
    """The bits per token of held-out text, without the first of each row, under the distribution of the training
    tokens.
    """
    counts = np.bincount(training, minlength=types) + 1
    return float(-np.log2(counts / counts.sum())[held_out[:, 1:]].mean())


@torch.inference_mode()
def spread(network: Any, ids: Int[Tensor, "row token"]) -> Float[np.ndarray, "layer head"]:
    """The entropy of each head's weights over the queries of these rows, as a share of log2 of the keys that a query
    sees, for a decoder. Queries of the first token are left out.
    """
    before = network.config._attn_implementation
    network.set_attn_implementation("eager")
    try:
        laws = network.base_model(input_ids=ids, output_attentions=True).attentions
    finally:
        network.set_attn_implementation(before)
    most = torch.log2(torch.arange(2, ids.shape[1] + 1)).sum().item() * len(ids)
    bits = [torch.special.entr(law[:, :, 1:].double()).sum((0, 2, 3)) / np.log(2) for law in laws]
    return torch.stack(bits).cpu().numpy() / most


@makes_table
def outcomes(table: pd.DataFrame) -> pd.DataFrame:
    """What became of each run of `curves`.

    Columns: rate, fixed, seed, outcome (one of `OUTCOMES`, by `RISE` and `GAIN`), loss and single (held-out bits per
    token, at the end), rise (the largest of the loss above the lowest so far), spread and lowest (at the end),
    least_spread (the smallest over the run), fell (the first step with half of the spread at the start), rose (the
    first step with a loss `RISE` above the lowest so far, if there is one).
    """
    rows = []
    for (fixed, rate, seed), curve in table.groupby(["fixed", "rate", "seed"]):
        curve = curve.sort_values("step")
        rise = (curve["loss"] - curve["loss"].cummin()).fillna(np.inf)
        last, stopped = curve.iloc[-1], bool(curve["stopped"].any())
        learned = last["loss"] <= last["single"] - GAIN
        diverged = stopped or rise.max() >= RISE
        halved = curve["spread"] <= curve["spread"].iloc[0] / 2
        rows.append(
            {"rate": rate, "fixed": fixed, "seed": seed, "outcome": OUTCOMES[2 if diverged else 0 if learned else 1]}
            | {name: last[name] for name in ("loss", "single", "spread", "lowest")}
            | {"rise": rise.max(), "least_spread": curve["spread"].min()}
            | {"fell": _first(curve["step"], halved), "rose": _first(curve["step"], rise >= RISE)}
        )
    return pd.DataFrame(rows)


def _first(steps: pd.Series, reached: pd.Series) -> float:
    """The first step at which it is reached; NaN if it never is."""
    return float(steps[reached].min())
