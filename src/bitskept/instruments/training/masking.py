"""Hiding tokens that a network has to predict from the rest: a fixed share of a text as in BERT, or any share as in
masked diffusion.
"""

import numpy as np
import torch
from jaxtyping import Int

from bitskept.instruments.masks import hidden_places

LEFT_OUT = -100
"""The target at a position where nothing is predicted."""

Tokens = Int[torch.Tensor, " token"]


def hide(
    ids: Tokens,
    targets: Tokens,
    random: np.random.Generator,
    *,
    share: float,
    mask: int,
    types: int,
    replaced: float = 0.1,
    kept: float = 0.1,
) -> tuple[Tokens, Tokens]:
    """The tokens that are shown, and the targets, if a `share` of the targets (at least one) has to be predicted.

    Of the chosen tokens the share `replaced` becomes any of the `types`, the share `kept` stays as it is, and all
    others become the mask. The defaults are BERT's (Devlin et al. 2019). ValueError for shares that are negative or
    together more than 1.
    """
    if not 0 <= replaced <= replaced + kept <= 1:
        raise ValueError(f"replaced and kept must be shares of at most 1 together, but are {replaced} and {kept}")
    draws = torch.from_numpy(random.random((2, len(ids)))).masked_fill(targets == LEFT_OUT, 1.0)
    chosen = (draws[0] < share) | (draws[0] == draws[0].min())
    chosen &= targets != LEFT_OUT
    anything = torch.from_numpy(random.integers(types, size=len(ids)))
    changed = 1 - kept
    shown = torch.where(draws[1] < changed, torch.where(draws[1] < changed - replaced, mask, anything), ids)
    return torch.where(chosen, shown, ids), targets.masked_fill(~chosen, LEFT_OUT)


def hide_at_rate(
    ids: Tokens, targets: Tokens, random: np.random.Generator, *, rate: float, mask: int
) -> tuple[Tokens, Tokens, float]:
    """The same for masked diffusion at a rate in (0, 1], and the weight of each token that has to be predicted.

    The number of hidden tokens is fixed by the rate, and each weighs 1 / the share that is hidden; `diffusion_bound`
    explains why this is the objective of LLaDA.
    """
    places = torch.nonzero(targets != LEFT_OUT)[:, 0]
    hidden = places[torch.from_numpy(hidden_places(len(places), rate, random))]
    wanted = torch.full_like(targets, LEFT_OUT)
    wanted[hidden] = targets[hidden]
    shown = ids.clone()
    shown[hidden] = mask
    return shown, wanted, len(places) / len(hidden)
