import numpy as np
import pytest
from scipy.stats import ttest_1samp

from bitskept.theory.contrasts import strongest
from bitskept.theory.intervals import LEAST, POWER
from bitskept.theory.statistics import cluster_bootstrap

EARLIER, LATER = np.triu_indices(31, 1)


def curve(rng, clusters, layers=31):
    """What each cluster has at each layer: neighbours correlate by .9, and all true means are 0."""
    noise, result = rng.standard_normal((layers, clusters)), np.empty((layers, clusters))
    result[0] = noise[0]
    for layer in range(1, layers):
        result[layer] = 0.9 * result[layer - 1] + np.sqrt(1 - 0.9**2) * noise[layer]
    return result


def rise(values, seed=0, layers=31):
    """The strongest rise from a layer to a later one."""
    earlier, later = np.triu_indices(layers, 1)
    replicates = cluster_bootstrap(values, np.ones(values.shape[1]), replicates=500, seed=seed)
    means = values.mean(axis=1)
    return strongest(means[later] - means[earlier], replicates[:, later] - replicates[:, earlier], values.shape[1])


@pytest.mark.parametrize("clusters", [LEAST, 100])
def test_on_a_flat_curve_few_samples_have_a_significant_pair(clusters):
    # Taken by itself, the most significant of the 465 pairs would be significant far more often.
    results = [rise(curve(np.random.default_rng([seed, clusters]), clusters), seed) for seed in range(150)]
    assert np.mean([result.p < 0.05 for result in results]) <= 0.12
    assert np.mean([result.low <= 0 <= result.high for result in results]) >= 0.9
    assert np.mean([abs(result.estimate) > 1.96 * result.error for result in results]) > 0.3


def test_a_rise_of_the_detectable_size_is_seen_in_four_of_five_samples():
    def rises(size, samples):
        flat = [curve(np.random.default_rng([seed, 7]), 60) for seed in range(samples)]
        bump = size * (np.arange(31) == 1)[:, None]  # so that only the pair of the first two layers rises
        return [rise(values + bump, seed) for seed, values in enumerate(flat)]

    large = rises(3, 20)
    assert all((EARLIER[result.place], LATER[result.place]) == (0, 1) for result in large)
    size = np.mean([result.detectable for result in large])
    assert 0.74 <= np.mean([result.p < 0.05 for result in rises(size, 150)]) <= 0.93
    assert np.mean([result.p < 0.05 for result in rises(size / 2, 50)]) < 0.5


def test_a_single_contrast_is_a_t_test():
    values = np.random.default_rng(3).normal(0.2, 1, size=(1, 100))
    replicates = cluster_bootstrap(values, np.ones(100), replicates=20_000, seed=0)
    result = strongest(values.mean(axis=1), replicates, 100)
    error = values.std(ddof=1) / 10
    assert result.estimate == pytest.approx(values.mean())
    assert (result.low, result.high) == pytest.approx(values.mean() + np.array([-1.984, 1.984]) * error, abs=0.01)
    assert result.error == pytest.approx(error, rel=0.03)
    assert result.p == pytest.approx(ttest_1samp(values[0], 0, alternative="greater").pvalue, abs=0.005)
    assert result.detectable == pytest.approx((1.984 + POWER) * error, rel=0.03)


def test_the_one_that_is_certainly_the_largest_is_chosen():
    rng = np.random.default_rng(0)
    means, errors = np.array([1, 2, 3]), np.array([0.1, 0.5, 20])  # sure and small; larger; larger still, and unsure
    values = means[:, None] + errors[:, None] * rng.standard_normal((3, 50))
    replicates = cluster_bootstrap(values, np.ones(50), seed=0)
    result = strongest(values.mean(axis=1), replicates, 50)
    assert result.place == 1
    assert 1.7 < result.low < 2 < result.estimate + result.reach < 2.3
    assert result.high > 8, "the third may be the largest"
    assert result.p == 1 / 1001


def test_where_none_is_surely_above_0_the_highest_estimate_is_returned():
    values = np.random.default_rng(0).standard_normal((2, 50)) * np.array([[0.01], [10]])
    values += np.array([[-0.01], [1]]) - values.mean(axis=1, keepdims=True)
    replicates = cluster_bootstrap(values, np.ones(50), seed=0)
    result = strongest(values.mean(axis=1), replicates, 50)
    assert (result.place, result.estimate) == (1, pytest.approx(1))
    assert -0.02 < result.low < -0.01, "the first is hardly below 0"
    assert result.high == pytest.approx(result.estimate + result.reach)
    assert result.p > 0.2


def test_what_only_falls_is_no_rise():
    result = rise(curve(np.random.default_rng(0), 60) - np.arange(31)[:, None])
    assert result.high < 0
    assert result.p > 0.99


def test_two_layers_that_are_equal_in_every_sample_are_a_rise_of_0():
    values = curve(np.random.default_rng(0), 60, layers=4) - 5 * np.arange(4)[:, None]
    result = rise(np.vstack([values[:1], values]), layers=5)
    assert result.estimate < -4
    assert result.high == 0


def test_nothing_is_said_for_few_clusters():
    result = rise(curve(np.random.default_rng(0), LEAST - 1) + np.arange(31)[:, None])
    assert result.estimate > 0
    assert np.isnan([result.low, result.high, result.p, result.error, result.reach, result.detectable]).all()


def test_a_contrast_that_does_not_vary_is_chosen_only_if_none_does():
    values = np.random.default_rng(0).standard_normal((2, 50))
    values[0] = 5
    replicates = cluster_bootstrap(values, np.ones(50), seed=0)
    assert strongest(values.mean(axis=1), replicates, 50).place == 1
    constant = strongest(np.array([0.0, 5.0]), np.tile([0.0, 5.0], (10, 1)), 50)
    assert (constant.place, constant.estimate) == (1, 5)
    assert np.isnan([constant.low, constant.p, constant.detectable]).all()
