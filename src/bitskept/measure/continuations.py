"""A model's own continuations of a prompt, and how the information of the prompt gathers in them: a sub-martingale.

S_t = sum_s≤t i_s, the density of directed information up to token t, can only be expected to rise where each token is
drawn from the model's own law, since its expected step is KL(p(· | x, y_<t) || p(· | y_<t)) ≥ 0. Doob's decomposition
splits it into the sum of those expected steps, the compensator A_t, and what luck adds, M_t = S_t - A_t, a martingale:
E[M_t] = 0. That holds for any law in place of the marginal, so it tests samples, densities and divergences against each
other, not the marginal. Of answers that are not the model's own, people's for example, M drifts: by as much as they
are less (or more) likely to the model than its own.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from bitskept.measure import answers, likelihood
from bitskept.measure.information_density import MARGINALS, decoder, enough, with_facts
from bitskept.measure.likelihood import CHUNK, Head
from bitskept.measure.of_model import from_store
from bitskept.measure.states import TOKEN_BUDGET
from bitskept.sources import prompts
from bitskept.sources.models import LanguageModel

VERSION = 1
"""Raise it when the same plan would give other numbers."""
COLUMNS = ["sample", "position", "token", "marginal", "density", "divergence", "S", "A", "M"]
DRAWN = 2 * TOKEN_BUDGET
"""Tokens of the prompt and of continuations in a batch that is drawn: one token a step, so more of them than else."""


@dataclass(frozen=True)
class Plan:
    """`samples` continuations, of `length` tokens each, of the first prompt of a source (`prompts.load`) in the order
    drawn by `seed`, or of that at another `place`; the prompts of the `others` that come first in the rest of the
    order make up the bank. Of each prompt only the last `context` tokens are read (default: all).
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
        for name, least in (("samples", 2), ("length", 1), ("others", 1), ("place", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, but is {getattr(self, name)}")


def measure(model_id: str, plan: Plan, *, accept_terms: Collection[str] = (), progress: bool = True) -> pd.DataFrame:
    """The table of `flow` of continuations that the model draws, after facts of the model, from the store where it is
    there. SourceError for a model without a head; other errors as `models.load`, `prompts.load`, `sample` and `flow`.
    """

    def compute(model: LanguageModel) -> pd.DataFrame:
        decoder(model)
        head = likelihood.head(model)
        texts = list(prompts.load(plan.corpus, pairs=max(plan.place, plan.others) + 1, seed=plan.seed)["prompt"])
        prompt = texts.pop(plan.place)
        options = {"context": plan.context, "progress": model.id if progress else None}
        drawn = sample(model, head, prompt, samples=plan.samples, length=plan.length, seed=plan.seed, **options)
        table = flow(model, head, prompt, texts[: plan.others], drawn, **options)
        return with_facts(table, model, plan.corpus, plan.context)

    return from_store("continuations", VERSION, model_id, plan, compute, source=prompts, accept_terms=accept_terms)


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
    """Continuations as token ids, drawn from the model's law as it is: temperature 1, the whole vocabulary, and on
    after a token that ends a text. The same seed gives the same continuations, but for rounding (other devices, other
    dtypes). ValueError for an encoder, no sample or token, and as `answers.log_probabilities`.
    """
    decoder(model)
    if samples < 1 or length < 1:
        raise ValueError(f"samples and length must be at least 1, but are {samples} and {length}")
    [ids] = answers.read_prompts(model, [prompt], context=context)
    answers.check_room(model, [(ids, np.empty(length, dtype=np.int64))])
    read, generator, drawn = answers.Context(model, ids), torch.Generator().manual_seed(seed), []
    rows = max(1, DRAWN // (len(ids) + length))
    with tqdm(total=samples * length, desc=progress, unit="token", disable=progress is None, leave=False) as bar:
        for first in range(0, samples, rows):
            number = min(rows, samples - first)
            states, memory, columns = read.last.expand(number, -1), read.copies(number), []
            for _ in range(length):
                columns.append(_draw(head, states, generator))
                bar.update(number)
                if len(columns) == length:
                    break
                if memory is None:
                    before = torch.cat([torch.from_numpy(ids).expand(number, -1), *columns], dim=1)
                else:
                    before = columns[-1]
                found, memory = answers.advance(model, before, memory)
                states = found[:, -1]
            drawn.append(torch.cat(columns, dim=1).numpy())
    return np.concatenate(drawn)


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
    """S, A and M of continuations of a prompt, in bits. One row a sample, token and marginal; columns: `COLUMNS`.

    The bank is the prompt and the `others`; `marginal` is one of `information_density.MARGINALS`. The mixture's law of
    the next token is that of the prompts weighted by how likely each is after the tokens so far. `density` is i_t,
    `divergence` the Kullback-Leibler divergence of the whole laws at that step, S, A and M are the sums up to it.
    `position` counts from 0. ValueError for an encoder, a bank of one prompt, no continuation, and as
    `answers.log_probabilities`.
    """
    decoder(model)
    samples, length = continuations.shape
    if not continuations.size:
        raise ValueError(f"there are {samples} continuations of {length} tokens: give at least one of each")
    bank = enough(list(dict.fromkeys([prompt, *others])))
    ids = answers.read_prompts(model, [None, *bank], context=context)
    answers.check_room(model, [(max(ids, key=len), continuations[0])])
    read = [answers.Context(model, one) for one in ids]
    found = np.empty((2, len(MARGINALS), samples, length))
    rows = max(1, TOKEN_BUDGET // (max(map(len, ids)) + length))
    with tqdm(total=samples, desc=progress, unit="sample", disable=progress is None, leave=False) as bar:
        for first in range(0, samples, rows):
            some = continuations[first : first + rows]
            # Of one length and so few, they are one batch, in order, after every prompt.
            states = torch.stack([next(one.states(list(some)))[1] for one in read])
            for place, targets in enumerate(some):
                found[:, :, first + place] = _steps(head, states[:, place], torch.from_numpy(targets))
                bar.update()
    sums = found.cumsum(axis=-1)
    order = (1, 2, 0)  # sample, token, marginal
    return pd.DataFrame(
        {
            "sample": np.repeat(np.arange(samples), length * len(MARGINALS)),
            "position": np.tile(np.repeat(np.arange(length), len(MARGINALS)), samples),
            "token": np.repeat([model.tokenizer.decode([one]) for one in continuations.flat], len(MARGINALS)),
            "marginal": np.tile(MARGINALS, samples * length),
            "density": found[0].transpose(order).ravel(),
            "divergence": found[1].transpose(order).ravel(),
            "S": sums[0].transpose(order).ravel(),
            "A": sums[1].transpose(order).ravel(),
            "M": (sums[0] - sums[1]).transpose(order).ravel(),
        }
    )[COLUMNS]


def means(table: pd.DataFrame) -> pd.DataFrame:
    """The means of S, A and M of a table of `flow` over its samples, by marginal and position, with 95 % intervals.

    `z` is the mean over its standard error. That of M is the test of E[M_t] = 0: for a position fixed beforehand, the
    last for example, it lies between -1.96 and 1.96 in 95 % of experiments with many samples. The intervals are those
    of the normal law, one position each. ValueError for a single sample.
    """
    if table["sample"].nunique() < 2:
        raise ValueError("a single sample has no standard error: draw at least 2, and 200 for a test")
    facts = [name for name in table if name not in COLUMNS]
    by = [*facts, "marginal", "position", "quantity"]
    long = table.melt([*facts, "marginal", "position", "sample"], ["S", "A", "M"], "quantity", "value")
    found = (
        long.groupby(by, dropna=False, sort=False)["value"].agg(estimate="mean", error="sem", n="size").reset_index()
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        found["z"] = found["estimate"] / found["error"]
    ends = {"low": found["estimate"] - 1.96 * found["error"], "high": found["estimate"] + 1.96 * found["error"]}
    return found.assign(**ends, unit="bits")[[*by, "estimate", "low", "high", "z", "unit", "n"]]


def _draw(head: Head, states: Float[Tensor, "sample dim"], generator: torch.Generator) -> Int[Tensor, "sample one"]:
    """One token of each law, on the CPU, so that a seed means the same on every device."""
    laws = (head(some).float().softmax(-1).cpu() for some in states.split(CHUNK))
    return torch.cat([law.multinomial(1, generator=generator) for law in laws])


@torch.inference_mode()
def _steps(
    head: Head, states: Float[Tensor, "context token dim"], targets: Int[Tensor, " token"]
) -> Float[np.ndarray, "two marginal token"]:
    """Density and divergence of one continuation, in bits; the contexts are no prompt, the prompt, the others."""
    weights = torch.zeros(len(states) - 1, device=states.device)  # log of how likely each prompt is, up to a constant
    parts = []
    step = max(1, CHUNK // len(states))
    for some, wanted in zip(states.split(step, dim=1), targets.to(states.device).split(step), strict=True):
        laws = head(some.flatten(0, 1)).float().log_softmax(-1).unflatten(0, some.shape[:2])
        scored = laws.gather(2, wanted.expand(len(laws), -1)[..., None])[..., 0]
        sums = scored[1:].cumsum(dim=1)
        before = weights[:, None] + sums - scored[1:]
        own, whole = laws[1], before.logsumexp(0)
        left_out = (laws[2:] + before[1:].log_softmax(0)[..., None]).logsumexp(0)
        own_share = own + (before[0] - whole)[:, None]
        mixture = torch.logaddexp(own_share, left_out + (before[1:].logsumexp(0) - whole)[:, None])
        marginals = (mixture, left_out, laws[0])
        chosen = [own.gather(1, wanted[:, None])[:, 0] - law.gather(1, wanted[:, None])[:, 0] for law in marginals]
        divergences = [(own.exp() * (own - law)).sum(-1) for law in marginals]
        parts.append(torch.stack([torch.stack(chosen), torch.stack(divergences)]))
        weights = weights + sums[:, -1]
    return torch.cat(parts, dim=-1).double().cpu().numpy() / math.log(2)
