import numpy as np
import pytest
import torch

from bitskept.instruments.probes.centroid import centroid
from bitskept.instruments.probes.closed_form import Moments, ridge

PROBES = pytest.mark.parametrize("probe", [ridge, centroid])
TYPES, DIM, FEATURES = 60, 12, 8


def draw(seed, n, *, types=TYPES, noise=0.3):
    """States that are a linear function of the embedding plus noise, in two layers; the second has more of it."""
    fixed, rng = np.random.default_rng(0), np.random.default_rng(seed)
    embeddings = fixed.standard_normal((TYPES, FEATURES))
    mapped = embeddings @ fixed.standard_normal((FEATURES, DIM))
    law = 1 / np.arange(1, types + 1)
    drawn = rng.choice(types, size=n, p=law / law.sum())
    states = mapped[drawn] + np.array([noise, 8 * noise])[:, None, None] * rng.standard_normal((2, n, DIM))
    return torch.tensor(embeddings).float(), torch.tensor(states).float(), torch.tensor(drawn)


def moments_of(states, types, sizes=None):
    moments = Moments(len(states), TYPES, states.shape[2])
    sizes = sizes or [states.shape[1]]
    for some, wanted in zip(states.split(sizes, 1), types.split(sizes), strict=True):
        moments.update(some, wanted)
    return moments


def fit(probe, *, train, validation):
    (embeddings, states, types), (_, tuning, wanted) = train, validation
    return probe(moments_of(states, types), embeddings, tuning, wanted)


def law(fitted, states):
    """-log2 of the probability of every type for each layer and state, [layer, token, type]."""
    n = states.shape[1]
    bits = [fitted.score(states, torch.full((n,), x)).surprisal for x in range(TYPES)]
    return torch.stack(bits, 2).double()


# ---- the statistics ----


@pytest.mark.parametrize("sizes", [None, [1] * 300, [299, 1], [7, 100, 0, 193]])
def test_moments_equal_those_of_numpy_however_batched(sizes):
    _, states, types = draw(1, 300)
    states = states + 1000  # far from 0: products of the raw states would lose what matters
    moments = moments_of(states, types, sizes)
    one_hot = np.eye(TYPES)[types]
    np.testing.assert_array_equal(moments.counts, one_hot.sum(0))
    for layer, state in enumerate(states.double().numpy()):
        shifted = state - moments.origin[layer].double().numpy()
        np.testing.assert_allclose(moments.sums[layer], one_hot.T @ shifted, atol=2e-3)
        np.testing.assert_allclose(moments.second[layer], shifted.T @ shifted, rtol=1e-5, atol=2e-2)
        mean = moments.sums[layer].sum(0).double() / 300
        covariance = moments.second[layer] / 300 - torch.outer(mean, mean)
        np.testing.assert_allclose(covariance, np.cov(state.T, bias=True), atol=1e-3)


# ---- the probes ----


@PROBES
def test_probabilities_sum_to_one(probe):
    fitted = fit(probe, train=draw(1, 2000), validation=draw(2, 200))
    total = (2 ** -law(fitted, draw(3, 30)[1])).sum(2)
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-4, rtol=0)


@PROBES
def test_scores_do_not_depend_on_the_tiles(probe, monkeypatch):
    fitted, (_, states, types) = fit(probe, train=draw(1, 2000), validation=draw(2, 200)), draw(3, 50)
    whole = fitted.score(states, types)
    monkeypatch.setattr("bitskept.instruments.probes.law.TILE", 7)
    tiled = fitted.score(states, types)
    torch.testing.assert_close(tiled.surprisal, whole.surprisal)
    assert torch.equal(tiled.correct, whole.correct)
    assert 0 < whole.correct[1].float().mean() < 1


@PROBES
def test_each_layer_is_a_probe_of_its_own(probe):
    (embeddings, states, types), validation, (_, test, wanted) = draw(1, 2000), draw(2, 200), draw(3, 200)
    both = fit(probe, train=(embeddings, states, types), validation=validation).score(test, wanted)
    assert both.surprisal[0].mean() < both.surprisal[1].mean() - 0.5  # less noise, more bits
    for layer in (0, 1):
        moments = moments_of(states[[layer]], types)
        alone = probe(moments, embeddings, validation[1][[layer]], validation[2]).score(test[[layer]], wanted)
        assert torch.equal(alone.correct[0], both.correct[layer])
        # The walk to the best temperature may start from elsewhere.
        torch.testing.assert_close(alone.surprisal[0].mean(), both.surprisal[layer].mean(), atol=0.02, rtol=0)


@PROBES
def test_types_that_training_never_saw_can_be_named(probe):
    fitted = fit(probe, train=draw(1, 3000, types=50, noise=0.05), validation=draw(2, 300, types=50, noise=0.05))
    _, states, types = draw(3, 4000, noise=0.05)
    unseen = types >= 50
    assert unseen.sum() > 50
    scores = fitted.score(states[:, unseen], types[unseen])
    assert scores.correct[0].float().mean() > 0.9  # by chance 1 in 60


@PROBES
def test_shuffled_targets_give_no_information(probe):
    def shuffled(seed, n):
        embeddings, states, types = draw(seed, n)
        return embeddings, states, types[torch.randperm(n, generator=torch.Generator().manual_seed(seed))]

    fitted = fit(probe, train=shuffled(1, 5000), validation=shuffled(2, 500))
    _, states, types = shuffled(3, 5000)
    law = 1 / np.arange(1, TYPES + 1)
    surprisal = -np.log2(law / law.sum())[types]
    ours = fitted.score(states, types).surprisal.double().numpy()
    gain = surprisal - ours  # no law of the types can beat the true one but by chance
    assert (gain.mean(1) < 3 * gain.std(1) / np.sqrt(len(types))).all()
    assert (gain.mean(1) > -0.1).all()  # and it is not ruined by the attempt
    true = fit(probe, train=draw(1, 5000), validation=draw(2, 500)).score(*draw(3, 5000)[1:])
    assert true.surprisal[0].mean() < surprisal.mean() - 1  # with the right targets there is much to gain


@PROBES
def test_an_embedding_lookup_is_read_without_error(probe):
    def lookup(seed, n, types):
        embeddings, _, drawn = draw(seed, n, types=types)
        return embeddings, embeddings[drawn][None], drawn

    fitted = fit(probe, train=lookup(1, 4000, 55), validation=lookup(2, 2000, TYPES))
    _, states, types = lookup(3, 4000, TYPES)
    assert (types >= 55).any()  # types that training never saw among them
    scores = fitted.score(states, types)
    assert scores.correct.all()
    assert scores.surprisal.mean() < (0.05 if probe is centroid else 0.3)


def test_the_centroid_overwrites_the_sums_with_its_prototypes():
    (embeddings, states, types), (_, tuning, wanted) = draw(1, 2000), draw(2, 200)
    moments = moments_of(states, types)
    fitted = centroid(moments, embeddings, tuning, wanted)
    assert fitted.prototypes.data_ptr() == moments.sums.data_ptr()
