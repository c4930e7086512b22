"""Stationary Markov chains whose values are in part hidden.

What a hidden value costs follows from one sequence, h(k) = H(X_k | X_0) in bits. Of the visible values only the nearest
on each side matters, and because X_0, X_a, X_(a+b) is a Markov chain and stationary,
H(X_a | X_0, X_(a+b)) = h(a) + h(b) - h(a+b). With a visible value on one side alone it is h(a) on either side.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from scipy.special import entr

from bitskept.theory.checks import above, at_least, check_law, rate
from bitskept.theory.information import entropy


@dataclass(frozen=True, eq=False)
class MarkovChain:
    """A chain that starts from its stationary law. Row x of `transitions` is p(X_(i+1) | X_i = x).

    ValueError unless the rows are laws and the chain is ergodic: some power of the matrix has no zeros.
    """

    transitions: Float[np.ndarray, "x x"]

    def __post_init__(self) -> None:
        rows = np.array([check_law(row, "a row of transitions") for row in self.transitions])
        object.__setattr__(self, "transitions", rows)
        states = len(rows)
        reached = (rows > 0).astype(float)
        for _ in range(int(2 * np.log2(states)) + 1):  # an ergodic matrix has no zeros from power (n-1)² + 1 on
            reached = (reached @ reached > 0).astype(float)
        if not reached.all():
            raise ValueError("transitions must be ergodic: some number of steps must lead from every state to every.")

    @cached_property
    def stationary(self) -> Float[np.ndarray, " x"]:
        states = len(self.transitions)
        equations = np.vstack([self.transitions.T - np.eye(states), np.ones(states)])
        law = np.linalg.lstsq(equations, np.r_[np.zeros(states), 1], rcond=None)[0].clip(0)
        return law / law.sum()

    @cached_property
    def entropy(self) -> float:
        """H(X_i)."""
        return entropy(self.stationary, 0)

    def gap_entropies(self, longest: int) -> Float[np.ndarray, " gap"]:
        """h(k) = H(X_(i+k) | X_i) for k = 0..longest."""
        rows, entropies = np.eye(len(self.transitions)), []
        for _ in range(longest + 1):
            entropies.append(self.stationary @ entr(rows).sum(1) / np.log(2))
            rows = rows @ self.transitions
        return np.array(entropies)

    @cached_property
    def entropy_rate(self) -> float:
        return float(self.gap_entropies(1)[1])

    @property
    def next_information(self) -> float:
        """I(X_i; X_(i+1))."""
        return max(0.0, self.entropy - self.entropy_rate)

    def hidden_entropies(self, length: int, hidden: float | int) -> Float[np.ndarray, " {length}"]:
        """The mean H(X_i | visible values) of a hidden X_i, i = 1..length, if each other value is hidden with
        probability `hidden`, independently.
        """
        rate("hidden", hidden)
        h = self.gap_entropies(int(at_least("length", length, 1)))
        gaps = np.arange(1, length)
        nearest = (1 - hidden) * hidden ** (gaps - 1.0)
        both = h[gaps, None] + h[gaps] - h[np.minimum(gaps[:, None] + gaps, length)]
        means = np.empty(length)
        for before in range(length):
            after = length - 1 - before
            left, right = nearest[:before], nearest[:after]
            none_left, none_right = hidden**before, hidden**after
            means[before] = left @ both[:before, :after] @ right + none_left * none_right * self.entropy
            means[before] += none_right * (left @ h[1 : before + 1]) + none_left * (right @ h[1 : after + 1])
        return means

    def sample(self, sentences: int, length: int, random: np.random.Generator) -> Int[np.ndarray, "sentence i"]:
        """`sentences` independent stretches of the chain."""
        cumulative = np.vstack([self.stationary, self.transitions]).cumsum(1)
        cumulative /= cumulative[:, -1:]
        values, state = np.empty((sentences, length), int), np.zeros(sentences, int)
        for i in range(length):
            values[:, i] = (random.random(sentences)[:, None] >= cumulative[state]).sum(1)
            state = values[:, i] + 1
        return values


def drawn(states: int, concentration: float | int, seed: int) -> MarkovChain:
    """A chain with rows from the symmetric Dirichlet law."""
    weights = np.full(int(at_least("states", states, 2)), above("concentration", concentration, 0))
    return MarkovChain(np.random.default_rng(seed).dirichlet(weights, size=states))
