"""A test of who wrote a sequence, on sources that are known: its errors, and the rates at which they fall.

Under the chain of the supposed writer, the **score** of a step from x to y is -log2 p(y | x) less the entropy of p(· |
x). Its mean is 0 if that chain wrote the sequence. The test says "another writer" where the mean score of n steps is
further than a threshold from 0. It errs in two ways: a false alarm, and a miss. By the theorems of Cramér (1938) and of
Gärtner and Ellis each of these has a probability of about 2^(-rate · n), and the rate is the Legendre transform of
the logarithm of an eigenvalue (Dembo and Zeitouni 1998, theorem 3.1.2). With independent symbols all rows of the chain
are the same.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from bitskept.theory.checks import Law, above, check_law
from bitskept.theory.information import entropy, ways_to_share
from bitskept.theory.markov_chains import MarkovChain

STEEPEST = 200.0
"""The largest slope, per bit, at which a Legendre transform is looked for."""
ROUNDING = 1e-12


class Errors(NamedTuple):
    """Of a false alarm (the supposed writer is taken for another) and of a miss (another writer is taken for it):
    probabilities, or the rates at which these fall, in bits per step.
    """

    false_alarm: float
    miss: float


def scores(supposed: MarkovChain) -> Float[np.ndarray, "x y"]:
    """The score of each step, in bits; the mean of each row is 0 under the chain itself.

    ValueError for a chain with a step of probability 0: a single such step would tell who wrote it.
    """
    above("each transition of the supposed writer", supposed.transitions, 0)
    surprisals = -np.log2(supposed.transitions)
    return surprisals - (supposed.transitions * surprisals).sum(1, keepdims=True)


def drift(writer: MarkovChain, supposed: MarkovChain) -> float:
    """The mean score per step, in bits, of what the `writer` writes: H(q, p) - H(p) for independent symbols."""
    return float(writer.stationary @ (writer.transitions * scores(supposed)).sum(1))


def rates(supposed: MarkovChain, other: MarkovChain, threshold: float) -> Errors:
    """The rates of both errors for long sequences. A miss has the rate 0 where the other's `drift` is within the
    threshold: it then writes what the test takes for the supposed writer's.

    ValueError for a threshold of 0 or less, and as `scores`.
    """
    above("threshold", threshold, 0)
    steps, mean = scores(supposed), drift(other, supposed)
    alarms = [_rate(supposed, sign * steps, threshold) for sign in (1, -1)]
    if abs(mean) <= threshold:
        return Errors(min(alarms), 0.0)
    return Errors(min(alarms), _rate(other, -np.sign(mean) * steps, -threshold))


def exact_errors(supposed: Law, other: Law, length: int, threshold: float) -> Errors:
    """The probabilities of both errors for `length` independent symbols, summed over all counts that symbols may have:
    for alphabets of a few symbols. ValueError as `rates`.
    """
    laws = [check_law(supposed, "the supposed law"), check_law(other, "the other law")]
    above("threshold", threshold, 0)
    above("each probability of the supposed writer", laws[0], 0)
    counts = ways_to_share(length, len(laws[0])).astype(float)
    means = counts @ -np.log2(laws[0]) / length - entropy(laws[0])
    ways = gammaln(length + 1) - gammaln(counts + 1).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = [np.where(counts > 0, counts * np.log(law), 0).sum(1) for law in laws]
    alarm = abs(means) > threshold + ROUNDING
    own, others = (np.exp(ways + log) for log in logs)
    return Errors(float(own[alarm].sum()), float(others[~alarm].sum()))


def memoryless(law: Law) -> MarkovChain:
    """Independent symbols, as a chain."""
    return MarkovChain(np.tile(check_law(law), (len(law), 1)))


def _rate(writer: MarkovChain, steps: Float[np.ndarray, "x y"], level: float) -> float:
    """The rate at which the probability falls that the mean step is at least `level`, above its expectation."""

    def negative(slope: float) -> float:
        tilted = writer.transitions * np.exp2(slope * (steps - level))
        return float(np.log2(abs(np.linalg.eigvals(tilted)).max()))

    return max(0.0, -float(minimize_scalar(negative, bounds=(0, STEEPEST), method="bounded").fun))
