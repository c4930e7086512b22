import numpy as np
import pytest

from bitskept.theory import statistics
from bitskept.theory.statistics import cluster_bootstrap, interval


def correlated(rng, sentences=200, tokens=10):
    """Errors in sentences of which some are hard and some easy; the mean error over all sentences is 0.3."""
    return rng.binomial(tokens, rng.beta(0.6, 1.4, size=sentences)), np.full(sentences, tokens)


def test_spread_is_that_of_the_mean_of_sentences():
    errors, sizes = correlated(np.random.default_rng(0))
    replicates = cluster_bootstrap(errors, sizes, replicates=20_000, seed=1)
    assert replicates.shape == (20_000,)
    assert replicates.mean() == pytest.approx(errors.sum() / sizes.sum(), abs=1e-3)
    assert replicates.std() == pytest.approx((errors / 10).std() / np.sqrt(len(errors)), rel=0.03)
    share = errors.sum() / sizes.sum()
    assert replicates.std() > 1.5 * np.sqrt(share * (1 - share) / sizes.sum())  # as if tokens were independent


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng, covered = np.random.default_rng(2), 0
    for seed in range(300):
        low, high = interval(cluster_bootstrap(*correlated(rng), replicates=300, seed=seed), 0.9)
        covered += low <= 0.3 <= high
    assert 0.84 < covered / 300 < 0.95


def test_ratio_weighs_sentences_by_their_tokens():
    errors, sizes = np.array([0, 30]), np.array([10, 30])
    assert set(cluster_bootstrap(errors, sizes, seed=0).round(9)) == {0.0, 0.75, 1.0}


def test_quantities_share_their_draws():
    rng = np.random.default_rng(3)
    errors, sizes = rng.integers(0, 5, size=(3, 2, 40)), rng.integers(5, 9, size=40)
    together = cluster_bootstrap(errors, sizes, replicates=50, seed=4)
    assert together.shape == (50, 3, 2)
    np.testing.assert_array_equal(together[:, 2, 1], cluster_bootstrap(errors[2, 1], sizes, replicates=50, seed=4))
    assert not np.array_equal(together, cluster_bootstrap(errors, sizes, replicates=50, seed=5))
    low, high = interval(together)
    assert low.shape == high.shape == (3, 2)
    assert (low < high).all()


def test_draws_in_blocks_are_the_same_draws(monkeypatch):
    errors, sizes = correlated(np.random.default_rng(5), sentences=31)
    whole = cluster_bootstrap(errors, sizes, replicates=100, seed=6)
    monkeypatch.setattr(statistics, "BLOCK", 100)
    np.testing.assert_array_equal(cluster_bootstrap(errors, sizes, replicates=100, seed=6), whole)


def test_replicates_without_a_token_are_left_out():
    replicates = cluster_bootstrap(np.array([1, 0]), np.array([2, 0]), replicates=100, seed=0)
    assert np.isnan(replicates).any()
    assert interval(replicates) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("numerators", "sizes", "replicates", "told"),
    [
        ([1.0, np.nan], [1, 1], 10, "numerators must be finite, but has nan"),
        ([1.0, 1.0], [0, 0], 10, "sizes must be .* not all 0"),
        ([1.0, 1.0], [3, -1], 10, "sizes must be"),
        ([1.0, 1.0], [1, 1], 0, "replicates must be at least 1, but is 0"),
    ],
)
def test_bad_input_is_refused(numerators, sizes, replicates, told):
    with pytest.raises(ValueError, match=told):
        cluster_bootstrap(np.array(numerators), np.array(sizes), replicates=replicates, seed=0)


def test_a_level_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"level .* but is 95"):
        interval(np.zeros(3), 95.0)
