"""Information capacity: what a model saves of a text's size, for the computation of one token (Yuan, Shao, Zhang and Li
2025, arXiv 2511.08066).

IC = (C + b + Σ log2 p(y_t | y_<t)) / log2 N, per token. C is the size of the text in bits, 8 for each byte in UTF-8, so
a tokenizer with long tokens has a large C per token; N is the number of floating-point operations for one token; and b
is a negative constant, chosen by the authors so that the models of a series come out alike. The definition is that of
the authors' own README and code (the repository TeleAI-AI-Flow/InformationCapacity), whose b is -24 for mixed text.
There the means are over texts of what each has per token; here they are ratios of sums over texts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from pydantic import Field, PositiveInt
from transformers.pytorch_utils import Conv1D

from bitskept.base.params import Names, Strict
from bitskept.instruments.job import Job, key_of, measuring
from bitskept.instruments.likelihood import heads, surprisal
from bitskept.instruments.likelihood.information_density import require_decoder
from bitskept.instruments.measurement import at_least, measurement
from bitskept.instruments.states import cut_as_planned
from bitskept.instruments.training import twin_runs, twins
from bitskept.instruments.training.twin_runs import NEXT, STATE_SPACE, TwinTraining
from bitskept.sources import corpora
from bitskept.sources.language_model import LanguageModel

PUBLISHED = -24.0
"""The authors' b for mixed text, in bits."""
BYTE = 8
SCAN = 6
"""Operations for each number in the state of a state-space model, for each token: it is multiplied by a decay, an input
is formed and added, and an output is read off, which takes a product and a sum.
"""


class Capacity(Strict):
    """What do models save of a text for their computation?"""

    models: list[str] = Names  # beside the twins
    other_width: PositiveInt  # of the other next-token twin, which makes a series of two with the usual one
    sentences: PositiveInt  # of those that twins have not seen
    longest: PositiveInt  # bytes of a text that are read, up to the end of a word
    constants: list[float] = Field(min_length=2)  # values of b, in bits


@dataclass(frozen=True)
class Plan:
    """The first `sentences` of a corpus in the order drawn by `seed`, each cut after the last word that ends within
    `longest` bytes.
    """

    corpus: str
    sentences: int
    longest: int
    seed: int = 0
    dtype: str = "auto"

    def __post_init__(self) -> None:
        at_least(self, sentences=2, longest=8)


@measurement("text_costs", 1)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """One row per text: text (its number), domain, `bits` (-log2 p), tokens, bytes, and of the model: operations (per
    token, at the mean length of these texts) and types (of its vocabulary).

    ValueError for an encoder; other errors as `surprisal.surprisals` and `heads.head`.
    """
    require_decoder(model)
    drawn = corpora.load(plan.corpus, sentences=plan.sentences, seed=plan.seed)
    texts = [cut(text, plan.longest) for text in drawn["text"]]
    with cut_as_planned():
        head = heads.head(model)
        costs = surprisal.surprisals(model, head, texts, progress=model.id if progress else None)
    numbers = operations(model, float(costs["tokens"].mean()))
    facts = {"text": np.arange(len(texts)), "domain": drawn["domain"][:]}
    return costs.assign(**facts, operations=numbers, types=len(model.tokenizer))


def cut(text: str, longest: int) -> str:
    """The words of a text that end within so many bytes; part of the first word where even that is longer."""
    if len(text.encode()) <= longest:
        return text
    part = text.encode()[: longest + 1].decode(errors="ignore")
    return part.rpartition(" ")[0] or text.encode()[:longest].decode(errors="ignore")


def operations(model: LanguageModel, length: float) -> float:
    """Floating-point operations to predict a token after so many others, on average over a text of `length` tokens that
    is read token by token with a cache: two for each weight of a matrix, those of the head among them; in attention
    four for each number of a query and token before it; and `SCAN` for each number of a state. Norms, activations and
    the short convolution of a state-space model are left out: they are under 2 % here.
    """
    config = model.network.config.get_text_config()
    layers = (torch.nn.Linear, Conv1D)  # the latter are GPT-2's
    matrices = sum(part.weight.numel() for part in model.network.modules() if isinstance(part, layers))
    total = 2.0 * (matrices + model.embeddings.numel())
    if heads_of := getattr(config, "num_attention_heads", None):
        width = getattr(config, "head_dim", None) or config.hidden_size // heads_of
        return total + 4 * config.num_hidden_layers * heads_of * width * (length - 1) / 2
    inner = config.num_heads * config.head_dim
    return total + SCAN * config.num_hidden_layers * inner * config.state_size


def information_capacity(gain: float | int, operations: float | int, constant: float | int = 0) -> float:
    """(gain + b) / log2 N: a gain and a constant b in bits per token, and the operations N for one token."""
    return float((gain + constant) / np.log2(operations))


def aligning_constant(gains: tuple[float, float], operations: tuple[float | int, float | int]) -> float:
    """The constant b that gives two models the same information capacity. ValueError for equal operations."""
    logs = np.log2(operations)
    if logs[0] == logs[1]:
        raise ValueError("two models of the same number of operations cannot be aligned by a constant")
    return float((gains[0] * logs[1] - gains[1] * logs[0]) / (logs[0] - logs[1]))


def costs(topic: Capacity, training: TwinTraining, *, twin_seed: int, dtype: str, terms: list[str]) -> pd.DataFrame:
    """The tables of `measure` for all models and twins, with a column `model`; the texts are the first of those that
    the twins have not seen. Missing twins are trained now.
    """
    own = {model: (model, plan(topic, training, dtype=dtype)) for model in topic.models}
    runs = twin_plans(topic, training, twin_seed)
    ids = twin_runs.trained(training, [(twin, run) for _, twin, run in runs])
    fixed = plan(topic, training, dtype="float32")
    own |= {name: (id, fixed) for (name, *_), id in zip(runs, ids, strict=True)}
    tables = [measure(id, asked, accept_terms=terms).assign(model=name) for name, (id, asked) in own.items()]
    return pd.concat(tables, ignore_index=True)


def plan(topic: Capacity, training: TwinTraining, *, dtype: str) -> Plan:
    """How a model is measured."""
    sentences = min(topic.sentences, training.held_out)
    return Plan(training.corpus, sentences, topic.longest, seed=training.seed, dtype=dtype)


def twin_plans(topic: Capacity, training: TwinTraining, seed: int) -> list[tuple[str, str, twins.Plan]]:
    """Name, twin and plan of each run: the next-token twins of two widths, and the state-space twin."""
    shapes = [(NEXT, topic.other_width), (NEXT, training.width), (STATE_SPACE, training.width)]
    return [(f"{twin} ({size})", twin, twin_runs.plan(training, twin, seed, size=size)) for twin, size in shapes]


def series(topic: Capacity, training: TwinTraining) -> tuple[str, str]:
    """The names of the two next-token twins, which differ in size alone."""
    return f"{NEXT} ({topic.other_width})", f"{NEXT} ({training.width})"


def jobs(
    notebook: str, topic: Capacity, training: TwinTraining, *, twin_seed: int, dtype: str, terms: list[str]
) -> Iterator[Job]:
    """One job for each model, and one for all twins, which are small."""
    for model in topic.models:
        yield measuring(notebook, "capacity", model, [(measure, plan(topic, training, dtype=dtype))], terms)
    runs = twin_plans(topic, training, twin_seed)
    twins_alone = topic.model_copy(update={"models": []})
    asked = [measure.asks(plan(topic, training, dtype="float32"))]
    key = key_of([*asked, *[("twins", twins.VERSION, run) for *_, run in runs]], texts=[training.corpus])
    options = {"twin_seed": twin_seed, "dtype": dtype, "terms": terms}
    work = partial(costs, twins_alone, training, **options)
    needs = tuple(f"05.grow.{twin_runs.run_name(training, twin, run)}" for _, twin, run in runs)
    yield Job("measure", notebook, "capacity", "twins", twin_runs.weights(training, runs[1][2]), key, work, needs)
