import numpy as np
import pytest
import torch
from hypothesis import given, settings
from made_up import laws
from scipy.stats import binom
from scipy.stats import entropy as scipy_entropy

from bitskept.theory.information import (
    conditional_entropy,
    conditional_total_correlation,
    entropy,
    miller_madow,
    mutual_information,
    plug_in,
    total_correlation,
)

exact = settings(deadline=None, derandomize=True, max_examples=100)


def test_known_laws():
    coin, copy = np.array([0.5, 0.5]), np.eye(4) / 4
    assert entropy(coin) == 1
    assert entropy(np.array([1.0, 0.0])) == 0
    assert mutual_information(copy, 0, 1) == 2
    assert mutual_information(np.outer(coin, coin), 0, 1) == 0
    assert conditional_entropy(copy, 0, 1) == 0
    three_copies = np.zeros((2, 2, 2))
    three_copies[0, 0, 0] = three_copies[1, 1, 1] = 0.5
    assert total_correlation(three_copies) == 2
    assert conditional_total_correlation(three_copies, (0, 1), 2) == 0


def test_rounding_makes_no_quantity_negative():
    rng = np.random.default_rng(0)
    for _ in range(300):
        x, y, z = (rng.dirichlet(np.ones(rng.integers(2, 30))) for _ in range(3))
        independent = x[:, None, None] * y[:, None] * z
        independent /= independent.sum()
        assert 0 <= mutual_information(independent, 0, 1) < 1e-12
        assert 0 <= mutual_information(independent, 0, 1, given=2) < 1e-12
        assert 0 <= total_correlation(independent) < 1e-12
        assert 0 <= conditional_total_correlation(independent, (0, 1), 2) < 1e-12
        assert 0 <= conditional_entropy(np.diag(x / x.sum()), 0, 1) < 1e-12


@pytest.mark.parametrize(("dtype", "close"), [(np.float32, 1e-5), (np.float16, 2e-2)])
def test_rows_of_a_softmax_in_lower_precision_are_laws(dtype, close):
    scores = np.random.default_rng(0).normal(0, 2, (100, 5000))
    exact = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    for law in exact[:, :500] / exact[:, :500].sum(1, keepdims=True) if dtype == np.float16 else exact:
        assert entropy(law.astype(dtype)) == pytest.approx(entropy(law), rel=close)
    with pytest.raises(ValueError, match="law must sum to 1 within"):
        entropy((exact[0] * 1.1).astype(dtype))
    with pytest.raises(ValueError, match="law must sum to 1 within 1e-09"):
        entropy(exact[0] * (1 + 1e-6))


@pytest.mark.parametrize("types", [128_256, 262_144])
def test_a_softmax_over_the_vocabulary_of_a_large_model_is_a_law(types):
    generator = torch.Generator().manual_seed(0)
    for spread in (0, 0.01, 1, 3):
        law = (spread * torch.randn(types, generator=generator)).softmax(-1).numpy()
        exact = law.astype(float) / law.sum(dtype=float)
        assert entropy(law) == pytest.approx(entropy(exact), rel=1e-9)


def test_exclusive_or_shares_nothing_in_pairs():
    law = np.zeros((2, 2, 2))
    for x, y in np.ndindex(2, 2):
        law[x, y, x ^ y] = 0.25
    assert mutual_information(law, 0, 2) == 0
    assert mutual_information(law, 0, 2, given=1) == 1
    assert mutual_information(law, (0, 1), 2) == 1
    assert conditional_total_correlation(law, (0, 1), 2) == 1


@exact
@given(laws(2, 4))
def test_axes_that_are_not_named_are_summed_out(law):
    assert entropy(law, 0) == pytest.approx(scipy_entropy(law.reshape(len(law), -1).sum(1), base=2), abs=1e-12)
    assert entropy(law, (-1, 0)) == pytest.approx(entropy(law, (0, law.ndim - 1)), abs=1e-12)


@exact
@given(laws(2, 4))
def test_information_is_not_negative_and_at_most_each_entropy(law):
    value = mutual_information(law, 0, -1)
    assert -1e-12 <= value <= min(entropy(law, 0), entropy(law, -1)) + 1e-12
    assert value == pytest.approx(entropy(law, 0) - conditional_entropy(law, 0, -1), abs=1e-10)


@exact
@given(laws(2, 4))
def test_identity_of_sentence_and_token_information(law):
    tokens = tuple(range(law.ndim - 1))
    parts = sum(mutual_information(law, token, -1) for token in tokens)
    right = parts - total_correlation(law, tokens) + conditional_total_correlation(law, tokens, -1)
    assert mutual_information(law, tokens, -1) == pytest.approx(right, abs=1e-10)


@exact
@given(laws(2, 4))
def test_chain_rule(law):
    tokens = tuple(range(law.ndim - 1))
    terms = [mutual_information(law, token, -1, given=tokens[:token]) for token in tokens]
    assert sum(terms) == pytest.approx(mutual_information(law, tokens, -1), abs=1e-10)
    assert min(terms) >= -1e-12


@exact
@given(laws(3, 3))
def test_a_further_channel_only_loses(law):
    merged = np.concatenate([law[..., :1], law[..., 1:].sum(-1, keepdims=True)], -1)
    assert mutual_information(merged, (0, 1), 2) <= mutual_information(law, (0, 1), 2) + 1e-12


@exact
@given(laws(2, 4))
def test_total_correlation_is_not_negative(law):
    assert total_correlation(law) >= -1e-12
    assert conditional_total_correlation(law, tuple(range(law.ndim - 1)), -1) >= -1e-12


def test_plug_in_is_low_on_average_and_miller_madow_nearly_right():
    heads, samples, truth = 0.3, 30, entropy(np.array([0.3, 0.7]))
    ones = np.arange(samples + 1)
    counts, chance = np.stack([ones, samples - ones], 1), binom.pmf(ones, samples, heads)
    assert -0.03 < chance @ plug_in(counts) - truth < -0.02
    assert abs(chance @ miller_madow(counts) - truth) < 0.002


def test_plug_in_takes_batches_and_one_sample():
    counts = np.array([[[1, 0], [1, 1]], [[3, 1], [0, 7]]])
    expected = [[0, 1], [entropy(np.array([0.25, 0.75])), 0]]
    np.testing.assert_allclose(plug_in(counts), expected, atol=1e-12)
    assert plug_in(np.array([1, 0, 0])) == 0
    assert isinstance(plug_in(np.array([2.0, 2.0])), float)


@pytest.mark.parametrize(
    ("law", "told"),
    [
        ([0.5, np.nan], "each probability of law must be at least 0, but is nan"),
        ([0.5, np.inf], "but is inf"),
        ([-0.5, 1.5], "law must be at least 0, but is -0.5"),
        ([0.5, 0.4], "law must sum to 1 .* sums to 0.9"),
        ([0.5, 0.5 + 1e-8], "law must sum to 1"),
    ],
)
def test_what_is_no_law_is_refused(law, told):
    with pytest.raises(ValueError, match=told):
        entropy(np.array(law))


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ([0, 0], "counts must hold at least one sample, but sum to 0"),
        ([3, -1], "counts must be whole numbers of at least 0, but is -1"),
        ([3.0, np.nan], "counts must be whole .* but is nan"),
        ([0.5, 0.25, 0.25], "counts must be whole .* but is 0.5"),
        ([[2.0, 2.0], [0.5, 1.0]], "counts must be whole .* but is 0.5"),
        ([1.5, 3.0], "counts must be whole .* but is 1.5"),
    ],
)
def test_what_are_no_counts_is_refused(counts, told):
    with pytest.raises(ValueError, match=told):
        plug_in(np.array(counts))


def test_wrong_axes_are_refused():
    law = np.full((2, 2), 0.25)
    with pytest.raises(ValueError, match="overlap"):
        mutual_information(law, 0, -2)
    with pytest.raises(ValueError, match="axis 2 is out of bounds"):
        entropy(law, 2)
