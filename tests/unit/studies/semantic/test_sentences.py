"""Every sentence of notebook 06, on tables small enough to check by hand."""

import re

import numpy as np
import pandas as pd
import pytest

from bitskept.instruments import claims as outcomes
from bitskept.instruments.likelihood.information_density import MARGINALS
from bitskept.studies.semantic import human_answers, sentences
from bitskept.studies.semantic.claims import DIRECTS, LUCK, OWN
from bitskept.studies.semantic.continuations import means
from bitskept.studies.semantic.human_answers import DIFFERENCE, RISE
from bitskept.studies.semantic.prompt_information import ANOTHER, BEYOND_ANOTHER, CHANGE
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
        for position, (token, bits) in enumerate([(" a", -0.001), (" whale", 4.0), (" b", -1.0)])
        for marginal, factor in zip(MARGINALS, (1, 2, 0.5), strict=True)
    ]
    said = sentences.density(pd.DataFrame(rows), section)
    assert "directs 3.00 bits" in said
    assert f"one of {1 + section.others} prompts takes {np.log2(section.bank):.2f} bits at most" in said
    assert "the sum is 6.00, and against no prompt it is 1.50" in said
    assert "` whale` alone contributes 133% of the bits under the mixture. With the own prompt left out, 1 of 3" in said


@pytest.mark.parametrize(("others", "said"), [(7, "so this number is the bank's"), (15, "and it does not reach them")])
def test_a_mixture_at_its_ceiling_says_nothing_of_the_prompt(section, others, said):
    rows = [{"position": 0, "token": " a", "marginal": marginal, "estimate": 3.0} for marginal in MARGINALS]
    assert said in sentences.density(pd.DataFrame(rows), section.model_copy(update={"others": others}))


def gains(low, context=None, own=0.5, **more):
    rows = [{"corpus": "c", "marginal": name, "estimate": low + place} for place, name in enumerate(MARGINALS, 1)]
    rows += [{"corpus": "c", "marginal": ANOTHER, "estimate": 1.25}]
    table = pd.DataFrame(rows).assign(low=low, high=low + 2.0)
    control = {"corpus": "c", "marginal": BEYOND_ANOTHER, "estimate": own + 0.1, "low": own, "high": own + 0.2}
    facts = {"n": 5, "context": context, "ceiling": 0.25, "quantity": "context_gain", "since": None} | more
    return pd.concat([table, pd.DataFrame([control])], ignore_index=True).assign(**facts)


@pytest.mark.parametrize(
    ("low", "said"),
    [
        (0.2, "5 answers. **Yes**: the prompt predicts beyond the answer's own past, by 1.20 [0.20, 2.20] bits"),
        (
            0.2,
            "against the mixture, which can show 0.25 at most; with its own prompt left out of the mixture it is 2.20",
        ),
        (0.2, "and against no prompt 3.20 [0.20, 2.20]. The control"),
        (
            0.2,
            "prompt of another answer already gives 1.25 [0.20, 2.20] against no prompt, and the own prompt 0.60 [0.50",
        ),
        (-0.2, "5 answers. **Not shown**: the gain is 0.80 [-0.20, 1.80] bits per token"),
        (
            -0.2,
            "0.25 at most (on its own this test would have seen a gain of 1.43, **which the mixture cannot show**);",
        ),
    ],
)
def test_granger_is_decided_by_the_interval(low, said):
    assert said in sentences.granger(gains(low))


def test_a_gain_that_the_mixture_could_show_is_no_excuse():
    said = sentences.granger(gains(-0.2).assign(ceiling=2.0))
    assert "2.00 at most (on its own this test would have seen a gain of 1.43); with" in said


@pytest.mark.parametrize(
    ("own", "said"),
    [
        (0.5, "0.60 [0.50, 0.70] on top of that."),
        (-0.1, "on top of that: **the control does not tell the two prompts apart**."),
        (np.nan, "(no interval) on top of that, too few answers to tell."),
    ],
)
def test_the_control_of_granger_is_the_prompt_of_another_answer(own, said):
    assert sentences.granger(gains(0.2, own=own)).endswith(said)


def by_context(lows, change=(0.5, 0.1, 0.9)):
    """Gains of contexts with these lower ends, and what the longest adds to the shortest."""
    parts = [gains(low, context) for context, low in lows.items()]
    ends = dict(zip(("estimate", "low", "high"), change, strict=True))
    parts.append(gains(0.0, max(lows), quantity=CHANGE, since=min(lows)).assign(**ends))
    return pd.concat(parts)


def test_contexts_are_compared_and_half_of_the_gain_is_found():
    said = sentences.context(by_context({16: 2.0, 1: -1.9, 4: 0.5}))
    assert said.startswith("- **c**: 0.10 ([-1.90, 0.10], 95 %, 5 answers) bits per token from the last token of the")
    assert "from the last 16 tokens. The difference, answer by answer, is 0.50 [0.10, 0.90]: **more context" in said
    assert said.endswith("more context adds more**; 4 tokens give at least half of it.")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((0.5, 0.1, 0.9), "0.50 [0.10, 0.90]: **more context adds more**"),
        ((-0.5, -0.9, -0.1), "-0.50 [-0.90, -0.10]: **more context takes away**"),
        (
            (0.1, -0.3, 0.5),
            "0.10 [-0.30, 0.50]: whether that is more than nothing cannot be told: 0.57 would have been",
        ),
        ((0.1, np.nan, np.nan), "0.10 (no interval): the answers are too few to tell"),
    ],
)
def test_whether_more_context_adds_more(change, said):
    assert said in sentences.context(by_context({1: 0.0, 2: 2.0}, change))


@pytest.mark.parametrize(
    ("lows", "end"),
    [
        ({1: 1.0, 2: 2.0}, "; 1 token gives at least half of it."),
        ({1: -1.9, 4: -1.5, 16: 2.0}, "; no shorter context gives half of what 16 tokens give."),
        ({1: -3.0, 2: -4.0}, "adds more**."),
    ],
)
def test_half_is_of_a_shorter_context_or_of_none(lows, end):
    assert sentences.context(by_context(lows)).endswith(end)


def flow(drift, samples=100):
    noise = np.random.default_rng(0).standard_normal(samples)
    luck = noise - noise.mean() + drift
    table = pd.DataFrame({"sample": range(samples), "position": 0, "token": "a", "marginal": "mixture"})
    before = table.assign(density=0.0, divergence=0.0, S=7.0, A=7.0, M=9.0 + luck)
    return pd.concat([before, before.assign(position=1, S=1 + luck, A=1.0, M=luck)], ignore_index=True)


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        (0.0, "is not rejected at 5 %, and a drift of 0.2"),
        (0.5, "**is rejected** at 5 %."),
        (-0.5, "**is rejected** at 5 %."),
    ],
)
def test_the_martingale_is_tested_at_its_last_token(drift, said):
    found = sentences.flow(means(flow(drift)))
    assert f"E[M] = 0 {said}" in found
    assert "- **mixture over prompts**: after 2 tokens of 100 samples" in found
    assert "of which A, the expected part, is 1.00. M is" in found


def answered(drift, prompts=30):
    model, people = flow(0.0, prompts), flow(drift, prompts)
    people["sample"] = prompts - 1 - people["sample"]
    return pd.concat([model.assign(whose="model"), people.assign(whose="people")])


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        (0.1, "model's. The difference, 0.1 [-0."),
        (-2.0, "model's. **M drifts**: it is 2.0 [1."),
        (2.0, "model's. **M drifts**: it is 2.0 [1."),
    ],
)
def test_people_drift_if_the_difference_is_sure(drift, said):
    found = sentences.people(human_answers.drift(answered(drift)))
    assert said in found
    assert f"Over 30 prompts M ends at {drift:.1f} [" in found
    assert ("is not significant; one of 0." in found) == (drift == 0.1)
    assert ("bits would have been seen (mixture over prompts)." in found) == (drift == 0.1)
    assert ("bits lower along human answers (mixture over prompts)." in found) == (drift < 0)
    assert ("bits higher along human answers (mixture over prompts)." in found) == (drift == 2)
    low, high = re.search(r"it is 2\.0 \[(.*), (.*)\]", found).groups() if abs(drift) == 2 else (1.9, 2.1)
    assert float(low) < 2 < float(high)


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((0.1, 0.5), ": **bits still arrive**. Along"),
        ((-0.1, 0.5), ": bits are not shown to arrive any more. Along"),
        ((-0.5, -0.1), ": **bits are lost**. Along"),
        ((np.nan, np.nan), ": on so few this cannot be judged. Along"),
    ],
)
def test_whether_bits_still_arrive_is_decided_by_the_interval(section, ends, said):
    by_whose = [("people", 0.2, *ends), ("model", 0.7, 0.6, 0.8), (DIFFERENCE, -0.5, -0.6, 0.0)]
    rows = pd.DataFrame(by_whose, columns=["whose", "estimate", "low", "high"]).assign(n=40)
    every = [
        rows.assign(marginal=name, quantity=quantity, position=15) for name in MARGINALS for quantity in ("S", RISE)
    ]
    half = pd.DataFrame({"whose": ["people", "model"], "estimate": [8.0, 12.0], "position": 7, "quantity": "S"})
    every += [half.assign(marginal=name) for name in MARGINALS]
    found = sentences.rise(pd.concat(every), section.model_copy(update={"flow_others": 7}))
    assert found.startswith("In the second half of 40 human answers:")
    assert found.count(said) == len(MARGINALS)
    assert found.count(" bits per token, after 1.00 in the first half: ") == len(MARGINALS)
    assert found.count(" Along the model's own answers 0.70 [0.60, 0.80], after 1.50.") == len(MARGINALS)
    assert "- **no prompt**: 0.20 " in found
    assert "The mixture over 8 prompts can show 3.00 bits in the whole answer" in found


def test_what_the_past_saves(section):
    points = [("errors", 0.5, 0.0, 1.01), ("errors", 0.5, 0.5, 0.0), ("Markov", 1.0, 0.0, 0.8)]
    points += [("Markov", 1.0, 0.2, 0.4), ("Markov", 2.0, 0.0, 0.6), ("Markov", 2.0, 0.2, 0.4)]
    table = pd.DataFrame(points, columns=["kind", "of", "distortion", "rate"]).assign(error=0.0)
    changed = section.model_copy(update={"flips": [0.5, 0.2], "markov_steps": 2, "tolerance": 0.001})
    said = sentences.rate_distortion(table, changed)
    assert "differ by at most 1e-02 bits (tolerance 0.001)" in said
    assert (
        "probability 0.2 costs 0.600 bits if it is sent alone, at D = 0.1; 0.500 per symbol in a message of 2" in said
    )
    assert (
        "a message of 2, which saves 17%; and 0.358 in the limit: **knowing the whole past saves 40% of the bits"
        in said
    )
    assert "This follows from f = 0.2: with f = 1/2 nothing is saved." in said


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({}, "is 2.00 [1.80, 2.20] bits: it knows more than its names show."),
        ({"beyond_low": -0.1}, "is 2.00 [-0.10, 2.20] bits: whether it knows more than its names show cannot be told."),
        (
            {"beyond_low": -3.0, "beyond_high": -0.5},
            "its probabilities hold less than its names need, so they are off.",
        ),
        ({"low": -0.1}, "it has **not been shown to save any bits**, so its place says nothing yet."),
        ({"low": np.nan}, "it has **not been shown to save any bits**, so its place says nothing yet."),
    ],
)
def test_what_is_gathered_stands_next_to_what_is_needed(row, said):
    usual = {"twin": "next token", "step": 8, "gathered": 3.0, "low": 2.9, "high": 3.2, "error": 0.75, "needed": 1.0}
    usual |= {"beyond": 2.0, "beyond_low": 1.8, "beyond_high": 2.2, "corner": 0.9, "n": 40}
    found = sentences.naming(pd.DataFrame([usual | row]))
    assert found.endswith(said)
    assert (
        "40 sentences) bits per token at step 8. It names 25.0% of the tokens, where the most frequent" in found or row
    )
    assert "the most frequent token alone would name 10.0%. So many names need 1.00 bits; the difference" in found


def test_the_best_and_a_middling_continuation_are_quoted():
    said = sentences.examples(["a", "b\nc\ufffd", "d", "e"], np.array([0.1, 0.5, 0.1, 0.2]))
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
TWO = np.array([0.0, 0.1])


def excess(*known):
    rows = {"at": [2.0, 4.0], "estimate": [0.1, 0.5], "low": [0.0, 0.25], "high": [0.2, 0.75], "known": known}
    return pd.DataFrame(rows)


def test_a_reward_has_its_price():
    said = sentences.reward(priced(NEAR, FAR), TWO, excess(True, True))
    assert "The mean reward is 5.0% of the words without reweighting. Reweighting 2 samples" in said
    assert "reaches 10.0% [8.0%, 13.0%] at 0.40 [0.30, 0.50] bits, with 60 effective" in said
    assert "samples left (with fewer than 50 there is no estimate). Best of 4 earns 10.0% [8.0%, 13.0%]" in said
    assert "and costs 1.50 bits, where the bound is 1.70" in said
    assert said.endswith("That is 0.50 [0.25, 0.75] bits more than the least rate.")


def test_best_of_n_is_compared_where_the_least_rate_is_known():
    points = pd.concat([priced(NEAR, FAR), pd.DataFrame([{"way": "bound", "at": 2.0, "reward": 0.06, "rate": 0.8}])])
    said = sentences.reward(points, TWO, excess(True, False))
    assert "Best of 2 earns 6.0% [4.0%, 9.0%] and costs 0.70 bits, where the bound is 0.80" in said
    assert said.endswith("than the least rate. For 1 larger N these samples cannot tell the least rate.")
    said = sentences.reward(priced(NEAR, FAR), TWO, excess(False, False))
    assert said.endswith("For no N can these samples tell the least rate of what best-of-N earns.")


def test_a_reward_without_an_interval_is_no_finding():
    unsure, known = {"rate_low": np.nan, "rate_high": np.nan}, excess(True, True)
    said = sentences.reward(priced(NEAR, FAR | unsure), TWO, known)
    assert "samples reaches 6.0% [4.0%, 9.0%] at 0.20 [0.10, 0.30] bits. Beyond that a few samples" in said
    assert "without an interval: at the steepest slope these samples suggest 10.0% at 0.40 bits. Best of 4" in said
    said = sentences.reward(priced(NEAR | unsure, FAR | unsure), TWO, known)
    assert "reweighting. Already a few samples with high rewards decide" in said
    assert "reaches" not in said
    assert "2 samples are too few to reweight. Best of 4" in sentences.reward(priced(), TWO, known)


def claim(name, paper, estimate, **more):
    row = {"claim": name, "paper": paper, "model": "m", "unit": "bits", "p": 0.001, "clusters": 40, "detectable": 1.0}
    return row | {"estimate": estimate, "low": estimate - 0.1, "high": estimate + 0.1} | more


def test_the_verdict_gives_every_primary_claim_its_outcome():
    untested = dict.fromkeys(("low", "high", "p"), np.nan)
    rows = [
        claim("a adds", "P3", 2.0),
        claim("a adds", "P3", -1.0, model="n"),
        claim("b adds", "P3", 9.0, primary=False),
        claim("c (to be tested: more)", "P3", np.nan, **untested),
        claim(OWN, outcomes.CONTROL, 2.0),
    ]
    said = sentences.verdict(outcomes.table(rows, relevant=0.1), NO_GAINS)
    start, _, said = said.partition("\n\n")
    assert start.startswith("An effect counts from these sizes on")
    assert "0.1 bits per token, 1 bits per answer" in start
    assert said == (
        "**The paper's concepts**\n\n- a adds: **yes for m; no for n**\n- c (to be tested: more): **not tested for m**"
        f"\n\n**Controls**\n\n- {OWN}: **yes for m**"
        "\n\nNo other setting in the table below says otherwise."
    )
    rows[-1] = claim(OWN, outcomes.CONTROL, -1.0)
    assert "was **not passed everywhere**: there, what" in verdict(rows)


def test_a_yes_whose_interval_includes_0_is_named():
    barely = claim("a adds", "P3", 2.0) | {"low": -0.01}
    said = verdict([barely, claim("b adds", "P3", 2.0)])
    assert "**Barely yes**, with a 95 % interval that includes 0: a adds, m." in said
    assert "Barely" not in verdict([claim("b adds", "P3", 2.0)])


NO_GAINS = pd.DataFrame({"marginal": [], "corpus": [], "ceiling": []})


def verdict(rows, ceilings=NO_GAINS):
    return sentences.verdict(outcomes.table(rows, relevant=0.1), ceilings)


def test_settings_that_would_change_a_verdict_are_named():
    rows = [
        claim("a adds", "P3", 2.0, reading="usual"),
        claim("a adds", "P3", 2.0, reading="alike", primary=False),
        claim("a adds", "P3", -1.0, reading="short", primary=False),
        claim("a adds", "P3", -2.0, reading="shorter", primary=False),
        claim("a adds", "P3", 0.1, p=0.5, reading="noisy", primary=False),
        claim("b adds", "P3", -1.0, reading="never primary", primary=False),
    ]
    said = verdict(rows)
    assert said.endswith(
        "**Other settings that say otherwise**\n\n"
        "- a adds, m: **no** with short; shorter and **cannot tell** with noisy (primary: yes)"
    )
    assert "says otherwise." in verdict(rows[:2])


@pytest.mark.parametrize(("ceiling", "named"), [(0.9, True), (1.1, False)])
def test_a_bank_that_cannot_show_what_would_have_been_seen_is_too_small(ceiling, named):
    gains = pd.DataFrame({"marginal": ["mixture", "left_out"], "corpus": "c", "ceiling": [ceiling, np.nan]})
    rows = [claim(DIRECTS, "P3", 0.1, model="m (c)", p=0.5), claim(DIRECTS, "P3", 0.1, model="m (d)", p=0.5)]
    said = "For c the mixture can show 0.90 bits per token at most, which is **less than the 1.00 that would have been"
    assert (said in verdict(rows, gains)) == named
    sure = [claim(DIRECTS, "P3", 2.0, model="m (c)")]
    assert "the mixture can show" not in verdict(sure, gains)


@pytest.mark.parametrize(
    ("luck", "said"),
    [
        ({"estimate": 2.0}, "The control of M (no prompt): there is a **mistake** in"),
        (
            {"estimate": 0.1, "p": 0.5},
            "The control of M (no prompt): a mistake of the size that counts could go unseen",
        ),
        ({"estimate": -1.0}, None),
        ({"estimate": -1.0, "primary": False}, None),
        (
            {"estimate": 2.0, "primary": False},
            "The control of drift along human answers (no prompt): there is a",
        ),
        (
            {"estimate": 0.1, "p": 0.5, "primary": False},
            "The control of drift along human answers (no prompt): a mistake of the size that counts could go unseen",
        ),
    ],
)
def test_what_the_control_of_m_means(luck, said):
    rows = [claim(LUCK, outcomes.CONTROL, reading="no prompt", **luck), claim("a adds", "P3", 2.0)]
    found = verdict(rows)
    assert (said in found) if said else ("The control o" not in found)


def test_what_few_samples_cannot_tell_is_not_told():
    few = means(flow(2.0, 4))
    assert "M is 2.00 (no interval): E" in sentences.flow(few)
    assert sentences.flow(few).endswith("E[M] = 0 cannot be tested on so few.")
    none = gains(0.2).assign(low=np.nan, high=np.nan)
    assert "**Too few to tell**: the gain is" in sentences.granger(none)
    said = "Whether the difference, 2.0 (no interval) bits, is significant cannot be told (mixture over prompts)."
    assert said in sentences.people(human_answers.drift(answered(2.0, 4)))
