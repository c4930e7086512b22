"""The frontier of reward against a convex optimiser over all laws."""

import numpy as np
import pytest
from scipy.optimize import minimize

from bitskept.theory.rate_reward import cheapest


def least_bits(prior, rewards, reward):
    def nats(law):
        ratio = np.log(np.maximum(law, 1e-300) / prior)
        return law @ ratio, ratio + 1

    found = minimize(
        nats,
        prior,
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * len(prior),
        constraints=[
            {"type": "eq", "fun": lambda law: law.sum() - 1, "jac": lambda law: np.ones(len(law))},
            {"type": "ineq", "fun": lambda law: law @ rewards - reward, "jac": lambda law: rewards},
        ],
        options={"maxiter": 1000, "ftol": 1e-12},
    )
    assert found.status in (0, 8), found.message  # 8: rounding, which differs between processors, leaves no way down
    return found.fun / np.log(2), found.x


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("share", [-0.3, 0.2, 0.5, 0.8])
def test_no_law_is_cheaper(seed, share):
    rng = np.random.default_rng(seed)
    prior, rewards = rng.dirichlet(np.ones(6)), rng.normal(size=6).round(1)
    mean = prior @ rewards
    asked = float(mean + share * (rewards.max() - mean))
    found, (rate, law) = cheapest(prior, rewards, asked), least_bits(prior, rewards, asked)
    assert found.rate == pytest.approx(rate, abs=1e-6)
    np.testing.assert_allclose(found.law, law, atol=1e-3)
