import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import softmax

from bitskept.theory.attention_entropy import entropy, least_entropy, without_key


def scores(number, keys, norm, seed=0):
    """Rows of scores with mean 0 and this norm, in random directions."""
    drawn = np.random.default_rng(seed).normal(size=(number, keys))
    centred = drawn - drawn.mean(1, keepdims=True)
    return norm * centred / np.linalg.norm(centred, axis=1, keepdims=True)


def test_entropy_of_known_laws():
    laws = np.array([[0.25] * 4, [1, 0, 0, 0], [0.5, 0.25, 0.125, 0.125]])
    np.testing.assert_allclose(entropy(laws), [2, 0, 1.75])


@pytest.mark.parametrize("keys", [2, 3, 7, 40])
@pytest.mark.parametrize("norm", [0.1, 1.0, 3.0, 10.0])
def test_no_scores_have_less_entropy(keys, norm):
    found = entropy(softmax(scores(20_000, keys, norm), axis=1))
    assert found.min() >= least_entropy(norm, keys) - 1e-12


@pytest.mark.parametrize("keys", [2, 3, 7, 40])
def test_one_score_above_equal_others_reaches_it(keys):
    for norm in (0.0, 0.5, 2.0, 8.0):
        row = np.full(keys, -norm / np.sqrt(keys * (keys - 1)))
        row[0] *= -(keys - 1)
        assert np.linalg.norm(row) == pytest.approx(norm)
        assert entropy(softmax(row)) == pytest.approx(least_entropy(norm, keys), abs=1e-12)


def test_a_search_over_the_scores_finds_nothing_lower():
    """Also with larger norms forbidden only by the constraint, not by the form of the scores."""
    for start in scores(6, 4, 1.5, seed=3):

        def bits(free):
            centred = free - free.mean()
            return entropy(softmax(centred * min(1, 2.0 / np.linalg.norm(centred))))

        assert minimize(bits, start, method="Nelder-Mead").fun >= least_entropy(2.0, 4) - 1e-9


def test_limits_of_the_least_entropy():
    np.testing.assert_allclose(least_entropy(np.zeros(3), np.array([1, 2, 8])), [0, 1, 3])
    norms = np.linspace(0, 60, 200)
    assert (np.diff(least_entropy(norms, 5)) <= 1e-15).all()
    assert 0 <= least_entropy(1e6, 5) < 1e-12
    for wrong in [(-1.0, 3), (1.0, 0)]:
        with pytest.raises(ValueError, match="must be at least"):
            least_entropy(*wrong)


def test_entropy_splits_into_that_of_a_key_and_of_the_others():
    law = np.random.default_rng(0).dirichlet(np.ones(6), size=50)
    others, weight = without_key(law, 0), law[:, 0]
    np.testing.assert_allclose(others.sum(1), 1)
    np.testing.assert_array_equal(others[:, 0], 0)
    binary = entropy(np.stack([weight, 1 - weight], axis=1))
    np.testing.assert_allclose(entropy(law), binary + (1 - weight) * entropy(others))


def test_nothing_is_left_beside_a_key_with_all_weight():
    np.testing.assert_array_equal(without_key(np.array([[0.0, 1.0]]), 1), [[0, 0]])
