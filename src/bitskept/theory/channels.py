"""Channels from a token X to a state Z whose mutual information is known, to test estimators.

Every channel carries its truth: `entropy` H(X) and `mutual_information` I(X;Z) in bits, the latter with its standard
error `information_error` (0 if it is exact), and `bayes_error`. It draws pairs (`draw`), gives a probe states and
targets (`sample`), and knows the best predictor (`posterior`, `guess`). The idea of such
tasks is from Czyz et al. 2023, Beyond Normal.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int
from scipy.special import entr, softmax

from bitskept.theory.checks import above, at_least, check_law, rate
from bitskept.theory.information import entropy, mutual_information

Targets = Int[np.ndarray, " sample"]
States = Float[np.ndarray, "sample dim"]


@dataclass(frozen=True, eq=False)
class DiscreteChannel:
    """A joint law of a token and one of finitely many states. A probe sees a vector of `features` for each state."""

    name: str
    joint: Float[np.ndarray, "x z"]
    features: Float[np.ndarray, "z dim"]
    information_error = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "joint", check_law(self.joint, "joint"))

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
        return max(0.0, 1 - float(self.joint.max(0).sum()))  # rounding may take the sum above 1

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Int[np.ndarray, " {n}"], Int[np.ndarray, " {n}"]]:
        """n independent pairs: the indices of the states, and the tokens."""
        cumulative = self.joint.cumsum()
        cells = np.searchsorted(cumulative / cumulative[-1], rng.random(n), side="right")
        x, z = np.divmod(cells, self.joint.shape[1])
        return z, x

    def sample(self, n: int, rng: np.random.Generator) -> tuple[States, Targets]:
        """n independent pairs as a probe takes them: states [sample, dim], targets [sample]."""
        z, x = self.draw(n, rng)
        return self.features[z], x

    def posterior(self, z: Int[np.ndarray, " sample"]) -> Float[np.ndarray, "sample x"]:
        """p(x|z) for states as `draw` gives them."""
        columns = self.joint[:, z].T
        return columns / columns.sum(1, keepdims=True)

    def guess(self, z: Int[np.ndarray, " sample"]) -> Targets:
        """The most probable token for each state."""
        return self.joint.argmax(0)[z]


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """A uniform token is sent as its mean plus white Gaussian noise. The truth comes from a seeded Monte Carlo."""

    name: str
    means: Float[np.ndarray, "x dim"]
    deviation: float

    def __post_init__(self) -> None:
        above("deviation", self.deviation, 0)
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
        return max(0.0, self.entropy - self._truth[0])

    @property
    def information_error(self) -> float:
        return self._truth[1]

    @property
    def bayes_error(self) -> float:
        return self._truth[2]

    @cached_property
    def _truth(self) -> tuple[float, float, float]:
        """H(X|Z), its standard error (at most 5e-4 bits), and the Bayes error.

        The entropy of the posterior varies less than the surprisal of the token. Opposite noises vary together, so
        the mean of a pair varies even less.
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
        """n independent pairs: the states, and the tokens."""
        x = rng.integers(self.alphabet, size=n)
        return self.means[x] + self.deviation * rng.standard_normal((n, self.means.shape[1])), x

    sample = draw

    def posterior(self, z: States) -> Float[np.ndarray, "sample x"]:
        """p(x|z) for states as `draw` gives them."""
        return softmax(self._scores(z) / self.deviation**2, axis=1)

    def guess(self, z: States) -> Targets:
        """The most probable token for each state: the nearest mean."""
        return self._scores(z).argmax(1)

    def _scores(self, z: States) -> Float[np.ndarray, "sample x"]:
        return z @ self.means.T - (self.means**2).sum(1) / 2


Channel = DiscreteChannel | GaussianMixture


def zipf(alphabet: int) -> Float[np.ndarray, " x"]:
    """Zipf's law: p(x) ∝ 1 / rank."""
    weights = np.arange(1, alphabet + 1) ** -1.0
    return weights / weights.sum()


def symmetric(alphabet: int, error: float) -> DiscreteChannel:
    """A uniform token arrives with probability 1 - error, and all others are equally likely: here Fano is tight."""
    transition = np.full((alphabet, alphabet), rate("error", error) / max(1, alphabet - 1))
    np.fill_diagonal(transition, 1 - error)
    return _sent_over("symmetric", np.full(alphabet, 1 / alphabet), transition)


def erasure(alphabet: int, erased: float) -> DiscreteChannel:
    """A uniform token arrives, or, with probability `erased`, a symbol that it was lost: I = (1-erased) log2 |A|."""
    transition = np.column_stack([(1 - erased) * np.eye(alphabet), np.full(alphabet, rate("erased", erased))])
    return _sent_over("erasure", np.full(alphabet, 1 / alphabet), transition)


def z_channel(flip: float) -> DiscreteChannel:
    """A uniform bit: a 0 always arrives, and a 1 turns into 0 with probability `flip`."""
    return _sent_over("Z", np.full(2, 0.5), np.array([[1.0, 0.0], [rate("flip", flip), 1 - flip]]))


def noisy_zipf(alphabet: int, noise: float) -> DiscreteChannel:
    """A token of a Zipf vocabulary arrives, or with probability `noise` a fresh draw from the vocabulary."""
    law = zipf(alphabet)
    return _sent_over("noisy Zipf", law, (1 - noise) * np.eye(alphabet) + rate("noise", noise) * law)


def gaussian_mixture(alphabet: int, dim: int, deviation: float, seed: int = 0) -> GaussianMixture:
    """Tokens at random points of the unit sphere in `dim` dimensions, with noise of standard deviation `deviation` per
    coordinate.
    """
    means = np.random.default_rng(seed).standard_normal((alphabet, dim))
    return GaussianMixture("Gaussian mixture", means / np.linalg.norm(means, axis=1, keepdims=True), deviation)


def _sent_over(name: str, prior: Float[np.ndarray, " x"], transition: Float[np.ndarray, "x z"]) -> DiscreteChannel:
    at_least("alphabet", len(prior), 2)
    return DiscreteChannel(name, prior[:, None] * transition, np.eye(transition.shape[1]))
