from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from made_up import laws
from scipy import sparse

from bitskept.theory import bottleneck
from bitskept.theory.bottleneck import bigrams, curve
from bitskept.theory.information import entropy, mutual_information

BETAS = np.array([0.5, 1.2, 1.5, 2, 3, 5, 10, 30])


def relevance_at(found, complexity):
    """Straight between the points of the curve, because a mixture of two summaries is a summary."""
    points = np.r_[0, found.complexity, found.entropy], np.r_[0, found.relevance, found.information]
    return np.interp(complexity, *points)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(laws(min_side=2, max_side=5, least=0.01))
def test_the_curve_keeps_to_what_must_hold(law):
    found = curve(3 * law, BETAS)  # it need not sum to 1
    assert (found.relevance <= np.minimum(found.complexity, found.information) + 1e-9).all()
    assert (found.complexity <= found.entropy + 1e-9).all()
    assert found.information == pytest.approx(mutual_information(law, 0, 1), abs=1e-9)
    assert found.entropy <= entropy(law, 0) + 1e-9
    x = np.r_[0, found.complexity, found.entropy]
    y = np.r_[0, found.relevance, found.information]
    assert (np.diff(x) >= -1e-9).all()
    assert (np.diff(y) >= -1e-9).all()
    # Concave: no point lies below the line through any two about it.
    for i, j, k in combinations(range(len(x)), 3):
        assert (y[j] - y[i]) * (x[k] - x[j]) >= (y[k] - y[j]) * (x[j] - x[i]) - 1e-9
    # Nothing is gained by beta = 0.5; no other summary that is known costs less.
    assert max(found.complexity[0], found.relevance[0]) < 1e-9
    for other_x, other_y in zip(x, y, strict=True):
        assert (found.complexity - BETAS * found.relevance <= other_x - BETAS * other_y + 1e-9).all()


@pytest.mark.parametrize("seed", range(5))
def test_no_random_summary_lies_above(seed):
    rng = np.random.default_rng(seed)
    joint = rng.exponential(size=(6, 5)) ** 2
    joint /= joint.sum()
    found = curve(joint, np.geomspace(1.05, 100, 25))
    for _ in range(200):
        summary = rng.exponential(size=(6, 4)) ** rng.uniform(1, 12)
        summary /= summary.sum(1, keepdims=True)
        complexity = mutual_information(joint.sum(1)[:, None] * summary, 0, 1)
        relevance = mutual_information(joint.T @ summary, 0, 1)
        assert relevance <= relevance_at(found, complexity) + 1e-3


def test_a_function_of_x_is_all_relevance():
    """Y = f(X): what T keeps of X can all be of Y, up to H(Y)."""
    joint = np.zeros((8, 4))
    joint[np.arange(8), np.arange(8) // 2] = np.arange(1, 9) / 36
    found = curve(joint, [0.9, 1.1, 2, 20])
    whole = entropy(joint, 1)
    np.testing.assert_allclose(found.complexity, [0, whole, whole, whole], atol=1e-6)
    np.testing.assert_allclose(found.relevance, found.complexity, atol=1e-6)
    assert found.clusters.tolist() == [1, 4, 4, 4]
    assert found.entropy == pytest.approx(whole)  # the two x of a y are one
    np.testing.assert_allclose(relevance_at(found, [0, 0.7, 9]), [0, 0.7, whole], atol=1e-6)


def test_independent_variables_have_no_curve():
    found = curve(np.outer([1, 2, 3], [4, 1]), BETAS)
    assert not found.complexity.any()
    assert not found.relevance.any()
    assert found.entropy == found.information == 0


def test_a_symmetric_binary_channel_begins_where_theory_says():
    """T is of use from beta = 1 / (1-2e)² on, 2.78 for e = 0.2; the curve is Mrs. Gerber's (Wyner and Ziv 1973)."""
    error = 0.2
    joint = np.array([[1 - error, error], [error, 1 - error]]) / 2
    found = curve(joint, [2.5, 2.7, 2.9, 3.5, 5, 10])
    assert not found.complexity[:2].any()
    assert (found.complexity[2:] > 0.01).all()

    def entropy_of(p):
        return -p * np.log2(p) - (1 - p) * np.log2(1 - p)

    noise = np.linspace(1e-9, 0.5, 200_001)
    left = noise * (1 - error) + (1 - noise) * error
    known = np.interp(found.complexity, 1 - entropy_of(noise)[::-1], 1 - entropy_of(left)[::-1])
    np.testing.assert_allclose(found.relevance, known, atol=1e-4)


def test_counts_sparse_or_dense_and_betas_in_any_order_are_the_same():
    counts = np.random.default_rng(0).poisson(1.0, size=(7, 9))
    first = curve(counts, [1.5, 3, 8])
    for joint in (counts / counts.sum(), sparse.csr_matrix(counts), sparse.coo_array(counts)):
        for mine, other in zip(first, curve(joint, [8, 1.5, 3]), strict=True):
            np.testing.assert_allclose(mine, other, atol=1e-9)


def test_single_precision_gives_the_same_curve(monkeypatch):
    joint = np.random.default_rng(1).exponential(size=(20, 15)) ** 3
    double = curve(joint, [1.5, 3, 8], tolerance=1e-5)
    monkeypatch.setattr(bottleneck, "SINGLE", 1)
    single = curve(joint, [1.5, 3, 8], tolerance=1e-5)
    np.testing.assert_allclose(relevance_at(single, double.complexity), double.relevance, atol=3e-3)


def test_a_large_sparse_joint():
    rng = np.random.default_rng(2)
    ranks = np.minimum(rng.zipf(1.3, size=(2, 10_000)), 1000) - 1
    counts = sparse.coo_array((np.ones(10_000), (ranks[0], (ranks[0] * 7 + ranks[1]) % 1000)), shape=(1000, 1000))
    found = curve(counts, [2, 4], tolerance=1e-3)
    assert (np.diff(found.relevance) > 0.1).all()
    assert (found.relevance <= found.complexity).all()
    assert found.relevance[-1] < found.information


@pytest.mark.parametrize(
    ("joint", "told"),
    [
        ([[0.5, -0.1], [0.3, 0.3]], r"each entry of joint must be at least 0, but is -0\.1"),
        ([[0.5, np.nan], [0.3, 0.3]], "joint must be at least 0, but is nan"),
        ([[0.0, 0], [0, 0]], "positive sum"),
        ([0.5, 0.5], "must be a matrix"),
    ],
)
def test_what_is_no_joint_law_is_refused(joint, told):
    with pytest.raises(ValueError, match=told):
        curve(np.array(joint), [2.0])


def test_numbers_outside_their_range_are_refused():
    with pytest.raises(ValueError, match="betas must be above 0, but is 0"):
        curve(np.eye(2), [2.0, 0.0])
    with pytest.raises(ValueError, match="betas must hold at least one number"):
        curve(np.eye(2), [])
    with pytest.raises(ValueError, match="tolerance must be above 0"):
        curve(np.eye(2), [2.0], tolerance=0.0)


def test_bigrams_stay_within_sentences_and_rare_types_are_one():
    sentences = [np.array(one, int) for one in ([5, 9, 5, 9, 7], [], [9], [9, 5, 8])]
    np.testing.assert_array_equal(bigrams(sentences, 9).toarray()[:2, :2], [[0, 2], [2, 0]])  # 9 comes first, 4 to 3
    assert bigrams(sentences, 9).shape == (4, 4)
    np.testing.assert_array_equal(bigrams(sentences, 2).toarray(), [[0, 2, 1], [2, 0, 1], [0, 0, 0]])
    with pytest.raises(ValueError, match="a sentence of two tokens"):
        bigrams([np.array([1]), np.array([2])], 5)
