"""What states tell about which of two answers people preferred, by layer: one table a model, kept in the store."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from bitskept.measure.compression import (
    TOKEN_BUDGET,
    VERSION,
    Instrument,
    label_rows,
    measured_as,
    to_table,
)
from bitskept.measure.of_model import by_key, label
from bitskept.measure.sentence_labels import SentenceSums
from bitskept.measure.states import Encoding, stream
from bitskept.sources import tasks
from bitskept.sources.models import LanguageModel

if TYPE_CHECKING:
    import datasets

STANDARD = Instrument()
ENCODED = ("input_ids", "offset_mapping", "special_tokens_mask")


def measure_preference(
    model_id: str,
    task: str,
    *,
    pairs: int,
    longest: int = 256,
    instrument: Instrument = STANDARD,
    seed: int = 0,
    dtype: str = "auto",
    weights: int | None = None,
    accept_terms: Collection[str] = (),
    progress: bool = True,
) -> pd.DataFrame:
    """I(Z; preferred or rejected) of the tokens of answers by layer, in a table as those of `compression.measure`.

    Only pairs are read of which prompt and both answers fit in `longest` tokens; of those the first `pairs`. ValueError
    where there are fewer, SourceError where the pairs cannot be had.
    """
    key = _preference_key(task, pairs, longest, instrument, seed)

    def compute(model: LanguageModel) -> pd.DataFrame:
        found = tasks.preference(task, seed=seed)
        encoding, prompts = _answers(model, found, pairs, min(longest, model.longest))
        sums = SentenceSums(instrument.draw(model), model.layers + 1, len(encoding))
        title = f"{label(model)}: {task}" if progress else None
        for batch in stream(model, encoding, range(len(encoding)), stacked=False, budget=TOKEN_BUDGET, progress=title):
            sums.update(batch.states, batch.sentences)
            del batch  # the next one needs its room
        preferred, pair = np.arange(len(encoding)) % 2 == 0, np.arange(len(encoding)) // 2
        result = sums.information(preferred, pairs=pair, clusters=prompts, seed=seed)
        return to_table(model, task, label_rows("preference_information", result, len(encoding), instrument))

    key |= {"dtype": dtype}
    return by_key("preference", VERSION, model_id, key, compute, weights=weights, accept_terms=accept_terms)


def measured_preference(
    task: str, *, pairs: int, longest: int = 256, instrument: Instrument = STANDARD, seed: int = 0
) -> pd.DataFrame:
    """The tables of all models of which `measure_preference` has been stored with these values, on this computer or any
    whose store was copied.
    """
    return measured_as("preference", _preference_key(task, pairs, longest, instrument, seed))


def _preference_key(task: str, pairs: int, longest: int, instrument: Instrument, seed: int) -> dict[str, Any]:
    tasks.fetch(task)
    key = {"task": task, "pairs": pairs, "longest": longest, "instrument": asdict(instrument), "seed": seed}
    return key | {"text": tasks.fingerprint(task)}


def _answers(
    model: LanguageModel, found: datasets.Dataset, pairs: int, longest: int
) -> tuple[Encoding, Int[np.ndarray, " answer"]]:
    """Answers, preferred and rejected in turn, of which only their own tokens are measured; and the prompt of each."""
    ids, measured, prompts, options = [], [], [], {"return_offsets_mapping": True, "return_special_tokens_mask": True}
    for row in found:
        texts = [f"{row['prompt']} {row[name]}" for name in ("preferred", "rejected")]
        encoded = model.tokenizer(texts, verbose=False, **options)
        if max(map(len, encoded["input_ids"])) > longest:
            continue
        for tokens, spans, special in zip(*(encoded[name] for name in ENCODED), strict=True):
            ids.append(np.asarray(tokens, dtype=np.int64))
            measured.append((np.array(spans)[:, 1] > len(row["prompt"])) & (np.array(special) == 0))
            prompts.append(row["prompt"])
        if len(ids) == 2 * pairs:
            return Encoding(ids, measured, 0), np.unique(prompts, return_inverse=True)[1]
    raise ValueError(f"only {len(ids) // 2} pairs fit in {longest} tokens of {model.id}, but {pairs} are asked for")
