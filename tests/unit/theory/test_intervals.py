import numpy as np
import pytest
from scipy.stats import binomtest, norm, t

from bitskept.theory.intervals import (
    EVEN,
    LEAST,
    LONGEST,
    ONE_SIDED,
    derived_interval,
    detectable,
    ratio_interval,
    share_interval,
    widened,
    widening,
)
from bitskept.theory.statistics import cluster_bootstrap, percentiles

ONES = np.ones(30)


def test_a_share_of_independent_items_is_that_of_clopper_and_pearson_up_to_students_quantile():
    errors = np.random.default_rng(0).permutation(np.repeat([1, 0], [60, 240]))
    ends = binomtest(60, 300).proportion_ci(0.95)
    assert share_interval(errors, np.ones(300)) == pytest.approx((ends.low, ends.high), abs=1e-3)


@pytest.mark.parametrize("tokens", [1, 20])
def test_without_a_single_error_a_sentence_counts_as_one_item(tokens):
    ends = binomtest(0, 12).proportion_ci(0.95)
    assert share_interval(np.zeros(12), np.full(12, tokens)) == pytest.approx((ends.low, ends.high))
    assert share_interval(np.full(12, tokens), np.full(12, tokens)) == pytest.approx((1 - ends.high, 1 - ends.low))


def test_correlated_tokens_count_for_less():
    whole = np.repeat([20, 0], [5, 25])  # all tokens of a sentence are wrong, or none
    apart = np.random.default_rng(0).binomial(20, 5 / 30, size=30)
    (low, high), (lower, higher) = share_interval(whole, 20 * ONES), share_interval(apart, 20 * ONES)
    assert high - low > 3 * (higher - lower)
    # As 30 independent items of which 5 are wrong, and a little more for Student's quantile.
    ends = binomtest(5, 30).proportion_ci(0.95)
    assert (low, high) == pytest.approx((ends.low, ends.high), abs=0.02)


def test_an_even_spread_of_errors_never_counts_as_more_items_than_there_are():
    ends = binomtest(45, 90).proportion_ci(0.95)
    low, high = share_interval(np.tile([1, 2], 15), 3 * ONES)
    assert (low, high) == pytest.approx((ends.low, ends.high))


def test_shares_of_several_quantities_are_those_of_each():
    rng = np.random.default_rng(1)
    errors, sizes = rng.binomial(10, 0.2, size=(2, 3, 25)), np.full(25, 10)
    low, high = share_interval(errors, sizes)
    assert low.shape == high.shape == (2, 3)
    assert (low[1, 2], high[1, 2]) == share_interval(errors[1, 2], sizes)


def test_two_clusters_have_a_share_and_one_has_none():
    low, high = share_interval(np.array([1, 3]), np.array([5, 5]))
    assert 0 <= low < 0.05
    assert high > 0.9
    assert np.isnan(share_interval(np.array([1, 0]), np.array([5, 0]))).all()


def test_a_ratio_of_even_values_is_students():
    values = np.random.default_rng(2).normal(5, 1, size=(400, 12))
    low, high = ratio_interval(values, np.ones(12), least=EVEN, seed=0)
    error = values.std(1, ddof=1) / np.sqrt(12)
    reach = t.ppf(0.975, 11) * error
    assert np.median((values.mean(1) - low) / reach) == pytest.approx(1, abs=0.1)
    assert np.median((high - values.mean(1)) / reach) == pytest.approx(1, abs=0.1)


def test_a_ratio_weighs_sentences_by_their_tokens():
    rng = np.random.default_rng(3)
    sizes, rates = rng.integers(1, 30, size=200), rng.normal(3, 0.5, size=200)
    low, high = ratio_interval(sizes * rates, sizes, seed=0)
    estimate = (sizes * rates).sum() / sizes.sum()
    error = np.sqrt(((sizes * (rates - estimate)) ** 2).sum()) / sizes.sum()
    assert (low, high) == pytest.approx((estimate - 1.97 * error, estimate + 1.97 * error), abs=0.3 * error)
    # Sentences without a token change nothing.
    assert ratio_interval(np.append(sizes * rates, 0), np.append(sizes, 0), seed=0) == (low, high)


def test_the_longer_side_of_skewed_values_is_longer_than_the_bootstrap_t_says():
    values = np.random.default_rng(4).lognormal(sigma=1.6, size=40)
    low, high = ratio_interval(values, np.ones(40), seed=0)
    mean = values.mean()
    assert high - mean > 3 * (mean - low)
    mirrored = ratio_interval(-values, np.ones(40), seed=0)
    assert mirrored == pytest.approx((-high, -low))


def test_where_one_cluster_holds_nearly_all_of_the_spread_no_side_is_absurdly_long():
    values = 0.9996 + 1e-5 * np.random.default_rng(0).standard_normal(250)
    values[0] = 0.93  # as a share of bits of which one sentence has lost some
    low, high = ratio_interval(values, np.ones(250), seed=0)
    error = values.std(ddof=1) / np.sqrt(250)
    assert low == pytest.approx(values.mean() - LONGEST * error)
    assert values.mean() < high < values.mean() + 2 * error


def test_a_ratio_does_not_depend_on_the_unit_or_on_the_place():
    values = np.random.default_rng(5).exponential(size=30)
    low, high = ratio_interval(values, ONES, seed=0)
    assert ratio_interval(1e-6 * values, ONES, seed=0) == pytest.approx((1e-6 * low, 1e-6 * high))
    assert ratio_interval(values + 1e3, ONES, seed=0) == pytest.approx((low + 1e3, high + 1e3))


@pytest.mark.parametrize("clusters", [1, 7, 19])
def test_few_clusters_have_no_interval(clusters):
    values = np.arange(float(clusters))
    assert np.isnan(ratio_interval(values, np.ones(clusters), seed=0)).all()
    replicates = cluster_bootstrap(values, np.ones(clusters), seed=0)
    assert np.isnan(derived_interval(replicates, values.mean(), clusters)).all()
    even = ratio_interval(values, np.ones(clusters), least=EVEN, seed=0)
    assert np.isnan(even).all() == (clusters < EVEN)


def test_clusters_without_a_token_do_not_count():
    values, sizes = np.arange(30.0), np.where(np.arange(30) < LEAST - 1, 1, 0)
    assert np.isnan(ratio_interval(values * sizes, sizes, seed=0)).all()


@pytest.mark.parametrize("values", [np.full(30, 0.1), 0.1 * np.arange(30.0), np.zeros(30)])
def test_where_all_clusters_have_the_same_ratio_there_is_no_interval(values):
    sizes = np.arange(30.0) if values[0] == 0 < values[1] else ONES
    assert np.isnan(ratio_interval(values, sizes, seed=0)).all()


def test_a_single_cluster_that_differs_is_not_enough():
    """A replicate without it has no spread, which happens a third of the time."""
    assert np.isnan(ratio_interval(np.eye(30)[0], ONES, seed=0)).all()


def test_the_widening_is_that_of_student_and_of_the_sample():
    assert widening(20) == pytest.approx(t.ppf(0.975, 19) / norm.ppf(0.975) * np.sqrt(20 / 19))
    assert widening(100_000) == pytest.approx(1, abs=1e-4)
    replicates = np.array([1.0, 4.0])
    np.testing.assert_allclose(widened(replicates, 3.0, 20), 3 + widening(20) * np.array([-2, 1]))


def test_a_derived_interval_is_that_of_widened_replicates():
    values = np.random.default_rng(6).normal(size=(2, 25))
    replicates = cluster_bootstrap(values, np.ones(25), seed=0).max(1, keepdims=True)
    estimate = values.mean(1).max(keepdims=True)
    low, high = derived_interval(replicates, estimate, 25)
    narrow = percentiles(replicates)
    assert (estimate - low) / (estimate - narrow[0]) == pytest.approx(widening(25))
    assert (high - estimate) / (narrow[1] - estimate) == pytest.approx(widening(25))
    assert np.isnan(derived_interval(np.full(100, 2.0), 2.0, 25)).all()


@pytest.mark.parametrize(
    ("numerators", "sizes", "message"),
    [
        ([1.0, np.nan], [1, 1], "numerators must be finite, but is nan"),
        ([-1, 1], [1, 1], "numerators must be at least 0, but is -1"),
        ([1, 3], [2, 2], "the items of a cluster that are not counted must be at least 0, but is -1"),
        ([0, 0], [0, 0], "the sum of sizes must be above 0"),
        ([0, 0], [2, -1], "sizes must be"),
    ],
)
def test_what_is_no_share_is_refused(numerators, sizes, message):
    with pytest.raises(ValueError, match=message):
        share_interval(np.array(numerators), np.array(sizes))


def test_numbers_outside_their_range_are_refused():
    with pytest.raises(ValueError, match="replicates must be at least 1, but is 0"):
        ratio_interval(ONES, ONES, replicates=0, seed=0)
    with pytest.raises(ValueError, match="numerators must be finite"):
        ratio_interval(np.array([np.inf, 1]), np.ones(2), seed=0)


def test_four_fifths_of_one_sided_tests_see_so_many_standard_errors():
    estimates = np.random.default_rng(0).normal(ONE_SIDED, 1, size=40_000)
    assert np.mean(norm.sf(estimates) < 0.05) == pytest.approx(0.8, abs=0.01)


def test_four_fifths_of_the_samples_see_an_effect_of_the_detectable_size():
    effect = detectable(-1.96 * 0.3, 1.96 * 0.3)
    drawn = np.random.default_rng(0).normal(effect, 0.3, size=100_000)
    assert (drawn - 1.96 * 0.3 > 0).mean() == pytest.approx(0.8, abs=0.005)
    np.testing.assert_allclose(detectable(np.array([1, np.nan]), np.array([1 + 2 * 1.96 * 0.3, 2])), [effect, np.nan])
