"""The errors of a test of who wrote a sequence, against closed forms and enumeration."""

from itertools import product

import numpy as np
import pytest

from bitskept.theory.error_exponents import drift, exact_errors, memoryless, rates, scores
from bitskept.theory.information import entropy
from bitskept.theory.markov_chains import drawn

OWN, OTHER = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])


def relative_entropy(p, q):
    return float((p * np.log2(p / q)).sum())


def test_the_supposed_writer_has_a_mean_score_of_zero():
    chain = drawn(4, 1.0, 0)
    assert drift(chain, chain) == pytest.approx(0, abs=1e-12)
    assert (chain.transitions * scores(chain)).sum(1) == pytest.approx(0, abs=1e-12)


def test_the_drift_of_another_is_its_cross_entropy_less_the_entropy():
    assert drift(memoryless(OTHER), memoryless(OWN)) == pytest.approx(-(OTHER @ np.log2(OWN)) - entropy(OWN))


def test_exact_errors_against_all_sequences():
    alarm = miss = 0.0
    for sequence in product(range(3), repeat=6):
        mean = -np.log2(OWN[list(sequence)]).mean() - entropy(OWN)
        if abs(mean) > 0.2:
            alarm += OWN[list(sequence)].prod()
        else:
            miss += OTHER[list(sequence)].prod()
    assert exact_errors(OWN, OTHER, 6, 0.2) == pytest.approx((alarm, miss))


def test_a_letter_that_the_other_never_writes():
    errors = exact_errors(np.array([0.5, 0.25, 0.25]), np.array([0.0, 0.5, 0.5]), 5, 0.3)
    assert errors.miss == pytest.approx(0)


def test_a_binary_rate_is_a_relative_entropy():
    """With two symbols a mean score fixes the share of each, so the rate is that of Sanov's theorem."""
    own, other, threshold = np.array([0.8, 0.2]), np.array([0.3, 0.7]), 0.4
    least = 0.2 + threshold / np.log2(0.8 / 0.2)  # the share of the second symbol from which on there is an alarm
    at = np.array([1 - least, least])
    found = rates(memoryless(own), memoryless(other), threshold)
    assert found == pytest.approx((relative_entropy(at, own), relative_entropy(at, other)), abs=1e-5)


def test_exact_errors_fall_at_these_rates():
    errors = np.array([exact_errors(OWN, OTHER, length, 0.15) for length in (200, 400)])
    fall = np.log2(errors[0] / errors[1]) / 200
    # A probability is 2^(-rate n) over a power of n, at most about n^(1/2): 1/2 bit for twice the length.
    assert fall == pytest.approx(rates(memoryless(OWN), memoryless(OTHER), 0.15), abs=0.004)


@pytest.mark.parametrize("shift", [0.0, 0.1])
def test_a_writer_within_the_threshold_is_always_missed(shift):
    assert rates(memoryless(OWN), memoryless(OWN), 0.1 + shift).miss == 0


def test_another_law_with_the_same_cross_entropy_is_invisible():
    """H(q, p) = H(p) for q ≠ p: the statistic is blind, however long the sequence."""
    own = np.array([0.5, 0.25, 0.25])
    other = np.array([0.5, 0.4, 0.1])
    assert drift(memoryless(other), memoryless(own)) == pytest.approx(0)
    assert exact_errors(own, other, 200, 0.2).miss > 0.99


def test_a_chain_that_is_too_predictable_is_seen_from_below():
    own, sharper = memoryless(np.array([0.6, 0.4])), memoryless(np.array([0.95, 0.05]))
    assert drift(sharper, own) < -0.15
    assert rates(own, sharper, 0.1).miss > 0


@pytest.mark.parametrize("threshold", [0.0, -1.0])
def test_there_has_to_be_a_threshold(threshold):
    with pytest.raises(ValueError, match="threshold must be above 0"):
        rates(memoryless(OWN), memoryless(OTHER), threshold)
    with pytest.raises(ValueError, match="threshold must be above 0"):
        exact_errors(OWN, OTHER, 5, threshold)


def test_no_letter_may_be_impossible_for_the_supposed_writer():
    with pytest.raises(ValueError, match="above 0"):
        exact_errors(np.array([1.0, 0.0]), np.array([0.5, 0.5]), 5, 0.1)
