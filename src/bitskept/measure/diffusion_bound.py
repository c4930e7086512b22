"""What a text costs at most under a masked diffusion model: an upper bound on -log2 of its probability, in bits.

The model names hidden tokens from those that are shown. Naming them one by one in any order gives a probability, and
the model's own, p, is the mean over all orders. By Jensen's inequality -log p(x) is at most the mean over orders of the
cost of an order, which is the objective that LLaDA trains (Nie et al. 2025), E_t (1/t) sum over hidden i of
-log p(x_i | x_t), t uniform and each of the n tokens hidden with probability t. Given that k are hidden they are any k,
and the mean of 1/t over the t that hide k is the n/k of a k that is uniform between 1 and n: drawing k itself has the
same mean with less noise, and no 1/t without bound. So LLaDA's authors measure likelihoods; here training does too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int

from bitskept.measure.likelihood import Head, scored_bytes, token_surprisals
from bitskept.measure.states import Encoding, encode, stream
from bitskept.sources.models import LanguageModel

PORTION = 64
"""Texts of which the masked copies are held at once."""


def hidden_places(tokens: int, rate: float, random: np.random.Generator) -> Int[np.ndarray, " hidden"]:
    """Which of the tokens are hidden, in order: ceil(rate · tokens) of them, any as likely as any.

    For a rate uniform in (0, 1] that number is uniform between 1 and `tokens`. ValueError for another rate.
    """
    if not 0 < rate <= 1:
        raise ValueError(f"the rate of hiding must lie above 0 and be at most 1, but is {rate}")
    return np.sort(random.permutation(tokens)[: int(np.ceil(rate * tokens))])


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

    `bits` is the mean over so many `draws` of what is hidden, right on average, and the standard error what the draws
    leave unsure (too large rather than too small: the rates are spread evenly). Special tokens are shown and not
    scored. Texts of more than `longest` tokens are cut, with a warning. ValueError for a decoder, for a tokenizer
    without a mask token, and for fewer than two draws.
    """
    mask = model.tokenizer.mask_token_id
    if model.kind != "encoder" or mask is None:
        raise ValueError(
            f"{model.id} cannot fill in hidden tokens: a diffusion bound takes an encoder with a mask token"
        )
    if draws < 2:
        raise ValueError(f"draws must be at least 2 to tell how sure the bound is, but is {draws}")
    encoding = encode(model, texts, longest=longest)
    costs, tokens = np.zeros((len(encoding), draws)), np.array([row.sum() for row in encoding.measured])
    for start in range(0, len(encoding), PORTION):
        owners = np.repeat(np.arange(start, min(start + PORTION, len(encoding))), draws)
        texts_here = owners[::draws].tolist()
        hidden = [part for text in texts_here for part in _hidden(encoding.measured[text], draws, [seed, text])]
        shown = [np.where(part, mask, encoding.ids[text]) for text, part in zip(owners, hidden, strict=True)]
        copies = Encoding(shown, hidden, 0)
        for batch in stream(model, copies, range(len(copies)), layers=(model.layers,), progress=progress):
            which = batch.sentences.cpu().numpy()
            wanted = np.concatenate([encoding.ids[owners[copy]][hidden[copy]] for copy in pd.unique(which)])
            found = token_surprisals(head, batch.states[0], torch.from_numpy(wanted).to(batch.tokens.device))
            weights = tokens[owners] / np.array([max(1, part.sum()) for part in hidden])
            np.add.at(costs, (owners[which], which % draws), weights[which] * found)
    error = costs.std(axis=1, ddof=1) / np.sqrt(draws)
    table = {"bits": costs.mean(axis=1), "standard_error": error, "tokens": tokens}
    sizes = scored_bytes(model, texts, encoding.measured)
    return pd.DataFrame(table | {"bytes": sizes}).astype({"tokens": int, "bytes": int})


def _hidden(measured: Bool[np.ndarray, " token"], draws: int, seed: list[int]) -> list[Bool[np.ndarray, " token"]]:
    """What each draw hides of a text, at rates spread evenly over (0, 1]."""
    random, places = np.random.default_rng(seed), np.flatnonzero(measured)
    start, found = random.random(), []
    for draw in range(draws):
        where = np.zeros(len(measured), dtype=bool)
        where[places[hidden_places(len(places), (draw + 1 - start) / draws, random)]] = True
        found.append(where)
    return found
