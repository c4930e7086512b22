"""The description-length bound holds for texts of a known source, whichever hypothesis they pick, and is not loose
where few can be picked.
"""

import numpy as np
import pytest
from scipy.stats import binom

from bitskept.theory.description_length import choice_bits, excess, loss_range, smoothed_bits

SIMULATIONS = 1000
DELTA = 0.1
SOURCE = np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
TYPES = len(SOURCE)


def text(tokens, random):
    """A walk of the source: each token depends on the one before."""
    states = [0]
    limits, draws = SOURCE.cumsum(1), random.random(tokens)
    for draw in draws:
        states.append(min(TYPES - 1, int((draw > limits[states[-1]]).sum())))
    return np.array(states)


def hypotheses(random, number):
    """Laws of the next token given the last one, drawn before any text is seen, with a fixed code."""
    return random.dirichlet(np.ones(TYPES), (number, TYPES))


@pytest.mark.parametrize("number", [2, 256])
@pytest.mark.parametrize("alpha", [0.05, 0.5])
def test_the_bound_fails_in_at_most_a_share_delta_of_texts(number, alpha):
    random, tokens = np.random.default_rng(number), 150
    laws = hypotheses(random, number)
    losses = smoothed_bits(laws, alpha, TYPES)
    expected = (SOURCE * losses).sum(-1)  # [hypothesis, context]: the loss of the next token, drawn anew
    reach = excess(loss_range(alpha, TYPES), choice_bits(number), tokens, DELTA)
    failed_by_best, failed_anywhere, above = 0, 0, []
    for _ in range(SIMULATIONS):
        walk = text(tokens, random)
        past, following = walk[:-1], walk[1:]
        training = losses[:, past, following].mean(1)
        truth = expected[:, past].mean(1)
        best = training.argmin()
        failed_by_best += truth[best] > training[best] + reach
        failed_anywhere += (truth > training + reach).any()
        above.append(training[best] + reach - truth[best])
    assert failed_by_best <= failed_anywhere <= binom.isf(0.001, SIMULATIONS, DELTA)
    assert 0 < np.mean(above) < loss_range(alpha, TYPES) / 3


def test_for_one_hypothesis_with_extreme_losses_the_bound_is_within_a_factor_of_what_is_needed():
    """Two types drawn evenly, one of which costs the most that smoothing allows: the widest spread there is."""
    random, tokens, alpha = np.random.default_rng(0), 200, 0.1
    law = np.array([1.0, 0.0])
    losses = smoothed_bits(law, alpha, 2)
    means = losses[random.integers(2, size=(20 * SIMULATIONS, tokens))].mean(1)
    needed = np.quantile(losses.mean() - means, 1 - DELTA)
    given = excess(loss_range(alpha, 2), 0, tokens, DELTA)
    assert needed < given < 1.8 * needed


def test_without_the_cost_of_the_code_the_bound_would_fail():
    """The control: 2,048 laws that are all the same but for luck, and no bits for the choice."""
    random, tokens, alpha, number = np.random.default_rng(1), 60, 0.1, 2048
    sides = random.integers(2, size=(number, tokens))  # at each place, the one of two types that is certain
    losses = smoothed_bits(np.array([1.0, 0.0]), alpha, 2)
    free = excess(loss_range(alpha, 2), 0, tokens, DELTA)
    paid = excess(loss_range(alpha, 2), choice_bits(number), tokens, DELTA)
    fails = {"free": 0, "paid": 0}
    for _ in range(SIMULATIONS):
        tokens_drawn = random.integers(2, size=tokens)
        best = losses[np.where(sides == tokens_drawn, 0, 1)].mean(1).min()
        fails["free"] += losses.mean() > best + free
        fails["paid"] += losses.mean() > best + paid
    assert fails["free"] > 0.9 * SIMULATIONS
    assert fails["paid"] <= DELTA * SIMULATIONS
