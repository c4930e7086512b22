import numpy as np
import pytest
from numpy.testing import assert_allclose

from bitskept.theory.bottleneck import curve
from bitskept.theory.corruption import Corruption
from bitskept.theory.hidden_synonyms import HiddenSynonyms
from bitskept.theory.synonyms import SynonymLanguage


@pytest.fixture(scope="module")
def language():
    return HiddenSynonyms.draw(16, 4, 0.15, seed=0)


@pytest.fixture(scope="module")
def plain():
    return SynonymLanguage.draw(16, 4, 0.15, seed=0)


def test_only_the_synonyms_differ_and_they_are_worth_something_later(language, plain):
    assert (language.lag, language.noise) == (4, 0.1)
    assert_allclose(language.transitions, plain.transitions)
    assert_allclose(language.stationary, plain.stationary)
    assert language.entropy == pytest.approx(plain.entropy)
    assert language.next_information == pytest.approx(plain.next_information)
    repeated = np.array([0.925, 0.025, 0.025, 0.025])
    worth = 2 + (repeated * np.log2(repeated)).sum()
    assert language.synonym_information == pytest.approx(worth)
    assert language.future_information == pytest.approx(plain.future_information + worth)
    assert language.entropy_rate == pytest.approx(plain.entropy_rate - worth)


def test_the_first_synonyms_cannot_be_foretold(language, plain):
    costs = [language.next_token_optimum(length) for length in (2, 4, 5, 32)]
    assert costs[0] == costs[1] == pytest.approx(plain.entropy_rate)
    assert costs[2] == pytest.approx(plain.entropy_rate - language.synonym_information / 4)
    assert costs[3] == pytest.approx(plain.entropy_rate - language.synonym_information * 28 / 31)


def test_noise_alone_is_the_plain_language():
    plain = SynonymLanguage.draw(4, 3, 0.4, seed=2)
    noisy = HiddenSynonyms(plain.transitions, 3, lag=3, noise=1.0)
    rule = Corruption(0.3, 0.0, 0.1)
    assert noisy.masked_optimum(32, rule).bits == pytest.approx(plain.masked_optimum(32, rule).bits)
    assert noisy.entropy_rate == pytest.approx(plain.entropy_rate)
    information = np.array([0.5, 1.0, 5.0])
    assert_allclose(noisy.bottleneck(information), plain.bottleneck(information))


def test_the_bottleneck_of_classes_and_synonyms_is_that_of_their_product():
    small = HiddenSynonyms.draw(3, 2, 0.4, seed=2, noise=0.2)
    laws = [chain.stationary[:, None] * chain.transitions for chain in (small.class_chain, small.synonym_chain)]
    tokens = curve(np.kron(*laws), np.geomspace(1.05, 100, 30))
    assert_allclose(small.bottleneck(tokens.complexity), tokens.relevance, atol=1e-3)


def test_synonyms_repeat_at_the_lag_and_nowhere_else(language):
    tokens = language.sample(3000, 30, np.random.default_rng(0))
    assert tokens.shape == (3000, 30)
    synonyms, classes = tokens % 4, tokens // 4
    for gap in (1, 2, 3, 5):
        assert (synonyms[:, gap:] == synonyms[:, :-gap]).mean() == pytest.approx(0.25, abs=0.01)
    assert (synonyms[:, 4:] == synonyms[:, :-4]).mean() == pytest.approx(0.925, abs=0.01)
    assert_allclose(np.bincount(classes.ravel()) / classes.size, language.class_chain.stationary, atol=0.01)
    assert_allclose(np.bincount(synonyms[:, 0]) / 3000, 0.25, atol=0.04)


def test_the_bottleneck_goes_on_rising_where_that_of_the_plain_language_is_flat(language, plain):
    ends = np.array([plain.class_entropy, language.entropy, 50.0])
    best = language.bottleneck(ends)
    assert best[0] > plain.bottleneck(ends)[0] + 0.5
    assert_allclose(best[1:], language.future_information)


def test_forward_backward_agrees_with_the_finite_sum():
    small, random = HiddenSynonyms.draw(5, 3, 0.3, seed=1, lag=3, noise=0.2), np.random.default_rng(3)
    for rule in (Corruption(0.3), Corruption(0.5, 0.0, 0.2)):
        shown = rule.show(small.sample(1000, 16, random), small.types, random)
        costs = rule.cost(small.laws_from_others(shown, rule)).mean(1)
        error = costs.std() / np.sqrt(1000)
        assert error < 0.015
        assert costs.mean() == pytest.approx(small.masked_optimum(16, rule).bits, abs=4 * error)


def test_replacing_costs_more_than_a_mask():
    small = HiddenSynonyms.draw(5, 3, 0.3, seed=1, lag=3, noise=0.2)
    found = small.masked_optimum(16, Corruption(0.3, 0.3))
    assert found.bits > small.masked_optimum(16, Corruption(0.3)).bits + 8 * found.error
    assert 0 < found.error < 0.01


def test_arguments(plain):
    for lag in (0, -1):
        with pytest.raises(ValueError, match="lag must be a whole number of at least 1"):
            HiddenSynonyms(plain.transitions, 4, lag=lag)
    with pytest.raises(ValueError, match="noise must be above 0"):
        HiddenSynonyms(plain.transitions, 4, noise=0.0)
    with pytest.raises(ValueError, match="noise must be a rate"):
        HiddenSynonyms(plain.transitions, 4, noise=1.5)
