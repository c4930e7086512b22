"""Hiding tokens, to be named from what is left: some of a text as BERT does, or any share of it as masked diffusion."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from bitskept.measure.diffusion_bound import hidden_places

LEFT_OUT = -100
"""A position that is not to be named."""

Tokens = Int[Tensor, " token"]


def hide(
    ids: Tokens, own: Tokens, random: np.random.Generator, *, share: float, mask: int, types: int
) -> tuple[Tokens, Tokens]:
    """What is shown and what is wanted when a `share` of the tokens, one at least, is to be named.

    `own` names the tokens that may be hidden, and is LEFT_OUT elsewhere. BERT's way (Devlin et al. 2019): of the chosen
    tokens 80 % give way to the mask, 10 % to any of the `types`, and 10 % stay.
    """
    draws = torch.from_numpy(random.random((2, len(ids)))).masked_fill(own == LEFT_OUT, 1.0)
    chosen = (draws[0] < share) | (draws[0] == draws[0].min())
    chosen &= own != LEFT_OUT
    anything = torch.from_numpy(random.integers(types, size=len(ids)))
    shown = torch.where(draws[1] < 0.9, torch.where(draws[1] < 0.8, mask, anything), ids)
    return torch.where(chosen, shown, ids), own.masked_fill(~chosen, LEFT_OUT)


def hide_at_rate(
    ids: Tokens, own: Tokens, random: np.random.Generator, *, rate: float, mask: int
) -> tuple[Tokens, Tokens, float]:
    """The same for masked diffusion at a rate between 0 (excluded) and 1, and what each wanted token weighs.

    So many tokens are hidden as the rate says, none of them by chance, and each weighs 1 / the rate that came of it;
    see `diffusion_bound` for why this is the objective of LLaDA.
    """
    places = torch.nonzero(own != LEFT_OUT)[:, 0]
    hidden = places[torch.from_numpy(hidden_places(len(places), rate, random))]
    wanted = torch.full_like(own, LEFT_OUT)
    wanted[hidden] = own[hidden]
    shown = ids.clone()
    shown[hidden] = mask
    return shown, wanted, len(places) / len(hidden)
