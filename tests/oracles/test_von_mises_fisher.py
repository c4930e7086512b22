"""The calibration against Bessel functions of 60 digits, and against the package that it stays comparable with."""

from itertools import product

import mpmath
import pytest

from bitskept.theory.von_mises_fisher import divergence, temperature

DIMENSIONS = [2, 3, 16, 64, 576, 768, 4096, 16384]


def oracle(kappa, dimension):
    """KL(vMF(kappa) || uniform) in bits: kappa A - ln Z, with Z and A in closed form."""
    order = mpmath.mpf(dimension) / 2 - 1
    bessel = mpmath.besseli(order, kappa)
    log_z = order * mpmath.log(2 / kappa) + mpmath.loggamma(order + 1) + mpmath.log(bessel)
    return (kappa * mpmath.besseli(order + 1, kappa) / bessel - log_z) / mpmath.ln2


@pytest.mark.parametrize(("anchors", "dimension"), list(product([2, 10, 100, 1000, 10**6], DIMENSIONS)))
def test_the_temperature_is_exact(anchors, dimension):
    with mpmath.workdps(60):
        kappa, margin = 1 / mpmath.mpf(temperature(anchors, dimension)), mpmath.mpf("1e-10")
        target = mpmath.log(anchors, 2)
        assert oracle(kappa * (1 - margin), dimension) < target < oracle(kappa * (1 + margin), dimension)


@pytest.mark.parametrize(("kappa", "dimension"), list(product([1.0, 30.0, 1e3, 1e5], [2, 3, 4, 9, 64, 576, 4096])))
def test_the_divergence_agrees(kappa, dimension):
    with mpmath.workdps(60):
        assert divergence(kappa, dimension) == pytest.approx(float(oracle(kappa, dimension)), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize(("anchors", "dimension"), list(product([2, 10, 100, 1000], [4, 16, 64, 576, 768, 16384])))
def test_the_reference_calibration_is_that_of_the_package(anchors, dimension):
    package = pytest.importorskip("soft_entropy", reason="pip install --no-deps --group reference")
    theirs = package.accumulator.find_eps(anchors, dimension)
    assert temperature(anchors, dimension, "reference") == pytest.approx(theirs, rel=1e-9)
