from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from bitskept.theory.associative_memory import (
    attention,
    cover,
    energy,
    expected_capacity,
    perceptron,
    retrieval,
    separable,
)


def step(queries, keys, scale, visible=None):
    """Attention with the keys as values."""
    return attention(queries, keys, scale, visible) @ keys


@st.composite
def memories(draw):
    """Queries [4, dim], keys [number, dim] and a scale."""
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    dim, number = draw(st.integers(1, 6)), draw(st.integers(1, 8))
    sizes = [10.0 ** draw(st.floats(-1, 1)) for _ in range(2)]
    queries, keys = (size * random.standard_normal((rows, dim)) for size, rows in zip(sizes, (4, number), strict=True))
    return queries, keys, 10.0 ** draw(st.floats(-2, 1))


def close(queries, keys):
    return 1e-9 * (1 + (queries**2).sum() + (keys**2).sum())


@given(memories())
def test_a_step_lowers_the_energy_by_half_the_square_of_its_length_at_least(memory):
    queries, keys, scale = memory
    end = step(queries, keys, scale)
    drop = energy(queries, keys, scale) - energy(end, keys, scale)
    assert (drop >= ((queries - end) ** 2).sum(-1) / 2 - close(queries, keys)).all()


@given(memories(), st.floats(0, 5))
def test_a_step_that_is_added_lowers_the_short_energy(memory, share):
    queries, keys, scale = memory
    end = step(queries, keys, scale)
    before, after = (energy(q, keys, scale, quadratic=False) for q in (queries, queries + share * end))
    assert (before - after >= share * (end**2).sum(-1) - close(queries, keys) * (1 + share)).all()


@given(memories())
def test_a_step_on_the_sphere_lowers_the_short_energy(memory):
    queries, keys, scale = memory
    end = step(queries, keys, scale)
    end *= np.linalg.norm(queries, axis=1, keepdims=True) / np.linalg.norm(end, axis=1, keepdims=True)
    before, after = (energy(q, keys, scale, quadratic=False) for q in (queries, end))
    assert (after <= before + close(queries, keys)).all()


def test_a_step_may_raise_the_short_energy():
    key = np.array([[3.0, 4.0]])
    end = step(2 * key, key, 1.0)
    np.testing.assert_allclose(end, key)
    short = [energy(q, key, 1.0, quadratic=False).item() for q in (2 * key, end)]
    assert short == pytest.approx([-50, -25])
    assert energy(end, key, 1.0).item() < energy(2 * key, key, 1.0).item()


def test_the_step_is_the_query_less_the_gradient_of_the_energy():
    random = np.random.default_rng(0)
    query, keys = random.standard_normal(4), random.standard_normal((5, 4))
    gradient = approx_fprime(query, lambda q: energy(q[None], keys, 0.7).item())
    np.testing.assert_allclose(query - gradient, step(query[None], keys, 0.7)[0], atol=1e-6)


def test_keys_that_are_not_seen_do_not_count():
    random = np.random.default_rng(1)
    queries, keys = random.standard_normal((2, 3, 4)), random.standard_normal((2, 5, 4))
    visible = np.array([[1, 0, 0, 0, 0], [1, 1, 0, 1, 0], [1, 1, 1, 1, 1]], bool)[None]
    law = attention(queries, keys, 0.5, visible)
    np.testing.assert_allclose(law.sum(-1), 1)
    for head, place in product(range(2), range(3)):
        some, one = keys[head, visible[0, place]], queries[head, place][None]
        np.testing.assert_allclose(step(queries, keys, 0.5, visible)[head, place], step(one, some, 0.5)[0])
        assert energy(queries, keys, 0.5, visible)[head, place] == pytest.approx(energy(one, some, 0.5)[0])


@pytest.mark.parametrize("dimension", [2, 5, 16])
@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_expected_capacity_is_the_mean_over_the_sphere(dimension, noise):
    x = 0.5 * dimension * np.sqrt(1 + noise**2)
    # The height t of a point of the unit sphere has a density ∝ (1 - t²)^((d - 3) / 2); t = cos(angle).
    angles = (np.arange(4000) + 0.5) * np.pi / 4000
    density = np.sin(angles) ** (dimension - 2)
    weight = (density * np.exp(x * np.cos(angles))).sum() / density.sum()
    assert expected_capacity(dimension, 0.5, noise) == pytest.approx(1 + np.exp(0.5 * dimension) / weight)


def test_the_expected_capacity_of_many_dimensions():
    # To first order ln E exp(b q·k) = b² d / 2, which is 1/2 at the scale of attention.
    assert expected_capacity(2304, 1 / 48) == pytest.approx(1 + np.exp(48 - 0.5), rel=1e-3)
    below, above = (np.log(expected_capacity(dimension, 0.5)) for dimension in (998, 1002))
    assert above - below == pytest.approx(4 * 0.387, abs=0.01)
    assert expected_capacity(2500, 0.5) == np.inf


def test_the_capacity_is_exponential_in_the_dimension_and_as_expected():
    found = pd.DataFrame(retrieval([6, 10, 14], [1, 16, 1024], scale=0.5, seeds=range(10)))
    capacity = found[found["quantity"] == "capacity"]
    np.testing.assert_allclose(capacity["estimate"], capacity["expected"], rtol=0.15)
    slope = np.polyfit([6, 10, 14], np.log(capacity["estimate"]), 1)[0]
    assert slope == pytest.approx(0.387, abs=0.03)  # b - max_c [b c + ln(1 - c²)/2], at c = sqrt(2) - 1
    shares = found[found["quantity"] == "retrieved"].pivot(index="dimension", columns="stored", values="estimate")
    assert (shares[1.0] == 1).all()
    assert shares[16.0].is_monotonic_increasing
    assert (shares[1024.0] == 0).all()
    ends = found.dropna(subset="low")
    assert ((ends["low"] <= ends["estimate"]) & (ends["estimate"] <= ends["high"])).all()


def test_attention_s_own_scale_keeps_less_and_noise_costs():
    def capacity(**options):
        return retrieval([16], [512], seeds=range(5), **options)["estimate"][-1]

    assert capacity(scale=None) == capacity(scale=0.25) < capacity(scale=0.4)
    assert capacity(scale=None, noise=0.5) < capacity(scale=None)
    assert np.isnan(capacity(scale=1.0))  # more than were tried


@pytest.mark.parametrize(("points", "dimension"), [(4, 2), (6, 2), (6, 3), (3, 3)])
def test_cover_counts_the_labellings_that_can_be_learnt(points, dimension):
    cloud = np.random.default_rng(2).standard_normal((points, dimension))
    learnt = [separable(cloud, np.array(labels)) for labels in product([-1, 1], repeat=points)]
    assert np.mean(learnt) == cover(points, dimension)


@pytest.mark.parametrize("dimension", [1, 7, 300])
def test_half_of_the_labellings_are_learnt_at_two_points_a_weight(dimension):
    assert cover(2 * dimension, dimension) == pytest.approx(0.5)
    assert cover(dimension, dimension) == pytest.approx(1)


def test_a_perceptron_learns_as_cover_says():
    found = perceptron([8, 16], [1.0, 2.0, 4.0], trials=60, seed=0)
    assert found["load"].tolist() == [1, 2, 4] * 2
    assert ((found["low"] <= found["expected"] + 1e-9) & (found["expected"] <= found["high"])).all()
    assert found["estimate"][0] == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: step(np.ones((1, 2)), np.ones((1, 2)), 0.0), "scale must be above 0, but is 0"),
        (lambda: step(np.ones((1, 2)), np.ones((1, 2)), 1.0, np.zeros((1, 1), bool)), "but one sees none"),
        (lambda: retrieval([1], [4], scale=1.0, seeds=[0]), "give dimensions of 2 or more"),
        (lambda: retrieval([], [4], scale=1.0, seeds=[0]), "give dimensions of 2 or more"),
        (lambda: retrieval([4], [4], scale=1.0, seeds=[]), "a seed at least"),
        (lambda: retrieval([4], [4], scale=1.0, noise=-1.0, seeds=[0]), "noise must be at least 0"),
        (lambda: expected_capacity(1, 1.0), "dimension must be at least 2, but is 1"),
        (lambda: expected_capacity(4, -1.0), "scale must be above 0, but is -1"),
        (lambda: expected_capacity(4, 1.0, -0.5), "noise must be at least 0, but is -0.5"),
        (lambda: separable(np.ones((2, 2)), np.array([0, 1])), "labels must be 1 or -1, but is 0"),
        (lambda: cover(0, 4), "points must be at least 1, but is 0"),
        (lambda: cover(4, 0), "dimension must be at least 1, but is 0"),
        (lambda: perceptron([4], [0.0], trials=3, seed=0), "points must be at least 1"),
        (lambda: perceptron([4], [1.0], trials=0, seed=0), "trials must be at least 1, but is 0"),
    ],
)
def test_what_cannot_be_asked_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
