"""How many bits it takes to name a symbol that is wrong no more often than with probability D: R(D) in closed form.

With the Hamming distortion, 1 where a reproduction is not the symbol, the least I(X;Y) with P(Y ≠ X) ≤ D is known as
Erokhin's rate-distortion function (so called by Kostina, Polyanskiy and Verdú, ISIT 2014). The form below follows from
the conditions of Blahut's and Arimoto's updates to stand still: there is a level theta such that only symbols more
likely than theta are ever named, and with S of these, of probability P together, all in nats,

    D = 1 - P + (|S| - 1) theta,    R = -sum_S p ln p + (1 - D) ln(1 - D) + (|S| - 1) theta ln theta.

For two symbols it is h(p) - h(D), and for M equally likely ones Fano's inequality read as an equation.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.special import xlogy

from bitskept.theory.information import Bits, Numbers, check_law


def naming_rate(law: Float[np.ndarray, " x"], error: Numbers) -> Bits:
    """The least bits about a symbol of this law from which it can be named with that probability of error, or less.

    From H(X) at error 0 down to 0 at 1 - max p, where the likeliest symbol is named without being told anything, and
    0 beyond. Raises ValueError if `law` is no law and for errors outside [0, 1].
    """
    wrong = np.asarray(error, float)
    if not ((wrong >= 0) & (wrong <= 1)).all():
        raise ValueError(f"error must lie between 0 and 1, but is {error}.")
    p = -np.sort(-check_law(law))
    p = p[p > 0]
    if len(p) == 1:
        return np.zeros(wrong.shape)[()]
    # D grows with theta; the k likeliest symbols are in use while theta is between p[k] and p[k - 1].
    inside, used = np.cumsum(p), np.arange(1, len(p) + 1)
    ends = 1 - inside[1:] + used[:-1] * p[1:]  # D at theta = p[k - 1], for k = 2, 3, ...
    k = len(p) - np.searchsorted(ends[::-1], np.minimum(wrong, ends[0]), side="left")
    k = np.clip(k, 2, len(p))
    theta = np.maximum(wrong - 1 + inside[k - 1], 0) / (k - 1)
    kept = np.cumsum(-xlogy(p, p))[k - 1]
    nats = kept + xlogy(1 - wrong, 1 - wrong) + (k - 1) * xlogy(theta, theta)
    return np.where(wrong >= 1 - p[0], 0.0, np.maximum(nats, 0) / np.log(2))[()]
