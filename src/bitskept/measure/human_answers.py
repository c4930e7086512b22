"""People's answers beside a model's own, under the same prompts: along whose does the martingale stay one?

S, A and M as in `continuations`. Along the model's own answers E[M_t] = 0. A person's next token y has the expected
step E[log p(y|x,y_<t) / p(y|y_<t)] under a law h that is not p, and M drifts by that less KL(p(. | x, y_<t) || p(. |
y_<t)): down where the prompt helps the model to foresee people less than it helps the model to foresee itself.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bitskept.measure import answers, likelihood
from bitskept.measure.continuations import flow, sample
from bitskept.measure.information_density import decoder, with_facts
from bitskept.measure.of_model import from_store
from bitskept.sources import prompts

VERSION = 1
"""Raise it when the same plan would give other numbers."""
WHOSE = ("people", "model")


@dataclass(frozen=True)
class Plan:
    """The first `prompts` of a source (`prompts.load`) in the order drawn by `seed` whose answers have `length` tokens
    or more, which are cut to that. Each prompt's bank has the `others` that come next. Of each prompt only the last
    `context` tokens are read (default: all).
    """

    corpus: str
    prompts: int
    length: int = 16
    others: int = 3
    context: int | None = None
    seed: int = 0
    dtype: str = "auto"

    def __post_init__(self) -> None:
        for name, least in (("prompts", 2), ("length", 1), ("others", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, but is {getattr(self, name)}")


def measure(model_id: str, plan: Plan, *, accept_terms: Collection[str] = (), progress: bool = True) -> pd.DataFrame:
    """The table of `continuations.flow` with a column `whose`, one sample a prompt: its answer by people, and one that
    the model draws. After facts of the model, from the store where it is there.

    ValueError where fewer answers are long enough; other errors as `continuations.measure`.
    """

    def compute(model: LanguageModel) -> pd.DataFrame:
        decoder(model)
        head, pairs = likelihood.head(model), prompts.load(plan.corpus, pairs=4 * plan.prompts, seed=plan.seed)
        written = answers.read_answers(model, list(pairs["answer"]), length=plan.length)
        known = zip(pairs["prompt"], written, strict=True)
        long = [pair for pair in known if len(pair[1]) == plan.length][: plan.prompts]
        if len(long) < plan.prompts:
            raise ValueError(
                f"of {len(pairs)} answers of {plan.corpus}, {len(long)} have {plan.length} tokens or more, and "
                f"{plan.prompts} were asked for: take fewer prompts, or a shorter length"
            )
        texts, tables, options = [prompt for prompt, _ in long], [], {"context": plan.context}
        for place, (prompt, answer) in enumerate(long):
            bank = [texts[(place + step) % len(texts)] for step in range(1, plan.others + 1)]
            drawn = sample(model, head, prompt, samples=1, length=plan.length, seed=plan.seed + place, **options)
            both = flow(model, head, prompt, bank, np.concatenate([answer[None], drawn]), **options)
            tables.append(both.assign(whose=both["sample"].map(dict(enumerate(WHOSE))), sample=place))
        return with_facts(pd.concat(tables, ignore_index=True), model, plan.corpus, plan.context)

    return from_store("human_answers", VERSION, model_id, plan, compute, source=prompts, accept_terms=accept_terms)
