from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import entr
from scipy.stats import binom, norm

from bitskept.theory import bounds, channels, information
from bitskept.theory.channels import Language, trials

ALL = [
    channels.symmetric(8, 0.1),
    channels.erasure(8, 0.3),
    channels.z_channel(0.2),
    channels.noisy_zipf(200, 0.1),
    channels.gaussian_mixture(8, 16, 0.3),
    Language(3, 4, repeat=0.5, lost=0.2).token(1),
    Language(3, 4, repeat=0.5, lost=0.2, pooled=True).token(1),
]
every = pytest.mark.parametrize("channel", ALL, ids=lambda channel: f"{channel.name} {channel.alphabet}")


def h(p):
    return float(entr([p, 1 - p]).sum() / np.log(2))


def test_closed_forms():
    assert channels.symmetric(8, 0.1).mutual_information == pytest.approx(3 - h(0.1) - 0.1 * np.log2(7), abs=1e-12)
    assert channels.erasure(8, 0.3).mutual_information == pytest.approx(0.7 * 3, abs=1e-12)
    assert channels.erasure(8, 0.3).bayes_error == pytest.approx(0.3 * 7 / 8, abs=1e-12)
    assert channels.z_channel(0.2, ones=0.4).mutual_information == pytest.approx(h(0.32) - 0.4 * h(0.2), abs=1e-12)
    assert channels.noisy_zipf(50, 0.0).mutual_information == pytest.approx(information.entropy(channels.zipf(50)))
    assert channels.noisy_zipf(50, 1.0).mutual_information == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("deviation", [0.2, 1.0])
def test_gaussian_mixture_against_quadrature(deviation):
    channel = channels.GaussianMixture("pair", np.array([[1.0], [-1.0]]), deviation)

    def density(z):
        return (norm.pdf(z, 1, deviation) + norm.pdf(z, -1, deviation)) / 2

    # I(X;Z) = h(Z) - h(noise), differential entropies.
    whole = quad(lambda z: entr(density(z)) / np.log(2), -1 - 12 * deviation, 1 + 12 * deviation, limit=200)[0]
    truth = whole - np.log2(deviation * np.sqrt(2 * np.pi * np.e))
    assert channel.information_error < 1e-3
    assert abs(channel.mutual_information - truth) < 4 * channel.information_error + 1e-9
    assert channel.bayes_error == pytest.approx(norm.sf(1 / deviation), abs=2e-3)


@every
def test_truth_lies_within_the_bounds(channel):
    lower = bounds.fano(channel.entropy, channel.bayes_error, channel.alphabet)
    upper = channel.entropy - bounds.feder_merhav(channel.bayes_error)
    assert 0 < lower <= channel.mutual_information + 1e-10
    assert channel.mutual_information <= upper + 4 * channel.information_error


@every
def test_samples_follow_the_stated_truth(channel):
    rng, n = np.random.default_rng(0), 40_000
    z, x = channel.draw(n, rng)
    surprisal = -np.log2(channel.posterior(z)[np.arange(n), x])
    error = 4 * surprisal.std() / np.sqrt(n) + 4 * channel.information_error
    assert abs(channel.entropy - channel.mutual_information - surprisal.mean()) < error
    wrong = (channel.guess(z) != x).sum()
    assert 1e-5 < binom.cdf(wrong, n, channel.bayes_error) < 1 - 1e-5
    counts = np.bincount(x, minlength=channel.alphabet)
    assert information.miller_madow(counts) == pytest.approx(channel.entropy, abs=0.03)


@every
def test_a_probe_gets_states_that_keep_what_the_truth_counts(channel):
    states, targets = channel.sample(50, np.random.default_rng(1))
    z, x = channel.draw(50, np.random.default_rng(1))
    np.testing.assert_array_equal(targets, x)
    assert states.dtype == float
    if isinstance(channel, channels.DiscreteChannel):
        assert len(np.unique(channel.features, axis=0)) == channel.joint.shape[1]
        np.testing.assert_array_equal(states, channel.features[z])


def test_language_is_a_markov_source():
    language = Language(3, 4, repeat=0.6, lost=0.25)
    one, two = language.source.sum((1, 2, 3)), language.source.sum((2, 3))
    np.testing.assert_allclose(language.source.sum((0, 1, 2)), one)
    following = information.conditional_entropy(two, 1, 0)
    assert information.entropy(language.source) == pytest.approx(information.entropy(one) + 3 * following, abs=1e-12)
    assert information.mutual_information(language.source, 0, 2, given=1) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(language.joint.sum(-1), language.source, atol=1e-15)


@pytest.mark.parametrize("pooled", [False, True])
def test_language_forgets_as_its_encoder_loses(pooled):
    kept = [bounds.sandwich(Language(3, 4, 0.5, lost, pooled).joint) for lost in (0.0, 0.3, 0.6, 1.0)]
    assert all(more.information > less.information for more, less in pairwise(kept))
    assert kept[-1].information == pytest.approx(0, abs=1e-12)
    assert kept[-1].conditional_total_correlation == pytest.approx(kept[-1].total_correlation, abs=1e-12)
    assert (kept[0].information == pytest.approx(kept[0].entropy, abs=1e-12)) is not pooled


def test_independent_tokens_are_lost_one_by_one():
    s = bounds.sandwich(Language(4, 3, repeat=0.0, lost=0.3).joint)
    assert s.information == pytest.approx(0.7 * s.entropy, abs=1e-12)
    assert s.lower == pytest.approx(s.information, abs=1e-12)
    assert s.upper == pytest.approx(s.information, abs=1e-12)


def test_pooling_keeps_less():
    slots, bag = (bounds.sandwich(Language(3, 4, 0.5, 0.2, pooled).joint).information for pooled in (False, True))
    assert bag < slots - 0.1


def test_token_channel_of_a_language_is_its_marginal():
    language = Language(3, 4, 0.5, 0.2)
    tokens = bounds.sandwich(language.joint).tokens
    for position in range(4):
        assert language.token(position).mutual_information == pytest.approx(tokens[position], abs=1e-12)


@every
def test_trials_count_what_draws_would(channel):
    errors, counts = trials(channel, 500, 400, np.random.default_rng(2))
    z, x = channel.draw(200_000, np.random.default_rng(3))
    wrong = channel.guess(z) != x
    assert errors.mean() / 500 == pytest.approx(wrong.mean(), abs=6 * np.sqrt(wrong.var() / 200_000))
    assert errors.std() == pytest.approx(np.sqrt(500 * wrong.var()), rel=0.15)
    assert counts[:, 0].mean() / 500 == pytest.approx((x == 0).mean(), abs=0.01)
    # Errors and tokens come from the same samples: where many of a token that is often missed came, errors are many.
    missed = np.bincount(x, weights=wrong, minlength=channel.alphabet) / np.maximum(1, np.bincount(x))
    if missed.std() > 0.05:
        assert np.corrcoef(counts @ missed, errors)[0, 1] > 0.05


@every
@pytest.mark.parametrize("delta", [0.05, 0.3])
def test_certificate_stays_below_the_truth(channel, delta):
    repetitions, samples = 400, 500
    errors, counts = trials(channel, samples, repetitions, np.random.default_rng(3))
    assert errors.shape == (repetitions,)
    assert (counts.sum(1) == samples).all()
    certified = bounds.certificate(errors, samples, channel.alphabet, counts, delta)
    failed = int((certified > channel.mutual_information + 4 * channel.information_error).sum())
    # So many failures or more would have a chance below 1e-6 if each came with a probability of at most delta.
    assert binom.sf(failed - 1, repetitions, delta) > 1e-6


def test_without_its_limits_the_bound_fails_where_fano_is_tight():
    channel = channels.symmetric(8, 0.1)
    errors, counts = trials(channel, 500, 400, np.random.default_rng(4))
    naive = bounds.fano(information.plug_in(counts), errors / 500, 8)
    assert (naive > channel.mutual_information).mean() > 0.3
    missed = (bounds.error_limit(errors, 500, 0.2) < channel.bayes_error).mean()
    assert 0.1 < missed < 0.26


def test_certificate_promises_something_with_enough_samples():
    channel = channels.symmetric(8, 0.1)
    errors, counts = trials(channel, 20_000, 5, np.random.default_rng(5))
    assert (bounds.certificate(errors, 20_000, 8, counts, 0.05) > 0.85 * channel.mutual_information).all()


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: channels.symmetric(4, 1.2), "symmetric: .* one is -0.2"),
        (lambda: channels.symmetric(1, 0.2), "alphabet must be at least 2, but is 1"),
        (lambda: channels.noisy_zipf(1, 0.2), "alphabet must be at least 2, but is 1"),
        (lambda: Language(3, 12, repeat=0.5, lost=0.1), "alphabet 3 and length 12 give"),
        (lambda: channels.z_channel(-0.1), "Z: .* one is -0.1"),
        (lambda: channels.z_channel(0.1, ones=1.5), "joint .* negative entry"),
        (lambda: Language(3, 4, repeat=1.5, lost=0.1), "repeat must be a probability from 0 to 1, but is 1.5"),
        (lambda: Language(3, 4, repeat=0.5, lost=np.nan), "lost .* but is nan"),
        (lambda: channels.gaussian_mixture(4, 3, 0.0), "deviation must be above 0, but is 0.0"),
        (lambda: channels.gaussian_mixture(1, 3, 0.5), "means must be .* at least 2 tokens"),
    ],
)
def test_impossible_channels_are_refused(build, told):
    with pytest.raises(ValueError, match=told):
        build()
