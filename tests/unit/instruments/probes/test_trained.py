import numpy as np
import pytest
import torch
from scipy.stats import chi2
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bitskept.instruments.probes import law
from bitskept.instruments.probes import trained as module
from bitskept.instruments.probes.trained import Reservoir, train

pytestmark = pytest.mark.usefixtures("one_thread")


# ---- the reservoir ----


def numbered(n):
    """A stream whose k-th state and type both say k, in two layers of which the second says -k."""
    numbers = torch.arange(n)
    return torch.stack([numbers, -numbers])[..., None].float(), numbers


def filled(capacity, n, seed, sizes):
    reservoir = Reservoir(2, 1, capacity, seed=seed)
    states, types = numbered(n)
    for some, which in zip(states.split(sizes, 1), types.split(sizes), strict=True):
        reservoir.update(some, which)
    return reservoir


def test_a_reservoir_is_a_uniform_sample_of_the_stream():
    capacity, n, repetitions = 6, 40, 800
    drawn = torch.stack([filled(capacity, n, seed, [1, 3, 20, 16]).types for seed in range(repetitions)])
    assert all(len(set(row)) == capacity for row in drawn.tolist())  # without replacement
    counts, p = np.bincount(drawn.flatten(), minlength=n), capacity / n
    # Under simple sampling without replacement this has a chi-square law of n - 1 degrees of freedom.
    statistic = ((counts - repetitions * p) ** 2).sum() / (repetitions * p * (1 - p)) * (n - 1) / n
    assert 0.001 < chi2.sf(statistic, n - 1) < 0.999


@pytest.mark.parametrize("n", [0, 7, 10])
def test_a_reservoir_that_is_large_enough_keeps_all(n):
    reservoir = filled(10, n, 0, n // 2 or 1)
    states, types = numbered(n)
    assert torch.equal(reservoir.types, types)
    assert torch.equal(reservoir.states, states)


def test_a_reservoir_keeps_pairs_together_and_depends_only_on_its_seed():
    torch.manual_seed(3)
    first = filled(10, 100, 5, [100])
    torch.manual_seed(4)
    again, other = filled(10, 100, 5, [1, 50, 9, 40]), filled(10, 100, 6, [100])
    assert torch.equal(first.types, again.types)
    assert not torch.equal(first.types, other.types)
    for reservoir in (first, again, other):
        assert torch.equal(reservoir.states[0, :, 0].long(), reservoir.types)
        assert torch.equal(reservoir.states[1, :, 0].long(), -reservoir.types)


# ---- the probes ----


def blobs(seed, n, spread=1.0, layers=2, classes=5, dim=6):
    """Gaussian classes of unequal shares; the second layer is the first, mixed a little, scaled and shifted."""
    fixed, rng = np.random.default_rng(0), np.random.default_rng(seed)
    means = fixed.standard_normal((classes, dim))
    mixing = [np.eye(dim), (np.eye(dim) + 0.1 * fixed.standard_normal((dim, dim))) * 10.0 ** np.arange(-3, dim - 3)]
    types = rng.choice(classes, size=n, p=np.arange(1, classes + 1) / (classes * (classes + 1) / 2))
    states = means[types] + spread * rng.standard_normal((n, dim))
    return torch.tensor(np.stack([states @ mixing[0], states @ mixing[1] + 7])).float(), torch.tensor(types)


def crosses(seed, n):
    """The type is whether the two coordinates agree in sign: no line parts the types."""
    states = torch.randn(1, n, 2, generator=torch.Generator().manual_seed(seed))
    return states, (states[0].prod(1) > 0).long()


def trained(data, validation, types, **options):
    states, wanted = data
    reservoir = Reservoir(*states.shape[::2], states.shape[1], seed=0)
    reservoir.update(states, wanted)
    return train(reservoir, torch.bincount(wanted, minlength=types).float(), *validation, **options)


@pytest.mark.parametrize("hidden", [None, 16])
def test_separable_classes_are_told_apart(hidden):
    data, validation, (test, wanted) = (blobs(seed, n, spread=0.1) for seed, n in ((1, 2000), (2, 300), (3, 500)))
    scores = trained(data, validation, 5, hidden=hidden, epochs=20).score(test, wanted)
    assert scores.correct.float().mean() > 0.98
    assert scores.surprisal.mean() < 0.1


def test_softmax_comes_near_to_logistic_regression():
    data, validation, (test, wanted) = blobs(1, 8000), blobs(2, 1000), blobs(3, 4000)
    ours = trained(data, validation, 5, epochs=20).score(test, wanted)
    for layer in (0, 1):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=1e3))
        model.fit(data[0][layer].numpy(), data[1].numpy())
        law = model.predict_proba(test[layer].numpy())
        theirs = -np.log2(law[np.arange(4000), wanted]).mean()
        assert 0.5 < theirs < 1.5  # neither sure nor lost, of an entropy of 2.15 bits
        assert ours.surprisal[layer].mean().item() == pytest.approx(theirs, abs=0.02)
        assert ours.correct[layer].double().mean().item() == pytest.approx(
            (law.argmax(1) == wanted.numpy()).mean(), abs=0.02
        )


def test_a_sampled_softmax_comes_near_to_the_full_one(monkeypatch):
    data, validation, (test, wanted) = (
        blobs(1, 8000, classes=40),
        blobs(2, 1000, classes=40),
        blobs(3, 4000, classes=40),
    )
    full = trained(data, validation, 40, epochs=10).score(test, wanted)
    monkeypatch.setattr(module, "NEGATIVES", 5)
    monkeypatch.setattr(module, "BATCH", 32)
    sampled = trained(data, validation, 40, epochs=4).score(test, wanted)
    torch.testing.assert_close(sampled.surprisal.mean(1), full.surprisal.mean(1), atol=0.05, rtol=0)


def test_a_perceptron_learns_what_no_softmax_can():
    data, validation, (test, wanted) = crosses(1, 4000), crosses(2, 500), crosses(3, 1000)
    softmax, mlp = (trained(data, validation, 2, hidden=hidden, epochs=20) for hidden in (None, 32))
    assert softmax.score(test, wanted).surprisal.mean() > 0.95
    assert mlp.score(test, wanted).surprisal.mean() < 0.1
    assert mlp.score(test, wanted).correct.float().mean() > 0.98


def test_probabilities_sum_to_one_whatever_the_tiles(monkeypatch):
    probe, (test, wanted) = trained(blobs(1, 1000), blobs(2, 100), 7), blobs(3, 30)
    whole = probe.score(test, wanted)
    total = sum(2 ** -probe.score(test, torch.full((30,), x)).surprisal.double() for x in range(7))
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-5, rtol=0)
    monkeypatch.setattr(law, "TILE", 7)
    torch.testing.assert_close(probe.score(test, wanted).surprisal, whole.surprisal)


@pytest.mark.parametrize("hidden", [None, 4])
def test_only_the_seed_decides(hidden):
    data, validation, (test, wanted) = blobs(1, 600), blobs(2, 100), blobs(3, 50)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = trained(data, validation, 5, hidden=hidden, seed=1).score(test, wanted).surprisal
    assert torch.equal(torch.rand(3), expected)  # the global random state stays as it was
    again, other = (trained(data, validation, 5, hidden=hidden, seed=s).score(test, wanted).surprisal for s in (1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_type_that_training_never_saw_is_not_named():
    probe, (test, wanted) = trained(blobs(1, 2000), blobs(2, 200), 8), blobs(3, 200)
    for unseen in (5, 6, 7):
        assert not probe.score(test, torch.full_like(wanted, unseen)).correct.any()
    assert probe.score(test, wanted).correct.any()
