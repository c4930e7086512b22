"""The information of what an encoder is shown about the tokens that are hidden from it: the bits that it saves.

The counterpart of `next_token` for networks that name hidden tokens. Networks that were trained on other shares of
hidden tokens can be compared, as all are asked with the same one, and with masks alone.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from bitskept.instruments.likelihood import heads, next_token
from bitskept.instruments.likelihood.surprisal import token_surprisals
from bitskept.instruments.masks import behind_masks
from bitskept.instruments.measurement import measurement, model_facts
from bitskept.instruments.states import stream
from bitskept.sources.language_model import LanguageModel
from bitskept.theory.intervals import ratio_interval

QUANTITIES = ("frequency_entropy", "cross_entropy", "gathered")
"""What hidden tokens cost by their frequency, what they cost given the tokens that are shown, and the bits that this
saves; the names are those of `next_token`."""


@dataclass(frozen=True)
class Plan(next_token.Plan):
    """The sentences of `next_token.Plan`. A share `hidden` of the tokens is hidden, in `draws` ways."""

    hidden: float = 0.15
    draws: int = 1


@measurement("hidden_token", 1)
def measure(model: LanguageModel, plan: Plan, *, progress: bool = True) -> pd.DataFrame:
    """One row per quantity (`QUANTITIES`), in bits per token, with a 95 % interval over sentences. Columns as in
    `next_token`.

    ValueError for a decoder and without a mask token, SourceError for a model without a head; other errors as
    `models.load` and `corpora.load`.
    """
    encoding, counted = next_token.encodings(model, plan)
    common = -np.log2(next_token.frequencies(counted, len(model.tokenizer)))
    copies, head = behind_masks(model, encoding, plan.hidden, plan.draws, plan.seed), heads.head(model)
    sums, bar = np.zeros((len(QUANTITIES), len(encoding))), model.id if progress else None
    for batch in stream(model, copies, range(len(copies)), layers=(model.layers,), progress=bar):
        copy = batch.sentences.cpu().numpy()
        targets = np.concatenate([encoding.ids[row // plan.draws][copies.measured[row]] for row in pd.unique(copy)])
        cost = token_surprisals(head, batch.states[0], torch.from_numpy(targets).to(batch.tokens.device))
        # Many tokens, also of several copies, belong to one sentence.
        np.add.at(sums.T, copy // plan.draws, np.stack([common[targets], cost, common[targets] - cost]).T)
    sizes = np.add.reduceat([row.sum() for row in copies.measured], np.arange(0, len(copies), plan.draws)).astype(float)
    low, high = ratio_interval(sums, sizes, seed=plan.seed)
    numbers = {"estimate": sums.sum(1) / sizes.sum(), "low": low, "high": high, "unit": "bits per token"}
    table = pd.DataFrame({"quantity": QUANTITIES} | numbers).assign(
        **model_facts(model), corpus=plan.corpus, n=plan.sentences
    )
    return table[next_token.COLUMNS].astype({"seed": "Int64", "n": "Int64"})
