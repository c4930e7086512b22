"""Two who talk: binary sequences that hear each other, as a joint law small enough to compute every information of."""

from __future__ import annotations

from itertools import product

import numpy as np

from bitskept.theory.information import Law


def echoes(steps: int, forward: float | int, back: float | int) -> Law:
    """The joint law of X_1..X_n, Y_1..Y_n, all bits, one axis each.

    X_t repeats Y_(t-1) with the chance `back`, and Y_t repeats X_t with the chance `forward`; otherwise, and at the
    beginning, a fair coin speaks. Raises ValueError for fewer than one step or more than 8, and chances
    outside [0, 1].
    """
    if not 1 <= steps <= 8:
        raise ValueError(f"steps must be from 1 to 8, but is {steps}: the law has 4^steps entries.")
    if not (0 <= forward <= 1 and 0 <= back <= 1):
        raise ValueError(f"forward and back must be chances, between 0 and 1, but are {forward} and {back}.")
    law = np.empty((2,) * (2 * steps))
    for symbols in product((0, 1), repeat=2 * steps):
        x, y = symbols[:steps], symbols[steps:]
        heard = [back * (x[t] == y[t - 1]) + (1 - back) / 2 for t in range(1, steps)]
        said = [forward * (x[t] == y[t]) + (1 - forward) / 2 for t in range(steps)]
        law[symbols] = np.prod(heard + said) / 2
    return law
