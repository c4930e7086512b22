import numpy as np
import pytest
from numpy.testing import assert_allclose

from bitskept.theory.bottleneck import curve
from bitskept.theory.corruption import Corruption
from bitskept.theory.information import entropy, mutual_information
from bitskept.theory.synonyms import SynonymLanguage


@pytest.fixture(scope="module")
def language():
    return SynonymLanguage.draw(16, 4, 0.15, seed=0)


@pytest.fixture(scope="module")
def returning():
    """The same classes, with synonyms that return."""
    return SynonymLanguage.draw(16, 4, 0.15, seed=0, lag=4, noise=0.1)


def token_joint(language):
    """p(x_i, x_(i+1)) of tokens."""
    k = language.synonyms
    return np.kron(language.class_chain.stationary[:, None] * language.transitions, np.full((k, k), 1 / k**2))


def test_the_language_has_the_entropies_that_an_independent_script_printed(language):
    assert language.types == 64
    assert language.entropy == pytest.approx(5.797, abs=5e-4)
    assert language.class_entropy == pytest.approx(3.797, abs=5e-4)
    assert language.entropy_rate == pytest.approx(4.330, abs=5e-4)
    assert language.synonym_bits == 2


def test_the_information_of_neighbours_is_that_of_the_joint_law_of_tokens(language):
    joint = token_joint(language)
    assert_allclose(joint.sum(1), language.stationary)
    assert_allclose(joint.sum(0), language.stationary)
    assert language.entropy == pytest.approx(entropy(joint, 0))
    assert language.next_information == pytest.approx(mutual_information(joint, 0, 1))
    assert language.future_information == pytest.approx(language.next_information)
    assert language.synonym_information == pytest.approx(0)
    assert language.next_token_optimum(32) == pytest.approx(language.entropy_rate)


def test_the_bottleneck_of_classes_is_that_of_tokens():
    small = SynonymLanguage.draw(4, 3, 0.4, seed=2)
    tokens = curve(token_joint(small), np.geomspace(1.05, 100, 30))
    assert_allclose(small.bottleneck(tokens.complexity), tokens.relevance, atol=1e-3)


def test_the_bottleneck_lies_little_below_its_tangents():
    """The line of slope 1/beta through an optimum lies nowhere below the true curve."""
    small = SynonymLanguage.draw(5, 3, 0.4, seed=1)
    joint, betas = small.class_chain.stationary[:, None] * small.transitions, np.geomspace(1.1, 50, 100)
    found, information = curve(joint, betas, tolerance=1e-6), np.linspace(0, small.class_entropy, 300)
    above = ((information[:, None] - found.complexity) / betas + found.relevance).min(1)
    gap = np.minimum(above, small.next_information) - small.bottleneck(information)
    assert (gap > -1e-5).all()
    assert gap.max() < 2e-3


def test_the_bottleneck_is_flat_beyond_the_classes(language):
    information = np.array([[0.0, 0.5, 1.5], [language.class_entropy, 5, 100]])
    best = language.bottleneck(information)
    assert best.shape == (2, 3)
    assert best[0, 0] == 0
    assert (np.diff(best[0]) > 0.1).all()
    assert (best[0] <= information[0]).all()
    assert_allclose(best[1], language.next_information)


def test_a_mask_alone_costs_between_its_extremes(language):
    costs = [language.masked_optimum(32, Corruption(hidden)).bits for hidden in (1e-9, 0.15, 0.3, 0.6, 1)]
    assert (np.diff(costs) > 0.05).all()
    h = language.class_chain.gap_entropies(2)
    assert costs[0] == pytest.approx(2 + (30 * (2 * h[1] - h[2]) + 2 * h[1]) / 32)
    assert costs[-1] == pytest.approx(language.entropy)


def test_kept_tokens_cost_nothing_and_help_their_neighbours(language):
    without, kept = (language.masked_optimum(32, Corruption(0.3, 0, share)).bits for share in (0, 0.1))
    assert kept < 0.9 * without
    assert kept == pytest.approx(0.9 * language.masked_optimum(32, Corruption(0.27)).bits)


def test_replacing_costs_more_than_keeping(language):
    kept = language.masked_optimum(32, Corruption(0.3, 0.0, 0.2))
    bert = language.masked_optimum(32, Corruption(0.3, 0.1, 0.1))
    assert kept.error == 0 < bert.error < 0.004
    assert bert.bits > kept.bits + 10 * bert.error


@pytest.mark.parametrize("memory", [{}, {"lag": 3, "noise": 0.2}])
def test_forward_backward_agrees_with_the_finite_sum(memory):
    small, random = SynonymLanguage.draw(5, 3, 0.3, seed=1, **memory), np.random.default_rng(3)
    for rule in (Corruption(0.3), Corruption(0.5, 0.0, 0.2)):
        shown = rule.show(small.sample(1000, 16, random), small.types, random)
        costs = rule.cost(small.laws_from_others(shown, rule)).mean(1)
        error = costs.std() / np.sqrt(1000)
        assert error < 0.015
        assert costs.mean() == pytest.approx(small.masked_optimum(16, rule).bits, abs=4 * error)


def test_a_vanishing_share_of_replaced_tokens_changes_nothing(language):
    found = language.masked_optimum(32, Corruption(0.3, 1e-9, 0.1), sentences=50)
    assert found.bits == pytest.approx(language.masked_optimum(32, Corruption(0.3, 0.0, 0.1)).bits, abs=1e-6)


def test_samples(language):
    tokens = language.sample(3000, 32, np.random.default_rng(0))
    assert tokens.shape == (3000, 32)
    assert_allclose(np.bincount(tokens.ravel(), minlength=64) / tokens.size, language.stationary, atol=0.003)
    classes = tokens // 4
    counts = np.zeros((16, 16))
    np.add.at(counts, (classes[:, :-1], classes[:, 1:]), 1)
    assert_allclose(counts / counts.sum(), language.class_chain.stationary[:, None] * language.transitions, atol=0.003)
    again = language.sample(3000, 32, np.random.default_rng(0))
    assert (tokens == again).all()


def test_only_the_synonyms_differ_and_they_are_worth_something_later(returning, language):
    assert_allclose(returning.transitions, language.transitions)
    assert_allclose(returning.stationary, language.stationary)
    assert returning.entropy == pytest.approx(language.entropy)
    assert returning.next_information == pytest.approx(language.next_information)
    repeated = np.array([0.925, 0.025, 0.025, 0.025])
    worth = 2 + (repeated * np.log2(repeated)).sum()
    assert returning.synonym_information == pytest.approx(worth)
    assert returning.future_information == pytest.approx(language.future_information + worth)
    assert returning.entropy_rate == pytest.approx(language.entropy_rate - worth)


def test_the_first_synonyms_cannot_be_foretold(returning, language):
    costs = [returning.next_token_optimum(length) for length in (2, 4, 5, 32)]
    assert costs[0] == costs[1] == pytest.approx(language.entropy_rate)
    assert costs[2] == pytest.approx(language.entropy_rate - returning.synonym_information / 4)
    assert costs[3] == pytest.approx(language.entropy_rate - returning.synonym_information * 28 / 31)


def test_noise_alone_is_the_plain_language():
    plain = SynonymLanguage.draw(4, 3, 0.4, seed=2)
    noisy = SynonymLanguage(plain.transitions, 3, lag=3, noise=1.0)
    rule = Corruption(0.3, 0.0, 0.1)
    assert noisy.masked_optimum(32, rule).bits == pytest.approx(plain.masked_optimum(32, rule).bits)
    assert noisy.entropy_rate == pytest.approx(plain.entropy_rate)
    information = np.array([0.5, 1.0, 5.0])
    assert_allclose(noisy.bottleneck(information), plain.bottleneck(information))


def test_the_bottleneck_of_classes_and_synonyms_is_that_of_their_product():
    small = SynonymLanguage.draw(3, 2, 0.4, seed=2, lag=2, noise=0.2)
    laws = [chain.stationary[:, None] * chain.transitions for chain in (small.class_chain, small.synonym_chain)]
    tokens = curve(np.kron(*laws), np.geomspace(1.05, 100, 30))
    assert_allclose(small.bottleneck(tokens.complexity), tokens.relevance, atol=1e-3)


def test_synonyms_repeat_at_the_lag_and_nowhere_else(returning):
    tokens = returning.sample(3000, 30, np.random.default_rng(0))
    assert tokens.shape == (3000, 30)
    synonyms, classes = tokens % 4, tokens // 4
    for gap in (1, 2, 3, 5):
        assert (synonyms[:, gap:] == synonyms[:, :-gap]).mean() == pytest.approx(0.25, abs=0.01)
    assert (synonyms[:, 4:] == synonyms[:, :-4]).mean() == pytest.approx(0.925, abs=0.01)
    assert_allclose(np.bincount(classes.ravel()) / classes.size, returning.class_chain.stationary, atol=0.01)
    assert_allclose(np.bincount(synonyms[:, 0]) / 3000, 0.25, atol=0.04)


def test_the_bottleneck_goes_on_rising_where_that_of_the_plain_language_is_flat(returning, language):
    ends = np.array([language.class_entropy, returning.entropy, 50.0])
    best = returning.bottleneck(ends)
    assert best[0] > language.bottleneck(ends)[0] + 0.5
    assert_allclose(best[1:], returning.future_information)


def test_replacing_costs_more_than_a_mask():
    small = SynonymLanguage.draw(5, 3, 0.3, seed=1, lag=3, noise=0.2)
    found = small.masked_optimum(16, Corruption(0.3, 0.3))
    assert found.bits > small.masked_optimum(16, Corruption(0.3)).bits + 8 * found.error
    assert 0 < found.error < 0.01


def test_arguments(language):
    with pytest.raises(ValueError, match="synonyms must be at least 1"):
        SynonymLanguage(language.transitions, 0)
    with pytest.raises(ValueError, match="ergodic"):
        SynonymLanguage(np.eye(3), 2)
    with pytest.raises(ValueError, match="length must be at least 2"):
        language.next_token_optimum(1)
    with pytest.raises(ValueError, match="length must be at least 1"):
        language.masked_optimum(0, Corruption(0.3))
    with pytest.raises(ValueError, match="sentences must be at least 2"):
        language.masked_optimum(8, Corruption(0.3, 0.1), sentences=1)
    with pytest.raises(ValueError, match="information must be at least 0"):
        language.bottleneck(np.array([-1.0]))
    for lag in (0, -1):
        with pytest.raises(ValueError, match="lag must be a whole number of at least 1"):
            SynonymLanguage(language.transitions, 4, lag=lag)
    for noise, told in ((0.0, "above 0"), (1.5, "a rate")):
        with pytest.raises(ValueError, match=f"noise must be {told}"):
            SynonymLanguage(language.transitions, 4, noise=noise)
