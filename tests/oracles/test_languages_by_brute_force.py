"""What languages say of themselves against sums over all sentences, and over all that can be shown of them."""

from itertools import product

import numpy as np
import pytest

from bitskept.theory.bottleneck import curve
from bitskept.theory.corruption import Corruption
from bitskept.theory.information import entropy, mutual_information
from bitskept.theory.synonyms import SynonymLanguage

CLASSES = np.array([[0.9, 0.1], [0.35, 0.65]])
LANGUAGES = {
    "synonyms": SynonymLanguage(CLASSES, 2),
    "lag 1": SynonymLanguage(CLASSES, 2, lag=1, noise=0.2),
    "lag 2": SynonymLanguage(CLASSES, 2, lag=2, noise=0.3),
    "lag 3": SynonymLanguage(CLASSES, 2, lag=3, noise=0.4),
}
RULES = [(0.3, 0, 0), (1, 0, 0), (0.3, 0, 0.1), (0.5, 0.2, 0.3), (0.4, 0.1, 0), (0.9, 1, 0), (1, 0.5, 0.5), (0.4, 0, 1)]
LENGTH = 4


def law_of_sentences(language, length):
    """p(x_1..x_n), one axis a token, from the definition of the language."""
    law = np.zeros((4,) * length)
    start = np.array([0.35, 0.1]) / 0.45  # CLASSES leave it as it is
    for sentence in product(range(4), repeat=length):
        p = 1.0
        for i, token in enumerate(sentence):
            c, k = divmod(token, 2)
            p *= CLASSES[sentence[i - 1] // 2, c] if i else start[c]
            same = sentence[i - language.lag] % 2 == k if i >= language.lag else None
            p *= 0.5 if same is None else language.noise / 2 + (1 - language.noise) * same
        law[sentence] = p
    return law


def cost_of_naming(law, hidden, replaced, kept):
    """The mean of H(X_i | all that is shown, i was chosen) over the places, from the joint law of tokens and shown."""
    n = law.ndim
    masked = np.zeros((4, 5))
    masked[:, 4] = 1
    same, anything = np.eye(4, 5), np.hstack([np.full((4, 4), 0.25), np.zeros((4, 1))])
    chosen = (1 - replaced - kept) * masked + replaced * anything + kept * same
    other = hidden * chosen + (1 - hidden) * same
    tokens, shown, costs = list(range(n)), list(range(n, 2 * n)), []
    for i in range(n):
        channels = [part for j in range(n) for part in (chosen if i == j else other, [j, n + j])]
        joint = np.einsum(law, tokens, *channels, [i, *shown], optimize=True)
        costs.append(entropy(joint) - entropy(joint.sum(0)))
    return np.mean(costs)


@pytest.fixture(scope="module", params=LANGUAGES)
def case(request):
    language = LANGUAGES[request.param]
    return language, law_of_sentences(language, LENGTH)


def test_a_sentence_has_the_stated_entropies(case):
    language, law = case
    assert law.sum() == pytest.approx(1)
    np.testing.assert_allclose(law.sum((1, 2, 3)), language.stationary)
    assert language.entropy == pytest.approx(entropy(law, 2))
    assert language.next_information == pytest.approx(mutual_information(law, 1, 2))
    for length in range(2, LENGTH + 1):
        costs = entropy(law, tuple(range(length))) - entropy(law, 0)
        assert language.next_token_optimum(length) * (length - 1) == pytest.approx(costs)


@pytest.mark.parametrize("name", ["synonyms", "lag 1", "lag 2"])
def test_the_rate_and_the_future(name):
    language = LANGUAGES[name]
    law = law_of_sentences(language, LENGTH)
    assert language.entropy_rate == pytest.approx(entropy(law, (0, 1, 2, 3)) - entropy(law, (0, 1, 2)))
    assert language.future_information == pytest.approx(mutual_information(law, 0, (1, 2, 3)))
    future = curve(law.reshape(4, -1), np.geomspace(1.01, 100, 30))
    np.testing.assert_allclose(language.bottleneck(future.complexity), future.relevance, atol=1e-3)


@pytest.mark.parametrize("rule", RULES)
def test_the_cost_of_naming(case, rule):
    language, law = case
    corruption = Corruption(*rule)
    truth = cost_of_naming(law, *rule)
    found = language.masked_optimum(LENGTH, corruption, sentences=20_000)
    assert (found.error == 0) == (corruption.replaced == 0)
    assert found.bits == pytest.approx(truth, abs=4 * found.error + 1e-9)
    assert found.error < 0.005


def test_the_posterior_of_each_token(case):
    """Not only on average: the law of a token, given each thing that can be shown at the other places."""
    language, law = case
    rule = Corruption(0.5, 0.2, 0.3)
    shown = np.array(list(product((-1, 0, 3), repeat=LENGTH)))
    laws = language.laws_from_others(shown, rule)
    seen = np.vstack([(1 - 0.5 + 0.5 * 0.3) * np.eye(4) + 0.5 * 0.2 / 4, np.ones(4)])
    for z, found in zip(shown, laws, strict=True):
        for i in range(LENGTH):
            weights = [np.ones(4) if i == j else seen[z[j]] for j in range(LENGTH)]
            expected = np.einsum(law, range(4), *[part for j in range(4) for part in (weights[j], [j])], [i])
            np.testing.assert_allclose(found[i], expected / expected.sum(), atol=1e-12)
