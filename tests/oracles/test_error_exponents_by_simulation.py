"""The rates at which the errors of a test of who wrote a sequence fall, against simulated Markov chains."""

import numpy as np
import pytest

from bitskept.theory.error_exponents import rates, scores
from bitskept.theory.markov_chains import MarkovChain


def test_both_errors_fall_at_the_rates_of_theory():
    """A probability is 2^(-rate n) over a power of n, so that a finite difference is somewhat above the rate."""
    own, other = MarkovChain(np.array([[0.7, 0.3], [0.4, 0.6]])), MarkovChain(np.array([[0.3, 0.7], [0.6, 0.4]]))
    steps, threshold, random = scores(own), 0.15, np.random.default_rng(0)
    logs = []
    for length in (60, 120):
        own_means, other_means = (
            abs(steps[texts[:, :-1], texts[:, 1:]].mean(1))
            for texts in (chain.sample(100_000, length + 1, random) for chain in (own, other))
        )
        logs.append(np.log2([(own_means > threshold).mean(), (other_means <= threshold).mean()]))
    assert (logs[0] - logs[1]) / 60 == pytest.approx(np.array(rates(own, other, threshold)), abs=0.01)
