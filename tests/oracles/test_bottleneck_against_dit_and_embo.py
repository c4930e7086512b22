"""The curve against two other solvers. Both may stop in a local minimum, so ours has to be as good as theirs, and equal
where theirs is known to be right.
"""

import dit
import numpy as np
import pytest
from dit.rate_distortion import IBCurve

from bitskept.theory.bottleneck import curve


def lagrangian(complexity, relevance, beta):
    return np.asarray(complexity) - beta * np.asarray(relevance)


@pytest.mark.parametrize(("weights", "betas"), [([[9, 1], [2, 8]], 2), ([[8, 1, 1], [1, 3, 6]], 1)])
def test_dit(weights, betas):
    joint = np.array(weights) / np.sum(weights)
    law = dit.Distribution(list(np.ndindex(joint.shape)), joint.ravel().tolist())
    np.random.seed(0)  # noqa: NPY002 - its starting points
    theirs = IBCurve(law, beta_min=3, beta_max=8, beta_num=betas)
    ours = curve(joint, theirs.betas)
    assert (ours.relevance > 0.2).all()
    np.testing.assert_allclose(ours.complexity, theirs.complexities, atol=1e-3)
    np.testing.assert_allclose(ours.relevance, theirs.relevances, atol=1e-3)


@pytest.fixture(scope="module")
def embo():
    with np.errstate():  # it silences NumPy as it is imported
        from embo import InformationBottleneck
    return InformationBottleneck


@pytest.mark.parametrize("seed", range(6))
def test_embo(embo, seed):
    rng = np.random.default_rng(seed)
    joint = rng.exponential(size=rng.integers(2, 6, size=2)) ** 2 + 0.01
    joint /= joint.sum()
    x, y = joint.sum(1), joint.sum(0)
    betas = np.array([1.5, 3, 5, 8])
    ours = curve(joint, betas)
    np.random.seed(seed)  # noqa: NPY002 - its starting points
    with np.errstate(divide="ignore", invalid="ignore"):
        # Its divergence is in bits and its exponential natural, hence the factor; its rows are those of Y.
        theirs = [embo.beta_iter(1, b * np.log(2), x, y, joint.T / x, len(x), 8, 3000, rtol=1e-9)[:2] for b in betas]
    complexity, relevance = np.array(theirs).T
    mine, other = lagrangian(ours.complexity, ours.relevance, betas), lagrangian(complexity, relevance, betas)
    assert (mine <= other + 1e-5).all()
    reached = np.interp(complexity, np.r_[0, ours.complexity, ours.entropy], np.r_[0, ours.relevance, ours.information])
    assert (reached >= relevance - 1e-3).all()
