import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitskept.theory import bounds
from bitskept.theory.information import entropy
from bitskept.theory.naming import naming_rate
from bitskept.theory.rate_distortion import curve

ERRORS = np.linspace(0, 1, 41)


def drawn(seed, letters):
    return np.random.default_rng(seed).dirichlet(np.full(letters, 0.7))


def test_of_two_symbols_it_is_h_p_less_h_d():
    p = 0.3
    wanted = bounds.binary_entropy(p) - bounds.binary_entropy(np.minimum(ERRORS, p))
    assert naming_rate(np.array([p, 1 - p]), ERRORS) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("letters", [2, 5, 300])
def test_of_equally_likely_symbols_it_is_fano(letters):
    errors = np.linspace(0, 1 - 1 / letters, 9)
    wanted = bounds.fano(np.log2(letters), errors, letters)
    assert naming_rate(np.full(letters, 1 / letters), errors) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("seed", range(2))
def test_it_is_what_blahut_and_arimoto_find(seed):
    law = drawn(seed, 4)
    found = curve(law, 1 - np.eye(4), tolerance=1e-3)
    assert naming_rate(law, found.distortion) == pytest.approx(found.rate, abs=1e-3)


@given(st.integers(0, 10_000), st.integers(1, 30))
def test_it_falls_is_convex_and_lies_between_its_ends(seed, letters):
    law = drawn(seed, letters)
    rate = naming_rate(law, ERRORS)
    assert rate[0] == pytest.approx(entropy(law), abs=1e-9)
    assert (rate[1 - law.max() <= ERRORS] == 0).all()
    assert (np.diff(rate) <= 1e-9).all()
    assert (np.diff(rate, 2) >= -1e-9).all()


def test_what_never_comes_need_not_be_named():
    law = drawn(0, 6)
    assert naming_rate(np.append(law, [0.0, 0.0]), ERRORS) == pytest.approx(naming_rate(law, ERRORS), abs=1e-12)
    assert naming_rate(np.array([0.0, 1.0]), 0.0) == 0


@pytest.mark.parametrize("error", [-0.1, 1.1, np.nan])
def test_an_error_that_is_no_probability_is_refused(error):
    with pytest.raises(ValueError, match="error must be a rate from 0 to 1"):
        naming_rate(np.array([0.5, 0.5]), error)
