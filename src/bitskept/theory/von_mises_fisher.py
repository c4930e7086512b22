"""The temperature of soft assignments: how sharp must they be for m anchors on a sphere?

Assigning a state softly at temperature eps looks at the sphere through a von Mises-Fisher law around that state, with
density ∝ exp(kappa t) at height t along it and kappa = 1/eps. Its divergence from the uniform law says how many bits
one assignment can carry; the calibrated temperature makes that log2 m (Conklin 2025, arXiv 2505.23960).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

# Nodes of the trapezoidal rule, in widths of the peak. For a smooth integrand that decays exponentially on both sides
# what it leaves out is below rounding: less than exp(-37) for the spacing, and as little for the ends.
_NODES = np.linspace(-60, 60, 961)


def divergence(kappa: float, dimension: int) -> float:
    """KL(vMF(kappa) || uniform) on the unit sphere of `dimension` coordinates, in bits.

    KL = kappa A(kappa) - ln Z(kappa) nats: A is the mean height, Z the uniform law's mean of exp(kappa t). Right to a
    relative 1e-10 from 0.01 bits on. Raises ValueError for fewer than 2 dimensions, and a negative or infinite kappa.
    """
    _check_dimension(dimension)
    if not 0 <= kappa < np.inf:
        raise ValueError(f"kappa must be at least 0 and finite, but is {kappa}.")
    log_integral, depth = _integral(kappa, dimension)
    return float((_integral(0.0, dimension)[0] - log_integral - depth) / np.log(2))


def _integral(kappa: float, dimension: int) -> tuple[float, float]:
    """ln of the integral of exp(-kappa (1 - t)) (1 - t^2)^((dimension - 3) / 2) over heights t, and the mean of
    kappa (1 - t) under that density.

    Bessel functions over- and underflow in many dimensions, so the integral is summed, with t = tanh u. Depths 1 - t
    take the place of heights because kappa A and ln Z cancel each other where kappa is large.
    """
    power = dimension - 1
    scale = power + np.hypot(power, 2 * kappa)
    peak, rest = 2 * kappa / scale, 2 * power / scale  # rest = 1 - peak^2, which would round to 0 close to the pole
    width = 1 / np.sqrt(rest * (power + 2 * kappa * peak))
    u = np.arcsinh(peak / np.sqrt(rest)) + width * _NODES
    depth = 2 * kappa * expit(-2 * u)
    exponent = -power / 2 * np.log1p(np.sinh(u) ** 2) - depth
    weights = np.exp(exponent - exponent.max())
    total = weights.sum()
    return float(exponent.max() + np.log(width * total)), float((weights * depth).sum() / total)


def _lower_bound(kappa: float, dimension: int) -> float:
    """A lower bound on the divergence in bits, from Amos's bounds (1974) on the ratio A of Bessel functions.

    kappa G(d/2, d/2, kappa) - Phi_plus(kappa) in the letters of the reference, arranged so that nothing cancels.
    """
    order = dimension / 2 - 1
    near, far = np.hypot(kappa, order), np.hypot(kappa, order + 1)
    nats = order * np.log1p(kappa**2 / (2 * order * (near + order))) - 1 + (dimension - 1) / (near + far)
    return float(nats / np.log(2))


def temperature(anchors: int, dimension: int, calibration: str = "exact") -> float:
    """The eps at which one soft assignment can carry log2(anchors) bits: divergence(1 / eps) = log2(anchors).

    `calibration` "exact" solves that to a relative 1e-10. "reference" puts a lower bound in the divergence's place, as
    `find_eps` of soft-entropy 0.1.5 does: too low by 0.1 % in 768 dimensions, but by a factor of 500 in three. Raises
    ValueError for fewer than 2 anchors or dimensions, an unknown calibration, and "reference" in 2 dimensions.
    """
    _check_dimension(dimension)
    if anchors < 2:
        raise ValueError(f"anchors must be at least 2, but is {anchors}: with one, every state looks the same.")
    rules = {"exact": divergence, "reference": _lower_bound}
    if calibration not in rules:
        raise ValueError(f"calibration must be one of {', '.join(rules)}, but is {calibration!r}.")
    if calibration == "reference" and dimension == 2:
        raise ValueError("calibration 'reference' has no solution in dimension 2: use 'exact'.")

    def excess(log_kappa: float) -> float:
        return rules[calibration](np.exp(log_kappa), dimension) - np.log2(anchors)

    # The divergence is at most kappa^2 / (2 dimension) nats, and grows without limit.
    low = np.log(2 * dimension * np.log(anchors)) / 2
    high = low + 1
    while excess(high) < 0:
        high += 1
    return float(np.exp(-brentq(excess, low, high, xtol=1e-14)))


def _check_dimension(dimension: int) -> None:
    if dimension < 2:
        raise ValueError(f"dimension must be at least 2, but is {dimension}: on a line a state has only a sign.")
