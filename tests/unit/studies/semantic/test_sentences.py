"""Every sentence of notebook 06, on tables small enough to check by hand."""

import re

import numpy as np
import pandas as pd
import pytest

from bitskept.instruments.likelihood.information_density import MARGINALS
from bitskept.studies.semantic import sentences
from bitskept.studies.semantic.continuations import means
from bitskept.studies.semantic.section import SemanticInformation


@pytest.fixture(scope="module")
def section():
    """The parameters of the smoke profile."""
    return SemanticInformation.read({"profile": "smoke"})


def with_interval(rows, reach=0.1, **columns):
    table = pd.DataFrame(rows).assign(**columns)
    return table.assign(low=table["estimate"] - reach, high=table["estimate"] + reach)


def test_directions_add_up():
    names = ["Y repeats X", "X repeats Y", "both repeat"]
    talks = pd.DataFrame({"mutual": [1.5, 0.75, 2.0], "forward": [1.5, 0, 1.25], "feedback": [0, 0.75, 0.7]}, names)
    said = sentences.direction(talks)
    assert "largest difference is 5e-02 bits" in said
    assert "1.25 of 2.00 bits flow from X to Y" in said
    assert "all bits flow in one direction (1.50 and 0.75)" in said
    assert "largest difference is 5e-02 bits" in sentences.direction(talks.assign(forward=[1.5, 0, 1.35]))


def test_the_token_that_brings_most(section):
    rows = [
        {"position": position, "token": token, "marginal": marginal, "estimate": bits * factor}
        for position, (token, bits) in enumerate([(" a", 1.0), (" whale", 4.0), (" b", -1.0)])
        for marginal, factor in zip(MARGINALS, (1, 2, 0.5), strict=True)
    ]
    said = sentences.density(pd.DataFrame(rows), section)
    assert "directs 4.00 bits" in said
    assert f"one of {section.pairs + section.others} prompts takes at most {np.log2(section.bank):.2f} bits" in said
    assert "the sum is 8.00, and against no prompt it is 2.00" in said
    assert "` whale` alone contributes 100% of the bits under the mixture. 1 of 3 tokens" in said


def gains(low, context=None):
    rows = [{"corpus": "c", "marginal": name, "estimate": low + place} for place, name in enumerate(MARGINALS, 1)]
    return pd.DataFrame(rows).assign(low=low, high=low + 2.0, n=5, context=context)


@pytest.mark.parametrize(
    ("low", "said"),
    [
        (0.2, "5 answers. **Yes**: the prompt predicts beyond the answer's own past, by 1.20 [0.20, 2.20] bits"),
        (0.2, "and against no prompt 3.20 [0.20, 2.20], 2.7 times the gain against the mixture."),
        (-0.2, "5 answers. **Not shown**: the gain is 0.80 [-0.20, 1.80] bits per token"),
    ],
)
def test_granger_is_decided_by_the_interval(low, said):
    found = sentences.granger(gains(low))
    assert said in found
    assert ("times the gain" in found) == (low > 0)


def test_half_of_the_gain_is_found():
    table = pd.concat([gains(low, context) for low, context in ((2.0, 16), (-1.9, 1), (0.5, 4))])
    said = sentences.context(table)
    assert "from the last 1 token of the prompt" in said
    assert "from the last 16 tokens; 4 tokens give at least half of the last value" in said
    assert sentences.context(table, "mixture").startswith(
        "- **c**: -0.90 ([-1.90, 0.10], 95 %, 5 answers) bits per token"
    )


def test_a_single_token_can_give_half_of_the_gain():
    assert "; 1 token gives at least half" in sentences.context(pd.concat([gains(1.0, 1), gains(2.0, 2)]))


@pytest.mark.parametrize(("first", "last"), [(-3.0, -4.0), (-5.0, -4.0), (2.0, -2.0)])
def test_a_context_from_which_nothing_is_gained(first, last):
    assert sentences.context(pd.concat([gains(first, 1), gains(last, 2)])).endswith("; nothing is gained.")


def flow(drift, samples=100):
    noise = np.random.default_rng(0).standard_normal(samples)
    luck = noise - noise.mean() + drift
    table = pd.DataFrame({"sample": range(samples), "position": 0, "token": "a", "marginal": "mixture"})
    before = table.assign(density=0.0, divergence=0.0, S=7.0, A=7.0, M=9.0 + luck)
    return pd.concat([before, before.assign(position=1, S=1 + luck, A=1.0, M=luck)], ignore_index=True)


@pytest.mark.parametrize(
    ("drift", "said"), [(0.0, "is not rejected at"), (0.5, "**is rejected** at"), (-0.5, "**is rejected** at")]
)
def test_the_martingale_is_tested_at_its_last_token(drift, said):
    found = sentences.flow(means(flow(drift)))
    assert f"E[M] = 0 {said} 5 %." in found
    assert "- **mixture**: after 2 tokens of 100 samples" in found
    assert "of which A, the expected part, is 1.00. M is" in found


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        (0.1, "model's. The difference, 0.1 [-0."),
        (-2.0, "model's. **M drifts**: it is 2.0 [1."),
        (2.0, "model's. **M drifts**: it is 2.0 [1."),
    ],
)
def test_people_drift_if_the_difference_is_sure(drift, said):
    own, theirs = flow(0.0, 30), flow(drift, 30)
    theirs["sample"] = 29 - theirs["sample"]
    both = pd.concat([own.assign(whose="model"), theirs.assign(whose="people")])
    found = sentences.people(both)
    assert said in found
    assert f"M ends at {drift:.1f} [" in found
    assert ("is not significant (mixture)." in found) == (drift == 0.1)
    assert ("bits lower along human answers (mixture)." in found) == (drift < 0)
    assert ("bits higher along human answers (mixture)." in found) == (drift == 2)
    low, high = re.search(r"it is 2\.0 \[(.*), (.*)\]", found).groups() if abs(drift) == 2 else (1.9, 2.1)
    assert float(low) < 2 < float(high)


def test_what_the_past_saves(section):
    points = [("errors", 0.5, 0.0, 1.01), ("errors", 0.5, 0.5, 0.0), ("Markov", 1.0, 0.0, 0.8)]
    points += [("Markov", 1.0, 0.2, 0.4), ("Markov", 2.0, 0.0, 0.6), ("Markov", 2.0, 0.2, 0.4)]
    table = pd.DataFrame(points, columns=["kind", "of", "distortion", "rate"])
    changed = section.model_copy(update={"flips": [0.5, 0.2], "markov_steps": 2, "tolerance": 0.001})
    said = sentences.rate_distortion(table, changed)
    assert "differ by at most 1e-02 bits (tolerance 0.001)" in said
    assert "probability 0.2 costs 0.600 bits if it is sent alone, at D = 0.1; 0.500 per symbol if 2 are sent" in said
    assert "0.358 in the limit: **knowing the past saves 40% of the bits" in said


@pytest.mark.parametrize(("least", "said"), [(1.0, "2.00 bits more"), (3.5, "0.50 bits fewer")])
def test_what_is_gathered_stands_next_to_what_is_needed(least, said):
    values = {"gathered": (0.0, 3.0), "error": (1.0, 0.75)}
    rows = [
        {"twin": "next token", "step": step, "quantity": name, "estimate": pair[place]}
        for name, pair in values.items()
        for place, step in enumerate((0, 8))
    ]
    needed = pd.Series({("next token", 0): 0.0, ("next token", 8): least})
    found = sentences.naming(pd.DataFrame(rows).assign(low=2.9, high=3.2), needed)
    assert "from 0.00 bits per token at step 0 to 3.00 [2.90, 3.20] at step 8" in found
    assert f"25% of the tokens, which needs at least {least:.2f} bits: it has gathered {said} than these" in found


def test_the_best_and_a_middling_continuation_are_quoted():
    said = sentences.examples(["a", "b\nc", "d", "e"], np.array([0.1, 0.5, 0.1, 0.2]))
    assert said == "> 50%: …b c\n>\n> 20%: …e\n>\n> 10%: …a"


def priced(*tilted):
    rows = [
        *({"way": "reweighted"} | row for row in tilted),
        {"way": "best_of", "at": 2.0, "reward": 0.06, "rate": 0.7},
        {"way": "best_of", "at": 4.0, "reward": 0.1, "rate": 1.5},
        {"way": "bound", "at": 4.0, "reward": 0.1, "rate": 1.7},
    ]
    table = pd.DataFrame(rows)
    table = table.assign(reward_low=table["reward"] - 0.02, reward_high=table["reward"] + 0.03)
    return table if tilted else table.assign(rate_low=np.nan)


NEAR = {"at": 2.0, "reward": 0.06, "rate": 0.2, "rate_low": 0.1, "rate_high": 0.3, "effective": 90.0}
FAR = {"at": 4.0, "reward": 0.1, "rate": 0.4, "rate_low": 0.3, "rate_high": 0.5, "effective": 60.0}


def test_a_reward_has_its_price():
    said = sentences.reward(priced(NEAR, FAR), np.array([0.0, 0.1]))
    assert "The mean reward is 5.0% of the words without reweighting. Reweighting 2 samples" in said
    assert "reaches 10.0% [8.0%, 13.0%] at 0.40 [0.30, 0.50] bits, with 60 effective" in said
    assert "cannot show more. Best of 4 earns 10.0% [8.0%, 13.0%] and costs 1.50 bits, where the bound is 1.70" in said
    assert "the same for 1.00." in said  # always the second of two samples


def test_a_reward_without_an_interval_is_no_finding():
    unsure = {"rate_low": np.nan, "rate_high": np.nan}
    said = sentences.reward(priced(NEAR, FAR | unsure), np.array([0.0, 0.1]))
    assert "samples reaches 6.0% [4.0%, 9.0%] at 0.20 [0.10, 0.30] bits. Beyond that a few samples" in said
    assert "without an interval: at the steepest slope these samples suggest 10.0% at 0.40 bits. Best of 4" in said
    said = sentences.reward(priced(NEAR | unsure, FAR | unsure), np.array([0.0, 0.1]))
    assert "reweighting. Already a few samples with high rewards decide" in said
    assert "reaches" not in said
    assert "2 samples are too few to reweight. Best of 4" in sentences.reward(priced(), np.array([0.0, 0.1]))


def test_the_verdict_counts_what_is_sure_and_what_is_rejected():
    both = pd.concat([gains(0.2), gains(-0.2).assign(corpus="d"), gains(-0.3).assign(corpus="e")])
    tested = pd.concat([means(flow(drift).assign(marginal=name)) for name, drift in (("a", 0), ("b", -1), ("c", 1))])
    said = sentences.verdict(both, tested)
    assert "adds significantly to the answer's past in 1 of 3 corpora" in said
    assert "is rejected for 2 of 3 marginals; by chance" in said


def test_what_few_samples_cannot_tell_is_not_told():
    few = means(flow(2.0, 4))
    assert "M is 2.00 (no interval), z" in sentences.flow(few)
    assert sentences.flow(few).endswith("E[M] = 0 cannot be tested on so few.")
    assert "could not be made on so few samples" in sentences.verdict(gains(0.2), few)
    none = gains(0.2).assign(low=np.nan, high=np.nan)
    assert "**Too few to tell**: the gain is" in sentences.granger(none)
    both = pd.concat([flow(0.0, 4).assign(whose="model"), flow(2.0, 4).assign(whose="people")])
    said = "Whether the difference, 2.0 (no interval) bits, is significant cannot be told from so few prompts"
    assert said in sentences.people(both)
