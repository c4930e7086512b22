import numpy as np
import pytest
from scipy.stats import chi2

from bitskept.theory.johnson_lindenstrauss import dasgupta_gupta, distortions, short_form, table

POINTS = np.random.default_rng(0).standard_normal((40, 60))


def pair_failure(dimension, distortion, squared=True):
    """The probability that a Gaussian projection changes one (squared) distance by a factor outside 1 ± eps: the
    changed square is chi-square with k degrees of freedom, over k, whatever the pair.
    """
    power, law = (1 if squared else 2), chi2(dimension)
    return law.cdf(dimension * (1 - distortion) ** power) + law.sf(dimension * (1 + distortion) ** power)


def failure_bound(points, dimension, distortion, squared=True):
    """The most that the probability can be that any pair of m points is changed so: the sum over pairs."""
    return min(1.0, points * (points - 1) / 2 * pair_failure(dimension, distortion, squared))


def test_the_short_form_is_the_theorem_for_small_distortions_and_asks_for_less():
    assert short_form(500, 0.1) == 4972
    assert dasgupta_gupta(500, 0.1) == 5327
    assert dasgupta_gupta(500, 1e-3) == pytest.approx(short_form(500, 1e-3), rel=1e-3)
    for eps in (0.05, 0.3, 0.9):
        assert short_form(500, eps) / dasgupta_gupta(500, eps) == pytest.approx(1 - 2 * eps / 3, abs=0.01)


@pytest.mark.parametrize("points", [2, 3, 10, 500, 100_000])
@pytest.mark.parametrize("eps", [0.05, 0.3, 0.5, 0.9, 0.99])
def test_the_dimensions_suffice(points, eps):
    assert failure_bound(points, dasgupta_gupta(points, eps), eps) < 1
    assert failure_bound(points, short_form(points, eps), eps, squared=False) < points**-4


def test_where_the_short_form_does_not_follow():
    assert failure_bound(100_000, short_form(100_000, 0.5), 0.5) == 1


@pytest.mark.parametrize("dimension", [5, 30])
def test_as_many_pairs_are_distorted_as_the_chi_square_law_says(dimension):
    ratios = distortions(POINTS, [dimension], seeds=range(40))[dimension]
    for eps in (0.2, 0.5):
        beyond = (ratios > eps).mean(1)
        assert beyond.mean() == pytest.approx(pair_failure(dimension, eps), abs=4 * beyond.std() / np.sqrt(40))


def test_distortions_of_each_dimension_are_those_of_the_projected_points():
    found = distortions(POINTS, [7, 3], seeds=[5])
    matrix = np.random.default_rng(5).standard_normal((60, 7))
    for dimension, ratios in found.items():
        projected = POINTS @ matrix[:, :dimension] / np.sqrt(dimension)
        first, second = np.triu_indices(40, 1)
        squares = [((some[first] - some[second]) ** 2).sum(1) for some in (projected, POINTS)]
        np.testing.assert_allclose(ratios[0], abs(squares[0] / squares[1] - 1), atol=1e-12)


def test_the_table_has_one_row_a_dimension_and_quantity():
    found = table(POINTS, [4, 64], seeds=range(8))
    estimate = found["estimate"]
    assert found["quantity"].tolist() == ["max_distortion", "median_distortion"] * 2
    assert found["dimension"].tolist() == [4, 4, 64, 64]
    assert ((found["low"] <= estimate) & (estimate <= found["high"])).all()
    assert estimate[0] > estimate[2] > estimate[3]
    assert set(found["n"]) == {40 * 39 // 2}


def test_equal_points_are_left_out():
    twice = np.concatenate([POINTS[:5], POINTS[:5]])
    assert distortions(twice, [4], seeds=[0])[4].shape == (1, 45 - 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: short_form(1, 0.1), "points must be at least 2, but is 1"),
        (lambda: dasgupta_gupta(10, 1.0), "distortion must be between 0 and 1, but is 1"),
        (lambda: distortions(np.ones((4, 3)), [2], seeds=[0]), "all of 4 points are equal"),
        (lambda: distortions(np.full((4, 3), np.nan), [2], seeds=[0]), "points must be finite"),
        (lambda: distortions(POINTS, [], seeds=[0]), "give dimensions of 1 or more"),
        (lambda: distortions(POINTS, [2], seeds=[]), "and a seed at least"),
    ],
)
def test_what_cannot_be_asked_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
