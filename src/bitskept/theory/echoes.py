"""Two speakers who echo each other: binary sequences whose joint law is small enough to compute all of their
information.
"""

from itertools import product

import numpy as np

from bitskept.theory.checks import Law, rate, valid


def echo_law(steps: int, forward: float | int, back: float | int) -> Law:
    """The joint law of X_1..X_n and Y_1..Y_n, all bits, with one axis per variable.

    X_t repeats Y_(t-1) with probability `back`, and Y_t repeats X_t with probability `forward`. Otherwise, and at the
    beginning, a fair coin decides. ValueError for fewer than 1 step or more than 8, and probabilities outside [0, 1].
    """
    valid("steps", steps, "from 1 to 8, as the law has 4^steps entries", lambda v: (v >= 1) & (v <= 8))
    rate("forward", forward)
    rate("back", back)
    law = np.empty((2,) * (2 * steps))
    for symbols in product((0, 1), repeat=2 * steps):
        x, y = symbols[:steps], symbols[steps:]
        x_given_y = [back * (x[t] == y[t - 1]) + (1 - back) / 2 for t in range(1, steps)]
        y_given_x = [forward * (x[t] == y[t]) + (1 - forward) / 2 for t in range(steps)]
        law[symbols] = np.prod(x_given_y + y_given_x) / 2
    return law
