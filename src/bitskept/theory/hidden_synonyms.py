"""A language in which a token's synonym decides something several places later.

Classes are as in `SynonymLanguage`. The synonym of token i + lag repeats that of token i, or is drawn afresh. Synonyms
and classes are independent, so their costs add up. With a lag above 1, a synonym tells
nothing about the next token.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bitskept.theory.checks import above, rate, valid
from bitskept.theory.markov_chains import MarkovChain, drawn
from bitskept.theory.synonyms import SynonymLanguage


@dataclass(frozen=True, eq=False)
class HiddenSynonyms(SynonymLanguage):
    """The synonym of a token is that of the token `lag` places before, or, with probability `noise`, one drawn evenly.

    The first `lag` synonyms of a sentence are drawn evenly. With a noise of 1 it is a `SynonymLanguage`. ValueError
    unless lag is a whole number of at least 1 and 0 < noise ≤ 1 (without noise, the synonyms never mix).
    """

    lag: int = 4
    noise: float | int = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        valid("lag", self.lag, "a whole number of at least 1", lambda v: (v >= 1) & (v == np.round(v)))
        above("noise", rate("noise", self.noise), 0)

    @classmethod
    def draw(
        cls, classes: int, synonyms: int, concentration: float | int, seed: int, lag: int = 4, noise: float | int = 0.1
    ) -> "HiddenSynonyms":
        """A language whose rows of transitions are drawn from a symmetric Dirichlet law."""
        return cls(drawn(classes, concentration, seed).transitions, synonyms, lag, noise)

    @cached_property
    def synonym_chain(self) -> MarkovChain:
        """The chain of every `lag`-th synonym K."""
        return MarkovChain((1 - self.noise) * np.eye(self.synonyms) + self.noise / self.synonyms)
