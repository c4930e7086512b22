"""One small network trained from random weights on a language with a truth, and measured while it trains.

A run is one table in the store. It takes minutes, so a run that was killed starts again.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from bitskept.base import store
from bitskept.instruments.training.builds import Build, Vocabulary, class_name, network
from bitskept.instruments.training.masking import LEFT_OUT, hide
from bitskept.sources.model_checks import quiet
from bitskept.theory.corruption import Corruption, Optimum
from bitskept.theory.synonyms import SynonymLanguage

VERSION = 2
"""Raise it when the same plan would give other numbers."""
NOISE = 0.1
"""In a language with a lag, the share of synonyms that are drawn afresh."""
Sentences = Int[Tensor, "sentence token"]
States = Float[Tensor, "layer sentence token dim"]


@dataclass(frozen=True)
class Language:
    """The parameters of a language. With a `lag`, a token's synonym decides the one so many places later."""

    classes: int
    synonyms: int
    concentration: float
    seed: int
    lag: int | None = None

    @cached_property
    def law(self) -> SynonymLanguage:
        """The language itself."""
        memory = () if self.lag is None else (self.lag, NOISE)
        return SynonymLanguage.draw(self.classes, self.synonyms, self.concentration, self.seed, *memory)


@dataclass(frozen=True)
class Sizes:
    """How much is measured: sentences for the probes (`smaller` for their learning curve), for the loss and for the
    simulated optimum; anchors of soft entropy, clusters of states.
    """

    train: int
    validation: int
    test: int
    smaller: tuple[int, ...]
    loss: int
    optimum: int
    anchors: int
    clusters: int


@dataclass(frozen=True)
class Plan:
    """One run. Without a `corruption` each token has to be predicted from those before it; with one, the chosen tokens
    have to be named from all that is shown, or from what is shown to the left if the network is `causal`.

    The output of a `tied` network reads with the table of the inputs. With `own`, a head of its own has to name each
    visible token from its own state besides. `seed` draws the first weights and the sentences of training. A run that
    is `followed` is measured while it trains, any other after its last step alone.
    """

    language: Language
    corruption: Corruption | None
    build: Build
    sizes: Sizes = field(repr=False)
    causal: bool = False
    tied: bool = True
    own: bool = False
    length: int = 32
    steps: int = 2000
    batch: int = 64
    rate: float = 3e-3
    seed: int = 0
    followed: bool = True

    def __post_init__(self) -> None:
        class_name(self.build.family, causal=self.causal)
        if self.corruption is None and not self.causal:
            raise ValueError("a network that sees the next token cannot learn to predict it: make it causal")
        if self.length < 2 or min(self.steps, self.batch) < 1 or not self.rate > 0:
            raise ValueError("a run takes sentences of 2 tokens, and a step, a batch and a rate above 0")

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(self.language.classes * self.language.synonyms, self.length)


def run(plan: Plan) -> pd.DataFrame:
    """The measures of a run (`language_measures.COLUMNS`), trained now if it is not in the store."""
    return store.stored("language", VERSION, _key(plan), lambda: _train(plan))


def is_stored(plan: Plan) -> bool:
    """Whether a run has been made."""
    return store.has("language", VERSION, _key(plan))


def optimum(plan: Plan) -> Optimum:
    """The least cost of a plan's objective, in bits for each token that it asks for; kept, as some take a minute.

    ValueError for tokens to be named from the left that are more than hidden, or in a language with a lag.
    """
    facts = {"language": asdict(plan.language), "length": plan.length, "causal": plan.causal}
    facts |= {"corruption": plan.corruption and asdict(plan.corruption), "sentences": plan.sizes.optimum}

    def compute() -> pd.DataFrame:
        return pd.DataFrame([_optimum(plan)._asdict()])

    row = store.stored("language_optimum", VERSION, facts, compute, logged=False).iloc[0]
    return Optimum(float(row["bits"]), float(row["error"]))


def _optimum(plan: Plan) -> Optimum:
    law, rule = plan.language.law, plan.corruption
    if rule is None:
        return Optimum(law.next_token_optimum(plan.length), 0.0)
    if plan.causal:
        return left_optimum(law, plan.length, rule)
    return law.masked_optimum(plan.length, rule, plan.sizes.optimum)


def left_optimum(law: SynonymLanguage, length: int, rule: Corruption) -> Optimum:
    """The least mean cost of a hidden token that is named from what is shown to its left.

    Only the nearest visible token matters; it lies k places before with probability (1 - hidden) hidden^(k-1). There
    may be none. ValueError for tokens that are replaced or kept, and for a language with a lag.
    """
    if rule.masked < 1 or law.noise < 1:
        raise ValueError("the optimum from the left is known for masks alone, in a language without a lag")
    gaps = law.class_chain.gap_entropies(length)[1:length]
    nearest = (1 - rule.hidden) * rule.hidden ** np.arange(length - 1)
    known = np.r_[0, np.cumsum(nearest * gaps)]
    alone = rule.hidden ** np.arange(length) * law.class_entropy
    return Optimum(float((known + alone).mean() + law.synonym_bits), 0.0)


def steps(plan: Plan) -> list[int]:
    """The steps that are measured: the last, and of a run that is followed 0, 1, 2, 4, ... too."""
    last = plan.steps
    return sorted({0, *(2**power for power in range(last.bit_length())), last}) if plan.followed else [last]


def _key(plan: Plan) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(plan)))


class Learner(nn.Module):
    """The network of a plan, and the head that names visible tokens if there is one."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.network = network(plan.build, plan.vocabulary, causal=plan.causal, seed=plan.seed, tied=plan.tied)
        self.own, self.reads_on = None, plan.corruption is None
        if plan.own:
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(plan.seed)
                self.own = nn.Linear(plan.build.width, len(plan.vocabulary))

    def loss(self, shown: Sentences, wanted: Sentences) -> Float[Tensor, ""]:
        """The mean surprisal of the wanted tokens in nats; with a head of its own, plus that of the visible tokens,
        each named from its own state.
        """
        states = self.network.base_model(input_ids=shown).last_hidden_state
        asked = self.surprisal(states, wanted).mean()
        if self.own is None:
            return asked
        visible = torch.ones_like(wanted, dtype=torch.bool) if self.reads_on else wanted == LEFT_OUT
        return asked + _surprisal(self.own(states[visible]), shown[visible]).mean()

    def surprisal(self, states: Float[Tensor, "sentence token dim"], wanted: Sentences) -> Float[Tensor, " wanted"]:
        """That of each wanted token, in nats, from the states of the last layer."""
        chosen = wanted != LEFT_OUT
        return _surprisal(self.network.lm_head(states[chosen]), wanted[chosen])

    @torch.inference_mode()
    def states(self, shown: Sentences, at_once: int = 256) -> States:
        """The states of all layers; the last are those that the head reads."""
        parts = []
        for some in shown.split(at_once):
            output = self.network.base_model(input_ids=some, output_hidden_states=True)
            parts.append(torch.stack([*output.hidden_states[:-1], output.last_hidden_state]))
        return torch.cat(parts, dim=1)


def _surprisal(scores: Tensor, types: Tensor) -> Tensor:
    return nn.functional.cross_entropy(scores, types, reduction="none")


def task(plan: Plan, sentences: Sentences, random: np.random.Generator) -> tuple[Sentences, Sentences]:
    """What the network is shown of these sentences, and the token that it has to predict at each place, or LEFT_OUT."""
    if plan.corruption is None:
        return sentences, torch.cat([sentences[:, 1:], torch.full_like(sentences[:, :1], LEFT_OUT)], dim=1)
    rule, vocabulary = plan.corruption, plan.vocabulary
    options = {"share": rule.hidden, "replaced": rule.replaced, "kept": rule.kept, "types": vocabulary.types}
    flat = sentences.flatten()
    shown, wanted = hide(flat, flat, random, mask=vocabulary.mask_token_id, **options)
    return shown.view_as(sentences), wanted.view_as(sentences)


def draw(plan: Plan, sentences: int, random: np.random.Generator) -> Sentences:
    """Sentences of the language."""
    return torch.from_numpy(plan.language.law.sample(sentences, plan.length, random)).long()


def _train(plan: Plan) -> pd.DataFrame:
    from bitskept.studies.dynamics.language_measures import COLUMNS, Measures

    with quiet():
        learner, measures = Learner(plan), Measures(plan)
        rows, measured = [], steps(plan)
        for step in chain([0], _updates(plan, learner)):
            if step in measured:
                learner.eval()
                rows += measures.rows(learner, step)
                learner.train()
    return pd.DataFrame(rows, columns=COLUMNS).astype({"layer": "Int64", "n": "Int64", "train_sentences": "Int64"})


def _updates(plan: Plan, learner: Learner) -> Iterator[int]:
    """Train, and give the number of each step after it. The rate rises over the first twentieth of the steps and falls
    along a cosine; sentences are always fresh.
    """
    random = np.random.default_rng([plan.language.seed, plan.seed])
    optimiser = torch.optim.AdamW(learner.parameters(), lr=plan.rate, betas=(0.9, 0.98), weight_decay=0.1)
    rising = max(1, plan.steps // 20)
    for step in range(1, plan.steps + 1):
        height = min(1.0, step / rising) * 0.5 * (1 + math.cos(math.pi * (step - 1) / plan.steps))
        optimiser.param_groups[0]["lr"] = plan.rate * height
        loss = learner.loss(*task(plan, draw(plan, plan.batch, random), random))
        if not loss.isfinite():
            raise RuntimeError(f"training diverged at step {step}: lower the rate, which is {plan.rate:g}")
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimiser.step()
        yield step
