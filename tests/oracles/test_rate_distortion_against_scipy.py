"""R(D) of a Markov source against a convex optimiser that knows nothing of Blahut and Arimoto: its variables are
p(y^n||x^n), all of them, the least of I(X;Y) is sought by its gradient, and causality is a set of linear constraints.
"""

from itertools import product

import numpy as np
import pytest
from scipy.linalg import null_space
from scipy.optimize import minimize

from bitskept.theory.rate_distortion import curve


def least_rate(initial, transition, distortion, steps, allowed):
    """min I(X^n;Y^n)/n in bits."""
    letters, marks = distortion.shape
    x, y = (np.array(list(product(range(k), repeat=steps))) for k in (letters, marks))
    source = initial[x[:, 0]] * np.prod([transition[x[:, t], x[:, t + 1]] for t in range(steps - 1)], axis=0)
    cost = distortion[x[:, None], y[None]].mean(-1)
    shape = cost.shape
    # What is said up to t must not depend on x after t: sums over later y are equal for x that agree up to t.
    rows = []
    for t in range(1, steps):
        for i, j in zip(range(len(x)), range(1, len(x)), strict=False):
            if (x[i, :t] == x[j, :t]).all() and (x[i, t:] != x[j, t:]).any():
                for start in product(range(marks), repeat=t):
                    row, agrees = np.zeros(shape), (y[:, :t] == start).all(1)
                    row[i, agrees], row[j, agrees] = 1, -1
                    rows.append(row.ravel())
    for i in range(len(x)):
        row = np.zeros(shape)
        row[i] = 1
        rows.append(row.ravel())
    # Steps from the uniform law that respect all of this.
    free, start = null_space(np.array(rows)), np.full(cost.size, 1 / len(y))
    price = (source[:, None] * cost).ravel()

    def objective(z):
        p = np.maximum((start + free @ z).reshape(shape), 1e-14)
        ratio = np.log(p / (source @ p))
        return (source[:, None] * p * ratio).sum(), (source[:, None] * ratio).ravel() @ free

    constraints = [
        {"type": "ineq", "fun": lambda z: start + free @ z, "jac": lambda z: free},
        {"type": "ineq", "fun": lambda z: allowed - price @ (start + free @ z), "jac": lambda z: -price @ free},
    ]
    found = minimize(
        objective,
        np.zeros(free.shape[1]),
        jac=True,
        method="SLSQP",
        constraints=constraints,
        options={"maxiter": 500, "ftol": 1e-9},
    )
    assert found.status in (0, 8), found.message  # 8: rounding, which differs between processors, leaves no way down
    return found.fun / np.log(2) / steps


HAMMING = 1 - np.eye(2)
GRADED = np.array([[0.0, 0.4, 1.0], [1.2, 0.3, 0.0]])
SOURCES = [
    (np.array([0.75, 0.25]), np.array([[0.9, 0.1], [0.3, 0.7]]), HAMMING, 2),
    (np.array([0.4, 0.6]), np.array([[0.8, 0.2], [0.4, 0.6]]), GRADED, 2),
    (np.array([0.6, 0.4]), np.array([[0.2, 0.8], [0.5, 0.5]]), HAMMING, 3),
    (np.array([0.5, 0.3, 0.2]), np.eye(3), np.array([[0, 1, 2], [1, 0, 1], [2, 1, 0.0]]), 1),
]


@pytest.mark.parametrize(("initial", "transition", "distortion", "steps"), SOURCES)
def test_markov_sources(initial, transition, distortion, steps):
    found = curve(initial, distortion, transition, steps=steps, tolerance=1e-4)
    assert found.error <= 1e-4
    lowest, silent = found.distortion[[0, -1]]
    for share in (0.15, 0.4, 0.7):
        allowed = float(lowest + share * (silent - lowest))
        least = least_rate(initial, transition, distortion, steps, allowed)
        assert least > 1e-3
        assert found.rate_at(allowed) == pytest.approx(least, abs=1e-4)
