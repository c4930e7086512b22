import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import entr
from scipy.stats import binom, norm

from bitskept.theory import bounds, channels, information

ALL = [
    channels.symmetric(8, 0.1),
    channels.erasure(8, 0.3),
    channels.z_channel(0.2),
    channels.noisy_zipf(200, 0.1),
    channels.gaussian_mixture(8, 16, 0.3),
]
every = pytest.mark.parametrize("channel", ALL, ids=lambda channel: f"{channel.name} {channel.alphabet}")


def h(p):
    return float(entr([p, 1 - p]).sum() / np.log(2))


def test_closed_forms():
    assert channels.symmetric(8, 0.1).mutual_information == pytest.approx(3 - h(0.1) - 0.1 * np.log2(7), abs=1e-12)
    assert channels.erasure(8, 0.3).mutual_information == pytest.approx(0.7 * 3, abs=1e-12)
    assert channels.erasure(8, 0.3).bayes_error == pytest.approx(0.3 * 7 / 8, abs=1e-12)
    assert channels.z_channel(0.2).mutual_information == pytest.approx(h(0.4) - h(0.2) / 2, abs=1e-12)
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


def test_a_channel_without_noise_fits_the_bounds():
    """Rounding makes no Bayes error and no information negative: 62 of these errors would be."""
    for size in range(2, 302):
        channel = channels.noisy_zipf(size, 0.0)
        assert 0 <= channel.bayes_error < 1e-12
        upper = channel.entropy - bounds.feder_merhav(channel.bayes_error)
        assert bounds.fano(channel.entropy, channel.bayes_error, size) == pytest.approx(upper, abs=1e-9)


def test_a_channel_that_lets_nothing_through_has_no_information():
    for size in range(2, 60):
        assert 0 <= channels.noisy_zipf(size, 1.0).mutual_information < 1e-12
    assert channels.GaussianMixture("pair", np.array([[1e-9], [-1e-9]]), 1.0).mutual_information >= 0


def test_a_law_in_float32_makes_the_channel_of_its_probabilities():
    joint = channels.noisy_zipf(40, 0.3).joint
    found = channels.DiscreteChannel("rounded", joint.astype(np.float32), np.eye(40))
    assert found.joint.dtype == np.float64
    exact = information.mutual_information(joint, 0, 1)
    assert found.mutual_information == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: channels.symmetric(4, 1.2), "error must be a rate from 0 to 1, but is 1.2"),
        (lambda: channels.symmetric(1, 0.2), "alphabet must be at least 2, but is 1"),
        (lambda: channels.noisy_zipf(1, 0.2), "alphabet must be at least 2, but is 1"),
        (lambda: channels.z_channel(-0.1), "flip must be a rate from 0 to 1, but is -0.1"),
        (lambda: channels.erasure(4, np.nan), "erased must be a rate from 0 to 1, but is nan"),
        (lambda: channels.noisy_zipf(4, 2.0), "noise must be a rate from 0 to 1, but is 2"),
        (lambda: channels.gaussian_mixture(4, 3, 0.0), "deviation must be above 0, but is 0"),
        (lambda: channels.gaussian_mixture(1, 3, 0.5), "means must be .* at least 2 tokens"),
    ],
)
def test_impossible_channels_are_refused(build, told):
    with pytest.raises(ValueError, match=told):
        build()
