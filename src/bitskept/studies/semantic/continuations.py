"""How the information about a prompt accumulates in a model's continuations: a sub-martingale.

S_t = i_1 + ... + i_t is the density of directed information up to token t. If each token is drawn from the model, the
expected step of S is KL(p(· | x, y_<t) || p(· | y_<t)) ≥ 0. Doob's decomposition splits S into the sum A_t of these
expected steps and the rest, M_t = S_t - A_t, which is chance: a martingale with E[M_t] = 0. This holds for any
marginal, so it checks that samples, densities and divergences are consistent, not that the marginal is right. Along
answers that the model did not write, such as human ones, M drifts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm import tqdm

from bitskept.base.publishing import makes_table
from bitskept.instruments.likelihood import answers, heads
from bitskept.instruments.likelihood.heads import Head
from bitskept.instruments.likelihood.information_density import MARGINALS, distinct_prompts, require_decoder, with_facts
from bitskept.instruments.likelihood.surprisal import CHUNK
from bitskept.instruments.measurement import at_least, measurement
from bitskept.instruments.states import TOKEN_BUDGET
from bitskept.sources import prompts
from bitskept.sources.language_model import LanguageModel
from bitskept.theory.intervals import ratio_interval

COLUMNS = ["sample", "position", "token", "marginal", "density", "divergence", "S", "A", "M"]
DRAWN = 2 * TOKEN_BUDGET
"""Tokens of prompts and continuations in a batch that is drawn. Each step computes only one token per row, so more of
them fit than elsewhere.
"""
SHOWN = 40
"""Samples whose M a figure shows one by one."""


@dataclass(frozen=True)
class Plan:
    """`samples` continuations of `length` tokens of one prompt: the one at `place` in a source (`prompts.load`), in the
    order drawn by `seed`. Its bank has the first `others` of the remaining prompts too. Of each prompt only the last
    `context` tokens are read (default: all).
    """

    corpus: str
    samples: int = 200
    length: int = 20
    others: int = 7
    place: int = 0
    context: int | None = None
    seed: int = 0
    dtype: str = "auto"

    def __post_init__(self) -> None:
        at_least(self, samples=2, length=1, others=1, place=0)


@measurement("continuations", 2, source=prompts)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """The table of `flow` for continuations that the model draws, after the columns `information_density.FACTS`.

    SourceError for a model without a head; other errors as `prompts.load`, `sample` and `flow`.
    """
    require_decoder(model)
    head = heads.head(model)
    texts = list(prompts.load(plan.corpus, pairs=max(plan.place, plan.others) + 1, seed=plan.seed)["prompt"])
    prompt = texts.pop(plan.place)
    options = {"context": plan.context, "progress": model.id if progress else None}
    drawn = sample(model, head, prompt, samples=plan.samples, length=plan.length, seed=plan.seed, **options)
    table = flow(model, head, prompt, texts[: plan.others], drawn, **options)
    return with_facts(table, model, plan.corpus, plan.context)


@torch.inference_mode()
def sample(
    model: LanguageModel,
    head: Head,
    prompt: str,
    *,
    samples: int,
    length: int,
    context: int | None = None,
    seed: int = 0,
    progress: str | None = None,
) -> Int[np.ndarray, "sample token"]:
    """Continuations of a prompt as token ids, drawn from the model at temperature 1 from the whole vocabulary, without
    stopping at a token that ends a text. A seed gives the same continuations again, up to rounding (devices, dtypes).

    ValueError for an encoder, an empty prompt, and too many tokens.
    """
    require_decoder(model)
    [ids] = answers.read_prompts(model, [prompt], context=context)
    answers.check_room(model, [(ids, np.empty(length, dtype=np.int64))])
    prompted, drawn = answers.start(model, torch.from_numpy(ids)[None]), []
    generator = torch.Generator().manual_seed(seed)
    rows = max(1, DRAWN // (len(ids) + length))
    with tqdm(total=samples * length, desc=progress, unit="token", disable=progress is None, leave=False) as bar:
        for first in range(0, samples, rows):
            number = min(rows, samples - first)
            reader = prompted.copy(torch.zeros(number, dtype=torch.long))
            tokens = [_draw(head, reader.last, generator)]
            bar.update(number)
            while len(tokens) < length:
                reader.read(tokens[-1])
                tokens.append(_draw(head, reader.last, generator))
                bar.update(number)
            drawn.append(torch.cat(tokens, dim=1))
    return torch.cat(drawn).numpy()


def flow(
    model: LanguageModel,
    head: Head,
    prompt: str,
    others: Sequence[str],
    continuations: Int[np.ndarray, "sample token"],
    *,
    context: int | None = None,
    progress: str | None = None,
) -> pd.DataFrame:
    """S, A and M of continuations of a prompt, in bits, one row per sample, token and marginal. Columns: `COLUMNS`.

    The bank is the prompt and the `others`; `marginal` is one of `information_density.MARGINALS`. To predict the next
    token, the mixture weights each prompt by its probability given the tokens so far. `density` is i_t, `divergence`
    the Kullback-Leibler divergence of the two distributions at that step; S, A and M are sums up to it. `position`
    counts from 0.

    ValueError for an encoder, a bank of one prompt, an empty prompt, and too many tokens.
    """
    require_decoder(model)
    samples, length = continuations.shape
    bank = distinct_prompts([prompt, *others])
    ids = answers.read_prompts(model, [None, *bank], context=context)
    answers.check_room(model, [(max(ids, key=len), continuations[0])])
    contexts = [answers.Context(model, prompt_ids) for prompt_ids in ids]
    values = np.empty((2, len(MARGINALS), samples, length))
    rows = max(1, TOKEN_BUDGET // (max(map(len, ids)) + length))
    with tqdm(total=samples, desc=progress, unit="sample", disable=progress is None, leave=False) as bar:
        for first in range(0, samples, rows):
            batch = continuations[first : first + rows]
            # They are few and of one length, so each context returns them as one batch, in order.
            states = torch.stack([next(read.states(list(batch)))[1] for read in contexts])
            for place, targets in enumerate(batch):
                values[:, :, first + place] = _steps(head, states[:, place], torch.from_numpy(targets))
                bar.update()
    sums = values.cumsum(axis=-1)
    columns = {"density": values[0], "divergence": values[1], "S": sums[0], "A": sums[1], "M": sums[0] - sums[1]}
    facts = {
        "sample": np.repeat(np.arange(samples), length * len(MARGINALS)),
        "position": np.tile(np.repeat(np.arange(length), len(MARGINALS)), samples),
        "token": np.repeat([model.tokenizer.decode([token]) for token in continuations.flat], len(MARGINALS)),
        "marginal": np.tile(MARGINALS, samples * length),
    }
    return pd.DataFrame(facts | {name: bits.transpose(1, 2, 0).ravel() for name, bits in columns.items()})


@makes_table
def means(table: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """The means of S, A and M over the samples of a table of `flow`, by marginal and position, with 95 % intervals.

    That of M tests E[M_t] = 0: at a position chosen beforehand, such as the last, it contains 0 in 95 % of experiments.
    Intervals are those of `theory.intervals.ratio_interval`, since S and M have an upper limit and a long tail below.
    They hold for one position at a time, and are missing for fewer than 20 samples, of which there are `n`. Measured by
    `studies.semantic.continuations.measure`.
    """
    facts = [name for name in table if name not in COLUMNS]
    by = [*facts, "marginal", "position", "quantity"]
    long = table.melt([*facts, "marginal", "position", "sample"], ["S", "A", "M"], "quantity", "value")
    samples = long.groupby(by, dropna=False, sort=False)["value"].agg(list).reset_index()
    values = np.array(samples.pop("value").tolist())
    low, high = ratio_interval(values, np.ones(values.shape[1]), seed=seed)
    return samples.assign(estimate=values.mean(1), low=low, high=high, unit="bits", n=values.shape[1])


@makes_table
def means_and_luck(table: pd.DataFrame) -> pd.DataFrame:
    """`means` of a table of `flow`, followed by M of its first samples under the mixture, one by one. Measured by
    `studies.semantic.continuations.measure`.
    """
    first = table[(table["marginal"] == "mixture") & (table["sample"] < SHOWN)]
    chance = first[["marginal", "sample", "position"]].assign(quantity="M of a sample", estimate=first["M"])
    return pd.concat([means(table), chance])


def _draw(head: Head, states: Float[Tensor, "sample dim"], generator: torch.Generator) -> Int[Tensor, "sample one"]:
    """One token for each state, drawn on the CPU, so that a seed gives the same on every device."""
    laws = (head(part).float().softmax(-1).cpu() for part in states.split(CHUNK))
    return torch.cat([law.multinomial(1, generator=generator) for law in laws])


@torch.inference_mode()
def _steps(
    head: Head, states: Float[Tensor, "context token dim"], targets: Int[Tensor, " token"]
) -> Float[np.ndarray, "two marginal token"]:
    """Density and divergence of one continuation, in bits. The contexts are no prompt, the prompt, and the others."""
    weights = torch.zeros(len(states) - 1, device=states.device)  # log of how likely each prompt is, up to a constant
    parts = []
    step = max(1, CHUNK // len(states))
    for part, wanted in zip(states.split(step, dim=1), targets.to(states.device).split(step), strict=True):
        laws = head(part.flatten(0, 1)).float().log_softmax(-1).unflatten(0, part.shape[:2])
        scored = laws.gather(2, wanted.expand(len(laws), -1)[..., None])[..., 0]
        sums = scored[1:].cumsum(dim=1)
        before = weights[:, None] + sums - scored[1:]
        given, whole = laws[1], before.logsumexp(0)
        left_out = (laws[2:] + before[1:].log_softmax(0)[..., None]).logsumexp(0)
        own_share = given + (before[0] - whole)[:, None]
        mixture = torch.logaddexp(own_share, left_out + (before[1:].logsumexp(0) - whole)[:, None])
        marginals = (mixture, left_out, laws[0])
        chosen = [given.gather(1, wanted[:, None])[:, 0] - law.gather(1, wanted[:, None])[:, 0] for law in marginals]
        divergences = [(given.exp() * (given - law)).sum(-1) for law in marginals]
        parts.append(torch.stack([torch.stack(chosen), torch.stack(divergences)]))
        weights = weights + sums[:, -1]
    return torch.cat(parts, dim=-1).double().cpu().numpy() / math.log(2)
