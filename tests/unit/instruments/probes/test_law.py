import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from bitskept.instruments.probes.law import Prior


@pytest.mark.parametrize("in_scores", [False, True])
def test_surprisal_is_that_of_the_mixture(in_scores):
    rng = np.random.default_rng(0)
    counts, scores, types = rng.integers(0, 9, 7), 5 * rng.standard_normal((20, 7)), rng.integers(0, 7, 20)
    smoothed = (counts + 0.5) / (counts.sum() + 3.5)
    tempered = (scores - np.log(smoothed) if in_scores else scores) / 3 + np.log(smoothed)
    likely = np.exp(tempered) / np.exp(tempered).sum(1, keepdims=True)
    mixture = (1 - 1 / 52) * likely + 1 / 52 * smoothed
    prior = Prior.estimate(torch.tensor(counts).float(), 50, in_scores=in_scores)
    ours = prior.surprisal(torch.tensor(scores).float(), torch.tensor(types), 3.0)
    np.testing.assert_allclose(ours, -np.log2(mixture[np.arange(20), types]), rtol=1e-5)


def test_a_sure_mistake_costs_no_more_than_the_doubt():
    prior = Prior.estimate(torch.tensor([5.0, 3.0]), 98, in_scores=False)
    bits = prior.surprisal(torch.tensor([[1e4, -1e4]]), torch.tensor([1]), 1.0)
    assert bits.item() == pytest.approx(math.log2(100) - math.log2(3.5 / 9), rel=1e-5)


@pytest.mark.parametrize("start", [1.0, math.inf])
def test_scores_that_mislead_are_left_out(start):
    prior = Prior.estimate(torch.tensor([50.0, 30.0, 20.0]), 60, in_scores=False)
    types = torch.arange(3).repeat_interleave(20)
    loss, temperature = prior.temper(-5.0 * torch.eye(3)[types], types, start)
    assert math.isinf(temperature)
    assert loss == pytest.approx(-float(prior.log.mean()) / math.log(2))
    told = prior.surprisal(-5.0 * torch.eye(3)[types], types, temperature)
    torch.testing.assert_close(told, -prior.log[types] / math.log(2))
    assert prior.temper(5.0 * torch.eye(3)[types], types, start)[0] < 0.2  # the same scores the other way round


@pytest.mark.parametrize("start", [0.05, 1.0, 300.0])
@pytest.mark.parametrize(("scale", "factor"), [(0.2, 1.1), (1.0, 2.0), (30.0, 1.1)])
def test_the_temperature_is_the_best_one(start, scale, factor):
    rng = np.random.default_rng(1)
    prior = dataclasses.replace(Prior.estimate(torch.full((6,), 50.0), 1, in_scores=False), doubt=1e-30)
    scores = 2 * rng.standard_normal((500, 6))
    types = torch.tensor([rng.choice(6, p=np.exp(log_softmax(row))) for row in scores])
    scores = torch.tensor(scale * scores).float()

    def loss(coldness):  # convex in the inverse temperature
        return -log_softmax(coldness * scores.double().numpy(), axis=1)[np.arange(500), types].mean() / np.log(2)

    best = minimize_scalar(loss, bounds=(1e-4, 100), method="bounded", options={"xatol": 1e-8})
    result, temperature = prior.temper(scores, types, start, factor)
    assert best.x * scale == pytest.approx(1, abs=0.2)  # the types were drawn at this temperature
    assert 1 / factor < temperature * best.x < factor
    assert best.fun - 1e-6 < result < best.fun + (0.01 if factor < 2 else 0.2)
    assert result == pytest.approx(loss(1 / temperature), abs=1e-5)
