"""The tables of notebook 07 that are made of others, and those of random patterns."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from bitskept.instruments.likelihood.information_density import DENSITIES
from bitskept.studies.inside import architectures, capacity, elbo
from bitskept.studies.inside.section import InsideTransformer


@pytest.fixture(scope="module")
def section():
    """The parameters of the smoke profile."""
    return InsideTransformer.read({"profile": "smoke"})


def test_the_gap_of_the_elbo_is_the_doubt_that_is_left(section):
    random, size = np.random.default_rng(0), section.bank
    tokens = pd.DataFrame({"corpus": "c", "answer": [0, 0, 1], "position": [0, 1, 0]})
    tokens["given_prompt"] = random.uniform(-9, 0, 3)
    tokens["mixture"] = tokens["given_prompt"] - random.uniform(0, np.log2(size) / 2, 3)
    for name in DENSITIES:
        tokens[name] = tokens["given_prompt"] - tokens["mixture"]
    found = elbo.bounds(tokens, section)
    answers, arriving = found.dropna(subset="answer"), found.dropna(subset="tokens")
    gap = answers["mixture"] - answers["elbo"]
    assert gap.to_numpy() == pytest.approx(np.log2(size) - answers["density_mixture"].to_numpy())
    assert arriving["estimate"].iloc[-1] == pytest.approx(answers["density_mixture"].mean())


def test_costs_and_gains_are_averaged_apart():
    rows = [
        {"twin": "next token", "seed": seed, "step": 8, "marginal": marginal, "estimate": value + seed}
        for seed in (0, 1)
        for marginal, value in ((None, 2.0), ("left_out", 5.0), ("mixture", 7.0))
    ]
    table = pd.DataFrame(rows)
    found = architectures.over_training(table.assign(low=table["estimate"] - 1, high=table["estimate"] + 1))
    assert found["marginal"].fillna("cost").tolist() == ["cost", "left_out", "mixture"]
    assert found["estimate"].tolist() == [2.5, 5.5, 7.5]
    assert found["low"].tolist() == [1, 4, 6]
    assert found["high"].tolist() == [4, 7, 9]


def test_memories_and_a_perceptron_share_a_table(section, home):
    few = section.model_copy(update={"memory_dimensions": [4], "perceptron_dimension": 4, "trials": 4})
    found = capacity.capacities(few)
    assert found["scale"].unique().tolist() == ["b = 1", "b = 1/√d", "perceptron"]
    learnt = found[found["quantity"] == "learnt"]
    assert learnt["points"].tolist() == [4, 8, 12]
    assert learnt["estimate"].iloc[0] == 1
    patterns = found[found["quantity"] == "capacity"].set_index("scale")["estimate"]
    assert patterns["b = 1"] > patterns["b = 1/√d"]


def capacities_of(law, scatter=0.0, spread=0.01):
    d = np.array([4, 6, 8, 10, 12, 16])
    bits = law(d) + scatter * np.array([1, -1, 1, -1, 1, -1])
    reach = t.ppf(0.975, 19) * spread  # of log2, for 20 repetitions with this standard error
    table = pd.DataFrame({"dimension": d, "estimate": 2**bits, "low": 2 ** (bits - reach), "high": 2 ** (bits + reach)})
    return table.assign(scale="b", quantity="capacity", n=20)


@pytest.mark.parametrize(
    ("law", "name", "slope"),
    [
        (lambda d: 1 + 0.5 * d, "exp(d)", 0.5),
        (lambda d: 2 * np.sqrt(d), "exp(√d)", 2.0),
        (np.log2, "a power of d", 1.0),
    ],
)
def test_the_law_that_made_the_capacities_fits_best(law, name, slope):
    fits = capacity.growth(capacities_of(law)).set_index("law")
    assert fits["worse"].idxmin() == name
    assert fits.loc[name, "estimate"] == pytest.approx(slope)
    assert fits["misfit"].loc[name] == pytest.approx(0, abs=1e-9)
    assert (fits["worse"].drop(name) > capacity.TOLD).all()


def test_points_that_scatter_by_more_than_their_errors_say_less():
    fine, scattered = (
        capacity.growth(capacities_of(lambda d: 0.5 * d, scatter)).set_index("law") for scatter in (0.0, 0.05)
    )
    width = (scattered["high"] - scattered["low"]) / (fine["high"] - fine["low"])
    assert width["exp(d)"] == pytest.approx(np.sqrt(scattered.loc["exp(d)", "misfit"] / 4))
    assert width["exp(d)"] > 3
    assert scattered.loc["exp(√d)", "worse"] < fine.loc["exp(√d)", "worse"] / 9
    assert capacity.growth(capacities_of(np.sqrt)[:2]).empty
