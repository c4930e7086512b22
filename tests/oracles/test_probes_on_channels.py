"""The probes on channels whose information is known: a bound may exceed the truth by its interval and no more."""

from functools import cache

import numpy as np
import pytest
import torch

from bitskept.instruments.probes import trained
from bitskept.instruments.probes.centroid import centroid
from bitskept.instruments.probes.closed_form import Moments, ridge
from bitskept.studies.bounds.toy_language import Language
from bitskept.theory import bounds, channels
from bitskept.theory.statistics import cluster_bootstrap

TRAINING, VALIDATION, TEST = 20_000, 2_000, 10_000
CHANNELS = {
    "symmetric": channels.symmetric(8, 0.1),
    "erasure": channels.erasure(8, 0.3),
    "Z": channels.z_channel(0.2),
    "noisy Zipf": channels.noisy_zipf(50, 0.1),
    "Gaussian mixture": channels.gaussian_mixture(16, 8, 0.3),
    "loud Gaussian mixture": channels.gaussian_mixture(16, 8, 1.0),
    "language, slots": Language(3, 4, repeat=0.5, lost=0.2).token(1),
    "language, pooled": Language(3, 4, repeat=0.5, lost=0.2, pooled=True).token(1),
}
GAPS = {"ridge": 0.3, "centroid": 0.5, "softmax": 0.1}
"""The most that the cross-entropy bound of a probe lies below the truth on any of these, in bits."""


pytestmark = pytest.mark.usefixtures("one_thread")


def fitted(probe, channel, training, validation):
    (states, types), (tuning, wanted) = training, validation
    if probe == "softmax":
        reservoir = trained.Reservoir(1, states.shape[2], TRAINING, seed=0)
        reservoir.update(states, types)
        counts = torch.bincount(types, minlength=channel.alphabet).float()
        return trained.train(reservoir, counts, tuning, wanted, epochs=5)
    moments = Moments(1, channel.alphabet, states.shape[2])
    moments.update(states, types)
    means = channel.means if isinstance(channel, channels.GaussianMixture) else np.eye(channel.alphabet)
    return {"ridge": ridge, "centroid": centroid}[probe](moments, torch.tensor(means).float(), tuning, wanted)


@cache
def measured(name, probe):
    """The test pairs of a channel, as states and types, and the errors and surprisals (bits) of a probe on them."""
    channel, rng = CHANNELS[name], np.random.default_rng(0)
    pairs = [channel.sample(size, rng) for size in (TRAINING, VALIDATION, TEST)]
    training, validation, test = ((torch.tensor(z)[None].float(), torch.tensor(x)) for z, x in pairs)
    scores = fitted(probe, channel, training, validation).score(*test)
    return *pairs[2], np.stack([~scores.correct[0].numpy(), scores.surprisal[0].double().numpy()])


def both_bounds(channel, error, cross_entropy):
    """Fano's bound and the cross-entropy bound, in bits."""
    entropy = channel.entropy
    return np.stack(
        [bounds.fano(entropy, error, channel.alphabet), bounds.cross_entropy_bound(entropy, cross_entropy)], axis=-1
    )


@pytest.mark.parametrize("probe", ["ridge", "centroid", "softmax"])
@pytest.mark.parametrize("name", CHANNELS)
def test_no_bound_exceeds_the_truth_by_more_than_its_interval(name, probe, record_property):
    channel, (_, _, outcomes) = CHANNELS[name], measured(name, probe)
    fano, cross_entropy = estimate = both_bounds(channel, *outcomes.mean(1))
    replicates = cluster_bootstrap(outcomes, np.ones(TEST), replicates=500, seed=0)
    low, high = np.quantile(both_bounds(channel, *replicates.T), [0.005, 0.995], axis=0)
    truth, blur = channel.mutual_information, 4 * channel.information_error
    # The report: `pytest -rP` shows it, and `--junit-xml` keeps it.
    for kind, gap, bottom, top in zip(("Fano", "cross-entropy"), truth - estimate, low, high, strict=True):
        record_property(f"{kind} gap, bits", float(gap))
        print(
            f"{name}, {probe}, {kind}: {gap:.4f} below the truth {truth:.4f}, interval {bottom:.4f} to {top:.4f} bits"
        )
    assert (low <= truth + blur).all()
    # Neither is empty: the intervals are short, and the bounds say something.
    assert (high - low < 0.3).all()
    assert fano > 0
    assert cross_entropy > truth / 2
    assert truth - cross_entropy < GAPS[probe]


@pytest.mark.parametrize("name", ["Gaussian mixture", "loud Gaussian mixture"])
def test_the_centroid_is_the_rule_of_bayes_where_classes_are_gaussian(name):
    states, types, (errors, surprisals) = measured(name, "centroid")
    channel = CHANNELS[name]
    best = -np.log2(channel.posterior(states)[np.arange(TEST), types])
    # On the same pairs chance moves both alike: the gap is known far better than either.
    gap = surprisals - best
    assert gap.mean() == pytest.approx(0, abs=0.01)
    assert errors.mean() == pytest.approx((channel.guess(states) != types).mean(), abs=0.01)
    print(f"{name}: {gap.mean():.4f} ± {gap.std() / np.sqrt(TEST):.4f} bits above the cross-entropy of Bayes' rule")
