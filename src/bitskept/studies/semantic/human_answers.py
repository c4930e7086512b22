"""Human answers next to answers by the model, to the same prompts: along which of them does M stay a martingale?

S, A and M are as in `continuations`. Along the model's answers E[M_t] = 0. The next token of a human answer follows
another distribution, under which S rises by E[log2 p(y | x, y_<t) / p(y | y_<t)], while A still counts the model's
divergences. M drifts by the difference: down, where the prompt helps the model to predict people less than to predict
itself.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bitskept.base.publishing import makes_table
from bitskept.instruments.likelihood import answers, heads
from bitskept.instruments.likelihood.information_density import require_decoder, with_facts
from bitskept.instruments.measurement import at_least, measurement
from bitskept.sources import prompts
from bitskept.sources.language_model import LanguageModel
from bitskept.studies.semantic.continuations import COLUMNS, flow, means, sample
from bitskept.theory.intervals import ratio_interval

WHOSE = ("people", "model")
DIFFERENCE = "people less the model"
RISE = "late rise"
BITS = ["S", "A", "M"]


@dataclass(frozen=True)
class Plan:
    """The first `prompts` of a source (`prompts.load`), in the order drawn by `seed`, whose answers have at least
    `length` tokens, and are cut to that. Each prompt's bank has the `others` that come next. Of each prompt only the
    last `context` tokens are read (default: all).
    """

    corpus: str
    prompts: int
    length: int = 16
    others: int = 3
    context: int | None = None
    seed: int = 0
    dtype: str = "auto"

    def __post_init__(self) -> None:
        at_least(self, prompts=2, length=1, others=1)


@measurement("human_answers", 2, source=prompts)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """The table of `continuations.flow` with a column `whose`, after the columns `information_density.FACTS`. Each
    prompt is a sample with two answers: a human one, and one that the model draws.

    ValueError where too few answers are long enough; other errors as `continuations.measure`.
    """
    require_decoder(model)
    head, pairs = heads.head(model), prompts.load(plan.corpus, pairs=4 * plan.prompts, seed=plan.seed)
    answers.warn_of_seams(model, list(pairs["prompt"]), list(pairs["answer"]))
    written = answers.read_answers(model, list(pairs["answer"]), length=plan.length)
    both = zip(pairs["prompt"], written, strict=True)
    long = [(prompt, answer) for prompt, answer in both if len(answer) == plan.length][: plan.prompts]
    if len(long) < plan.prompts:
        raise ValueError(
            f"of {len(pairs)} answers of {plan.corpus}, {len(long)} have {plan.length} tokens or more, and "
            f"{plan.prompts} are needed: take fewer prompts, or a shorter length"
        )
    texts, tables = [prompt for prompt, _ in long], []
    for place, (prompt, answer) in enumerate(long):
        bank = [texts[(place + step) % len(texts)] for step in range(1, plan.others + 1)]
        options = {"samples": 1, "length": plan.length, "seed": plan.seed + place}
        drawn = sample(model, head, prompt, context=plan.context, **options)
        table = flow(model, head, prompt, bank, np.concatenate([answer[None], drawn]), context=plan.context)
        tables.append(table.assign(whose=table["sample"].map(dict(enumerate(WHOSE))), sample=place))
    return with_facts(pd.concat(tables, ignore_index=True), model, plan.corpus, plan.context)


@makes_table
def drift(answered: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """`continuations.means` of a table of `measure`: along human answers, along the model's, and of their difference
    prompt by prompt, by `whose`; then `late_rise` of the same. Measured by `studies.semantic.human_answers.measure`.
    """
    place = ["sample", "marginal", "position"]
    people, own = (answered[answered["whose"] == whose].sort_values(place, ignore_index=True) for whose in WHOSE)
    difference = people.assign(whose=DIFFERENCE, **(people[BITS] - own[BITS]))
    every = pd.concat([people, own, difference], ignore_index=True)
    return pd.concat([means(every, seed=seed), late_rise(every, seed=seed)], ignore_index=True)


def late_rise(answered: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """By how many bits per token S rises in the second half of the answers of a table of `measure`, with a 95 %
    interval over prompts, by `whose` and `marginal`: rows as those of `continuations.means`, with the quantity `RISE`.
    """
    last = int(answered["position"].max())
    by = [name for name in answered if name not in COLUMNS or name == "marginal"]
    middle, rows = last // 2, []
    for facts, part in answered.groupby(by, dropna=False, sort=False):
        s = part.pivot(index="sample", columns="position", values="S")
        rises = ((s[last] - s[middle]) / (last - middle)).to_numpy()
        low, high = ratio_interval(rises, np.ones(len(rises)), seed=seed)
        names = dict(zip(by, facts, strict=True)) | {"position": last, "quantity": RISE}
        numbers = {"estimate": rises.mean(), "low": low, "high": high, "unit": "bits per token", "n": len(rises)}
        rows.append(names | numbers)
    return pd.DataFrame(rows)
