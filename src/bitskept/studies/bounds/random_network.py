"""A small random network without noise. No two tokens share a state in it, so every layer holds all of H(X)."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from bitskept.instruments.probes.law import States, Types


@dataclass(frozen=True, eq=False)
class RandomNetwork:
    """Random weights in the shape of a transformer without positions. Each layer adds two things to the states: what
    they attend to in their sentence, and a map of each state with tanh inside. After each, all states get length √dim.
    """

    embeddings: Float[Tensor, "type dim"]
    weights: Float[Tensor, "layer map=4 dim dim"]

    @classmethod
    def draw(cls, types: int, dim: int, layers: int, rng: np.random.Generator) -> "RandomNetwork":
        """All weights are normal; those of the maps have a variance of 1/dim."""
        embeddings, weights = rng.normal(size=(types, dim)), rng.normal(size=(layers, 4, dim, dim)) / dim**0.5
        return cls(torch.from_numpy(embeddings).float(), torch.from_numpy(weights).float())

    @torch.inference_mode()
    def states(self, sentences: Int[Tensor, "sentence place"]) -> States:
        """The states of all tokens, sentence after sentence: layer 0 has the embeddings, the others follow."""
        state = _scaled(self.embeddings[sentences])
        states = [state]
        for match, value, enter, leave in self.weights:
            attention = torch.softmax(state @ match @ state.mT / state.shape[-1] ** 0.5, dim=-1)
            state = _scaled(state + attention @ state @ value)
            state = _scaled(state + torch.tanh(state @ enter) @ leave)
            states.append(state)
        return torch.stack(states).flatten(1, 2)


def _scaled(states: Float[Tensor, "*tokens dim"]) -> Float[Tensor, "*tokens dim"]:
    return states * (states.shape[-1] ** 0.5 / states.norm(dim=-1, keepdim=True))


def closest(states: States, types: Types) -> Float[np.ndarray, " layer"]:
    """The least distance between the states of two different types, as a share of the mean distance of two states, by
    layer. It is 0 where two types share a state.
    """
    different = types[:, None] != types
    distances = (torch.cdist(layer, layer) for layer in states.double())
    return np.array([float(apart[different].min() / apart.mean()) for apart in distances])
