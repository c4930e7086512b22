"""How many bits a prompt directs into each token of an answer: the density of directed information under a model.

i_t = log2 p(y_t | x, y_<t) - log2 p(y_t | y_<t) for a prompt x and an answer y. Its mean over both, summed over t, is
the directed information I(X→Y) = sum_t I(X; Y_t | Y_<t) (Massey 1990). The model gives the first term. The second is a
marginal, and there are three, each a law of whole answers:

- `mixture`: the mean of p(y | x) over a bank of B prompts that includes the answer's prompt. This is the marginal if
  the prompt is drawn from the bank, so the density is that of directed information proper. It is at most log2 B bits
  in all, since it only distinguishes B prompts, however much more the prompt contains.
- `left_out`: the same without the answer's prompt. It stands for the mean over all prompts, of which the others are a
  sample, and it has no upper limit. If prompts are independent draws and answers are the model's own, the mixture
  underestimates I(X; Y) on average and this one overestimates it (Poole and others 2019, the bounds of InfoNCE and of
  leaving one out, with the model as the critic).
- `promptless`: the model after its start token alone. This is a proxy and not a mixture over prompts: its density also
  counts what all texts of the kind have in common (their topic, their format), which the mixture attributes to the
  answer's past.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from tqdm import tqdm

from bitskept.instruments.likelihood import heads
from bitskept.instruments.likelihood.answers import (
    check_room,
    log2_probabilities,
    read_answers,
    read_prompts,
    warn_of_seams,
)
from bitskept.instruments.measurement import at_least, measurement, model_facts
from bitskept.sources import prompts as prompt_sets
from bitskept.sources.language_model import LanguageModel
from bitskept.theory.intervals import ratio_interval

MARGINALS = ("mixture", "left_out", "promptless")
DENSITIES = [f"density_{marginal}" for marginal in MARGINALS]
COLUMNS = ["answer", "prompt", "position", "token", "given_prompt", "given_another", *MARGINALS, *DENSITIES]
FACTS = ["model", "kind", "weights", "seed", "corpus", "context"]


@dataclass(frozen=True)
class Plan:
    """The first `pairs` of prompts and answers of a source (`prompts.load`) in the order drawn by `seed`. The bank of
    an answer has its own prompt and the `others` that come next in this order, as on a circle.

    Of each prompt only the last `context` tokens are read (default: all), of each answer the first `length`.
    """

    corpus: str
    pairs: int
    others: int = 15
    context: int | None = None
    length: int | None = 32
    seed: int = 0
    dtype: str = "auto"

    def __post_init__(self) -> None:
        at_least(self, pairs=1, others=1, context=0, length=1)


@measurement("information_density", 3, source=prompt_sets)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """The table of `density` after the columns `FACTS`.

    SourceError for a model without a head; other errors as `models.load`, `prompts.load` and `density`.
    """
    require_decoder(model)
    bank = plan.others + 1
    pairs = prompt_sets.load(plan.corpus, pairs=max(plan.pairs, bank), seed=plan.seed)
    prompts, answers = list(pairs["prompt"]), list(pairs["answer"])[: plan.pairs]
    options = {"bank": bank, "context": plan.context, "length": plan.length, "progress": model.id if progress else None}
    head = heads.head(model)
    table = density(model, head, prompts[: plan.pairs], answers, others=prompts[plan.pairs :], **options)
    return with_facts(table, model, plan.corpus, plan.context)


def measure_all(model_id: str, plans: Sequence[Plan], *, accept_terms: Collection[str] = ()) -> pd.DataFrame:
    """The tables of `measure` for these plans, one after the other."""
    return pd.concat([measure(model_id, plan, accept_terms=accept_terms) for plan in plans], ignore_index=True)


def density(
    model: LanguageModel,
    head: heads.Head,
    prompts: Sequence[str],
    answers: Sequence[str],
    *,
    others: Sequence[str] = (),
    bank: int | None = None,
    context: int | None = None,
    length: int | None = None,
    progress: str | None = None,
) -> pd.DataFrame:
    """One row per token of an answer, all numbers in bits. Columns: `COLUMNS`.

    `prompts[i]` is the prompt of `answers[i]`; a bank is made of all distinct prompts, with those in `others`: of all
    of them, or of `bank`, those that begin with the answer's own as on a circle. An answer is scored under the prompts
    of its bank alone. The columns `answer` and `prompt` are indices into `answers` and the distinct prompts, and
    `position` counts an answer's tokens from 0. `given_prompt`, `given_another` (after the next prompt of the bank) and
    the marginals are log2 p(y_t | ...); a density is `given_prompt` minus a marginal. Of every prompt the last
    `context` tokens are read (with 0, the directed information is 0), of an answer the first `length`.

    A warning if answers do not continue their prompts (`answers.warn_of_seams`). ValueError for an encoder, a bank of
    one prompt, an empty text, and more tokens than the model takes.
    """
    require_decoder(model)
    if len(prompts) != len(answers):
        raise ValueError(f"there are {len(prompts)} prompts and {len(answers)} answers: give each answer its prompt")
    distinct = distinct_prompts([*prompts, *others])
    contexts = read_prompts(model, [None, *distinct], context=context)
    targets = read_answers(model, answers, length=length)
    check_room(model, [(max(contexts, key=len), max(targets, key=len))])
    warn_of_seams(model, prompts, answers)
    size, places = min(bank or len(distinct), len(distinct)), [distinct.index(prompt) for prompt in prompts]
    banks = [[(place + step) % len(distinct) for step in range(size)] for place in places]
    bar = tqdm(enumerate(contexts, -1), desc=progress, total=len(contexts), disable=progress is None, leave=False)
    scored = {}
    for context_place, ids in bar:
        asked = [number for number, members in enumerate(banks) if context_place in (-1, *members)]
        if asked:
            found = log2_probabilities(model, head, ids, [targets[number] for number in asked])
            scored |= {(number, context_place): bits for number, bits in zip(asked, found, strict=True)}
    tables = []
    for number, members in enumerate(banks):
        by_prompt = np.stack([scored[number, member] for member in members])
        laws = {
            "given_prompt": by_prompt[0],
            "given_another": by_prompt[1],
            "mixture": mixture(by_prompt),
            "left_out": mixture(by_prompt[1:]),
            "promptless": scored[number, -1],
        }
        facts = {"answer": number, "prompt": members[0], "position": np.arange(by_prompt.shape[1])}
        text = {"token": [model.tokenizer.decode([token]) for token in targets[number]]}
        densities = {f"density_{name}": laws["given_prompt"] - laws[name] for name in MARGINALS}
        tables.append(pd.DataFrame(facts | text | laws | densities))
    return pd.concat(tables, ignore_index=True)[COLUMNS]


def mixture(given: Float[np.ndarray, "prompt token"]) -> Float[np.ndarray, " token"]:
    """log2 p(y_t | y_<t) where p(y_≤t) is the mean over prompts of p(y_≤t | x), from log2 p(y_t | x, y_<t)."""
    whole = np.logaddexp2.reduce(given.cumsum(axis=1), axis=0) - np.log2(len(given))
    return np.diff(whole, prepend=0.0)


def gains(table: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """What the prompt adds to the prediction of the next token from an answer's own past: the mean density of a table
    of `measure` by marginal, in bits per token, with a 95 % interval over answers. n counts the answers.

    This is Granger's question (1969), for laws instead of variances (transfer entropy, Schreiber 2000): an
    interval above 0 shows that the prompt predicts beyond the answer's own past. The result depends on the law that
    stands for that past, one of `MARGINALS`; a model that was never trained without a prompt is weak there
    (`promptless`).
    """
    rows = []
    for facts, part in table.groupby(FACTS, dropna=False, sort=False):
        answers = part.groupby("answer")
        sums, sizes = answers[DENSITIES].sum().to_numpy().T, answers.size().to_numpy()
        lows, highs = ratio_interval(sums, sizes, seed=seed)
        for marginal, bits, low, high in zip(MARGINALS, sums, lows, highs, strict=True):
            numbers = {"estimate": bits.sum() / sizes.sum(), "low": low, "high": high}
            names = {"marginal": marginal, "quantity": "context_gain"}
            rows.append(
                dict(zip(FACTS, facts, strict=True)) | names | numbers | {"unit": "bits per token", "n": len(sizes)}
            )
    return pd.DataFrame(rows).astype({"seed": "Int64", "context": "Int64"})


def bits_so_far(table: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """S_t, the bits that a prompt has directed into an answer by its t-th token (marginal: the mixture), averaged over
    the answers of a table of `measure`. Columns: corpus, tokens (from 1), estimate, low, high (95 % over answers), n
    (answers). After its last token, an answer keeps its last S.
    """
    parts = []
    for corpus, rows in table.groupby("corpus", sort=False):
        wide = rows.pivot(index="position", columns="answer", values="density_mixture")
        s = wide.fillna(0).cumsum().to_numpy()
        low, high = ratio_interval(s, np.ones(s.shape[1]), seed=seed)
        facts = {"corpus": corpus, "tokens": wide.index + 1}
        parts.append(pd.DataFrame(facts | {"estimate": s.mean(axis=1), "low": low, "high": high, "n": s.shape[1]}))
    return pd.concat(parts, ignore_index=True)


def require_decoder(model: LanguageModel) -> None:
    """ValueError for an encoder, which has no law of the next token."""
    if model.kind != "decoder":
        raise ValueError(f"{model.id} is an encoder, and has no law of the next token: take a decoder")


def distinct_prompts(prompts: Sequence[str]) -> list[str]:
    """The distinct prompts, as a bank. ValueError for fewer than two: a single prompt is no mixture."""
    bank = list(dict.fromkeys(prompts))
    if len(bank) < 2:
        raise ValueError(f"a bank of {len(bank)} different prompts makes no mixture of prompts: give at least 2")
    return bank


def with_facts(table: pd.DataFrame, model: LanguageModel, corpus: str, context: int | None) -> pd.DataFrame:
    """A table after the columns `FACTS`."""
    values = model_facts(model) | {"corpus": corpus, "context": context}
    front = pd.DataFrame([values] * len(table), columns=FACTS).astype({"seed": "Int64", "context": "Int64"})
    return pd.concat([front, table], axis=1)
