"""The area under the curve, against brute force, scikit-learn and known laws."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from bitskept.theory.intervals import derived_interval
from bitskept.theory.roc import area, areas, permuted, resampled


@pytest.fixture
def sample():
    random = np.random.default_rng(3)
    return random.integers(0, 6, 60).astype(float), random.random(60) < 0.4, random.integers(0, 3, 60)


def test_it_is_that_of_scikit_learn(sample):
    scores, positive, _ = sample
    assert area(scores, positive) == pytest.approx(roc_auc_score(positive, scores))


def test_within_groups_only_their_own_pairs_count(sample):
    scores, positive, groups = sample
    won = [
        (scores[i] > scores[j]) + (scores[i] == scores[j]) / 2
        for i in np.flatnonzero(positive)
        for j in np.flatnonzero(~positive)
        if groups[i] == groups[j]
    ]
    assert area(scores, positive, groups) == pytest.approx(np.mean(won))
    shift = 100 * groups
    assert area(scores + shift, positive, groups) == pytest.approx(np.mean(won))


def test_counting_a_unit_twice_is_having_it_twice(sample):
    scores, positive, groups = sample
    counts = resampled(60, replicates=3, seed=1)
    assert (counts.sum(axis=1) == 60).all()
    for found, drawn in zip(areas(scores, positive, counts, groups), counts, strict=True):
        rows = np.repeat(np.arange(60), drawn)
        assert found == pytest.approx(area(scores[rows], positive[rows], groups[rows]))


def test_a_replicate_without_a_pair_is_missing():
    counts = np.array([[2, 0], [1, 1]])
    found = areas(np.array([1.0, 0]), np.array([True, False]), counts)
    assert np.isnan(found[0])
    assert found[1] == 1


def test_without_a_pair_there_is_no_area():
    assert np.isnan(area(np.arange(3.0), np.ones(3, bool)))
    assert np.isnan(area(np.arange(2.0), np.array([True, False]), np.array(["a", "b"])))


def test_permuted_classes_give_a_half(sample):
    scores, positive, groups = sample
    drawn = permuted(scores, positive, groups, permutations=400, seed=0)
    assert drawn.mean() == pytest.approx(0.5, abs=4 * drawn.std() / 20)
    assert permuted(scores + 100 * groups, positive, groups, permutations=400, seed=0) == pytest.approx(drawn)
    assert np.isnan(permuted(scores, np.ones(60, bool), permutations=2, seed=0)).all()


def test_permuting_reaches_every_area_of_a_small_sample():
    scores, positive = np.array([1.0, 2, 2, 3]), np.array([True, False, False, True])
    known = {area(scores, np.isin(range(4), pair)) for pair in combinations(range(4), 2)}
    assert set(permuted(scores, positive, permutations=500, seed=0)) == known


def test_intervals_cover_the_area_of_two_normal_laws():
    random, truth, covered = np.random.default_rng(0), norm.cdf(1 / np.sqrt(2)), []
    for seed in range(150):
        positive = np.arange(120) < 50
        scores = random.standard_normal(120) + positive
        drawn = areas(scores, positive, resampled(120, replicates=300, seed=seed))
        low, high = derived_interval(drawn, area(scores, positive), 120)
        covered.append(low <= truth <= high)
    assert np.mean(covered) >= 0.9
