import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import t, ttest_1samp, ttest_ind

from bitskept.theory.repeated_runs import contrast_of_means, mean_over_runs

finite = st.floats(-1e3, 1e3, allow_subnormal=False)


@given(arrays(float, st.integers(2, 6), elements=finite).filter(lambda values: np.ptp(values) > 1e-3))
def test_without_noise_of_items_it_is_students_test(values):
    found, known = mean_over_runs(values, 0.0), ttest_1samp(values, 0)
    low, high = known.confidence_interval()
    assert found.estimate == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6)
    assert found.p == pytest.approx(known.pvalue, rel=1e-6)


def test_where_the_runs_agree_it_is_the_normal_law_of_the_items():
    for values in (np.array([0.3]), np.array([0.3, 0.3, 0.3])):
        found = mean_over_runs(values, 0.1)
        assert (found.low, found.high) == pytest.approx((0.3 - 0.196, 0.3 + 0.196), abs=1e-4)
        assert found.p == pytest.approx(0.0027, abs=1e-4)


@given(arrays(float, st.integers(1, 6), elements=finite), st.floats(0, 10))
def test_the_interval_excludes_0_exactly_where_p_is_below_5_percent(values, error):
    found = mean_over_runs(values, error)
    assume(not np.isnan(found.low))
    assert found.low <= found.estimate <= found.high
    if abs(found.p - 0.05) > 1e-6:
        assert (found.p < 0.05) == (not found.low <= 0 <= found.high)


@pytest.mark.parametrize(("runs", "between"), [(3, 0.0), (3, 0.5), (3, 2.0), (5, 1.0)])
def test_it_covers_the_truth_whichever_of_the_two_samples_is_the_noisier(runs, between):
    random = np.random.default_rng(0)
    draws = [random.normal() + between * random.normal(size=runs) for _ in range(500)]
    covered = [low <= 0 <= high for _, low, high, _ in (mean_over_runs(values, 1.0) for values in draws)]
    assert 0.92 < np.mean(covered) < 0.97


def test_where_nothing_varies_there_is_no_interval():
    for values in (np.array([0.2, 0.2]), np.zeros(1)):
        assert mean_over_runs(values, 0.0) == pytest.approx((values.mean(), np.nan, np.nan, np.nan), nan_ok=True)


def test_where_the_runs_agree_few_items_have_students_law():
    found = mean_over_runs(np.array([0.3, 0.3]), 0.1, 6)
    assert (found.low, found.high) == pytest.approx((0.3 - 0.1 * t.ppf(0.975, 5), 0.3 + 0.1 * t.ppf(0.975, 5)))
    assert found.p == pytest.approx(2 * t.sf(3, 5))


@pytest.mark.parametrize(("runs", "between", "items"), [(3, 0.3, 8), (3, 2.0, 8), (1, 0.0, 8), (5, 0.5, 20)])
def test_it_covers_the_truth_where_the_error_over_items_is_an_estimate_as_well(runs, between, items):
    random, covered = np.random.default_rng(1), []
    for _ in range(1000):
        shared = random.normal(size=items)
        _, low, high, _ = mean_over_runs(
            shared.mean() + between * random.normal(size=runs), float(shared.std(ddof=1) / np.sqrt(items)), items
        )
        covered.append(low <= 0 <= high)
    assert 0.92 < np.mean(covered) < 0.985


@pytest.mark.parametrize(("values", "error"), [([], 0.1), ([np.nan], 0.1), ([1.0], -1.0), ([1.0], np.inf)])
def test_what_is_no_number_is_refused(values, error):
    with pytest.raises(ValueError, match="must be"):
        mean_over_runs(np.array(values, dtype=float), error)


def test_a_single_item_is_refused():
    with pytest.raises(ValueError, match=r"1 - 1 / items must be at least 0\.5, but is 0"):
        mean_over_runs(np.zeros(3), 0.1, 1)


few = arrays(float, st.integers(2, 6), elements=st.floats(-9, 9)).filter(lambda values: np.ptp(values) > 1e-2)


@given(few, few)
def test_without_noise_of_items_a_difference_of_means_is_welchs_test(first, second):
    found, known = contrast_of_means([first, second], [1, -1], 0.0), ttest_ind(first, second, equal_var=False)
    low, high = known.confidence_interval()
    assert found.estimate == pytest.approx(first.mean() - second.mean())
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6, abs=1e-6)
    assert found.p == pytest.approx(known.pvalue, rel=1e-6, abs=1e-6)


def test_where_no_runs_differ_a_difference_has_the_error_over_items_or_none():
    same = np.array([0.3, 0.3])
    found = contrast_of_means([same, np.zeros(3)], [1, -1], 0.1)
    assert (found.low, found.high) == pytest.approx((0.3 - 0.196, 0.3 + 0.196), abs=1e-4)
    assert contrast_of_means([same, np.zeros(3)], [1, -1], 0.0) == pytest.approx(
        (0.3, np.nan, np.nan, np.nan), nan_ok=True
    )
    with pytest.raises(ValueError, match="number of runs"):
        contrast_of_means([same, np.zeros(1)], [1, -1], 0.1)


def test_a_difference_covers_the_truth_if_one_side_varies_and_the_other_does_not():
    random, covered = np.random.default_rng(0), []
    for _ in range(500):
        item = 0.1 * random.normal()
        found = contrast_of_means([item + 0.01 * random.normal(size=2), random.normal(size=4)], [1, -1], 0.1)
        covered.append(found.low <= 0 <= found.high)
    assert 0.92 < np.mean(covered) < 0.98


def test_a_contrast_of_four_means_adds_their_variances():
    """As Student's test of one sample, if one group holds all of the spread."""
    varying, same = np.array([0.1, 0.4, 0.3]), np.full(2, 0.5)
    found, known = contrast_of_means([varying, same, same, same], [1, -1, -1, 1], 0.0), mean_over_runs(varying, 0.0)
    assert (found.low, found.high) == pytest.approx((known.low - 0.5, known.high - 0.5))
    weighed = contrast_of_means([varying, same], [-2, 1], 0.0)
    assert (weighed.low, weighed.high) == pytest.approx((0.5 - 2 * known.high, 0.5 - 2 * known.low))
