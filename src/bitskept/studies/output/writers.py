"""Who goes on with a text: people, or a model that draws every token from its distribution.

All writers get the same openings. Special tokens are taken out of a model's distribution, both where texts are drawn
from it and where they are scored with it, so that texts have the length that was asked for. A model that has read as
many tokens as it takes goes on from half as many, the last ones.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from bitskept.instruments.likelihood import answers, heads
from bitskept.instruments.likelihood.heads import Head
from bitskept.instruments.likelihood.information_density import require_decoder
from bitskept.instruments.measurement import at_least, measurement
from bitskept.sources import corpora
from bitskept.sources.language_model import LanguageModel

SUMS = ["surprisal", "entropy", "varentropy"]
"""Bits, and for the last bits squared, summed over the tokens of a text: -log2 p of the token that is there, and the
mean and the variance that -log2 p has under the model's distribution at its place.
"""
ROWS = 128
"""Texts that are written side by side."""


@dataclass(frozen=True)
class Plan:
    """The first `texts` texts with at least `words` words, among the first `sentences` (default: all) of a corpus in
    the order drawn by `seed`. The `opening` words of each are given, and its last `opening` tokens are read; `length`
    tokens are written, each drawn at a `temperature`. Sums are taken over the first tokens, as many as each of the
    `lengths` says.
    """

    corpus: str
    texts: int
    words: int
    opening: int
    length: int
    lengths: tuple[int, ...]
    sentences: int | None = None
    temperature: float = 1.0
    seed: int = 0
    dtype: str = "auto"

    def __post_init__(self) -> None:
        at_least(self, texts=2, opening=1, words=self.opening + 1, length=max(self.lengths))


@measurement("written", 1)
def written(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """The model's continuations, one row per text and length: text (its number), continuation (all that was written),
    length, and `SUMS` over the first `length` tokens, under the distribution that they were drawn from.

    ValueError for an encoder and for too few texts; other errors as `corpora.load` and `heads.head`.
    """
    require_decoder(model)
    starts = read_openings(model, [opening for opening, _ in halves(plan)], plan.opening)
    drawn, bits = draw(model, heads.head(model), starts, plan.length, temperature=plan.temperature, seed=plan.seed)
    texts = [model.tokenizer.decode(row, clean_up_tokenization_spaces=False) for row in drawn]
    return sums_by_length(bits, plan.lengths).assign(continuation=lambda rows: rows["text"].map(dict(enumerate(texts))))


def halves(plan: Plan) -> list[tuple[str, str]]:
    """The openings of a plan, and how people went on: the rest of the text, from the space before it on."""
    pairs = []
    for text in corpora.load(plan.corpus, sentences=plan.sentences, seed=plan.seed)["text"]:
        words = text.split(" ")
        if len(words) >= plan.words and len(pairs) < plan.texts:
            opening = " ".join(words[: plan.opening])
            pairs.append((opening, text[len(opening) :]))
    if len(pairs) < 2:
        raise ValueError(f"{plan.corpus} has {len(pairs)} texts of {plan.words} words or more: ask for shorter ones")
    return pairs


def read_openings(model: LanguageModel, openings: list[str], tokens: int) -> Int[np.ndarray, "text token"]:
    """The start tokens and the last `tokens` tokens of each opening, which has that many words, so at least that many
    tokens.
    """
    return np.stack(answers.read_prompts(model, openings, context=tokens))


def ordinary(model: LanguageModel) -> Bool[np.ndarray, " vocab"]:
    """Which tokens a text may have: those that the tokenizer knows and that are not special."""
    allowed = np.arange(len(model.embeddings)) < len(model.tokenizer)
    allowed[[id for id in model.tokenizer.all_special_ids if id < len(allowed)]] = False
    return allowed


@torch.inference_mode()
def draw(
    model: LanguageModel,
    head: Head,
    starts: Int[np.ndarray, "text start"],
    length: int,
    *,
    temperature: float = 1.0,
    seed: int = 0,
) -> tuple[Int[np.ndarray, "text {length}"], Float[np.ndarray, "text {length} sum"]]:
    """`length` tokens after each start, and for each of them the terms of `SUMS`. A seed gives the same tokens again,
    up to rounding.
    """
    generator, allowed = torch.Generator().manual_seed(seed), ordinary(model)
    tokens, bits = [], []
    for rows in torch.from_numpy(starts).split(ROWS):
        reader = answers.start(model, rows)
        for place in range(length):
            if place and reader.ids.shape[1] < model.longest:
                reader.read(tokens[-1])
            elif place:
                read = torch.cat([reader.ids, tokens[-1]], dim=1)
                reader = answers.start(model, read[:, -(model.longest // 2) :])
            laws = log2_laws(head, reader.last, allowed, temperature)
            tokens.append(laws.exp2().cpu().multinomial(1, generator=generator))
            bits.append(terms(laws, tokens[-1][:, 0]))
    groups = range(0, len(tokens), length)  # of texts that were written side by side
    ids = [torch.cat(tokens[group : group + length], dim=1).numpy() for group in groups]
    return np.concatenate(ids), np.concatenate([np.stack(bits[group : group + length], axis=1) for group in groups])


def log2_laws(
    head: Head, states: Float[Tensor, "place dim"], allowed: Bool[np.ndarray, " vocab"], temperature: float = 1.0
) -> Float[Tensor, "place vocab"]:
    """log2 of the distributions of the next token over the allowed tokens; -inf elsewhere."""
    logits = head(states).float()[:, : len(allowed)]
    logits[:, torch.from_numpy(~allowed).to(logits.device)] = -torch.inf
    return (logits / temperature).log_softmax(-1) / math.log(2)


def terms(laws: Float[Tensor, "place vocab"], tokens: Int[Tensor, " place"]) -> Float[np.ndarray, "place sum"]:
    """The terms of `SUMS` at each place."""
    weights, bits = laws.exp2(), -laws.clamp(min=-1e4)  # what cannot occur has the weight 0
    mean = (weights * bits).sum(-1)
    variance = (weights * (bits - mean[:, None]) ** 2).sum(-1)
    own = bits.gather(1, tokens.to(bits.device)[:, None])[:, 0]
    return torch.stack([own, mean, variance], dim=1).cpu().numpy().astype(float)


def sums_by_length(bits: Float[np.ndarray, "text token sum"], lengths: tuple[int, ...]) -> pd.DataFrame:
    """`SUMS` over the first tokens of each text, one row per text and length; columns text, length and `SUMS`."""
    sums = bits.cumsum(1)[:, np.array(lengths) - 1]
    facts = {"text": np.repeat(np.arange(len(bits)), len(lengths)), "length": np.tile(lengths, len(bits))}
    return pd.DataFrame(facts | dict(zip(SUMS, sums.reshape(-1, len(SUMS)).T, strict=True)))
