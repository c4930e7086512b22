"""What is written down of a network, and that the bound is computed from it as it is written."""

import numpy as np
import pandas as pd
import pytest
import torch

from bitskept.instruments.training.builds import Build, Vocabulary, network
from bitskept.studies.inside import capacity, generalisation, subspace
from bitskept.studies.inside.generalisation import Bounds, Material, probabilities
from bitskept.theory.description_length import excess, loss_range, smoothed_bits

pytestmark = pytest.mark.usefixtures("one_thread")
TYPES = 12
PLAN = subspace.Plan(dimension=30, rank=2, steps=40, batch=8, rate=0.1, seed=0)


@pytest.fixture
def small():
    """A network of two layers with a vocabulary of twelve types."""
    build = Build("llama", width=8, depth=1, heads=2, feed_forward=16, initial=0.1)
    return network(build, Vocabulary(TYPES - 2, 9), causal=True, seed=0).eval()


def rows(number, seed=0):
    """Rows in which each token is the one before plus one, modulo four."""
    starts = np.random.default_rng(seed).integers(4, size=(number, 1))
    return (starts + np.arange(8)) % 4


def limits(**others):
    values = {"sizes": [], "amounts": [], "dimensions": [30], "rank": 2, "steps": 4, "rate": 0.1, "levels": [3, 9]}
    return Bounds(**(values | {"smoothings": [0.1, 0.5], "delta": 0.05, "choosing_rows": 20, "seed": 0} | others))


def test_at_zero_a_subspace_has_the_first_weights(small):
    space = subspace.Subspace(small, PLAN)
    made = space.weights(torch.zeros(space.size))
    for name, weight in small.named_parameters():
        assert torch.equal(made[name], weight)
    moved = space.weights(torch.ones(space.size))
    assert all(not torch.equal(moved[name], weight) for name, weight in small.named_parameters() if weight.ndim == 2)
    assert space.size == 30
    tables = [weight.shape for _, weight in small.named_parameters() if weight.ndim == 2]
    assert subspace.Subspace(small, subspace.Plan(10**6, 2, 1, 1, 0.1)).size == 2 * sum(map(sum, tables))


def test_few_numbers_learn(small):
    space, text = subspace.Subspace(small, PLAN), rows(60)
    before = -np.log2(probabilities(small, text)).mean()
    first = {name: weight.clone() for name, weight in small.named_parameters()}
    theta = subspace.trained(small, space, text, PLAN)
    assert all(torch.equal(first[name], weight) for name, weight in small.named_parameters())
    again = subspace.trained(small, space, text, PLAN)
    assert (theta == again).all()
    for name, weight in space.weights(torch.from_numpy(theta).float()).items():
        small.get_parameter(name).data = weight
    assert -np.log2(probabilities(small, text)).mean() < before - 0.3


def test_probabilities_are_those_of_the_network(small):
    text = rows(5)
    scores = small(input_ids=torch.from_numpy(text)).logits.softmax(-1).detach().numpy()
    given = probabilities(small, text)
    assert given.shape == (5, 7)
    assert given[2, 3] == pytest.approx(scores[2, 3, text[2, 4]], rel=1e-5)


def test_the_bound_is_of_what_was_written(small):
    text = Material(small, rows(50), rows(40, seed=1), TYPES)
    written = []

    def write(levels):
        written.append(levels)
        for weight in small.parameters():
            weight.data = torch.zeros_like(weight)  # the uniform distribution, whatever the levels
        return 100 if levels == 3 else 900

    bounds = limits()
    table = generalisation._described(text, write, {"kind": "k", "width": 8, "sentences": 9, "numbers": 5}, bounds)
    values = table.set_index("quantity")["estimate"]
    tokens, code = 50 * 7, values["code"]
    assert written == [None, 3, 9, 3]
    assert values["tokens"] == tokens
    assert code == 100 + generalisation._other_bits(TYPES, tokens, bounds)
    assert values["coded_training"] == pytest.approx(np.log2(TYPES)) == values["uniform"]
    # The smoother law has the shorter range, and here the same loss.
    assert values["bound"] == pytest.approx(np.log2(TYPES) + excess(loss_range(0.5, TYPES), code, tokens, 0.05))
    assert set(table["levels"]) == {3}
    assert set(table["alpha"]) == {0.5}
    assert values["gap"] == pytest.approx(values["held_out"] - values["training"], abs=1e-12)


def test_a_law_of_counts_is_the_same_after_every_context():
    law = generalisation._Law(np.log(np.array([0.5, 0.25, 0.25])))
    given = probabilities(law, np.array([[0, 1, 0], [2, 0, 2]]))
    assert given == pytest.approx(np.array([[0.25, 0.5], [0.5, 0.25]]))
    assert smoothed_bits(given, 0.1, 3).shape == (2, 2)


def test_twins_of_other_sizes_and_amounts_are_planned():
    from bitskept.studies.inside.section import InsideTransformer

    section = InsideTransformer.read({"profile": "laptop"})
    plans = generalisation.plans(section.training, section.generalisation, 0)
    shapes = [(plan.build.width, plan.sentences) for plan in plans]
    usual = (section.training.width, section.training.sentences)
    assert shapes[0] == usual
    others = len(section.generalisation.sizes) + len(section.generalisation.amounts)
    assert len(set(shapes)) == len(shapes) == 1 + others


@pytest.mark.parametrize(
    ("law", "known"),
    [("exp(d)", lambda d: 2.0**d), ("exp(√d)", lambda d: 2 ** (3 * d**0.5)), ("a power of d", lambda d: d**3.0)],
)
def test_the_law_of_growth_is_found(law, known):
    d = np.array([4, 6, 8, 12, 16])
    table = pd.DataFrame({"dimension": d, "estimate": known(d), "quantity": "capacity", "scale": "b", "n": 20})
    table = table.assign(low=table["estimate"] / 1.02, high=table["estimate"] * 1.02)
    found = capacity.growth(table).set_index("law")
    assert found["worse"].idxmin() == law
    assert found.loc[law, "misfit"] == pytest.approx(0, abs=1e-6)
    assert (found["worse"].drop(law) > capacity.TOLD).all()
    assert found.loc[law, "estimate"] == pytest.approx({"exp(d)": 1, "exp(√d)": 3, "a power of d": 3}[law])
    assert capacity.growth(table[:2]).empty
