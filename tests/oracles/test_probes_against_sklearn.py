import dataclasses

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge

from bitskept.instruments.probes import centroid, closed_form

TYPES, DIM, N = 6, 4, 600


def draw(seed, n):
    """Gaussian classes of unequal shares and a common covariance, far enough apart to be told apart mostly."""
    fixed, rng = np.random.default_rng(0), np.random.default_rng(seed)
    means, mixing = 2 * fixed.standard_normal((TYPES, DIM)), fixed.standard_normal((DIM, DIM))
    types = rng.choice(TYPES, size=n, p=np.arange(1, TYPES + 1) / 21)
    return means[types] + rng.standard_normal((n, DIM)) @ mixing + 3, types


def fit(probe, embeddings, states, types, **options):
    moments = closed_form.Moments(1, TYPES, DIM)
    moments.update(torch.tensor(states)[None].float(), torch.tensor(types))
    tuning, wanted = draw(2, 300)
    return probe(moments, embeddings, torch.tensor(tuning)[None].float(), torch.tensor(wanted), **options)


def log_law(fitted, states):
    """Natural logarithms of the probabilities at temperature 1 and without doubt, [token, type]."""
    plain = dataclasses.replace(
        fitted,
        prior=dataclasses.replace(fitted.prior, doubt=1e-30),
        temperatures=[1.0],
    )
    batch = torch.tensor(states)[None].float()
    bits = [plain.score(batch, torch.full((len(states),), x)).surprisal[0] for x in range(TYPES)]
    return -np.log(2) * torch.stack(bits, 1).double().numpy()


def guessed(fitted, states, guesses):
    return fitted.score(torch.tensor(states)[None].float(), torch.tensor(guesses)).correct[0].numpy()


def test_centroid_without_its_smoothing_is_linear_discriminant_analysis(monkeypatch):
    # No draw towards the embeddings (kappa), no ridge: what is left are class means and the scatter about them, for
    # which the first kappa counts as well.
    options = {"strengths": (1e-6, 1e-6), "ridges": (1e-7,)}
    monkeypatch.setattr(centroid, "STRENGTHS", options["strengths"])
    states, types = draw(1, N)
    test, _ = draw(3, 400)
    embeddings = torch.randn(TYPES, 3, generator=torch.Generator().manual_seed(0))
    ours = fit(centroid.centroid, embeddings, states, types, **options)
    theirs = LinearDiscriminantAnalysis(solver="lsqr").fit(states, types)

    # Their prior is the shares of the types, ours the smoothed shares.
    scores = theirs.predict_log_proba(test) - np.log(theirs.priors_) + ours.prior.log.numpy()
    scores -= np.log(np.exp(scores).sum(1, keepdims=True))
    # A probability below 1e-9 is within reach of the doubt and of rounding.
    np.testing.assert_allclose(np.exp(log_law(ours, test)), np.exp(scores), atol=1e-4)
    likely = scores > np.log(1e-9)
    np.testing.assert_allclose(log_law(ours, test)[likely], scores[likely], atol=1e-2)
    assert likely.mean() > 0.5
    assert guessed(ours, test, scores.argmax(1)).all()
    assert len(np.unique(scores.argmax(1))) == TYPES


@pytest.mark.parametrize("share", [1e-3, 0.5])
def test_ridge_is_the_regression_in_standardised_coordinates(share):
    # Ours solves (C + share D) P = X'E/n with the covariance C and its diagonal D. In standardised states X D^(-1/2)
    # and with W = D^(1/2) P this is (X'X + n share 1) W = X'E: ridge regression with the penalty n share.
    states, types = draw(1, N)
    test, _ = draw(3, 400)
    embeddings = torch.randn(TYPES, 3, generator=torch.Generator().manual_seed(0))
    ours = fit(closed_form.ridge, embeddings, states, types, ridges=(share,))
    middle, scale = states.mean(0), states.std(0)
    theirs = Ridge(alpha=N * share).fit((states - middle) / scale, embeddings.numpy()[types])
    predicted = theirs.predict((test - middle) / scale)

    mean = embeddings.numpy()[types].mean(0)
    features = (torch.tensor(test).float() - ours.origin[0]) @ ours.projection[0]
    np.testing.assert_allclose(features.numpy() + mean, predicted, atol=1e-4)
    distances = np.linalg.norm(predicted[:, None] - embeddings.numpy(), axis=2)
    assert guessed(ours, test, distances.argmin(1)).all()
    assert len(np.unique(distances.argmin(1))) > 2
