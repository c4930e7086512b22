"""A language with known information: classes follow each other in a Markov chain, and each has synonyms.

The class of a token decides what may follow. Which synonym it is matters to nothing after it, or decides the synonym
several places later, in part. Synonyms and classes are independent, so their costs add up. All values are in bits.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from bitskept.theory.bottleneck import curve
from bitskept.theory.checks import above, at_least, rate, valid
from bitskept.theory.corruption import Corruption, Optimum
from bitskept.theory.markov_chains import MarkovChain, drawn

BATCH = 2**17
"""Numbers of one place that are held at a time."""


@dataclass(frozen=True, eq=False)
class SynonymLanguage:
    """Row c of `transitions` is the law of the class after class c. Each class has `synonyms` tokens, drawn evenly:
    token = class · synonyms + synonym. The synonym of a token is that of the token `lag` places before, or, with
    probability `noise`, one drawn evenly. The first `lag` synonyms of a sentence are drawn evenly. With a lag above 1,
    a synonym tells nothing about the next token.

    ValueError unless `transitions` are those of an ergodic chain, there is at least 1 synonym, lag is a whole number of
    at least 1, and 0 < noise ≤ 1 (without noise, the synonyms never mix).
    """

    transitions: Float[np.ndarray, "class class"]
    synonyms: int
    lag: int = 1
    noise: float | int = 1.0

    def __post_init__(self) -> None:
        at_least("synonyms", self.synonyms, 1)
        valid("lag", self.lag, "a whole number of at least 1", lambda v: (v >= 1) & (v == np.round(v)))
        above("noise", rate("noise", self.noise), 0)
        object.__setattr__(self, "transitions", self.class_chain.transitions)

    @classmethod
    def draw(
        cls, classes: int, synonyms: int, concentration: float | int, seed: int, lag: int = 1, noise: float | int = 1.0
    ) -> "SynonymLanguage":
        """A language whose rows of transitions are drawn from a symmetric Dirichlet law."""
        return cls(drawn(classes, concentration, seed).transitions, synonyms, lag, noise)

    @cached_property
    def class_chain(self) -> MarkovChain:
        return MarkovChain(self.transitions)

    @cached_property
    def synonym_chain(self) -> MarkovChain:
        """The chain of every `lag`-th synonym K."""
        return MarkovChain((1 - self.noise) * np.eye(self.synonyms) + self.noise / self.synonyms)

    @property
    def types(self) -> int:
        return len(self.transitions) * self.synonyms

    @cached_property
    def stationary(self) -> Float[np.ndarray, " type"]:
        """p(X_i)."""
        return np.repeat(self.class_chain.stationary, self.synonyms) / self.synonyms

    @property
    def class_entropy(self) -> float:
        return self.class_chain.entropy

    @property
    def synonym_bits(self) -> float:
        """The entropy of a synonym given its class."""
        return float(np.log2(self.synonyms))

    @property
    def entropy(self) -> float:
        """H(X_i)."""
        return self.class_entropy + self.synonym_bits

    @property
    def entropy_rate(self) -> float:
        return self.class_chain.entropy_rate + self.synonym_chain.entropy_rate

    @property
    def synonym_information(self) -> float:
        """What the synonym of a token tells about the tokens after it: I(K_i; K_(i+lag))."""
        return self.synonym_chain.next_information

    @property
    def next_information(self) -> float:
        """I(X_i; X_(i+1))."""
        return self.class_chain.next_information + (self.synonym_information if self.lag == 1 else 0.0)

    @property
    def future_information(self) -> float:
        """I(X_i; X_(i+1), X_(i+2), ...)."""
        return self.class_chain.next_information + self.synonym_information

    def sample(self, sentences: int, length: int, random: np.random.Generator) -> Int[np.ndarray, "sentence token"]:
        """Independent sentences."""
        classes = self.class_chain.sample(sentences, length, random)
        turns = -(-length // self.lag)
        synonyms = self.synonym_chain.sample(sentences * self.lag, turns, random).reshape(sentences, self.lag, turns)
        return classes * self.synonyms + synonyms.swapaxes(1, 2).reshape(sentences, -1)[:, :length]

    def next_token_optimum(self, length: int) -> float:
        """The least mean cost of tokens 2..length of a sentence, each predicted from those before it.

        ValueError for a length below 2.
        """
        places = int(at_least("length", length, 2)) - 1
        first = min(self.lag - 1, places)  # synonyms with nothing before them that they depend on
        synonyms = first * self.synonym_bits + (places - first) * self.synonym_chain.entropy_rate
        return self.class_chain.entropy_rate + synonyms / places

    def masked_optimum(self, length: int, rule: Corruption, sentences: int = 512, seed: int = 0) -> Optimum:
        """The least mean cost of the tokens that have to be named, pooled over sentences and places.

        It is exact without replacement, because a visible token is then the right one and costs nothing. What
        replacement adds is the mean over simulated sentences, each with its exact posterior. ValueError for a length
        below 1 or, where they are needed, fewer than 2 sentences.
        """
        at_least("length", length, 1)
        hidden = rule.hidden * (1 - rule.kept)
        cost = self.class_chain.hidden_entropies(length, hidden).sum()
        for start in range(min(self.lag, length)):
            cost += self.synonym_chain.hidden_entropies(-(-(length - start) // self.lag), hidden).sum()
        added = self._added_by_replacement(length, rule, sentences, seed) if rule.replaced else Optimum(0.0, 0.0)
        return Optimum(float((1 - rule.kept) * cost / length) + added.bits, added.error)

    def _added_by_replacement(self, length: int, rule: Corruption, sentences: int, seed: int) -> Optimum:
        """The cost beyond that with a mask in place of each replaced token. Both are computed for the same draws,
        because the difference varies far less than the cost does.
        """
        at_least("sentences", sentences, 2)
        random, differences = np.random.default_rng(seed), []
        size = max(1, BATCH // (len(self.transitions) * self.synonyms**self.lag))
        for start in range(0, sentences, size):
            tokens = self.sample(min(size, sentences - start), length, random)
            draws = int(random.integers(2**32))
            costs = []
            for each in (rule, Corruption(rule.hidden, 0.0, rule.kept)):
                shown = each.show(tokens, self.types, np.random.default_rng(draws))
                costs.append(each.cost(self.laws_from_others(shown, each)).mean(1))
            differences.append(costs[0] - costs[1])
        added = np.concatenate(differences)
        return Optimum(float(added.mean()), float(added.std(ddof=1) / np.sqrt(sentences)))

    def laws_from_others(
        self, shown: Int[np.ndarray, "sentence token"], rule: Corruption
    ) -> Float[np.ndarray, "sentence token type"]:
        """The law of each token given all other shown tokens (`corruption.MASK` for a mask), by forward-backward.

        A state holds the class and the last `lag` synonyms, the newest first.
        """
        classes, k = len(self.transitions), self.synonyms
        sentences, length = shown.shape
        # [sentence, place, class, newest synonym, the older ones]
        seen = rule.likelihood(self.types)[shown].reshape(sentences, length, classes, k, 1)
        step, synonym_step = self.transitions, self.synonym_chain.transitions
        belief = np.full((sentences, classes, k, k ** (self.lag - 1)), 1.0 / k**self.lag)
        belief *= self.class_chain.stationary[:, None, None]
        forward = []
        for i in range(length):
            forward.append(belief)
            belief = (belief * seen[:, i]).reshape(sentences, classes, -1, k) @ synonym_step
            belief = np.tensordot(step.T, belief.swapaxes(2, 3), (1, 1)).swapaxes(0, 1)
            belief /= belief.sum((1, 2, 3), keepdims=True)
        laws, after = np.empty((sentences, length, self.types)), np.ones_like(forward[0])
        for i in reversed(range(length)):
            law = (forward[i] * after).sum(3).reshape(sentences, -1)
            laws[:, i] = law / law.sum(1, keepdims=True)
            after = np.tensordot(step, after * seen[:, i], (1, 1)).swapaxes(0, 1).swapaxes(2, 3) @ synonym_step.T
            after = (after / after.max((1, 2, 3), keepdims=True)).reshape(sentences, classes, k, -1)
        return laws

    def bottleneck(self, information: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """The most that a summary T of a token can tell about all tokens after it, for each I(X_i; T) = `information`.

        It runs straight between the points of 180 betas: never too high, and too low by some 1e-3 bits at most. If
        synonyms matter to nothing it is flat beyond `class_entropy`. ValueError for negative information.
        """
        return np.interp(at_least("information", information, 0), *self._curve)

    @cached_property
    def _curve(self) -> tuple[Float[np.ndarray, " point"], Float[np.ndarray, " point"]]:
        """Complexity and relevance. Later tokens depend on a token through the class of the next one and the synonym
        `lag` places later. The two are independent, and a summary of independent parts can do no better than to
        summarise each: the chain rule splits I(X;T) - beta I(Y;T) into one such term for each part.
        """
        chains = self.class_chain, self.synonym_chain
        betas = np.r_[np.geomspace(1.01, 10, 150), np.geomspace(10, 1000, 31)[1:]]
        curves = [curve(chain.stationary[:, None] * chain.transitions, betas, tolerance=1e-6) for chain in chains]
        complexity = sum(np.r_[0, found.complexity, found.entropy] for found in curves)
        return complexity, sum(np.r_[0, found.relevance, found.information] for found in curves)
