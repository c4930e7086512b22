"""An upper bound on -log2 of the probability of a text under a masked diffusion model, in bits.

The model predicts hidden tokens from those that are shown. Predicting them one by one in a fixed order gives a
probability of the text, and the model's own p is the mean over all orders. By Jensen's inequality, -log p(x) is at most
the mean over orders of the cost of an order. That mean is the training objective of LLaDA (Nie et al. 2025),
E_t (1/t) sum over hidden i of -log p(x_i | x_t), with t uniform and each of the n tokens hidden with probability t.

Given that k tokens are hidden, they are a uniformly random set, and the mean of 1/t over the t that hide k is n/k with
k uniform between 1 and n. So drawing k itself has the same mean with less noise, and without unbounded weights 1/t.
This is how LLaDA's authors measure likelihoods; here it is used for training too.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool

from bitskept.instruments.likelihood.heads import Head
from bitskept.instruments.likelihood.surprisal import PORTION, token_surprisals
from bitskept.instruments.likelihood.text_bytes import scored_bytes
from bitskept.instruments.masks import hidden_places, mask_token
from bitskept.instruments.states import Encoding, encode, stream
from bitskept.sources.language_model import LanguageModel


def bounds(
    model: LanguageModel,
    head: Head,
    texts: Sequence[str],
    *,
    draws: int = 16,
    seed: int = 0,
    longest: int | None = None,
    progress: str | None = None,
) -> pd.DataFrame:
    """The bound of each text, given its number of tokens: `bits`, its `standard_error`, `tokens` and `bytes` in UTF-8.

    `bits` is the mean over `draws` draws of the hidden tokens, an unbiased estimate of the bound. The standard error is
    too large rather than too small, since the rates are spread evenly. Special tokens are shown and not scored. Texts
    of more than `longest` tokens are cut, with a warning. ValueError for a decoder, for a tokenizer without a mask
    token, and for fewer than two draws.
    """
    mask = mask_token(model)
    if draws < 2:
        raise ValueError(f"draws must be at least 2, to estimate a standard error, but is {draws}")
    encoding = encode(model, texts, longest=longest)
    costs, tokens = np.zeros((len(encoding), draws)), np.array([row.sum() for row in encoding.measured])
    for start in range(0, len(encoding), PORTION):
        portion = range(start, min(start + PORTION, len(encoding)))
        owners = np.repeat(portion, draws)
        hidden = [row for text in portion for row in _hidden(encoding.measured[text], draws, [seed, text])]
        shown = [np.where(row, mask, encoding.ids[text]) for text, row in zip(owners, hidden, strict=True)]
        weights = tokens[owners] / np.array([max(1, row.sum()) for row in hidden])
        copies = Encoding(shown, hidden, 0)
        for batch in stream(model, copies, range(len(copies)), layers=(model.layers,), progress=progress):
            which = batch.sentences.cpu().numpy()
            targets = np.concatenate([encoding.ids[owners[copy]][hidden[copy]] for copy in pd.unique(which)])
            bits = token_surprisals(head, batch.states[0], torch.from_numpy(targets).to(batch.tokens.device))
            np.add.at(costs, (owners[which], which % draws), weights[which] * bits)
    error = costs.std(axis=1, ddof=1) / np.sqrt(draws)
    table = {"bits": costs.mean(axis=1), "standard_error": error, "tokens": tokens}
    table["bytes"] = scored_bytes(model, texts, encoding.measured)
    return pd.DataFrame(table).astype({"tokens": int, "bytes": int})


def _hidden(measured: Bool[np.ndarray, " token"], draws: int, seed: list[int]) -> list[Bool[np.ndarray, " token"]]:
    """The tokens of a text that each draw hides, at rates spread evenly over (0, 1]."""
    random, places = np.random.default_rng(seed), np.flatnonzero(measured)
    start, rows = random.random(), []
    for draw in range(draws):
        row = np.zeros(len(measured), dtype=bool)
        row[places[hidden_places(len(places), (draw + 1 - start) / draws, random)]] = True
        rows.append(row)
    return rows
