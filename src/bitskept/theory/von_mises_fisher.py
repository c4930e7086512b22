"""The temperature of soft assignments: how sharp must they be for m anchors on a sphere?

A soft assignment of a state at the temperature eps sees the sphere through a von Mises-Fisher law around that state,
with a density ∝ exp(kappa t) at height t along it, where kappa = 1/eps. The divergence of this law from the uniform one
is the number of bits that an assignment can carry; the calibrated temperature makes that log2 m (Conklin 2025, arXiv
2505.23960).
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from bitskept.theory.checks import at_least

# Nodes of the trapezoidal rule, in widths of the peak. For a smooth integrand that decays exponentially on both sides
# the error is below rounding: less than exp(-37) from the spacing, and as little from the ends.
_NODES = np.linspace(-60, 60, 961)


def divergence(kappa: float, dimension: int) -> float:
    """KL(vMF(kappa) || uniform) on the unit sphere of `dimension` coordinates, in bits.

    KL = kappa A(kappa) - ln Z(kappa) nats, where A is the mean height and Z the mean of exp(kappa t) under the uniform
    law. Correct to a relative 1e-10 from 0.01 bits on. ValueError for fewer than 2 dimensions, and a kappa that is
    negative or not finite.
    """
    at_least("dimension", dimension, 2)
    at_least("kappa", kappa, 0)
    log_integral, depth = _integral(kappa, dimension)
    return max(0.0, float((_integral(0.0, dimension)[0] - log_integral - depth) / np.log(2)))


def _integral(kappa: float, dimension: int) -> tuple[float, float]:
    """ln of the integral of exp(-kappa (1 - t)) (1 - t²)^((dimension - 3) / 2) over heights t, and the mean of
    kappa (1 - t) under that density.

    Bessel functions over- and underflow in many dimensions, so the integral is a sum over t = tanh u. It uses depths
    1 - t in place of heights because kappa A and ln Z cancel each other if kappa is large.
    """
    power = dimension - 1
    scale = power + np.hypot(power, 2 * kappa)
    peak, rest = 2 * kappa / scale, 2 * power / scale  # rest = 1 - peak², which would round to 0 close to the pole
    width = 1 / np.sqrt(rest * (power + 2 * kappa * peak))
    u = np.arcsinh(peak / np.sqrt(rest)) + width * _NODES
    depth = 2 * kappa * expit(-2 * u)
    exponent = -power / 2 * np.log1p(np.sinh(u) ** 2) - depth
    weights = np.exp(exponent - exponent.max())
    total = weights.sum()
    return float(exponent.max() + np.log(width * total)), float((weights * depth).sum() / total)


def _lower_bound(kappa: float, dimension: int) -> float:
    """A lower bound on the divergence in bits, from the bounds of Amos (1974) on the ratio A of Bessel functions.

    In the notation of the reference it is kappa G(d/2, d/2, kappa) - Phi_plus(kappa), arranged so that nothing cancels.
    """
    order = dimension / 2 - 1
    near, far = np.hypot(kappa, order), np.hypot(kappa, order + 1)
    nats = order * np.log1p(kappa**2 / (2 * order * (near + order))) - 1 + (dimension - 1) / (near + far)
    return float(nats / np.log(2))


def temperature(anchors: int, dimension: int, calibration: str = "exact") -> float:
    """The eps at which a soft assignment can carry log2(anchors) bits: divergence(1 / eps) = log2(anchors).

    "exact" solves that to a relative 1e-10. "reference" uses a lower bound in place of the divergence, as `find_eps` of
    soft-entropy 0.1.5 does: its eps is too low by 0.1 % in 768 dimensions, but by a factor of 500 in three. ValueError
    for fewer than 2 anchors or dimensions, an unknown calibration, and "reference" in 2 dimensions.
    """
    at_least("dimension", dimension, 2)
    at_least("anchors", anchors, 2)
    rules = {"exact": divergence, "reference": _lower_bound}
    if calibration not in rules:
        raise ValueError(f"calibration must be one of {', '.join(rules)}, but is {calibration!r}.")
    if calibration == "reference" and dimension == 2:
        raise ValueError("calibration 'reference' has no solution in dimension 2: use 'exact'.")

    def excess(log_kappa: float) -> float:
        return rules[calibration](np.exp(log_kappa), dimension) - np.log2(anchors)

    # The divergence is at most kappa² / (2 dimension) nats, and grows without limit.
    low = np.log(2 * dimension * np.log(anchors)) / 2
    high = low + 1
    while excess(high) < 0:
        high += 1
    return float(np.exp(-brentq(excess, low, high, xtol=1e-14)))
