"""How tokens are hidden in masked training, and what a perfect model pays for naming them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import entr

from bitskept.theory.checks import rate, valid

MASK = -1
"""What a masked token is shown as."""


class Optimum(NamedTuple):
    """The least mean cost in bits for each token that has to be named, and its standard error (0 if it is exact)."""

    bits: float
    error: float


@dataclass(frozen=True)
class Corruption:
    """Each token is chosen with probability `hidden`, independently, and has to be named. Of the chosen tokens the
    share `replaced` is shown as a token drawn evenly from all types (itself among them), the share `kept` as it is, and
    all others as a mask. BERT's rule is `Corruption(0.15, 0.1, 0.1)` (Devlin et al. 2019). Training that chooses at
    least one token of each sentence differs from this in a share (1 - hidden)^length of the sentences.

    ValueError unless 0 < hidden ≤ 1, and replaced and kept are shares that add up to at most 1.
    """

    hidden: float | int
    replaced: float | int = 0.0
    kept: float | int = 0.0

    def __post_init__(self) -> None:
        valid("hidden", self.hidden, "a probability above 0 and at most 1", lambda v: (v > 0) & (v <= 1))
        rate("replaced", self.replaced)
        rate("kept", self.kept)
        rate("replaced + kept", round(self.replaced + self.kept, 12))

    @property
    def masked(self) -> float:
        """The share of the chosen tokens that is shown as a mask."""
        return round(1.0 - self.replaced - self.kept, 12)

    def show(
        self, tokens: Int[np.ndarray, "sentence token"], types: int, random: np.random.Generator
    ) -> Int[np.ndarray, "sentence token"]:
        """The tokens as a model sees them, with `MASK` for a mask."""
        chosen, kind = random.random((2, *tokens.shape))
        anything = random.integers(types, size=tokens.shape)
        shown = np.where(kind < self.masked, MASK, np.where(kind < self.masked + self.replaced, anything, tokens))
        return np.where(chosen < self.hidden, shown, tokens)

    def likelihood(self, types: int) -> Float[np.ndarray, "shown type"]:
        """p(shown | token) of a token that may or may not have been chosen, but 1 in the row of the mask (-1), which
        says nothing.
        """
        tokens = (1 - self.hidden * (1 - self.kept)) * np.eye(types) + self.hidden * self.replaced / types
        return np.vstack([tokens, np.ones(types)])

    def cost(self, law: Float[np.ndarray, "*batch type"]) -> Float[np.ndarray, "*batch"]:
        """The mean cost of naming a chosen token whose law, given all other shown tokens, is `law`.

        A mask says nothing more. Otherwise Z is shown, and H(X|Z) = H(X) + H(Z|X) - H(Z).
        """
        before, visible = _entropy(law), 1 - self.masked
        if not visible:
            return before
        types = law.shape[-1]
        stray = self.replaced / visible / types
        noise = entr(1 - (types - 1) * stray) + (types - 1) * entr(stray)
        after = before + noise / np.log(2) - _entropy((1 - types * stray) * law + stray)
        return self.masked * before + visible * after


def _entropy(law: Float[np.ndarray, "*batch type"]) -> Float[np.ndarray, "*batch"]:
    return entr(law).sum(-1) / np.log(2)
