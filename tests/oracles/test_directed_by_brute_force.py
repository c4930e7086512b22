"""Directed information against its definition, written out as a sum over all pairs of sequences."""

from collections import defaultdict
from itertools import product
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitskept.theory import directed
from bitskept.theory.information import mutual_information

SHAPES = [(2, 2), (3, 2), (2, 2, 2, 2), (3, 2, 2, 3), (2,) * 6, (2,) * 8]


@st.composite
def laws(draw):
    """A random joint law of two sequences of 1 to 4 symbols, with zeros."""
    shape, seed = draw(st.sampled_from(SHAPES)), draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    weights = rng.exponential(size=shape) ** 3 * (rng.random(shape) < draw(st.sampled_from([0.4, 1.0])))
    weights.flat[rng.integers(weights.size)] += 0.1
    return weights / weights.sum()


def random_rows(rng, rows, columns):
    return rng.dirichlet(np.full(columns, 0.5), size=rows)


def written_out(law, delay):
    """sum p(x,y) log2 p(y_t | x^(t-delay), y^(t-1)) / p(y_t | y^(t-1)), each probability from a table of prefixes."""
    n = law.ndim // 2
    prefixes = defaultdict(float)
    cells = [(cell[:n], cell[n:], float(law[cell])) for cell in product(*map(range, law.shape)) if law[cell] > 0]
    for x, y, p in cells:
        for i, j in product(range(n + 1), repeat=2):
            prefixes[x[:i], y[:j]] += p
    total = 0.0
    for x, y, p in cells:
        for t in range(n):
            heard = x[: max(0, t + 1 - delay)]
            given_both = prefixes[heard, y[: t + 1]] / prefixes[heard, y[:t]]
            total += p * log2(given_both * prefixes[(), y[:t]] / prefixes[(), y[: t + 1]])
    return total


@settings(deadline=None, derandomize=True, max_examples=40)
@given(laws(), st.integers(0, 2))
def test_the_definition(law, delay):
    assert directed.directed_information(law, delay) == pytest.approx(written_out(law, delay), abs=1e-10)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(laws())
def test_conservation(law):
    parts, n = directed.conservation(law), law.ndim // 2
    back = law.transpose(*range(n, 2 * n), *range(n))
    assert parts.feedback == pytest.approx(written_out(back, 1), abs=1e-10)
    assert parts.mutual == pytest.approx(parts.forward + parts.feedback, abs=1e-10)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [1, 2, 3])
def test_without_feedback_it_is_mutual_information(seed, n):
    """A source that never looks at Y, through any causal channel with memory."""
    rng = np.random.default_rng(seed)
    law = rng.dirichlet(np.ones(2**n)).reshape((2,) * n)
    for t in range(n):
        # p(y_t | x^t, y^(t-1)), the x after t not looked at
        channel = random_rows(rng, 2 ** (2 * t + 1), 3 if n == 1 else 2).reshape((2,) * (2 * t + 1) + (-1,))
        after = (1,) * (n - t - 1)
        law = law[..., None] * channel.reshape(channel.shape[: t + 1] + after + channel.shape[t + 1 :])
    x, y = tuple(range(n)), tuple(range(n, 2 * n))
    mutual = mutual_information(law, x, y)
    assert mutual > 0.01
    assert directed.directed_information(law) == pytest.approx(mutual, abs=1e-10)
    assert directed.conservation(law).feedback == pytest.approx(0, abs=1e-10)
