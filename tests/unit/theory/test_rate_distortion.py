import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy

from bitskept.theory.bounds import binary_entropy
from bitskept.theory.information import entropy
from bitskept.theory.rate_distortion import curve, law_grid, log_loss

HAMMING = 1 - np.eye(2)
COIN = np.array([0.5, 0.5])
CHAIN, START = np.array([[0.9, 0.1], [0.3, 0.7]]), np.array([0.75, 0.25])


def sentences(initial, transition, steps):
    law = initial
    for _ in range(steps - 1):
        law = law[..., None] * transition
    return law


@pytest.mark.parametrize("ones", [0.5, 0.3, 0.08])
def test_bernoulli_and_hamming(ones):
    """R(D) = h(p) - h(D) up to D = p (Cover and Thomas, theorem 10.3.1)."""
    found, d = curve(np.array([1 - ones, ones]), HAMMING), np.linspace(0, ones, 101)
    above = found.rate_at(d) - (binary_entropy(ones) - binary_entropy(d))
    assert (above >= -1e-9).all()
    assert (above <= found.error).all()
    assert found.error <= 1e-4
    assert found.rate_at(0.6) == 0


def test_more_letters_and_hamming():
    """log2 m - h(D) - D log2(m-1) for m equally likely letters."""
    found, d = curve(np.full(4, 0.25), 1 - np.eye(4)), np.linspace(0, 0.75, 50)
    np.testing.assert_allclose(found.rate_at(d), 2 - binary_entropy(d) - d * np.log2(3), atol=1e-4)


def test_log_loss_with_the_source_on_the_grid():
    """H(X) - D all the way: mix the sure laws with that of X."""
    source = np.array([0.5, 0.3, 0.2])
    found, bits = curve(source, log_loss(law_grid(3, 10))), entropy(source)
    d = np.linspace(0, bits, 60)
    np.testing.assert_allclose(found.rate_at(d), bits - d, atol=1e-4)


def test_log_loss_with_the_source_beside_the_grid():
    """H(X) - D as far as grid laws average to that of X, and never less; R(D) is 0 where the best one law is enough."""
    source, grid = np.array([0.5, 0.3, 0.2]), law_grid(3, 7)
    found, bits = curve(source, log_loss(grid)), entropy(source)
    near = np.array([[3, 2, 2], [4, 2, 1], [3, 3, 1]]) / 7
    shares = np.linalg.solve(near.T, source)
    assert (shares > 0).all()
    reach = shares @ scipy_entropy(near, axis=1, base=2)
    d = np.linspace(0, found.distortion[-1], 60)
    assert (found.rate_at(d) >= bits - d - 1e-9).all()
    np.testing.assert_allclose(found.rate_at(d[d <= reach]), bits - d[d <= reach], atol=1e-4)
    inside = grid[(grid > 0).all(1)]
    assert found.distortion[-1] == pytest.approx((-source @ np.log2(inside.T)).min())


def test_the_grid_of_laws():
    grid = law_grid(3, 4)
    assert len(grid) == len(np.unique(grid, axis=0)) == 15
    np.testing.assert_array_equal(grid.sum(1), 1)
    np.testing.assert_array_equal(grid * 4, np.round(grid * 4))
    np.testing.assert_array_equal(law_grid(1, 3), [[1.0]])
    assert {(0, 1), (1, 0)} == set(map(tuple, law_grid(2, 1)))


@pytest.mark.parametrize("steps", [2, 3])
def test_without_loss_it_is_the_entropy_a_symbol(steps):
    found = curve(START, HAMMING, CHAIN, steps=steps, tolerance=1e-3)
    assert found.distortion[0] == 0
    assert found.rate[0] == pytest.approx(entropy(sentences(START, CHAIN, steps)) / steps, abs=1e-9)


def test_a_memoryless_source_gains_nothing_by_steps():
    source, d = np.array([0.7, 0.3]), np.linspace(0, 0.3, 30)
    one, three = curve(source, HAMMING), curve(source, HAMMING, steps=3)
    np.testing.assert_allclose(three.rate_at(d), one.rate_at(d), atol=1e-4)


def test_to_see_the_future_can_only_help():
    """With all of X^n in hand before Y_1, the source is one of |X|^n letters."""
    letters = np.array(list(np.ndindex(2, 2, 2)))
    apart = (letters[:, None] != letters).mean(-1)
    free = curve(sentences(START, CHAIN, 3).ravel(), apart, tolerance=1e-4)
    causal = curve(START, HAMMING, CHAIN, steps=3, tolerance=1e-4)
    d = np.linspace(0, 0.25, 30)
    gain = causal.rate_at(d) - free.rate_at(d) / 3
    assert (gain >= -1e-4).all()
    assert gain.max() > 5e-3
    assert gain[[0, -1]] == pytest.approx([0, 0], abs=1e-4)


def test_deterministic_transitions_cost_the_first_symbol_only():
    turn = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert curve(COIN, HAMMING, turn, steps=4, tolerance=1e-3).rate[0] == pytest.approx(1 / 4, abs=1e-6)


def test_a_distortion_that_cannot_be_avoided():
    """The third letter has no y of its own: at D = 1/3 it is said which of the others X is, or that it is neither."""
    cost = np.array([[0.0, np.inf, 2], [np.inf, 0.0, 2], [1.0, 1.0, 2]])
    found = curve(np.full(3, 1 / 3), cost)
    assert found.distortion[0] == pytest.approx(1 / 3)
    assert found.rate[0] == pytest.approx(2 / 3, abs=1e-4)  # X = 3 picks one of the two y, which says nothing of it
    assert found.distortion[-1] == pytest.approx(2)
    with pytest.raises(ValueError, match=r"distortion must be at least 0\.333333, but is 0\.2"):
        found.rate_at(0.2)


def test_nothing_to_say():
    found = curve(np.array([1.0, 0.0]), HAMMING)
    np.testing.assert_array_equal(found.rate_at(np.array([0, 1.0])), 0)


def test_too_few_updates_are_admitted():
    """The curve is still reached, and the truth still within `error` of it."""
    found = curve(np.array([0.6, 0.4]), HAMMING, updates=3)
    assert found.error > 1e-4
    d = np.linspace(0, 0.4, 100)
    above = found.rate_at(d) - (binary_entropy(0.4) - binary_entropy(d))
    assert (above >= -1e-9).all()
    assert (above <= found.error + 1e-9).all()
    rough, fine = (curve(START, HAMMING, CHAIN, steps=3, updates=n) for n in (4, 20_000))
    above = rough.rate_at(d) - fine.rate_at(d)
    assert above.max() > 1e-3
    assert (above >= -fine.error).all()
    assert (above <= rough.error).all()


@pytest.mark.parametrize(
    ("arguments", "options", "told"),
    [
        ((np.array([0.5, 0.6]), HAMMING), {}, "initial must sum to 1"),
        ((COIN, np.ones((3, 2))), {}, "need 2 x each, but have the shapes"),
        ((COIN, np.ones((2, 0))), {}, "need 2 x each"),
        ((COIN, HAMMING, np.eye(3)), {}, "need 2 x each"),
        ((COIN, HAMMING, np.array([[0.5, 0.4], [0, 1]])), {}, "transition's row must sum to 1"),
        ((COIN, np.array([[0, np.nan], [1, 0]])), {}, "has nan"),
        ((COIN, np.array([[0, -np.inf], [1, 0]])), {}, "has -inf"),
        ((COIN, np.array([[np.inf, np.inf], [1, 0]])), {}, "is not for x = 0"),
        ((COIN, np.array([[0, np.inf], [np.inf, 0]])), {}, "stand for every x"),
        ((COIN, HAMMING), {"steps": 0}, "steps must be at least 1.*is 0"),
        ((COIN, HAMMING), {"steps": 20}, "at most 1048576, but steps is 20"),
        ((COIN, HAMMING), {"tolerance": 0.0}, "tolerance"),
        ((COIN, HAMMING), {"updates": 0}, "updates must be at least 1"),
    ],
)
def test_bad_input_is_named(arguments, options, told):
    with pytest.raises(ValueError, match=told):
        curve(*arguments, **options)


def test_bad_grids_and_laws_are_named():
    with pytest.raises(ValueError, match="resolution must be at least 1, but is 0"):
        law_grid(2, 0)
    with pytest.raises(ValueError, match="laws' row must sum to 1"):
        log_loss(np.array([[0.5, 0.4]]))
    with pytest.raises(ValueError, match=r"distortion must be at least .* but is nan"):
        curve(COIN, HAMMING).rate_at(np.nan)
