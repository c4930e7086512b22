"""Volumes and entropies whose values are known in closed form."""

import numpy as np
import pytest

from bitskept.theory.dispersion import (
    RIDGE,
    entropy_of_answers,
    information_of_wording,
    inverse_entropy,
    log_volume,
)


def with_cosine(number, cosine):
    """Vectors of different lengths, each pair with this cosine."""
    gram = np.full((number, number), cosine) + (1 - cosine) * np.eye(number)
    return np.linalg.cholesky(gram) * np.arange(1.0, number + 1)[:, None]


@pytest.mark.parametrize("number", [1, 2, 5])
@pytest.mark.parametrize("cosine", [0.0, 0.3, 0.999])
def test_the_volume_of_vectors_with_one_cosine(number, cosine):
    known = (number - 1) * np.log2(1 - cosine + RIDGE) + np.log2(1 + (number - 1) * cosine + RIDGE)
    assert log_volume(with_cosine(number, cosine)) == pytest.approx(known, abs=1e-6)


def test_two_vectors_span_the_sine_of_their_angle():
    angle = np.array([[1.0, 0], [np.cos(0.7), np.sin(0.7)]])
    assert log_volume(angle) == pytest.approx(2 * np.log2(np.sin(0.7)), abs=1e-5)


def test_equal_vectors_have_the_volume_of_the_ridge():
    assert log_volume(np.ones((4, 7))) == pytest.approx(3 * np.log2(RIDGE) + np.log2(4 + RIDGE), abs=1e-4)


def test_the_volume_does_not_depend_on_axes_or_lengths():
    random = np.random.default_rng(0)
    vectors, turn = random.standard_normal((6, 9)), np.linalg.qr(random.standard_normal((9, 9)))[0]
    lengths = random.uniform(0.1, 9, (6, 1))
    assert log_volume(lengths * vectors @ turn) == pytest.approx(log_volume(vectors))


def test_a_vector_of_zeros_has_no_direction():
    with pytest.raises(ValueError, match="the length of a vector"):
        log_volume(np.zeros((2, 3)))


def test_the_inverse_entropy_of_pairs_that_are_alike_and_at_right_angles():
    alike, apart = np.ones((5, 3)), np.eye(5)
    assert inverse_entropy(alike, alike) == pytest.approx(np.log2(5))
    assert inverse_entropy(apart, alike) == pytest.approx(np.log2(5))
    assert inverse_entropy(apart, apart) == 0


def test_the_inverse_entropy_by_hand():
    inputs, answers = with_cosine(2, 0.5), with_cosine(2, 0.25)
    back = 0.8 * (2 / 3) + 0.2 * (1 / 3)
    assert inverse_entropy(inputs, answers) == pytest.approx(-2 * back * np.log2(back))


def test_the_inverse_entropy_grows_as_answers_come_apart():
    inputs = with_cosine(8, 0.8)
    grown = [inverse_entropy(inputs, with_cosine(8, cosine)) for cosine in (0.99, 0.6, 0.2)]
    assert grown == sorted(grown)
    assert grown[0] < grown[2]


def test_what_a_wording_tells():
    same = np.tile([0.25, 0.75], (3, 1))
    assert information_of_wording(same) == pytest.approx(0)
    assert information_of_wording(np.eye(4)) == pytest.approx(2)
    law = np.array([[0.5, 0.5, 0], [0, 0.5, 0.5]])
    assert information_of_wording(law) == pytest.approx(1.5 - 1)


def test_the_entropy_of_answers():
    assert entropy_of_answers(["a"] * 6) == 0
    assert entropy_of_answers(["a", "b", "b", "c"]) == pytest.approx(1.5)
