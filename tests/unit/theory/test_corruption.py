import numpy as np
import pytest
from numpy.testing import assert_allclose

from bitskept.theory.corruption import MASK, Corruption
from bitskept.theory.information import entropy


def test_what_is_shown():
    rule, tokens = Corruption(0.4, replaced=0.2, kept=0.3), np.full((400, 500), 7)
    shown = rule.show(tokens, 10, np.random.default_rng(0))
    assert rule.masked == pytest.approx(0.5)
    assert (shown == MASK).mean() == pytest.approx(0.4 * 0.5, abs=0.005)
    for other in set(range(10)) - {7}:
        assert (shown == other).mean() == pytest.approx(0.4 * 0.2 / 10, abs=0.001)
    assert (tokens == 7).all()


def test_the_likelihood_is_that_of_what_is_shown():
    rule, types = Corruption(0.4, replaced=0.2, kept=0.3), 3
    tokens = np.tile(np.arange(types), (100_000, 1))
    shown = rule.show(tokens, types, np.random.default_rng(0))
    for token in range(types):
        seen = [(shown[:, token] == z).mean() for z in range(types)]
        assert_allclose(rule.likelihood(types)[:types, token], seen, atol=0.01)
    assert (rule.likelihood(types)[MASK] == 1).all()


@pytest.mark.parametrize("shares", [(0, 0), (0, 0.3), (0.2, 0.3), (1, 0), (0, 1), (0.4, 0.6)])
def test_the_cost_from_the_joint_law_of_token_and_shown(shares):
    replaced, kept = shares
    law = np.array([0.6, 0.3, 0.1, 0.0])
    joint = np.zeros((4, 5))
    joint[:, :4] = law[:, None] * (kept * np.eye(4) + replaced / 4)
    joint[:, 4] = (1 - replaced - kept) * law
    expected = entropy(joint, (0, 1)) - entropy(joint, 1)
    assert_allclose(Corruption(0.3, replaced, kept).cost(law[None]), [expected], atol=1e-12)


def test_bert_s_rule_keeps_its_shares_in_spite_of_rounding():
    assert Corruption(0.15, 0.1, 0.1).masked == pytest.approx(0.8)
    assert Corruption(1.0, 0.7, 0.3).masked == 0
    assert Corruption(1.0, 0.9, 0.1).masked == pytest.approx(0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0.0,), "hidden must be a probability above 0"),
        ((1.1,), "hidden must be a probability"),
        ((0.3, -0.1), "replaced must be a rate"),
        ((0.3, 0.0, 1.2), "kept must be a rate"),
        ((0.3, 0.6, 0.5), "replaced \\+ kept must be a rate"),
    ],
)
def test_shares_that_are_none(values, message):
    with pytest.raises(ValueError, match=message):
        Corruption(*values)
