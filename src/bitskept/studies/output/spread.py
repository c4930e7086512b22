"""Semantic spread: one question in several wordings, and how far the states and answers of a model come apart.

Each question has one known answer (`sources.facts`). A model that knows it should give it whatever the wording, so the
spread over wordings, or over samples, is taken as a sign of a wrong answer. The entropy of the next token after the
first wording takes a single pass, and is what all spread is compared with.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from pydantic import PositiveInt
from tqdm import tqdm

from bitskept.base.params import Strict
from bitskept.instruments.likelihood import answers, heads
from bitskept.instruments.likelihood.answers import Reader
from bitskept.instruments.likelihood.heads import Head
from bitskept.instruments.likelihood.information_density import require_decoder
from bitskept.instruments.measurement import at_least, measurement
from bitskept.instruments.states import TOKEN_BUDGET, batches, resolve_layers
from bitskept.sources import facts
from bitskept.sources.facts import Fact
from bitskept.sources.language_model import LanguageModel
from bitskept.theory import dispersion
from bitskept.theory.information import entropy

COLUMNS = ["model", "fact", "kind", "about", "known", "wording", "layer", "answer", "right", "quantity", "value"]
ENTROPY, SURPRISAL = "entropy", "surprisal"
"""Of one wording: the entropy of the distribution of the first token, and the mean surprisal of the answer's tokens."""
STATES, ANSWERS, INVERSE = "volume of states", "volume of answers", "inverse entropy"
DISAGREEMENT, SAMPLES, WORDING = "entropy of answers", "semantic entropy", "information of the wording"
SPREAD = [STATES, ANSWERS, INVERSE, DISAGREEMENT, SAMPLES, WORDING]
"""Over the wordings of a question, and SAMPLES over samples of its first one."""
AT_ONCE = 40
"""Questions whose distributions of the first token are in memory at once."""


class Spread(Strict):
    """What is asked, and how often."""

    facts: PositiveInt | None  # questions; null: all of params/facts.yaml
    wordings: PositiveInt  # of each question
    samples: PositiveInt  # answers drawn to the first wording
    length: PositiveInt  # tokens of an answer
    layers: PositiveInt  # evenly spaced layers whose states' volume is taken


@dataclass(frozen=True)
class Plan:
    """The first `facts` questions (None: all of them) in the order drawn by `seed`, each in its first `wordings`. An
    answer has `length` tokens: the likeliest ones, and in `samples` drawn ones. `layers` as in `states.resolve_layers`.
    """

    facts: int | None
    wordings: int = 6
    samples: int = 8
    length: int = 4
    layers: int | tuple[int, ...] | None = 6
    seed: int = 0
    dtype: str = "auto"
    corpus: str = facts.FACTS

    def __post_init__(self) -> None:
        at_least(self, facts=2, wordings=2, samples=2, length=1)


@dataclass(frozen=True)
class Reply:
    """What a model answers to one wording: the answer's tokens up to the end of its first word, their surprisals, what
    they mean, the distribution of the first token, the states of some layers at the end of the prompt, and the mean
    state of the last layer over the prompt.
    """

    tokens: Int[np.ndarray, " token"]
    bits: Float[np.ndarray, " token"]
    meaning: str
    law: Float[np.ndarray, " vocab"]
    states: Float[np.ndarray, "layer dim"]
    prompt: Float[np.ndarray, " dim"]
    sampled: tuple[str, ...]


@measurement("semantic_spread", 1, source=facts)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """One row per question and quantity. Columns: `COLUMNS`.

    ENTROPY and SURPRISAL have a row for each `wording`, with the `answer` that it gets, in the sense of
    `facts.meaning`, and whether that is `right`. The quantities in SPREAD have no wording, and the answer to the first
    one; STATES has a row for each layer. All of them are in bits and are higher where a model is less sure.

    ValueError for an encoder, and for more questions or wordings than there are; SourceError for a model without a
    head.
    """
    require_decoder(model)
    asked, head = facts.load(plan.corpus, facts=plan.facts, seed=plan.seed), heads.head(model)
    if most := [fact.kind for fact in asked if len(fact.wordings) < plan.wordings]:
        raise ValueError(f"questions of the kind {most[0]} have fewer than {plan.wordings} wordings")
    layers, generator = resolve_layers(model, plan.layers), torch.Generator().manual_seed(plan.seed)
    rows: list[dict[str, Any]] = []
    with tqdm(total=len(asked), desc=model.id, unit="question", disable=not progress, leave=False) as bar:
        for first in range(0, len(asked), AT_ONCE):
            part = asked[first : first + AT_ONCE]
            prompts = [wording for fact in part for wording in fact.wordings[: plan.wordings]]
            replies = _replies(model, head, prompts, plan, layers, generator)
            for place, fact in enumerate(part):
                own = replies[place * plan.wordings : (place + 1) * plan.wordings]
                known = {"model": model.id, "fact": first + place, "kind": fact.kind, "about": fact.about}
                rows += [known | row for row in _rows(model, fact, own, layers)]
                bar.update()
    return pd.DataFrame(rows, columns=COLUMNS).astype({"wording": "Int64", "layer": "Int64"})


def _rows(
    model: LanguageModel, fact: Fact, replies: Sequence[Reply], layers: Sequence[int]
) -> Iterator[dict[str, Any]]:
    for wording, reply in enumerate(replies):
        said = _said(fact, reply) | {"wording": wording}
        yield said | {"quantity": ENTROPY, "value": entropy(reply.law)}
        yield said | {"quantity": SURPRISAL, "value": float(reply.bits.mean())}
    words = np.stack([model.embeddings[reply.tokens].detach().float().mean(0).cpu().numpy() for reply in replies])
    prompts = np.stack([reply.prompt for reply in replies])
    values = {
        ANSWERS: dispersion.log_volume(words),
        INVERSE: dispersion.inverse_entropy(prompts, words),
        DISAGREEMENT: dispersion.entropy_of_answers([reply.meaning for reply in replies]),
        SAMPLES: dispersion.entropy_of_answers(replies[0].sampled),
        WORDING: dispersion.information_of_wording(np.stack([reply.law for reply in replies])),
    }
    said = _said(fact, replies[0])
    yield from (said | {"quantity": quantity, "value": value} for quantity, value in values.items())
    for place, layer in enumerate(layers):
        states = np.stack([reply.states[place] for reply in replies])
        yield said | {"quantity": STATES, "layer": layer, "value": dispersion.log_volume(states)}


def _said(fact: Fact, reply: Reply) -> dict[str, Any]:
    right = facts.is_right(reply.meaning, fact)
    return {"known": fact.answers[0], "answer": reply.meaning, "right": right}


@torch.inference_mode()
def _replies(
    model: LanguageModel,
    head: Head,
    prompts: Sequence[str],
    plan: Plan,
    layers: Sequence[int],
    generator: torch.Generator,
) -> list[Reply]:
    """A reply to each prompt; samples are drawn only for the first wording of each question."""
    ids = answers.read_prompts(model, prompts)
    start, cached = len(answers.read_prompts(model, [None])[0]), answers.continues(model)
    replies: dict[int, Reply] = {}
    for group in batches([len(row) for row in ids], TOKEN_BUDGET, mixed=False):
        read = torch.from_numpy(np.stack([ids[row] for row in group]))
        output = model.network(input_ids=read.to(model.device), use_cache=cached, output_hidden_states=True)
        hidden = (*output.hidden_states[:-1], output.last_hidden_state)
        memory = getattr(output, "past_key_values", None) if cached else None  # without it, all is read again
        reader = Reader(model, read, hidden[-1][:, -1], memory)
        first = [place for place, row in enumerate(group) if row % plan.wordings == 0]
        repeated = torch.tensor(first, dtype=torch.long).repeat_interleave(plan.samples)
        sampled: dict[int, tuple[str, ...]] = {}
        if first:
            drawn, _ = _continued(head, reader.copy(repeated), plan.length, generator)
            meanings = np.array([facts.meaning(_text(model, row)) for row in drawn]).reshape(len(first), -1)
            sampled = {place: tuple(row) for place, row in zip(first, meanings.tolist(), strict=True)}
        laws = head(reader.last).double().softmax(-1).cpu().numpy()
        tokens, bits = _continued(head, reader, plan.length)
        states = torch.stack([hidden[layer][:, -1] for layer in layers], dim=1).float().cpu().numpy()
        means = hidden[-1][:, start:].float().mean(1).cpu().numpy()
        for place, row in enumerate(group):
            end, meaning = _first_word(model, tokens[place])
            answer = tokens[place, :end], bits[place, :end], meaning, laws[place], states[place], means[place]
            replies[row] = Reply(*answer, sampled.get(place, ()))
    return [replies[row] for row in range(len(prompts))]


def _continued(
    head: Head, reader: Reader, length: int, generator: torch.Generator | None = None
) -> tuple[Int[np.ndarray, "row {length}"], Float[np.ndarray, "row {length}"]]:
    """So many tokens after what was read, and their surprisals in bits: drawn by a generator, on the CPU so that a seed
    gives the same on every device, or else the likeliest.
    """
    tokens, bits = [], []
    for place in range(length):
        if place:
            reader.read(tokens[-1])
        logs = head(reader.last).float().log_softmax(-1).cpu()
        token = logs.argmax(-1, keepdim=True) if generator is None else logs.exp().multinomial(1, generator=generator)
        tokens.append(token)
        bits.append(-logs.gather(1, token) / np.log(2))
    return torch.cat(tokens, dim=1).numpy(), torch.cat(bits, dim=1).numpy()


def _first_word(model: LanguageModel, tokens: Int[np.ndarray, " token"]) -> tuple[int, str]:
    """How many tokens of an answer it takes to say what it means, and the meaning."""
    said = [facts.meaning(_text(model, tokens[:end])) for end in range(1, len(tokens) + 1)]
    return said.index(said[-1]) + 1, said[-1]


def _text(model: LanguageModel, tokens: Int[np.ndarray, " token"]) -> str:
    return model.tokenizer.decode(tokens, skip_special_tokens=True)
