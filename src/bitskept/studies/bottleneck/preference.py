"""The information of states about which of two answers people preferred, by layer."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from bitskept.instruments.measurement import label, measurement, text_key, to_table
from bitskept.instruments.soft_entropy import compression
from bitskept.instruments.soft_entropy.compression import Instrument
from bitskept.instruments.soft_entropy.sentence_labels import SentenceSums
from bitskept.instruments.states import Encoding, stream
from bitskept.sources import tasks
from bitskept.sources.language_model import LanguageModel

if TYPE_CHECKING:
    import datasets

INFORMATION, EXCHANGED, BEYOND = "preference_information", "preference_exchanged", "preference_beyond_length"
LONGER = "preference_longer"
"""Quantities: of people's labels, of labels exchanged at random, and above what the length of an answer tells; and of
labels for the longer answer, which states should know.
"""
PERMUTATIONS = 2000
"""So many exchanges of labels give a p-value: with 200, a few more or less of them would decide some claims."""
ENCODED = ("input_ids", "offset_mapping", "special_tokens_mask")


@dataclass(frozen=True)
class Plan:
    """The first `pairs` of a task whose prompt and both answers fit in `longest` tokens."""

    task: str
    pairs: int
    longest: int
    instruments: tuple[Instrument, ...]
    seed: int
    dtype: str

    @property
    def corpus(self) -> str:
        """The text of a measurement."""
        return self.task


@measurement("preference", 7, source=tasks)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """I(Z; preferred or rejected) of the tokens of answers by layer and draw of the anchors, in the columns of
    `compression.measure` and the number of `clusters` that intervals are over, which are prompts. Three controls: the
    same with the labels of half of the pairs exchanged at random (`EXCHANGED`), above a floor of labels that match
    length as often as those of people do (`BEYOND`), and for the longer answer of each pair (`LONGER`). Each has a
    p-value for every layer and for the mean over layers.

    ValueError where too few pairs fit; SourceError where the pairs are not available.
    """
    pairs = tasks.preference(plan.task, seed=plan.seed)
    encoding, prompts = _answers(model, pairs, plan.pairs, min(plan.longest, model.longest))
    draws = {tool: tool.draw(model) for tool in plan.instruments}
    sums = {tool: SentenceSums(anchors, model.layers + 1, len(encoding)) for tool, anchors in draws.items()}
    title = f"{label(model)}: {plan.task}" if progress else None
    budget = compression.TOKEN_BUDGET
    for batch in stream(model, encoding, range(len(encoding)), stacked=False, budget=budget, progress=title):
        for tool, anchors in draws.items():
            sums[tool].add(anchors.assign(batch.states), batch.sentences)
        del batch  # the next one needs its room
    preferred, pair = np.arange(len(encoding)) % 2 == 0, np.arange(len(encoding)) // 2
    at_random = np.random.default_rng(plan.seed).random(len(encoding) // 2) < 0.5
    asked = {INFORMATION: (preferred, None), EXCHANGED: (preferred ^ at_random[pair], None)}
    asked |= {BEYOND: (preferred, _longer(encoding)), LONGER: (_longer(encoding), None)}
    rows = []
    for tool, (name, (labels, beside)) in product(plan.instruments, asked.items()):
        options = {"clusters": prompts, "permutations": PERMUTATIONS, "seed": plan.seed}
        result = sums[tool].information(labels, pairs=pair, beside=beside, **options)
        rows += compression.label_rows(name, result, len(encoding), tool)
        facts = {name: value for name, value in rows[-1].items() if name not in ("layer", "estimate")}
        rows.append(facts | {"estimate": result.p_mean})
    return to_table(model, rows, [*compression.COLUMNS, "clusters"], corpus=plan.task)


def _longer(encoding: Encoding) -> Bool[np.ndarray, " answer"]:
    """Which of the two answers of a pair has more tokens; of equal ones the first."""
    first, second = np.array([measured.sum() for measured in encoding.measured]).reshape(-1, 2).T
    return np.stack([first >= second, first < second], axis=1).ravel()


def measured(plan: Plan) -> pd.DataFrame:
    """The tables of all models that have been measured by this plan, here or on any computer whose store was copied."""
    wanted = text_key(plan, tasks)
    del wanted["dtype"]  # "auto" means another one on each machine
    return compression.measured_as(measure, wanted)


def _answers(
    model: LanguageModel, pairs: datasets.Dataset, number: int, longest: int
) -> tuple[Encoding, Int[np.ndarray, " answer"]]:
    """Answers, preferred and rejected in turn, with their prompts, whose tokens are not measured; and the prompt of
    each.
    """
    ids, measured, prompts = [], [], []
    for row in pairs:
        texts = [f"{row['prompt']} {row[name]}" for name in ("preferred", "rejected")]
        encoded = model.tokenize(texts, return_offsets_mapping=True, return_special_tokens_mask=True)
        if max(map(len, encoded["input_ids"])) > longest:
            continue
        for tokens, spans, special in zip(*(encoded[name] for name in ENCODED), strict=True):
            ids.append(np.asarray(tokens, dtype=np.int64))
            measured.append((np.array(spans)[:, 1] > len(row["prompt"])) & (np.array(special) == 0))
            prompts.append(row["prompt"])
        if len(ids) == 2 * number:
            return Encoding(ids, measured, 0), np.unique(prompts, return_inverse=True)[1]
    raise ValueError(f"only {len(ids) // 2} pairs fit in {longest} tokens of {model.id}, but {number} are needed")
