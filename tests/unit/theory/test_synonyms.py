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


def test_forward_backward_agrees_with_the_finite_sum(language):
    random = np.random.default_rng(3)
    for rule in (Corruption(0.3), Corruption(0.3, 0.0, 0.1)):
        shown = rule.show(language.sample(1000, 32, random), language.types, random)
        costs = rule.cost(language.laws_from_others(shown, rule)).mean(1)
        error = costs.std() / np.sqrt(1000)
        assert error < 0.01
        assert costs.mean() == pytest.approx(language.masked_optimum(32, rule).bits, abs=4 * error)


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
