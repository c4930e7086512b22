import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from bitskept.measure.probes import Moments, Prior, centroid, ridge

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


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_states_that_are_not_finite(value):
    _, states, types = draw(1, 10)
    states[1, 3, 2] = value  # 1e30 is finite, but its square is not
    with pytest.raises(ValueError, match="entry 1 hold a value that is not finite"):
        moments_of(states, types)


# ---- the law of the scores ----


@pytest.mark.parametrize("holds_prior", [False, True])
def test_surprisal_is_that_of_the_mixture(holds_prior):
    rng = np.random.default_rng(0)
    counts, scores, types = rng.integers(0, 9, 7), 5 * rng.standard_normal((20, 7)), rng.integers(0, 7, 20)
    smoothed = (counts + 0.5) / (counts.sum() + 3.5)
    tempered = (scores - np.log(smoothed) if holds_prior else scores) / 3 + np.log(smoothed)
    likely = np.exp(tempered) / np.exp(tempered).sum(1, keepdims=True)
    mixture = (1 - 1 / 52) * likely + 1 / 52 * smoothed
    ours = Prior.estimate(torch.tensor(counts).float(), validation=50).surprisal(
        torch.tensor(scores).float(), torch.tensor(types), 3.0, holds_prior=holds_prior
    )
    np.testing.assert_allclose(ours, -np.log2(mixture[np.arange(20), types]), rtol=1e-5)


def test_a_sure_mistake_costs_no_more_than_the_doubt():
    prior = Prior.estimate(torch.tensor([5.0, 3.0]), validation=98)
    bits = prior.surprisal(torch.tensor([[1e4, -1e4]]), torch.tensor([1]), 1.0, holds_prior=False)
    assert bits.item() == pytest.approx(math.log2(100) - math.log2(3.5 / 9), rel=1e-5)


@pytest.mark.parametrize("start", [0.05, 1.0, 300.0])
@pytest.mark.parametrize(("scale", "factor"), [(0.2, 1.1), (1.0, 2.0), (30.0, 1.1)])
def test_the_temperature_is_the_best_one(start, scale, factor):
    rng = np.random.default_rng(1)
    prior = dataclasses.replace(Prior.estimate(torch.full((6,), 50.0), 1), doubt=1e-30)
    scores = 2 * rng.standard_normal((500, 6))
    types = torch.tensor([rng.choice(6, p=np.exp(log_softmax(row))) for row in scores])
    scores = torch.tensor(scale * scores).float()

    def loss(coldness):  # convex in the inverse temperature
        return -log_softmax(coldness * scores.double().numpy(), axis=1)[np.arange(500), types].mean() / np.log(2)

    best = minimize_scalar(loss, bounds=(1e-4, 100), method="bounded", options={"xatol": 1e-8})
    found, temperature = prior.temper(scores, types, start, holds_prior=False, factor=factor)
    assert best.x * scale == pytest.approx(1, abs=0.2)  # the types were drawn at this temperature
    assert 1 / factor < temperature * best.x < factor
    assert best.fun - 1e-6 < found < best.fun + (0.01 if factor < 2 else 0.2)
    assert found == pytest.approx(loss(1 / temperature), abs=1e-5)


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
    monkeypatch.setattr("bitskept.measure.probes.TILE", 7)
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


def test_the_centroid_puts_its_prototypes_in_the_place_of_the_sums():
    (embeddings, states, types), (_, tuning, wanted) = draw(1, 2000), draw(2, 200)
    moments = moments_of(states, types)
    fitted = centroid(moments, embeddings, tuning, wanted)
    assert fitted.prototypes.data_ptr() == moments.sums.data_ptr()
