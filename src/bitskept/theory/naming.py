"""How many bits it takes to name a symbol that may be named wrongly with probability D: R(D) in closed form.

With the Hamming distortion, which is 1 if the reproduction is not the symbol, the least I(X;Y) with P(Y ≠ X) ≤ D is
Erokhin's rate-distortion function (so called by Kostina, Polyanskiy and Verdú, ISIT 2014). The form below follows from
the fixed points of the updates of Blahut and Arimoto. There is a level theta, and only symbols more
likely than theta are ever named. Let S be these symbols and P their total probability; then, in nats,

    D = 1 - P + (|S| - 1) theta,    R = -sum_S p ln p + (1 - D) ln(1 - D) + (|S| - 1) theta ln theta.

For two symbols it is h(p) - h(D), and for M equally likely ones Fano's inequality read as an equation.
"""

import numpy as np
from jaxtyping import Float
from scipy.special import xlogy

from bitskept.theory.checks import Bits, Numbers, check_law, rate


def naming_rate(law: Float[np.ndarray, " x"], error: Numbers) -> Bits:
    """The least number of bits about a symbol of this law that allow naming it with at most this probability of error.

    It falls from H(X) at error 0 to 0 at 1 - max p, where naming the likeliest symbol takes no bits, and is 0 beyond.
    ValueError if `law` is not a law, and for errors outside [0, 1].
    """
    wrong = rate("error", error)
    p = -np.sort(-check_law(law))
    p = p[p > 0]
    if len(p) == 1:
        return np.zeros(wrong.shape)[()]
    # D grows with theta; the k likeliest symbols are used while theta is between p[k] and p[k - 1].
    inside, used = np.cumsum(p), np.arange(1, len(p) + 1)
    ends = 1 - inside[1:] + used[:-1] * p[1:]  # D at theta = p[k - 1], for k = 2, 3, ...
    k = len(p) - np.searchsorted(ends[::-1], np.minimum(wrong, ends[0]), side="left")
    k = np.clip(k, 2, len(p))
    theta = np.maximum(wrong - 1 + inside[k - 1], 0) / (k - 1)
    entropies = np.cumsum(-xlogy(p, p))[k - 1]
    nats = entropies + xlogy(1 - wrong, 1 - wrong) + (k - 1) * xlogy(theta, theta)
    return np.where(wrong >= 1 - p[0], 0.0, np.maximum(nats, 0) / np.log(2))[()]
