import itertools
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from bitskept.theory import statistics
from bitskept.theory.statistics import (
    cluster_bootstrap,
    detectable_correlation,
    holm,
    partial_spearman,
    percentiles,
    permutation_p,
    rank_interval,
    spearman,
)


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


def test_percentiles_leave_out_as_much_at_each_end():
    assert percentiles(np.linspace(0, 1, 1001)) == pytest.approx((0.025, 0.975))


def test_percentiles_of_nothing_are_missing():
    low, high = percentiles(np.array([[1.0, np.nan, np.nan], [3.0, 2.0, np.nan]]))
    np.testing.assert_allclose(low, [1.05, 2, np.nan])
    np.testing.assert_allclose(high, [2.95, 2, np.nan])


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
    low, high = percentiles(together)
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
    assert percentiles(replicates) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("numerators", "sizes", "replicates", "told"),
    [
        ([1.0, np.nan], [1, 1], 10, "numerators must be finite, but is nan"),
        ([1.0, 1.0], [0, 0], 10, "the sum of sizes must be above 0"),
        ([1.0, 1.0], [3, -1], 10, "sizes must be"),
        ([1.0, 1.0], [1, 1], 0, "replicates must be at least 1, but is 0"),
    ],
)
def test_bad_input_is_refused(numerators, sizes, replicates, told):
    with pytest.raises(ValueError, match=told):
        cluster_bootstrap(np.array(numerators), np.array(sizes), replicates=replicates, seed=0)


def test_spearman_agrees_with_scipy_where_there_are_ties():
    rng = np.random.default_rng(7)
    x, y = rng.integers(0, 8, size=(2, 30))
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert spearman(x, np.exp(x)) == pytest.approx(1)


def test_partial_correlation_is_that_of_the_closed_forms():
    rng = np.random.default_rng(8)
    units = rng.normal(size=(4, 25)) + rng.normal(size=25)
    r = stats.spearmanr(units, axis=1).statistic
    one = (r[0, 1] - r[0, 2] * r[1, 2]) / np.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    assert partial_spearman(units[0], units[1], units[2]) == pytest.approx(one, abs=1e-12)
    precision = np.linalg.inv(r)
    two = -precision[0, 1] / np.sqrt(precision[0, 0] * precision[1, 1])
    assert partial_spearman(units[0], units[1], units[2:].T) == pytest.approx(two, abs=1e-12)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.tuples(*[st.permutations(range(8))] * 3))
def test_only_ranks_matter(units):
    x, y, z = np.array(units, float)
    assume(abs(spearman(x, z)) < 1 and abs(spearman(y, z)) < 1)
    value = partial_spearman(x, y, z)
    assert -1 <= value <= 1
    assert partial_spearman(y, x, z) == pytest.approx(value, abs=1e-9)
    assert partial_spearman(-x, y**3, z) == pytest.approx(-value, abs=1e-9)


def test_a_common_cause_is_taken_away():
    rng = np.random.default_rng(9)
    cause = rng.normal(size=300)
    x, y = cause + rng.normal(size=(2, 300)) / 2
    assert spearman(x, y) > 0.7
    assert permutation_p(x, y, permutations=999, seed=0) == 1 / 1000
    assert abs(partial_spearman(x, y, cause)) < 0.12
    assert permutation_p(x, y, cause, permutations=999, seed=0) > 0.05


def test_permutation_p_is_that_of_all_permutations():
    x, y = np.array([1, 2, 2, 4, 5, 6]), np.array([2, 1, 3, 3, 6, 4])
    exact = stats.permutation_test(
        (y,), lambda one: stats.spearmanr(x, one).statistic, permutation_type="pairings", n_resamples=np.inf
    )
    assert permutation_p(x, y, permutations=40_000, seed=1) == pytest.approx(exact.pvalue, abs=0.003)


@pytest.mark.parametrize("controls", [0, 1, 2])
def test_p_values_of_nothing_are_uniform(controls):
    rng, values = np.random.default_rng(10), []
    for seed in range(400):
        given_ = rng.normal(size=(12, controls))
        x, y = rng.normal(size=(2, 12)) + given_.sum(1)
        values.append(permutation_p(x, y, given_, permutations=99, seed=seed))
    assert 0.025 < np.mean(np.array(values) <= 0.05) < 0.085
    assert stats.kstest(values, "uniform").statistic < 0.08


@pytest.mark.parametrize("units", [4, 6, 12, 47])
@pytest.mark.parametrize("strength", [0.0, 0.6, 0.9])
def test_the_interval_of_a_correlation_covers_it_over_few_units_as_well(units, strength):
    rng, truth, covered = np.random.default_rng(11), 6 / np.pi * np.arcsin(strength / 2), []
    for _ in range(1000):
        x, noise = rng.normal(size=(2, units))
        y = strength * x + np.sqrt(1 - strength**2) * noise
        low, high = rank_interval(spearman(x, y), units)
        covered.append(low <= truth <= high)
    assert np.mean(covered) > 0.93
    assert np.mean(covered) < 0.975 or units < 12  # it is not just wide


def test_a_perfect_order_of_few_units_is_not_certain():
    low, high = rank_interval(1.0, 5)
    assert low < 0.6
    assert high == 1  # an interval holds its estimate
    assert rank_interval(-1.0, 5) == pytest.approx((-high, -low))
    assert rank_interval(1.0, 47)[0] > 0.99


def test_seeds_make_it_the_same_again():
    x, y = np.random.default_rng(12).normal(size=(2, 10))
    assert permutation_p(x, y, seed=3) == permutation_p(x, y, seed=3) != permutation_p(x, y, seed=4)


def test_holm_by_hand():
    # m = 4: 0.005·4, then 0.01·3, 0.03·2; 0.04·1 may not fall below the one before it.
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_array_equal(holm(np.array([0.6, 0.9])), [1, 1])


@settings(deadline=None, derandomize=True, max_examples=50)
@given(arrays(float, st.integers(1, 6), elements=st.floats(0, 1)))
def test_holm_is_closed_testing_with_bonferroni(p):
    """A hypothesis falls when every set of hypotheses that it belongs to does, each tested by its least p times its
    size.
    """
    sets = [list(one) for size in range(1, len(p) + 1) for one in combinations(range(len(p)), size)]
    closed = [max(min(1, len(one) * p[one].min()) for one in sets if i in one) for i in range(len(p))]
    np.testing.assert_allclose(holm(p), closed, atol=1e-15)


@pytest.mark.parametrize(
    ("x", "y", "given_", "told"),
    [
        ([1, 2, 3], [1, 2, 3], None, "number of units must be at least 4, but is 3"),
        ([1, 2, 3, 4], [1, 2, 4, 3], [1, 3, 2, 4], "units with 1 controls must be at least 5, but is 4"),
        ([1, 2, 3, np.nan], [1, 2, 3, 4], None, "x must be finite, but is nan"),
        ([1, 2, 3, 4], [7, 7, 7, 7], None, "y is 7.0 for all units"),
        ([1, 2, 3, 4, 5], [2, 1, 3, 5, 4], [2, 4, 6, 8, 9], "x has ranks that those of given fix"),
    ],
)
def test_units_that_have_no_correlation_are_refused(x, y, given_, told):
    x, y, controls = np.array(x, float), np.array(y, float), None if given_ is None else np.array(given_, float)
    with pytest.raises(ValueError, match=told):
        partial_spearman(x, y, controls)
    with pytest.raises(ValueError, match=told):
        permutation_p(x, y, controls, seed=0)


def test_numbers_outside_their_range_are_refused():
    x, y = np.arange(5.0), np.array([1.0, 3, 2, 5, 4])
    with pytest.raises(ValueError, match="permutations must be at least 1, but is 0"):
        permutation_p(x, y, permutations=0, seed=0)
    with pytest.raises(ValueError, match="number of units must be at least 4, but is 3"):
        rank_interval(0.5, 3)
    with pytest.raises(ValueError, match="correlation"):
        rank_interval(1.2, 10)
    with pytest.raises(ValueError, match=r"each p-value must be a rate from 0 to 1, but is 1\.2"):
        holm(np.array([0.5, 1.2]))


def test_permutations_within_groups_keep_what_groups_differ_by():
    """x and y differ between two groups in the same way and have nothing else in common."""
    random, group = np.random.default_rng(1), np.repeat([0, 1], 15)
    x, y = (10 * group + random.standard_normal(30) for _ in range(2))
    assert permutation_p(x, y, seed=0) < 0.001
    assert permutation_p(x, y, within=group, seed=0) > 0.05
    assert permutation_p(x, y, group, within=group, seed=0) > 0.05
    same = np.zeros(30)
    assert permutation_p(x, y, within=same, seed=0) == permutation_p(x, y, seed=0)


@pytest.mark.parametrize("seed", range(4))
def test_p_within_groups_is_that_of_all_permutations_within_groups(seed):
    """Six units in two groups: 3! * 3! = 36 arrangements."""
    random, group = np.random.default_rng(seed), np.array([1, 0, 1, 0, 0, 1])
    x, y = random.normal(size=6) + 5 * group, random.normal(size=6) - 5 * group
    left, right = (
        rank - np.array([rank[group == name].mean() for name in group])
        for rank in (stats.rankdata(x), stats.rankdata(y))
    )
    places, null = [np.flatnonzero(group == name) for name in (0, 1)], []
    for orders in itertools.product(*(itertools.permutations(part) for part in places)):
        shuffled = np.empty(6)
        for part, order in zip(places, orders, strict=True):
            shuffled[part] = right[list(order)]
        null.append(left @ shuffled / np.sqrt(left @ left * (right @ right)))
    assert len(null) == 36
    estimate = partial_spearman(x, y, group.astype(float))
    assert estimate == pytest.approx(left @ right / np.sqrt(left @ left * (right @ right)))
    p = permutation_p(x, y, group.astype(float), within=group, seed=0)
    assert p == pytest.approx(np.mean(np.abs(null) >= abs(estimate) - 1e-12), abs=0.02)


def test_the_detectable_correlation_is_seen_four_times_of_five():
    random, units = np.random.default_rng(0), 24
    r = detectable_correlation(units)
    seen = []
    for _ in range(400):
        x, noise = random.standard_normal((2, units))
        normal = 2 * np.sin(np.pi * r / 6)  # Pearson's correlation of normal values whose rank correlation is r
        seen.append(stats.spearmanr(x, normal * x + np.sqrt(1 - normal**2) * noise).pvalue < 0.05)
    assert np.mean(seen) == pytest.approx(0.8, abs=0.06)
    assert detectable_correlation(units, 4, 20) > detectable_correlation(units, 4) > r
    assert np.isnan(detectable_correlation(7, 4))
