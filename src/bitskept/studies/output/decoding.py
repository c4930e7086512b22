"""How decoders continue texts, next to how people did: surprisal and entropy of every token under the model's
distribution.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveInt
from torch import Tensor
from tqdm import tqdm

from bitskept.base.params import Name, Names, Strict
from bitskept.instruments.likelihood import answers, heads
from bitskept.instruments.likelihood.heads import Head
from bitskept.instruments.likelihood.information_density import require_decoder
from bitskept.instruments.likelihood.surprisal import start_tokens
from bitskept.instruments.measurement import MODEL, at_least, label, measurement, to_table
from bitskept.sources import corpora
from bitskept.sources.language_model import LanguageModel
from bitskept.studies.output.decoders import (
    ANCESTRAL,
    MIROSTAT,
    NUCLEUS,
    PEOPLE,
    TOP_H,
    TOP_K,
    TYPICAL,
    Decoder,
    decoder,
)
from bitskept.theory.intervals import LEAST

BITS = ("surprisal", "entropy", "expected_distance", "kept_entropy")
COLUMNS = [*MODEL, "corpus", "decoder", "setting", "text", "position", "id", "token", *BITS, "kept"]


class Decoding(Strict):
    """Which decoders continue which texts. The first setting of each decoder is its usual one."""

    corpus: str = Name  # whose texts people have continued
    prompts: PositiveInt  # texts that are continued
    prompt_tokens: PositiveInt  # that a text begins with
    length: int = Field(ge=8)  # tokens of each continuation
    top_k: list[PositiveInt] = Names  # how many tokens
    nucleus: list[float] = Names  # their probability
    typical: list[float] = Names  # the same
    top_h: list[float] = Names  # the share of the terms of the entropy
    mirostat: list[float] = Names  # targets in bits


@dataclass(frozen=True)
class Plan:
    """The first `prompts` texts of a corpus, in the order drawn by `seed`, that are long enough: `prompt_tokens` are
    read, and `length` follow. `decoders` are names with a setting; ancestral sampling and people come first.
    """

    corpus: str
    decoders: tuple[tuple[str, float], ...]
    prompts: int = LEAST
    prompt_tokens: int = 24
    length: int = 48
    seed: int = 0
    dtype: str = "auto"

    def __post_init__(self) -> None:
        at_least(self, prompts=1, prompt_tokens=1, length=1)


def plan(parameters: Decoding, *, seed: int, dtype: str) -> Plan:
    """The plan of these parameters."""
    sizes = {name: getattr(parameters, name) for name in ("prompts", "prompt_tokens", "length")}
    return Plan(parameters.corpus, tuple(_settings(parameters)), **sizes, seed=seed, dtype=dtype)


def usual(parameters: Decoding) -> dict[str, float]:
    """The usual setting of each decoder."""
    return dict(reversed(list(_settings(parameters))))


def _settings(parameters: Decoding) -> Iterator[tuple[str, float]]:
    lists = {TOP_K: parameters.top_k, NUCLEUS: parameters.nucleus, TYPICAL: parameters.typical}
    lists |= {TOP_H: parameters.top_h, MIROSTAT: parameters.mirostat}
    for name, settings in lists.items():
        yield from ((name, float(setting)) for setting in settings)


@measurement("decoding", 2)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """One row per decoder, setting, text and token. Columns: `COLUMNS`.

    In bits: the token's `surprisal` under the model's whole distribution, the `entropy` of that distribution,
    `expected_distance`, the mean distance of surprisal and entropy over draws from it, and `kept_entropy`, that of the
    distribution which the token was drawn from, with `kept` tokens. `id` is the token's number in the vocabulary, and
    `position` counts from 0. All decoders use the same random numbers. `setting` is missing for people and ancestral
    sampling.

    ValueError where too few texts are long enough, or prompt and continuation are more than the model takes; errors as
    `corpora.load` and `heads.head`.
    """
    require_decoder(model)
    head, ids = heads.head(model), long_texts(model, plan)
    known, written = map(torch.from_numpy, np.split(ids, [-plan.length], axis=1))
    arms: list[tuple[str, float | None]] = [(PEOPLE, None), (ANCESTRAL, None), *plan.decoders]
    decoders = [decoder(ANCESTRAL if name == PEOPLE else name, setting or math.nan) for name, setting in arms]
    values = continued(model, head, known, written, decoders, plan.seed, label(model) if progress else None)
    parts = (_rows(model, *arm, part) for arm, part in zip(arms, values, strict=True))
    return to_table(model, chain.from_iterable(parts), COLUMNS, corpus=plan.corpus)


def long_texts(model: LanguageModel, plan: Plan) -> Int[np.ndarray, "text token"]:
    """The token ids of the texts of a plan, after the model's start tokens."""
    wanted = len(start_tokens(model)) + plan.prompt_tokens + plan.length
    if wanted > model.longest:
        raise ValueError(f"{wanted} tokens are more than the {model.longest} that {model.id} takes: take fewer")
    rows = []
    for text in corpora.load(plan.corpus, seed=plan.seed)["text"]:
        [ids] = answers.read_prompts(model, [text])
        rows += [ids[:wanted]] if len(ids) >= wanted else []
        if len(rows) == plan.prompts:
            return np.stack(rows)
    raise ValueError(f"of {plan.corpus}, {len(rows)} texts have {wanted} tokens or more, and {plan.prompts} are needed")


@torch.inference_mode()
def continued(
    model: LanguageModel,
    head: Head,
    ids: Int[Tensor, "text token"],
    written: Int[Tensor, "text place"],
    decoders: Sequence[Decoder],
    seed: int,
    progress: str | None = None,
) -> list[dict[str, np.ndarray]]:
    """The tokens that each decoder draws after `ids`, with their bits: arrays [text, place] by the name of the column.
    The first decoder draws nothing: its tokens are those that are `written`. All texts of all decoders are one batch.
    """
    draws = [torch.Generator().manual_seed(seed) for _ in decoders]
    reader, steps = answers.start(model, ids.repeat(len(decoders), 1)), []
    for place in tqdm(range(written.shape[1]), desc=progress, unit="token", disable=progress is None, leave=False):
        if place:
            reader.read(torch.cat([step["id"] for step in steps[-1]])[:, None])
        steps.append([])
        for last, chosen, generator in zip(reader.last.chunk(len(decoders)), decoders, draws, strict=True):
            logits = head(last).float()
            cut = chosen.cut(logits).softmax(-1)
            given = written[:, place : place + 1] if chosen is decoders[0] else None
            drawn = cut.cpu().multinomial(1, generator=generator) if given is None else given
            steps[-1].append({"id": drawn[:, 0]} | _bits(logits.log_softmax(-1), cut, drawn.to(logits.device)))
            chosen.told(steps[-1][-1]["surprisal"])
    return [
        {name: torch.stack([step[name] for step in arm], dim=1).cpu().numpy() for name in arm[0]}
        for arm in zip(*steps, strict=True)
    ]


def _bits(
    logs: Float[Tensor, "text vocab"], cut: Float[Tensor, "text vocab"], drawn: Int[Tensor, "text single"]
) -> dict[str, Tensor]:
    """What `measure` says of one token of each text, from the log of the whole distribution and the distribution it was
    drawn from.
    """
    law, surprisals = logs.exp(), logs / -math.log(2)
    entropies = (law * surprisals).sum(-1)
    return {
        "surprisal": surprisals.gather(1, drawn)[:, 0],
        "entropy": entropies,
        "expected_distance": (law * (surprisals - entropies[:, None]).abs()).sum(-1),
        "kept_entropy": torch.special.entr(cut).sum(-1) / math.log(2),
        "kept": (cut > 0).sum(-1),
    }


def _rows(
    model: LanguageModel, name: str, setting: float | None, values: dict[str, np.ndarray]
) -> Iterator[dict[str, object]]:
    for (text, position), id in np.ndenumerate(values["id"]):
        facts = {"decoder": name, "setting": setting, "text": text, "position": position}
        facts |= {"id": int(id), "token": model.tokenizer.decode([int(id)])}
        yield facts | {column: values[column][text, position].item() for column in (*BITS, "kept")}
