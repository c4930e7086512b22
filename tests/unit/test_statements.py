import numpy as np
import pandas as pd
import pytest

from bitskept.measure import statements
from bitskept.measure.continuations import means
from bitskept.measure.information_density import MARGINALS


def gains(low, context=None):
    rows = [
        {
            "corpus": "c",
            "marginal": name,
            "estimate": low + 1.0,
            "low": low,
            "high": low + 2.0,
            "n": 5,
            "context": context,
        }
        for name in MARGINALS
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("low", "said"), [(0.2, "**Yes**"), (-0.2, "**Not for sure**")])
def test_granger_is_decided_by_the_interval(low, said):
    (one,) = statements.gain_sentences(gains(low))
    assert said in one
    assert "5 answers" in one


def test_half_of_the_gain_is_found():
    table = pd.concat([gains(low, context) for low, context in ((-0.9, 1), (1.0, 4), (2.0, 16))])
    (one,) = statements.context_sentences(table)
    assert "half of that is there with 4" in one
    assert "the last token" in one
    assert "16 tokens" in one


def flow(drift, samples=100):
    noise = np.random.default_rng(0).standard_normal(samples)
    luck = noise - noise.mean() + drift
    table = pd.DataFrame({"sample": range(samples), "position": 0, "token": "a", "marginal": "mixture"})
    return table.assign(density=0.0, divergence=0.0, S=1 + luck, A=1.0, M=luck)


@pytest.mark.parametrize(("drift", "said"), [(0.0, "is not rejected"), (0.5, "**is rejected**")])
def test_the_martingale_is_tested_at_its_interval(drift, said):
    (one,) = statements.martingale_sentences(means(flow(drift)))
    assert said in one


@pytest.mark.parametrize(("drift", "said"), [(0.0, "No drift is sure"), (-2.0, "ends lower"), (2.0, "ends higher")])
def test_people_drift_if_the_difference_is_sure(drift, said):
    own, theirs = flow(0.0, 30), flow(drift, 30)
    theirs["M"] = theirs["M"].to_numpy()[::-1]
    both = pd.concat([own.assign(whose="model"), theirs.assign(whose="people")])
    assert said in statements.people_sentence(both)


def energies(keys, values):
    shares = {("full", "keys"): keys, ("short", "keys"): 0.6, ("full", "values"): values, ("full", "zero"): 0.5}
    known = {"weights": "trained", "layer": None, "head": None, "quantity": "lowered", "n": 200}
    rows = [
        known | {"form": form, "step": step, "estimate": x, "low": x - 0.05, "high": x + 0.05}
        for (form, step), x in shares.items()
    ]
    return pd.DataFrame(rows)


def test_a_theorem_that_fails_is_called_a_mistake():
    assert "none raised E, as the theorem wants" in statements.energy_sentences(energies(1.0, 0.9))[0]
    assert (
        "2 raised E, **which a theorem forbids: the program is wrong**"
        in statements.energy_sentences(energies(0.99, 0.9))[0]
    )


@pytest.mark.parametrize(
    ("values", "said"), [(0.9, "surely more than"), (0.55, "not surely more than"), (0.1, "surely fewer than")]
)
def test_a_head_beats_the_control_where_their_intervals_are_apart(values, said):
    sentence = statements.energy_sentences(energies(1.0, values))[1]
    assert f"{values:.0%} [{values - 0.05:.0%}, {values + 0.05:.0%}], {said} the query set to 0" in sentence


def test_a_capacity_that_was_not_reached_is_said_so():
    held = pd.DataFrame(
        {
            "dimension": [4, 8, 12],
            "estimate": [10.0, 160.0, np.nan],
            "low": [9.0, 150.0, 2000.0],
            "high": [11.0, np.nan, np.nan],
            "expected": [10.0, 40.0, 160.0],
        }
    )
    memory = statements.memory_sentences(pd.concat([held.assign(quantity="capacity", scale="b"), taught(1.0, 0.5)]))[0]
    assert "10 [9, 11] patterns at d = 4, 160 [150, more] patterns at d = 8" in memory
    assert "more than was tried at d = 12" in memory
    assert "1.00 bits a dimension; 0.50 are expected" in memory


def taught(*shares):
    rows = [
        {"load": load, "estimate": share, "low": share - 0.1, "high": share + 0.1, "expected": 0.55}
        for load, share in enumerate(shares, 1)
    ]
    return pd.DataFrame(rows).assign(quantity="learnt", scale="perceptron", dimension=30)


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        (
            (1.0, 0.5, 0.1),
            "50% [40%, 60%] with 2.0 points a weight and 10% [0%, 20%] with 3.0 points a weight. Cover's ",
        ),
        ((0.6, 0.6), "learns 60% [50%, 70%] with 2.0 points a weight. Cover's count lies in 2 of the 2 intervals"),
        ((0.4,), "learns 40% [30%, 50%] with 1.0 points a weight. Cover's count lies in 0 of the 1 intervals"),
    ],
)
def test_a_perceptron_loses_half_between_two_loads(shares, said):
    assert said in statements.memory_sentences(taught(*shares))[-1]


def test_a_bound_is_called_one():
    rows = [
        {"twin": "causal", "quantity": "bits_per_byte", "marginal": np.nan, "estimate": 2.0},
        {"twin": "causal", "quantity": "context_gain", "marginal": "left_out", "estimate": 0.5},
        {"twin": "causal", "quantity": "context_gain", "marginal": "promptless", "estimate": 0.25},
        {"twin": "diffusion", "quantity": "bits_per_byte_bound", "marginal": np.nan, "estimate": 3.0},
    ]
    table = pd.DataFrame(rows).assign(
        low=lambda table: table["estimate"] - 0.1, high=lambda table: table["estimate"] + 0.2
    )
    causal, diffusion = statements.architecture_sentences(table)
    assert "a byte costs 2.00 [1.90, 2.20] bits" in causal
    assert "against other prompts [0.40, 0.70]" in causal
    assert "a byte costs 2.00" in causal
    assert "0.50 bits a token against other prompts" in causal
    assert "a byte costs at most 3.00" in diffusion
    assert "adds" not in diffusion


@pytest.mark.parametrize(("later", "control", "said"), [(3.0, -2.0, "surely more"), (1.5, 0.5, "not surely more")])
def test_what_two_halves_share_is_told_with_its_control(later, control, said):
    rows = [
        {"layer": layer, "critic": "cosine", "shuffled": shuffled, "estimate": value, "low": value - 0.4}
        for layer, shuffled, value in [(0, False, 1.0), (6, False, later), (0, True, -4.0), (6, True, control)]
    ]
    table = pd.DataFrame(rows).assign(high=lambda table: table["estimate"] + 0.4, ceiling=5.0)
    one = statements.infonce_sentence(table)
    assert f"share {later:.2f}" in one
    assert f"layer 6 with the critic *cosine* proves it, {said} than layer 0" in one
    assert ("no bound of the control" in one) == (control < 0)
    assert ("**1 bounds of the control" in one) == (control > 0)


def test_what_is_gathered_stands_beside_what_is_needed():
    values = {"gathered": (0.0, 3.0), "error": (1.0, 0.75)}
    rows = [
        {"twin": "causal", "step": step, "quantity": name, "estimate": pair[place]}
        for name, pair in values.items()
        for place, step in enumerate((0, 8))
    ]
    needed = pd.Series({("causal", 0): 0.0, ("causal", 8): 1.0})
    (one,) = statements.naming_sentences(pd.DataFrame(rows).assign(low=2.9, high=3.2), needed)
    assert "to 3.00 [2.90, 3.20] at step 8" in one
    assert "names 25%" in one
    assert "1.00 bits are enough: +2.00" in one


def test_a_reward_has_its_price():
    table = pd.DataFrame(
        [
            {
                "way": "reweighted",
                "at": 2.0,
                "reward": 0.1,
                "rate": 0.4,
                "rate_low": 0.3,
                "rate_high": 0.5,
                "effective": 60.0,
            },
            {"way": "best_of", "at": 4.0, "reward": 0.2, "rate": 1.0},
            {"way": "bound", "at": 4.0, "reward": 0.2, "rate": 1.2},
        ]
    )
    table = table.assign(reward_low=table["reward"] - 0.02, reward_high=table["reward"] + 0.03)
    one = statements.reward_sentence(table, np.array([0.0, 0.1]), {0.2: 0.9})
    assert "reaches 10.0% [8.0%, 13.0%] at 0.40 [0.30, 0.50] bits, with 60 effective" in one
    assert "Best of 4 earns 20.0% [18.0%, 23.0%]: it costs 1.00 bits, the bound 1.20" in one
    assert "at 0.90" in one
