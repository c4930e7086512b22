"""Texts of which some tokens are hidden behind the mask, for networks that name hidden tokens."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

from bitskept.instruments.states import Encoding
from bitskept.sources.language_model import LanguageModel


def hidden_places(tokens: int, rate: float, random: np.random.Generator) -> Int[np.ndarray, " hidden"]:
    """Which of the tokens are hidden, in order: ceil(rate · tokens) of them, drawn uniformly.

    For a rate uniform in (0, 1] that number is uniform between 1 and `tokens`. ValueError for a rate outside.
    """
    if not 0 < rate <= 1:
        raise ValueError(f"the rate of hiding must lie above 0 and be at most 1, but is {rate}")
    return np.sort(random.permutation(tokens)[: int(np.ceil(rate * tokens))])


def mask_token(model: LanguageModel) -> int:
    """The id of the mask. ValueError for a decoder, and for a tokenizer without a mask token."""
    mask = model.tokenizer.mask_token_id
    if model.kind != "encoder" or mask is None:
        raise ValueError(f"{model.id} cannot fill in hidden tokens: that takes an encoder with a mask token")
    return mask


def behind_masks(model: LanguageModel, encoding: Encoding, rate: float, draws: int, seed: int) -> Encoding:
    """`draws` copies of each sentence, one after the other, each with other tokens hidden (`hidden_places`). The hidden
    tokens are those that are measured. Errors as `mask_token` and `hidden_places`.
    """
    copies = list(_copies(encoding, mask_token(model), rate, draws, seed))
    return Encoding([shown for shown, _ in copies], [hidden for _, hidden in copies], encoding.truncated)


def _copies(
    encoding: Encoding, mask: int, rate: float, draws: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for sentence, (ids, measured) in enumerate(zip(encoding.ids, encoding.measured, strict=True)):
        places, random = np.flatnonzero(measured), np.random.default_rng([seed, sentence])
        for _ in range(draws):
            hidden = np.zeros(len(ids), dtype=bool)
            hidden[places[hidden_places(len(places), rate, random)]] = True
            yield np.where(hidden, mask, ids), hidden


def visible_among_masks(model: LanguageModel, encoding: Encoding, rate: float, seed: int) -> Encoding:
    """Each sentence with a share of its tokens hidden (`behind_masks`), and the tokens that are left measured.
    Errors as `mask_token`.
    """
    hidden = behind_masks(model, encoding, rate, 1, seed)
    visible = [measured & ~gone for measured, gone in zip(encoding.measured, hidden.measured, strict=True)]
    return Encoding(hidden.ids, visible, encoding.truncated)
