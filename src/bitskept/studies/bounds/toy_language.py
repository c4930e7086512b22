"""A toy language, in which every sentence can be written down, and an encoder that loses tokens."""

from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import product

import numpy as np
from jaxtyping import Float

from bitskept.theory.channels import DiscreteChannel, zipf
from bitskept.theory.checks import Law

LARGEST = 2**24
"""Cells of the largest joint law that is still written down: 128 megabytes."""


@dataclass(frozen=True, eq=False)
class Language:
    """Sentences of `length` tokens out of `alphabet` types, and an encoder that loses each token with probability
    `lost`.

    The next token repeats the last one with probability `repeat`; otherwise it is a fresh draw from a Zipf vocabulary.
    The state holds what is left of the sentence slot by slot. If `pooled`, it holds only how often each token is left,
    as a mean over positions does. ValueError for a probability outside [0, 1] and for a law that is too large.
    """

    alphabet: int
    length: int
    repeat: float
    lost: float
    pooled: bool = False

    def __post_init__(self) -> None:
        for name, value in (("repeat", self.repeat), ("lost", self.lost)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be a probability from 0 to 1, but is {value}.")
        if self.alphabet < 2 or self.length < 1:
            raise ValueError(f"alphabet must be at least 2 and length 1, but are {self.alphabet} and {self.length}.")
        cells = (self.alphabet * (self.alphabet + 1)) ** self.length
        if cells > LARGEST:
            raise ValueError(f"the joint law would have {cells} cells: use fewer types or shorter sentences.")

    @cached_property
    def source(self) -> Law:
        """The law of sentences: one axis per token."""
        law = zipf(self.alphabet)
        step = self.repeat * np.eye(self.alphabet) + (1 - self.repeat) * law
        return reduce(lambda sentences, _: sentences[..., None] * step, range(self.length - 1), law)

    @cached_property
    def joint(self) -> Law:
        """The joint law of sentence and state: one axis per token, then one for the state."""
        slot = np.column_stack([(1 - self.lost) * np.eye(self.alphabet), np.full(self.alphabet, self.lost)])
        encoder = reduce(np.kron, [slot] * self.length) @ self._states[0]
        return self.source[..., None] * encoder.reshape(*self.source.shape, -1)

    @cached_property
    def _states(self) -> tuple[Float[np.ndarray, "slots z"], Float[np.ndarray, "z dim"]]:
        """The state for each content of the slots (the last symbol of a slot means "lost"), and a vector per state."""
        slots = np.array(list(product(range(self.alphabet + 1), repeat=self.length)))
        if not self.pooled:
            return np.eye(len(slots)), np.eye(self.alphabet + 1)[slots].reshape(len(slots), -1)
        counts, state = np.unique(np.eye(self.alphabet + 1)[slots].sum(1), axis=0, return_inverse=True)
        return np.eye(len(counts))[state], counts

    def token(self, position: int) -> DiscreteChannel:
        """The channel from the token at `position` to the state of the sentence."""
        others = tuple(axis for axis in range(self.length) if axis != position)
        kind = "pooled" if self.pooled else "slots"
        return DiscreteChannel(f"token {position}, {kind}", self.joint.sum(others), self._states[1])
