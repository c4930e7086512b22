import numpy as np
import pytest

from bitskept.theory import directed
from bitskept.theory.bounds import binary_entropy
from bitskept.theory.information import mutual_information


def echo(lag):
    """X is two fair coins; Y_t is X_(t-lag), where there is one, or else 0."""
    law = np.zeros((2,) * 4)
    for x in np.ndindex(2, 2):
        law[(*x, *((0,) * lag + x)[:2])] = 1 / 4
    return law


def test_an_echo_goes_one_way():
    assert directed.flow(echo(0)) == pytest.approx([1, 1])
    assert directed.flow(echo(0), delay=1) == pytest.approx([0, 0])
    assert directed.flow(echo(1)) == pytest.approx([0, 1])
    assert directed.flow(echo(1), delay=1) == pytest.approx([0, 1])
    assert directed.conservation(echo(1)) == pytest.approx((1, 1, 0))
    # The other way around, X repeats what Y said: all of it is feedback.
    assert directed.conservation(echo(1).transpose(2, 3, 0, 1)) == pytest.approx((1, 0, 1))


def test_granger():
    """A noisy copy of the step before is predicted by X's past, and X is not by that of Y."""
    law = np.zeros((2,) * 6)
    for x in np.ndindex(2, 2, 2):
        for y in np.ndindex(2, 2, 2):
            law[(*x, *y)] = 1 / 16 * np.prod([0.9 if y[t] == x[t - 1] else 0.1 for t in (1, 2)])
    told = 1 - binary_entropy(0.1)
    assert directed.transfer_entropy(law) == pytest.approx(told)
    assert directed.transfer_entropy(law, lags=1) == pytest.approx(told)
    assert directed.transfer_entropy(law) == pytest.approx(directed.flow(law, delay=1)[-1])
    assert directed.transfer_entropy(law.transpose(3, 4, 5, 0, 1, 2)) == pytest.approx(0, abs=1e-12)


def test_shorter_lags_may_miss_it():
    """Y_3 = X_1: the last step of X knows nothing of it."""
    law = np.zeros((2,) * 6)
    for x in np.ndindex(2, 2, 2):
        law[(*x, 0, 0, x[0])] = 1 / 8
    assert directed.transfer_entropy(law) == pytest.approx(1)
    assert directed.transfer_entropy(law, lags=1) == pytest.approx(0, abs=1e-12)


def test_a_prompt_is_there_before_the_answer():
    """One of two prompts, and an answer of three tokens of which the second tells which it was."""
    law = np.zeros((2, 2, 2, 2))
    for x in range(2):
        law[x, 0, x, :] = 1 / 4
    assert directed.prompt_flow(law) == pytest.approx([0, 1, 0])
    assert directed.prompt_density(law, np.array([1]), np.array([0, 1, 0])) == pytest.approx([0, 1, 0])
    assert sum(directed.prompt_flow(law)) == pytest.approx(mutual_information(law, 0, (1, 2, 3)))


def test_along_one_pair_it_may_be_negative():
    law = np.array([[0.45, 0.05], [0.05, 0.45]])
    assert directed.density(law, np.array([0]), np.array([1])) == pytest.approx([np.log2(0.1 / 0.5)])
    assert directed.density(law, np.array([0]), np.array([1]), delay=1) == pytest.approx([0])


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: directed.flow(np.ones((2, 2))), "sum to 1"),
        (lambda: directed.flow(np.full((2, 2, 2), 1 / 8)), "as many axes for X as for Y.*has 3 axes"),
        (lambda: directed.conservation(np.array(1.0)), "has 0 axes"),
        (lambda: directed.flow(echo(0), delay=-1), "delay must be at least 0, but is -1"),
        (lambda: directed.density(echo(0), np.array([0]), np.array([0])), "2 symbols each"),
        (lambda: directed.density(echo(0), np.array([0, 2]), np.array([0, 0])), r"x = \[0, 2\].*no symbols"),
        (lambda: directed.density(echo(0), np.array([0, 1]), np.array([0, 0])), "probability 0"),
        (lambda: directed.density(echo(0), np.array([0, 1]), np.array([0])), "have 2 and 1"),
        (lambda: directed.prompt_density(echo(0), np.array([0]), np.array([0])), "no symbols of a law of the shape"),
        (lambda: directed.prompt_flow(echo(0), 4), "prompt must be from 1 to 3.*but is 4"),
        (lambda: directed.prompt_flow(echo(0), 0), "prompt must be"),
        (lambda: directed.prompt_density(echo(0), np.array([], int), np.array([0] * 4)), "a symbol each"),
        (lambda: directed.transfer_entropy(echo(0), lags=2), "lags must be from 1 to 1.*is 2"),
        (lambda: directed.transfer_entropy(np.full((2, 2), 0.25)), "lags"),
    ],
)
def test_bad_input_is_named(call, told):
    with pytest.raises(ValueError, match=told):
        call()
