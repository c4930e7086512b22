"""The retrieval distribution of a kNN-LM (Khandelwal and others 2020, arXiv 1911.00172): what followed the most similar
places of a store of text.

    p_r(y) ∝ sum over the k states s_i nearest to the query q, where y_i = y, of exp(-‖q - s_i‖² / T)

It is mixed with the model's distribution: (1 - w) p + w p_r. The keys here are the states that the head reads; those of
Khandelwal and others go into the last feed-forward part, and they have no temperature T.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

BLOCK = 256
"""Queries whose distances to the whole store are held at once."""


@dataclass(frozen=True)
class Store:
    """The `states` of places in a text, and the `tokens` that came next."""

    states: Float[Tensor, "place dim"]
    tokens: Int[Tensor, " place"]

    def shuffled(self, seed: int) -> "Store":
        """The same states with the next tokens in random order, as many of each type as before."""
        order = np.random.default_rng(seed).permutation(len(self.tokens))
        return Store(self.states, self.tokens[torch.from_numpy(order)])

    def first(self, places: int) -> "Store":
        """The first places."""
        return Store(self.states[:places], self.tokens[:places])


@dataclass(frozen=True)
class Neighbours:
    """The nearest places of each query: their squared `distances`, in ascending order, and the next `tokens`."""

    distances: Float[Tensor, "query k"]
    tokens: Int[Tensor, "query k"]


@torch.inference_mode()
def nearest(store: Store, queries: Float[Tensor, "query dim"], k: int) -> Neighbours:
    """The k nearest places by the Euclidean distance, found by comparing with all. ValueError if there are fewer."""
    if not 1 <= k <= len(store.tokens):
        raise ValueError(f"k must be from 1 to the {len(store.tokens)} places of the store, but is {k}")
    keys = store.states.float()
    lengths, distances, places = (keys**2).sum(1), [], []
    for block in queries.float().split(BLOCK):
        squares = torch.addmm(lengths.expand(len(block), -1), block, keys.T, alpha=-2) + (block**2).sum(1)[:, None]
        near = squares.clamp(min=0).topk(k, dim=1, largest=False)
        distances.append(near.values)
        places.append(near.indices)
    return Neighbours(torch.cat(distances), store.tokens[torch.cat(places)])


def weights(near: Neighbours, temperature: float) -> Float[Tensor, "query k"]:
    """The share of each neighbour in the distribution of its query, which sum to 1."""
    return (-near.distances / temperature).softmax(dim=1)


def probability(
    near: Neighbours, shares: Float[Tensor, "query k"], targets: Int[Tensor, " query"]
) -> Float[Tensor, " query"]:
    """The probability of each target: 0 where no neighbour is followed by it."""
    return (shares * (near.tokens == targets[:, None])).sum(1)


def entropy(near: Neighbours, shares: Float[Tensor, "query k"]) -> Float[Tensor, " query"]:
    """The entropy of each distribution in bits, at most log2 k. Each neighbour counts with the log of its token's whole
    mass.
    """
    same = near.tokens[:, :, None] == near.tokens[:, None, :]
    masses = (same * shares[:, None, :]).sum(2)
    return -torch.special.xlogy(shares, masses).sum(1) / np.log(2) + 0.0


def law(near: Neighbours, shares: Float[Tensor, "query k"], types: int) -> Float[Tensor, "query type"]:
    """The whole distribution over so many types."""
    return torch.zeros(len(shares), types, device=shares.device).scatter_add_(1, near.tokens, shares)
