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


def test_a_state_with_several_types_counts_once_for_each():
    _, states, types = draw(1, 300)
    owners = torch.arange(100).repeat_interleave(torch.tensor([0, 2, 4, 6]).repeat(25))
    shared, repeated = Moments(2, TYPES, DIM), Moments(2, TYPES, DIM)
    shared.origin[:] = repeated.origin[:] = 1.0
    shared.counts += 1  # so that the origin stays
    repeated.counts += 1
    for start in (0, 40):
        inside = (owners >= start) & (owners < start + (40 if start == 0 else 60))
        shared.update(states[:, start : start + (40 if start == 0 else 60)], types[inside], owners[inside] - start)
    repeated.update(states[:, owners], types)
    assert torch.equal(shared.counts, repeated.counts)
    torch.testing.assert_close(shared.sums, repeated.sums)
    torch.testing.assert_close(shared.second, repeated.second, rtol=1e-4, atol=1e-3)


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


def test_a_state_with_several_types_is_scored_as_if_it_were_repeated(monkeypatch):
    monkeypatch.setattr("bitskept.instruments.probes.law.TILE", 7)
    (embeddings, states, types), (_, tuning, wanted), (_, test, asked) = draw(1, 2000), draw(2, 200), draw(3, 60)
    owners = torch.arange(60).repeat_interleave(torch.tensor([0, 1, 2]).repeat(20))
    several = torch.arange(100).repeat_interleave(2)
    shared = centroid(moments_of(states, types), embeddings, tuning[:, :100], wanted, several)
    repeated = centroid(moments_of(states, types), embeddings, tuning[:, several], wanted)
    ours, theirs = shared.score(test, asked, owners), repeated.score(test[:, owners], asked)
    assert torch.equal(ours.correct, theirs.correct)
    torch.testing.assert_close(ours.surprisal, theirs.surprisal, atol=1e-3, rtol=1e-3)


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


@pytest.mark.parametrize(("share", "strength"), [(1e-3, 30.0), (3e-2, 100.0), (3.0, 1000.0)])
def test_the_centroid_is_a_discriminant_analysis_in_double_precision(share, strength):
    (embeddings, states, types), (_, tuning, wanted) = draw(1, 2000, types=50), draw(2, 200)
    _, test, named = draw(3, 300)
    moments = moments_of(states, types)
    fitted = centroid(moments, embeddings, tuning, wanted, ridges=[share], strengths=[strength])
    ours, one_hot, e = fitted.score(test, named), np.eye(TYPES)[types], embeddings.double().numpy()
    n = one_hot.sum(0)[:, None]
    prior = ((n + 0.5) / (n + 0.5).sum())[:, 0]
    weights = n / (1 + n / 30)
    centred = e - (weights * e).sum(0) / weights.sum()
    gram = centred.T @ (weights * centred)
    for layer, (h, unseen) in enumerate(zip(states.double().numpy(), test.double().numpy(), strict=True)):
        origin = h.mean(0)
        sums = one_hot.T @ (h - origin)
        sample = sums / np.maximum(n, 1)
        middle = (weights * sample).sum(0) / weights.sum()
        slope = np.linalg.solve(
            gram + 1e-2 * gram.diagonal().mean() * np.eye(FEATURES), centred.T @ (weights * (sample - middle))
        )
        smoothed = {kappa: (sums + kappa * (centred @ slope + middle)) / (n + kappa) for kappa in (30.0, strength)}
        residuals = h - origin - smoothed[30.0][types]
        precision = np.linalg.inv(residuals.T @ residuals / len(h) + share * np.diag(h.var(0)))
        apart = (unseen - origin)[:, None] - smoothed[strength]
        likely = np.log(prior) - 0.5 * np.einsum("txd,de,txe->tx", apart, precision, apart)
        assert (ours.correct[layer].numpy() == (likely.argmax(1) == named.numpy())).mean() > 0.99
        tempered = np.log(prior) + (likely - np.log(prior)) / fitted.temperatures[layer]
        law = np.exp(tempered - tempered.max(1, keepdims=True))
        mixture = (201 * law / law.sum(1, keepdims=True) + prior) / 202
        bits = -np.log2(mixture[np.arange(300), named])
        assert ours.surprisal[layer].double().mean() == pytest.approx(bits.mean(), abs=1e-3)
        np.testing.assert_allclose(ours.surprisal[layer], bits, atol=1e-2)
