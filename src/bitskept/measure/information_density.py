"""How many bits a prompt directs into each token of an answer: the density of directed information under a model.

i_t = log2 p(y_t | x, y_<t) - log2 p(y_t | y_<t) for a prompt x and an answer y; its mean over both, summed over t, is
the directed information I(X→Y) = sum_t I(X; Y_t | Y_<t) (Massey 1990). The model gives the first term. The second is a
marginal, and there are three, each a law of whole answers:

- `mixture`: the mean of p(y | x) over a bank of B prompts, the answer's own among them. It is the marginal of a prompt
  drawn from that bank, so the density is that of directed information proper: of a prompt that is one of B, at most
  log2 B bits in all, however much more it tells.
- `left_out`: the same without the answer's own prompt. No prompt that is drawn from the bank has this marginal; it
  stands for the mean over all prompts, which the others are a sample of, and it has no ceiling. Where prompts are
  independent draws and answers are the model's own, the mixture gives too little of I(X; Y) on average and this one too
  much (Poole and others 2019, the bounds of InfoNCE and of leaving one out, with the model as the critic).
- `promptless`: the model after its start token alone. It is a proxy, and no mixture over prompts: it also answers for
  what any text of the kind has in common (its topic, its format), which the mixture gives to the answer's own past.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from tqdm.auto import tqdm

from bitskept.measure import likelihood
from bitskept.measure.answers import check_room, given, read_answers, read_prompts
from bitskept.measure.of_model import from_store, model_facts
from bitskept.sources import prompts as sources
from bitskept.sources.models import LanguageModel
from bitskept.theory.statistics import cluster_bootstrap, interval

VERSION = 1
"""Raise it when the same plan would give other numbers."""
MARGINALS = ("mixture", "left_out", "promptless")
COLUMNS = [
    *("answer", "prompt", "position", "token", "given_prompt", *MARGINALS),
    *(f"density_{marginal}" for marginal in MARGINALS),
]
FACTS = ["model", "kind", "weights", "seed", "corpus", "context"]


@dataclass(frozen=True)
class Plan:
    """The first `pairs` of prompts and answers of a source (`prompts.load`) in the order drawn by `seed`, and the
    prompts of `others` more in the bank.

    Of each prompt only the last `context` tokens are read (default: all), of each answer the first `length`.
    """

    corpus: str
    pairs: int
    others: int = 0
    context: int | None = None
    length: int | None = 32
    seed: int = 0
    dtype: str = "auto"

    def __post_init__(self) -> None:
        if self.pairs < 1 or self.others < 0:
            raise ValueError(f"pairs must be at least 1 and others 0, but they are {self.pairs} and {self.others}")
        if self.context is not None and self.context < 0:
            raise ValueError(f"context must be a number of tokens, 0 or more, but is {self.context}")
        if self.length is not None and self.length < 1:
            raise ValueError(f"length must be a number of tokens, 1 or more, but is {self.length}")


def measure(model_id: str, plan: Plan, *, accept_terms: Collection[str] = (), progress: bool = True) -> pd.DataFrame:
    """The table of `density` after the columns `FACTS`, from the store where it is there.

    SourceError for a model without a head; other errors as `models.load`, `prompts.load` and `density`.
    """

    def compute(model: LanguageModel) -> pd.DataFrame:
        decoder(model)
        pairs = sources.load(plan.corpus, pairs=plan.pairs + plan.others, seed=plan.seed)
        table = density(
            model,
            likelihood.head(model),
            list(pairs["prompt"])[: plan.pairs],
            list(pairs["answer"])[: plan.pairs],
            others=list(pairs["prompt"])[plan.pairs :],
            context=plan.context,
            length=plan.length,
            progress=model.id if progress else None,
        )
        return with_facts(table, model, plan.corpus, plan.context)

    return from_store(
        "information_density", VERSION, model_id, plan, compute, source=sources, accept_terms=accept_terms
    )


def density(
    model: LanguageModel,
    head: likelihood.Head,
    prompts: Sequence[str],
    answers: Sequence[str],
    *,
    others: Sequence[str] = (),
    context: int | None = None,
    length: int | None = None,
    progress: str | None = None,
) -> pd.DataFrame:
    """One row a token of an answer, all numbers in bits. Columns: `COLUMNS`.

    `prompts[i]` is that of `answers[i]`; the bank is all different prompts, those of `others` as well. `answer` and
    `prompt` are places in `answers` and in the bank, `position` counts an answer's tokens from 0, `given_prompt` and
    the marginals are log2 p(y_t | ...), and a density is the former less one of the latter. Tokens, `context` and
    `length` are as in `answers.log_probabilities`; the cut holds for the whole bank, so that with a context of 0
    nothing is directed.

    ValueError for an encoder, a bank of one prompt, and as `answers.log_probabilities`.
    """
    decoder(model)
    if len(prompts) != len(answers):
        raise ValueError(f"there are {len(prompts)} prompts and {len(answers)} answers: give each answer its prompt")
    bank = list(dict.fromkeys([*prompts, *others]))
    contexts = read_prompts(model, [None, *enough(bank)], context=context)
    targets = read_answers(model, answers, length=length)
    check_room(model, [(max(contexts, key=len), max(targets, key=len))])
    bar = tqdm(contexts, desc=progress, unit="prompt", disable=progress is None, leave=False)
    promptless, *prompted = [given(model, head, ids, targets) for ids in bar]
    tables = []
    for number, prompt in enumerate(prompts):
        under, own = np.stack([one[number] for one in prompted]), bank.index(prompt)
        laws = {
            "given_prompt": under[own],
            "mixture": mixture(under),
            "left_out": mixture(np.delete(under, own, axis=0)),
            "promptless": promptless[number],
        }
        facts = {"answer": number, "prompt": own, "position": np.arange(under.shape[1])}
        text = {"token": [model.tokenizer.decode([token]) for token in targets[number]]}
        densities = {f"density_{name}": laws["given_prompt"] - laws[name] for name in MARGINALS}
        tables.append(pd.DataFrame(facts | text | laws | densities))
    return pd.concat(tables, ignore_index=True)[COLUMNS]


def mixture(given: Float[np.ndarray, "prompt token"]) -> Float[np.ndarray, " token"]:
    """log2 p(y_t | y_<t) where p(y_≤t) is the mean over prompts of p(y_≤t | x), from log2 p(y_t | x, y_<t)."""
    whole = np.logaddexp2.reduce(given.cumsum(axis=1), axis=0) - np.log2(len(given))
    return np.diff(whole, prepend=0.0)


def gains(table: pd.DataFrame, *, replicates: int = 1000, seed: int = 0) -> pd.DataFrame:
    """What the prompt adds to what an answer's own past tells of its next token: a table of `measure` as the mean
    density by marginal, in bits per token, with a 95 % interval over answers. n counts the answers.

    Granger's question (1969), asked of laws in place of variances (transfer entropy, Schreiber 2000): an interval above
    0 says that the prompt predicts beyond the answer's own past. It says so of the law that stands for that past, one
    of `MARGINALS`; a model that was never fitted to do without a prompt is the weaker for it (`promptless`).
    """
    return pd.DataFrame(list(_gain_rows(table, replicates, seed))).astype({"seed": "Int64", "context": "Int64"})


def _gain_rows(table: pd.DataFrame, replicates: int, seed: int) -> Iterator[dict[str, Any]]:
    for facts, part in table.groupby(FACTS, dropna=False, sort=False):
        answers = part.groupby("answer")
        columns = [f"density_{marginal}" for marginal in MARGINALS]
        sums, sizes = answers[columns].sum().to_numpy().T, answers.size().to_numpy()
        low, high = interval(cluster_bootstrap(sums, sizes, replicates=replicates, seed=seed))
        for place, marginal in enumerate(MARGINALS):
            yield dict(zip(FACTS, facts, strict=True)) | {
                "marginal": marginal,
                "quantity": "context_gain",
                "estimate": sums[place].sum() / sizes.sum(),
                "low": low[place],
                "high": high[place],
                "unit": "bits per token",
                "n": len(sizes),
            }


def gathered(table: pd.DataFrame, marginal: str = "mixture", *, replicates: int = 1000, seed: int = 0) -> pd.DataFrame:
    """The bits that a prompt has directed into an answer by its n-th token, S, on average over the answers of a table
    of `measure`. Columns: corpus, tokens (n, from 1), estimate, low, high (95 % over answers). An answer that has ended
    keeps its S.
    """
    parts = []
    for corpus, rows in table.groupby("corpus", sort=False):
        wide = rows.pivot(index="position", columns="answer", values=f"density_{marginal}")
        s = wide.fillna(0).cumsum().to_numpy()
        low, high = interval(cluster_bootstrap(s, np.ones(s.shape[1]), replicates=replicates, seed=seed))
        facts = {"corpus": corpus, "tokens": wide.index + 1}
        parts.append(pd.DataFrame(facts | {"estimate": s.mean(axis=1), "low": low, "high": high}))
    return pd.concat(parts, ignore_index=True)


def decoder(model: LanguageModel) -> None:
    """ValueError for an encoder, which has no law of the next token."""
    if model.kind != "decoder":
        raise ValueError(
            f"{model.id} is an encoder, and has no law of the next token: take a decoder, or the pseudo-likelihoods of "
            "answers.log_probabilities"
        )


def enough(bank: Sequence[str]) -> Sequence[str]:
    """The bank itself. ValueError unless it holds two different prompts: one alone is no mixture."""
    if len(bank) < 2:
        raise ValueError(f"a bank of {len(bank)} different prompts makes no mixture of prompts: give at least 2")
    return bank


def with_facts(table: pd.DataFrame, model: LanguageModel, corpus: str, context: int | None) -> pd.DataFrame:
    """A table after the columns `FACTS`."""
    values = model_facts(model) | {"corpus": corpus, "context": context}
    front = pd.DataFrame([values] * len(table), columns=FACTS).astype({"seed": "Int64", "context": "Int64"})
    return pd.concat([front, table], axis=1)
