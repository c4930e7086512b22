import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import i0e, i1e

from bitskept.theory.von_mises_fisher import divergence, temperature

dimensions = st.integers(2, 20_000)
kappas = st.floats(1e-3, 1e6)


@given(kappas, dimensions)
def test_the_divergence_grows_with_kappa(kappa, dimension):
    assert divergence(1.1 * kappa, dimension) > divergence(kappa, dimension) > 0


@given(kappas, dimensions)
def test_the_divergence_stays_below_its_leading_term(kappa, dimension):
    assert divergence(kappa, dimension) <= kappa**2 / (2 * dimension * np.log(2)) + 1e-13


@pytest.mark.parametrize("dimension", [2, 3, 10, 768, 16384])
def test_for_small_kappa_the_leading_term_is_all(dimension):
    kappa = 0.02 * np.sqrt(dimension)
    assert divergence(kappa, dimension) == pytest.approx(kappa**2 / (2 * dimension * np.log(2)), rel=1e-3)
    assert divergence(0.0, dimension) == 0


@pytest.mark.parametrize("kappa", [0.1, 1.0, 10.0, 1e3, 1e6, 1e12])
def test_closed_forms_on_the_circle_and_the_sphere(kappa):
    # Without cancellation only up to some kappa; beyond it, their limits.
    circle = kappa * (i1e(kappa) / i0e(kappa) - 1) - np.log(i0e(kappa))
    sphere = 2 * kappa / np.expm1(2 * min(kappa, 300)) - 1 - np.log(-np.expm1(-2 * kappa) / (2 * kappa))
    if kappa > 1e4:
        circle = (np.log(2 * np.pi * kappa) - 1) / 2 - 1 / (4 * kappa)
    assert divergence(kappa, 2) == pytest.approx(circle / np.log(2), rel=1e-11)
    assert divergence(kappa, 3) == pytest.approx(sphere / np.log(2), rel=1e-11)


@given(st.integers(2, 10**6), dimensions)
def test_the_temperature_gives_the_bits_asked_for(anchors, dimension):
    eps = temperature(anchors, dimension)
    assert divergence(1 / eps, dimension) == pytest.approx(np.log2(anchors), rel=1e-11)
    assert temperature(2 * anchors, dimension) < eps


@given(st.integers(2, 1000), st.integers(64, 20_000))
def test_in_many_dimensions_the_temperature_falls_with_their_number(anchors, dimension):
    # Not so in few: with 100 anchors it rises up to some 16 dimensions.
    assert temperature(anchors, dimension + 1 + dimension // 10) < temperature(anchors, dimension)


@given(st.integers(2, 1000), st.integers(3, 20_000))
def test_the_reference_calibration_is_colder(anchors, dimension):
    assert temperature(anchors, dimension, "reference") < temperature(anchors, dimension)


def test_values_to_recognise():
    assert temperature(100, 768, "reference") == pytest.approx(0.01177, abs=5e-6)
    assert temperature(100, 768) == pytest.approx(0.011783760, abs=1e-9)
    assert temperature(100, 3) / temperature(100, 3, "reference") == pytest.approx(543.6, abs=0.1)
    assert temperature(100, 16384) == pytest.approx(1 / np.sqrt(2 * 16384 * np.log(100)), rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 768), "anchors must be at least 2, but is 1"),
        ((100, 1), "dimension must be at least 2, but is 1"),
        ((100, 768, "leading"), "one of exact, reference, but is 'leading'"),
        ((100, 2, "reference"), "no solution in dimension 2: use 'exact'"),
    ],
)
def test_arguments_without_an_answer_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        temperature(*arguments)


@pytest.mark.parametrize("kappa", [-1.0, np.inf, np.nan])
def test_kappa_must_be_finite_and_not_negative(kappa):
    with pytest.raises(ValueError, match=f"kappa must be at least 0, but is {kappa:g}"):
        divergence(kappa, 3)
