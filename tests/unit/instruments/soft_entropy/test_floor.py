import numpy as np
import pytest

from bitskept.instruments.soft_entropy.floor import Floor

STATES, LAYERS, ANCHORS, SIZES = 600, 2, 10, (2, 4, 8, 16, 32)


def entropy(law):
    law = np.clip(law, 1e-300, None)
    return -(law * np.log2(law)).sum(-1)


@pytest.fixture(scope="module")
def states():
    """Assignments [state, layer, anchor]: peaked ones of a few kinds in one layer, flat ones in the other."""
    rng = np.random.default_rng(0)
    peaks = rng.dirichlet(np.full(ANCHORS, 0.2), 5)[rng.integers(5, size=STATES)]
    return np.stack(
        [0.7 * peaks + 0.3 * rng.dirichlet(np.ones(ANCHORS), STATES), rng.dirichlet(np.ones(10), STATES)], 1
    )


@pytest.fixture(scope="module")
def floor(states):
    rng, gains = np.random.default_rng(1), {}
    for size in SIZES:
        order = np.concatenate([rng.permutation(STATES)[: STATES // size * size] for _ in range(3)])
        groups = states[order].reshape(-1, size, LAYERS, ANCHORS)
        gains[size] = entropy(groups.mean(1)) - entropy(groups).mean(1)
    return Floor.measured(entropy(states.mean(0)), entropy(states).mean(0), gains, STATES)


def expected(states, count, repeats=3000):
    """The mean entropy of the mean of `count` different random states, and its standard error."""
    rng = np.random.default_rng(count)
    drawn = np.array([entropy(states[rng.choice(STATES, count, replace=False)].mean(0)) for _ in range(repeats)])
    return drawn.mean(0), drawn.std(0) / np.sqrt(repeats)


def test_one_state_and_all_states_are_exact(states, floor):
    np.testing.assert_allclose(floor(np.array([1])), entropy(states).mean(0)[None], rtol=1e-12)
    np.testing.assert_allclose(floor(np.array([STATES])), entropy(states.mean(0))[None], rtol=1e-12)
    np.testing.assert_array_equal(floor.errors[0], 0)
    # No label has more states than there are; if one had, it would be no less than all of them.
    np.testing.assert_allclose(floor(np.array([10 * STATES])), entropy(states.mean(0))[None], rtol=1e-12)


@pytest.mark.parametrize("count", SIZES)
def test_at_a_measured_size_it_is_the_expectation_over_random_groups(states, floor, count):
    mean, error = expected(states, count)
    result, own = floor(np.array([count]))[0], floor.errors[SIZES.index(count) + 1]
    np.testing.assert_allclose(result, floor.values[SIZES.index(count) + 1], rtol=1e-12)
    assert (own > 0).all()
    assert (np.abs(result - mean) < 4 * np.hypot(error, own)).all()
    # The errors are small enough for that to say something.
    assert (own < 0.1 * (floor.entropy - floor.values[0])).all()


@pytest.mark.parametrize("count", [3, 6, 12, 24, 64, 150, 400])
def test_between_and_beyond_measured_sizes_it_is_close(states, floor, count):
    mean, error = expected(states, count)
    result, way = floor(np.array([count]))[0], floor.entropy - floor.values[0]
    assert (np.abs(result - mean) < 0.01 * way + 4 * error).all()
    assert (result < floor.entropy).all()


def test_it_grows_with_the_number_of_states(floor):
    curve = floor(np.arange(1, STATES + 1))
    assert (np.diff(curve, axis=0) > 0).all()


def test_the_weights_are_the_linear_map_from_measured_to_wanted(floor):
    counts = np.array([1, 2, 3, 5, 16, 31, 33, 500, STATES])
    weights = floor.weights(counts)
    assert weights.shape == (len(counts), 1 + len(SIZES))
    np.testing.assert_allclose(floor(counts), floor.entropy + weights @ (floor.values - floor.entropy), rtol=1e-12)
    np.testing.assert_allclose(weights[[0, 1, 4]], np.eye(6)[[0, 1, 4]], atol=1e-12)  # what is measured stays
    np.testing.assert_allclose(weights[-1], 0, atol=1e-12)
    moved = Floor(floor.entropy, floor.sizes, floor.values + 0.1 * (np.arange(6) == 1)[:, None], floor.errors, STATES)
    np.testing.assert_allclose((moved(counts) - floor(counts))[:, 0], 0.1 * weights[:, 1], atol=1e-12)


def test_only_single_states_were_measured(states):
    whole, single = entropy(states.mean(0)), entropy(states).mean(0)
    floor = Floor.measured(whole, single, {}, STATES)
    lack = (1 / 4 - 1 / STATES) / (1 - 1 / STATES)
    np.testing.assert_allclose(floor(np.array([1, 4])), [single, whole - lack * (whole - single)], rtol=1e-12)


def test_groups_of_all_states_or_more_are_not_used(states, floor):
    gains = {size: np.ones((3, LAYERS)) for size in (2, STATES, 2 * STATES)}
    assert Floor.measured(floor.entropy, floor.values[0], gains, STATES).sizes.tolist() == [1, 2]
