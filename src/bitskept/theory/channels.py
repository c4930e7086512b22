"""Channels from a token X to a state Z whose mutual information is known, to try estimators on.

Every task carries its truth: `entropy` H(X), `mutual_information` I(X;Z) in bits with its standard error
`information_error` (0 where it is exact), `bayes_error`; it draws pairs (`draw`), hands a probe states and targets
(`sample`), and knows the best predictor (`posterior`). The idea of a task that carries its truth: Czyz et al. 2023,
Beyond Normal.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import product

import numpy as np
from jaxtyping import Float, Int
from scipy.special import entr, softmax

from bitskept.theory.information import Law, check_law, entropy, mutual_information

Targets = Int[np.ndarray, " sample"]
States = Float[np.ndarray, "sample dim"]


@dataclass(frozen=True, eq=False)
class DiscreteChannel:
    """A joint law of a token and one of finitely many states, and a vector for each state that a probe sees in its
    place.
    """

    name: str
    joint: Float[np.ndarray, "x z"]
    features: Float[np.ndarray, "z dim"]
    information_error = 0.0

    def __post_init__(self) -> None:
        check_law(self.joint, "joint")

    @property
    def alphabet(self) -> int:
        return len(self.joint)

    @cached_property
    def entropy(self) -> float:
        return entropy(self.joint, 0)

    @cached_property
    def mutual_information(self) -> float:
        return mutual_information(self.joint, 0, 1)

    @cached_property
    def bayes_error(self) -> float:
        return 1 - float(self.joint.max(0).sum())

    @cached_property
    def _cumulative(self) -> Float[np.ndarray, " cell"]:
        sums = self.joint.cumsum()
        return sums / sums[-1]

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Int[np.ndarray, " {n}"], Int[np.ndarray, " {n}"]]:
        """n independent pairs: the indices of the states, the tokens."""
        x, z = np.divmod(np.searchsorted(self._cumulative, rng.random(n), side="right"), self.joint.shape[1])
        return z, x

    def sample(self, n: int, rng: np.random.Generator) -> tuple[States, Targets]:
        """n independent pairs as a probe takes them: states [sample, dim], targets [sample]."""
        z, x = self.draw(n, rng)
        return self.features[z], x

    def posterior(self, z: Int[np.ndarray, " sample"]) -> Float[np.ndarray, "sample x"]:
        """p(x|z) for the states that `draw` gave."""
        columns = self.joint[:, z].T
        return columns / columns.sum(1, keepdims=True)

    def guess(self, z: Int[np.ndarray, " sample"]) -> Targets:
        """The most probable token for each state."""
        return self.joint.argmax(0)[z]


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """A uniform token is sent as its mean plus white Gaussian noise; the truth is a Monte-Carlo value with its
    standard error.
    """

    name: str
    means: Float[np.ndarray, "x dim"]
    deviation: float

    def __post_init__(self) -> None:
        if not self.deviation > 0:
            raise ValueError(f"deviation must be above 0, but is {self.deviation}.")
        if len(self.means) < 2 or not np.isfinite(self.means).all():
            raise ValueError(f"means must be finite vectors of at least 2 tokens, but is {self.means}.")

    @property
    def alphabet(self) -> int:
        return len(self.means)

    @property
    def entropy(self) -> float:
        return float(np.log2(self.alphabet))

    @property
    def mutual_information(self) -> float:
        return self.entropy - self._truth[0]

    @property
    def information_error(self) -> float:
        return self._truth[1]

    @property
    def bayes_error(self) -> float:
        return self._truth[2]

    @cached_property
    def _truth(self) -> tuple[float, float, float]:
        """H(X|Z), its standard error (at most 5e-4 bits), and the Bayes error, by a seeded Monte Carlo of the
        posterior.

        The entropy of the posterior varies less than the surprisal of the token, and opposite noises vary together
        less still.
        """
        rng, pairs, per_token = np.random.default_rng(0), [], 2**16 // self.alphabet
        while True:
            noise = self.deviation * rng.standard_normal((self.alphabet, per_token, self.means.shape[1]))
            states = [(self.means[:, None] + side).reshape(-1, self.means.shape[1]) for side in (noise, -noise)]
            laws = np.stack([self.posterior(z) for z in states])
            pairs.append([entr(laws).sum(-1).mean(0) / np.log(2), 1 - laws.max(-1).mean(0)])
            equivocation, wrong = np.concatenate(pairs, 1)
            error = equivocation.std() / np.sqrt(len(equivocation))
            if error <= 5e-4:
                return float(equivocation.mean()), float(error), float(wrong.mean())

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Float[np.ndarray, "{n} dim"], Int[np.ndarray, " {n}"]]:
        """n independent pairs: the states, the tokens."""
        x = rng.integers(self.alphabet, size=n)
        return self.means[x] + self.deviation * rng.standard_normal((n, self.means.shape[1])), x

    def sample(self, n: int, rng: np.random.Generator) -> tuple[States, Targets]:
        """n independent pairs as a probe takes them: states [sample, dim], targets [sample]."""
        return self.draw(n, rng)

    def posterior(self, z: States) -> Float[np.ndarray, "sample x"]:
        """p(x|z) for the states that `draw` gave."""
        return softmax(self._scores(z) / self.deviation**2, axis=1)

    def guess(self, z: States) -> Targets:
        """The most probable token for each state: the nearest mean."""
        return self._scores(z).argmax(1)

    def _scores(self, z: States) -> Float[np.ndarray, "sample x"]:
        return z @ self.means.T - (self.means**2).sum(1) / 2


LARGEST = 2**24
"""Cells of the largest law of sentences and states that is still written down: 128 megabytes."""

Channel = DiscreteChannel | GaussianMixture


def zipf(alphabet: int, exponent: float = 1.0) -> Float[np.ndarray, " x"]:
    """The law p(x) ∝ rank^-exponent."""
    weights = np.arange(1, alphabet + 1) ** -float(exponent)
    return weights / weights.sum()


def _sent_over(name: str, prior: Float[np.ndarray, " x"], transition: Float[np.ndarray, "x z"]) -> DiscreteChannel:
    if len(prior) < 2:
        raise ValueError(f"alphabet must be at least 2, but is {len(prior)}: one sure token carries no information.")
    wrong = transition[~((transition >= 0) & (transition <= 1))]
    if wrong.size:
        raise ValueError(f"{name}: probabilities of the channel must lie in [0, 1], but one is {wrong[0]:.3g}.")
    return DiscreteChannel(name, prior[:, None] * transition, np.eye(transition.shape[1]))


def symmetric(alphabet: int, error: float) -> DiscreteChannel:
    """A uniform token arrives with probability 1 - error, any other equally likely: where Fano's inequality is
    tight.
    """
    transition = np.full((alphabet, alphabet), error / max(1, alphabet - 1))
    np.fill_diagonal(transition, 1 - error)
    return _sent_over("symmetric", np.full(alphabet, 1 / alphabet), transition)


def erasure(alphabet: int, erased: float) -> DiscreteChannel:
    """A uniform token arrives, or with probability `erased` nothing but the fact that it was lost: I = (1 - erased)
    log2 |A|.
    """
    transition = np.column_stack([(1 - erased) * np.eye(alphabet), np.full(alphabet, erased)])
    return _sent_over("erasure", np.full(alphabet, 1 / alphabet), transition)


def z_channel(flip: float, ones: float = 0.5) -> DiscreteChannel:
    """A bit, 1 with probability `ones`, of which a 0 always arrives and a 1 turns into 0 with probability `flip`."""
    return _sent_over("Z", np.array([1 - ones, ones]), np.array([[1.0, 0.0], [flip, 1 - flip]]))


def noisy_zipf(alphabet: int, noise: float, exponent: float = 1.0) -> DiscreteChannel:
    """A token of a Zipf vocabulary arrives, or with probability `noise` a fresh draw from the same vocabulary in
    its place.
    """
    law = zipf(alphabet, exponent)
    return _sent_over("noisy Zipf", law, (1 - noise) * np.eye(alphabet) + noise * law)


def gaussian_mixture(alphabet: int, dim: int, deviation: float, seed: int = 0) -> GaussianMixture:
    """Tokens at random points of the unit sphere in `dim` dimensions, noise of standard deviation `deviation` a
    coordinate.
    """
    means = np.random.default_rng(seed).standard_normal((alphabet, dim))
    return GaussianMixture("Gaussian mixture", means / np.linalg.norm(means, axis=1, keepdims=True), deviation)


@dataclass(frozen=True, eq=False)
class Language:
    """A language small enough to write down every sentence, and an encoder that loses each token with probability
    `lost`.

    The next token repeats the last one with probability `repeat`, and is otherwise a fresh draw from a Zipf
    vocabulary. The state is what is left of the sentence, slot by slot; if `pooled`, only how often each token is
    left, as in a mean of states.
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
        cells = (self.alphabet * (self.alphabet + 1)) ** self.length
        if self.alphabet < 2 or self.length < 1 or cells > LARGEST:
            size = f"alphabet {self.alphabet} and length {self.length}"
            raise ValueError(
                f"{size} give a language of one sentence, or more than {LARGEST} pairs of sentence and state."
            )

    @cached_property
    def source(self) -> Law:
        """The law of sentences, one axis a token."""
        law = zipf(self.alphabet)
        step = self.repeat * np.eye(self.alphabet) + (1 - self.repeat) * law
        return reduce(lambda sentences, _: sentences[..., None] * step, range(self.length - 1), law)

    @cached_property
    def _left(self) -> tuple[Float[np.ndarray, "slots z"], Float[np.ndarray, "z dim"]]:
        """Which state follows from what is left in the slots (the last symbol of a slot means lost), and a vector
        for each state.
        """
        slots = np.array(list(product(range(self.alphabet + 1), repeat=self.length)))
        if not self.pooled:
            return np.eye(len(slots)), np.eye(self.alphabet + 1)[slots].reshape(len(slots), -1)
        bags, state = np.unique(np.eye(self.alphabet + 1)[slots].sum(1), axis=0, return_inverse=True)
        return np.eye(len(bags))[state], bags

    @cached_property
    def joint(self) -> Law:
        """The law of sentence and state: an axis for each token, the last for the state."""
        slot = np.column_stack([(1 - self.lost) * np.eye(self.alphabet), np.full(self.alphabet, self.lost)])
        encoder = reduce(np.kron, [slot] * self.length) @ self._left[0]
        return self.source[..., None] * encoder.reshape(*self.source.shape, -1)

    def token(self, position: int) -> DiscreteChannel:
        """The channel from the token at `position` to the state of the sentence."""
        others = tuple(axis for axis in range(self.length) if axis != position)
        kind = "pooled" if self.pooled else "slots"
        return DiscreteChannel(f"token {position}, {kind}", self.joint.sum(others), self._left[1])


def trials(
    channel: Channel, samples: int, repetitions: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " {repetitions}"], Int[np.ndarray, "{repetitions} x"]]:
    """Repeats an experiment of `samples` independent pairs: the errors of the best predictor, and how often each
    token came.
    """
    if isinstance(channel, DiscreteChannel):
        # All that is counted is which token came and whether it was guessed: a law of 2|A| cells, drawn from at once.
        guessed = np.bincount(channel.joint.argmax(0), weights=channel.joint.max(0), minlength=channel.alphabet)
        cells = np.stack([guessed, np.maximum(0, channel.joint.sum(1) - guessed)])
        drawn = rng.multinomial(samples, cells.ravel() / cells.sum(), repetitions)
        right, wrong = drawn[:, : channel.alphabet], drawn[:, channel.alphabet :]
        return wrong.sum(1), right + wrong
    errors, counts = np.empty(repetitions, int), np.empty((repetitions, channel.alphabet), int)
    step = max(1, 2**18 // samples)
    for start in range(0, repetitions, step):
        rows = min(step, repetitions - start)
        z, x = channel.draw(rows * samples, rng)
        cells = x.reshape(rows, samples) + channel.alphabet * np.arange(rows)[:, None]
        errors[start : start + rows] = (channel.guess(z) != x).reshape(rows, samples).sum(1)
        counts[start : start + rows] = np.bincount(cells.ravel(), minlength=rows * channel.alphabet).reshape(rows, -1)
    return errors, counts
