import numpy as np
import pytest

from bitskept.theory import directed
from bitskept.theory.bounds import binary_entropy


def echo(lag):
    """X is two fair coins; Y_t is X_(t-lag) if there is one, or else 0."""
    law = np.zeros((2,) * 4)
    for x in np.ndindex(2, 2):
        law[(*x, *((0,) * lag + x)[:2])] = 1 / 4
    return law


def test_an_echo_goes_one_way():
    assert directed.directed_information(echo(0)) == pytest.approx(2)
    assert directed.directed_information(echo(0), delay=1) == pytest.approx(0)
    assert directed.directed_information(echo(1)) == pytest.approx(1)
    assert directed.directed_information(echo(1), delay=1) == pytest.approx(1)
    assert directed.conservation(echo(1)) == pytest.approx((1, 1, 0))
    # The other way around, X repeats what Y said: all of it is feedback.
    assert directed.conservation(echo(1).transpose(2, 3, 0, 1)) == pytest.approx((1, 0, 1))


def test_the_past_of_a_noisy_copy():
    """Y copies the step before with errors: the past of X tells about Y, and the past of Y nothing about X."""
    law = np.zeros((2,) * 6)
    for x in np.ndindex(2, 2, 2):
        for y in np.ndindex(2, 2, 2):
            law[(*x, *y)] = 1 / 16 * np.prod([0.9 if y[t] == x[t - 1] else 0.1 for t in (1, 2)])
    told = 2 * (1 - binary_entropy(0.1))
    assert directed.directed_information(law, delay=1) == pytest.approx(told)
    assert directed.directed_information(law.transpose(3, 4, 5, 0, 1, 2), delay=1) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: directed.directed_information(np.ones((2, 2))), "sum to 1"),
        (lambda: directed.directed_information(np.full((2, 2, 2), 1 / 8)), "as many axes for X as for Y.*has 3 axes"),
        (lambda: directed.conservation(np.array(1.0)), "has 0 axes"),
        (lambda: directed.directed_information(echo(0), delay=-1), "delay must be at least 0, but is -1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
