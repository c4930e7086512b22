import numpy as np
import pytest
from numpy.testing import assert_allclose

from bitskept.theory.bounds import binary_entropy
from bitskept.theory.information import entropy, mutual_information
from bitskept.theory.markov_chains import MarkovChain, drawn

FLIPS = MarkovChain(np.array([[0.9, 0.1], [0.1, 0.9]]))


def test_a_bit_that_flips_now_and_then():
    assert_allclose(FLIPS.stationary, [0.5, 0.5])
    assert FLIPS.entropy == pytest.approx(1)
    assert FLIPS.entropy_rate == pytest.approx(binary_entropy(0.1))
    assert FLIPS.next_information == pytest.approx(1 - binary_entropy(0.1))
    assert_allclose(FLIPS.gap_entropies(9), binary_entropy((1 - 0.8 ** np.arange(10)) / 2), atol=1e-12)


@pytest.mark.parametrize("hidden", [0.0, 0.3, 1.0])
def test_what_a_hidden_value_costs(hidden):
    chain = drawn(3, 0.5, seed=1)
    start, p = chain.stationary, chain.transitions
    law = start[:, None, None] * p[:, :, None] * p[None]
    for i, found in enumerate(chain.hidden_entropies(3, hidden)):
        a, b = {0, 1, 2} - {i}
        alone = [entropy(law, 0) - mutual_information(law, i, j) for j in (a, b)]
        both = entropy(law, (0, 1, 2)) - entropy(law, (a, b))
        seen = 1 - hidden
        expected = seen**2 * both + seen * hidden * sum(alone) + hidden**2 * entropy(law, i)
        assert found == pytest.approx(expected)
    assert_allclose(chain.hidden_entropies(1, hidden), [chain.entropy])


def test_samples_follow_the_law_from_their_first_value_on():
    chain = drawn(4, 0.5, seed=0)
    values = chain.sample(40_000, 3, np.random.default_rng(0))
    assert values.shape == (40_000, 3)
    for i in range(3):
        assert_allclose(np.bincount(values[:, i], minlength=4) / 40_000, chain.stationary, atol=0.015)
    pairs = np.zeros((4, 4))
    np.add.at(pairs, (values[:, 1], values[:, 2]), 1 / 40_000)
    assert_allclose(pairs, chain.stationary[:, None] * chain.transitions, atol=0.015)


def test_a_transition_of_probability_zero_never_happens():
    chain = MarkovChain(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.5, 0.0, 0.5]]))
    values = chain.sample(100, 50, np.random.default_rng(0))
    assert (chain.transitions[values[:, :-1], values[:, 1:]] > 0).all()


@pytest.mark.parametrize("states", [2, 3, 5, 9])
def test_the_slowest_of_ergodic_chains_is_accepted(states):
    """Wielandt's matrix, a circle with one short cut, has its last zero at the power (n-1)²."""
    circle = np.roll(np.eye(states), 1, axis=1)
    circle[-1] = (circle[-1] + np.eye(states)[min(1, states - 1)]) / 2
    assert MarkovChain(circle).stationary.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "rows",
    [
        [[0.0, 1.0], [1.0, 0.0]],
        [[1.0, 0.0], [0.0, 1.0]],
        [[0.5, 0.5], [0.0, 1.0]],
        np.roll(np.eye(5), 1, axis=1),
    ],
)
def test_a_chain_that_never_mixes_is_refused(rows):
    with pytest.raises(ValueError, match="ergodic"):
        MarkovChain(np.array(rows))


def test_arguments():
    with pytest.raises(ValueError, match="row of transitions must sum to 1"):
        MarkovChain(np.array([[0.9, 0.2], [0.1, 0.9]]))
    with pytest.raises(ValueError, match="concentration must be above 0"):
        drawn(4, 0.0, seed=0)
    with pytest.raises(ValueError, match="states must be at least 2"):
        drawn(1, 1.0, seed=0)
    with pytest.raises(ValueError, match="hidden must be a rate"):
        FLIPS.hidden_entropies(3, 1.2)
    with pytest.raises(ValueError, match="length must be at least 1"):
        FLIPS.hidden_entropies(0, 0.5)
