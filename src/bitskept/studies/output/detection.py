"""Telling who wrote a text from what it costs under a model (Radvand, Abdolmaleki, Mostagir and Tewari 2025, arXiv
2501.02406).

Along a text y that the model drew itself, -log2 p(y_t | y_<t) has, given the past, the entropy H_t of its distribution
as mean. So the mean T of -log2 p(y_t | y_<t) - H_t is an average of martingale differences, and concentrates at 0.
Along other texts it concentrates at the cross-entropy of their writer and the model, less the model's entropy.

The sum of the variances V_t of these differences, the varentropies, is known from the model's distributions alone.
Hence the test here: z = Σ(-log2 p - H_t) / √ΣV_t is about standard normal for the model's own texts (the martingale
central limit theorem), and the model is rejected where z is far from 0. The paper's test compares the size of T with a
constant; both are measured.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveInt

from bitskept.base.params import Name, Strict
from bitskept.instruments.job import Job, key_of, size
from bitskept.instruments.likelihood import answers, heads
from bitskept.instruments.likelihood.heads import Head
from bitskept.instruments.likelihood.information_density import require_decoder
from bitskept.instruments.likelihood.surprisal import CHUNK
from bitskept.instruments.measurement import measurement
from bitskept.instruments.states import TOKEN_BUDGET
from bitskept.instruments.training import twin_runs, twins
from bitskept.instruments.training.twin_runs import NEXT, TwinTraining
from bitskept.sources.language_model import LanguageModel
from bitskept.studies.output import writers

OWN, PEOPLE = "itself", "people"
TOKENS, TEXT, HIDDEN = "as tokens", "as text", "as text, opening unknown"
"""What a test reads: the tokens that were drawn, the text in the tokenizer's own tokens after the opening, and the same
without the opening.
"""
NAMES = ["evaluator", "writer", "reading"]
SPARE = 8
"""Further tokens that are written, so that a text has enough of them in another tokenizer as well."""
LONGER = 2.5
"""How much longer twins write for a model whose tokens are longer than theirs."""


class Detection(Strict):
    """Who wrote a text?"""

    corpus: str = Name  # whose texts the model goes on with; twins go on with held-out sentences of their own corpus
    texts: PositiveInt  # for the model
    twin_texts: PositiveInt  # for twins, at most
    opening: PositiveInt  # words that all writers are given, and tokens of them that models read
    lengths: list[PositiveInt] = Field(min_length=3)  # tokens of a text that are tested; the last is the longest
    other_width: PositiveInt  # of the other twin
    temperature: float = Field(gt=0)  # of a third writer for the twin: itself, a little too careful
    alpha: float = Field(gt=0, lt=0.5)  # the size of the test
    replicates: PositiveInt  # of the bootstrap


@dataclass(frozen=True)
class Plan:
    """Continuations by several writers, in the order of `openings`, of which the last `opening` tokens are read (0: of
    none); the corpus is where the openings are from.
    """

    corpus: str
    openings: tuple[str, ...] = field(repr=False)
    continuations: dict[str, tuple[str, ...]] = field(repr=False)
    opening: int
    lengths: tuple[int, ...]
    dtype: str = "auto"


@measurement("authorship", 1)
def scored(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """`writers.SUMS` of each text under the model: columns writer, text, length and the sums. Continuations that are
    shorter than the longest length are left out.

    ValueError for an encoder, and for a writer of whom no text with an odd or none with an even number is left (the
    halves of `detection_errors`); other errors as `heads.head`.
    """
    require_decoder(model)
    head, longest = heads.head(model), max(plan.lengths)
    ids = {name: answers.read_answers(model, texts, length=longest) for name, texts in plan.continuations.items()}
    starts, parts = writers.read_openings(model, list(plan.openings), plan.opening), []
    for name, rows in ids.items():
        kept = [place for place, row in enumerate(rows) if len(row) == longest]
        if len({place % 2 for place in kept}) < 2:
            raise ValueError(
                f"{len(kept)} of {len(rows)} texts by {name} have {longest} tokens for {model.id}: too few"
            )
        bits = along(model, head, starts[kept], np.stack([rows[place] for place in kept]))
        table = writers.sums_by_length(bits, plan.lengths).assign(writer=name)
        parts.append(table.assign(text=np.repeat(kept, len(plan.lengths))))
    return pd.concat(parts, ignore_index=True)[["writer", "text", "length", *writers.SUMS]]


@torch.inference_mode()
def along(
    model: LanguageModel, head: Head, starts: Int[np.ndarray, "text start"], texts: Int[np.ndarray, "text token"]
) -> Float[np.ndarray, "text token sum"]:
    """The terms of `writers.SUMS` for each token of the texts, given their starts."""
    whole, allowed = torch.from_numpy(np.hstack([starts, texts])), writers.ordinary(model)
    rows, length, bits = max(1, TOKEN_BUDGET // whole.shape[1]), texts.shape[1], []
    for batch in whole.split(rows):
        states = answers.advance(model, batch[:, :-1], cached=False)[0][:, -length:].flatten(0, 1)
        targets = batch[:, -length:].flatten()
        pairs = zip(states.split(CHUNK), targets.split(CHUNK), strict=True)
        found = [writers.terms(writers.log2_laws(head, part, allowed), wanted) for part, wanted in pairs]
        bits.append(np.concatenate(found).reshape(len(batch), length, -1))
    return np.concatenate(bits)


def scores(
    topic: Detection, training: TwinTraining, model: str, *, twin_seed: int, seed: int, dtype: str, terms: list[str]
) -> pd.DataFrame:
    """What every text costs under the evaluator that is tested: columns `NAMES`, text, length and `writers.SUMS`. One
    evaluator is the model, with a twin and people as the other writers. The other is a twin, with a smaller twin,
    itself at another temperature, and people. Missing twins are trained now.
    """
    runs = [(NEXT, run) for run in twin_plans(topic, training, twin_seed)]
    twin, smaller = twin_runs.trained(training, runs)
    for_model, for_twin = writing_plans(topic, training, seed=seed, dtype=dtype)
    longer = replace(for_model, length=int(LONGER * for_model.length), dtype="float32")
    careful = replace(for_twin, temperature=topic.temperature)
    own = {"accept_terms": terms}
    return pd.concat(
        [
            _by(model, for_model, {OWN: (model, for_model), "a twin": (twin, longer)}, **own),
            _by(twin, for_twin, {OWN: (twin, for_twin), f"itself at temperature {topic.temperature:g}": (twin, careful),
                                 "a smaller twin": (smaller, for_twin)}).assign(evaluator="a twin"),
        ],
        ignore_index=True,
    )  # fmt: skip


def twin_plans(topic: Detection, training: TwinTraining, seed: int) -> list[twins.Plan]:
    """The runs of the twin that is tested, and of the smaller one."""
    return [twin_runs.plan(training, NEXT, seed, size=size) for size in (None, topic.other_width)]


def writing_plans(topic: Detection, training: TwinTraining, *, seed: int, dtype: str) -> tuple[writers.Plan, ...]:
    """How the model writes, and how twins do."""
    longest = max(topic.lengths)
    shared = {"opening": topic.opening, "length": longest + SPARE, "lengths": tuple(topic.lengths)}
    words = topic.opening + longest  # every word has a token
    model = writers.Plan(topic.corpus, topic.texts, words, seed=seed, dtype=dtype, **shared)
    options = {"sentences": training.held_out, "seed": training.seed, "dtype": "float32"}
    return model, writers.Plan(training.corpus, topic.twin_texts, topic.opening + 1, **shared, **options)


def jobs(
    notebook: str, topic: Detection, training: TwinTraining, model: str, *, twin_seed: int, seed: int, dtype: str,
    terms: list[str],
) -> Iterator[Job]:  # fmt: skip
    """All texts are written and scored in one job: who scores them needs them all."""
    plans = writing_plans(topic, training, seed=seed, dtype=dtype)
    runs = twin_plans(topic, training, twin_seed)
    asked = [writers.written.asks(plan) for plan in plans] + [("twins", twins.VERSION, run) for run in runs]
    scoring = (scored.name, scored.version, {"temperature": topic.temperature})
    key = key_of([*asked, scoring], texts=[topic.corpus, training.corpus], model=model)
    options = {"twin_seed": twin_seed, "seed": seed, "dtype": dtype, "terms": terms}
    work = partial(scores, topic, training, model, **options)
    needs = tuple(f"05.grow.{twin_runs.run_name(training, NEXT, run)}" for run in runs)
    yield Job("measure", notebook, "detection", model, size(model), key, work, needs)


def _by(
    evaluator: str, plan: writers.Plan, drawn: dict[str, tuple[str, writers.Plan]], accept_terms: Sequence[str] = ()
) -> pd.DataFrame:
    """The texts of all writers under one evaluator, and its own texts in all readings."""
    tables = {name: writers.written(id, own, accept_terms=accept_terms) for name, (id, own) in drawn.items()}
    pairs = writers.halves(plan)
    continuations = {name: tuple(table.drop_duplicates("text")["continuation"]) for name, table in tables.items()} | {
        PEOPLE: tuple(continuation for _, continuation in pairs)
    }
    openings = tuple(opening for opening, _ in pairs)
    shared = {"lengths": plan.lengths, "dtype": plan.dtype}
    known = Plan(plan.corpus, openings, continuations, plan.opening, **shared)
    unknown = Plan(plan.corpus, openings, {OWN: continuations[OWN]}, 0, **shared)
    as_text, hidden = (scored(evaluator, each, accept_terms=accept_terms) for each in (known, unknown))
    as_tokens = tables[OWN].drop(columns="continuation").assign(writer=OWN)
    readings = {TEXT: as_text, TOKENS: as_tokens, HIDDEN: hidden}
    whole = pd.concat([table.assign(reading=name) for name, table in readings.items()], ignore_index=True)
    return whole.assign(evaluator=evaluator)[[*NAMES, "text", "length", *writers.SUMS]]
