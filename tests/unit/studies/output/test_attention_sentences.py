import numpy as np
import pandas as pd
import pytest

from bitskept.instruments import claims as outcomes_of_claims
from bitskept.studies.output import attention_sentences as sentences
from bitskept.studies.output.attention import GAP
from bitskept.studies.output.attention_sentences import PREVENTED, RELEVANT, SHARPER, UNSTABLE, claims, spread

SPREADS = {"spread": (0.4, 0.9), "spread without the first": (0.6, 0.9), "weight on the first": (0.6, 0.1)}
NAN = float("nan")


def spreads(*, reach=0.02, by_text=0.0, **shares):
    """A table of `by_layer` with these shares of trained and random heads, and intervals of this reach."""
    values = SPREADS | {name.replace("_", " "): pair for name, pair in shares.items()}
    values |= {"least by own scores": (0.1, 0.6), "least by the text's scores": (by_text, 0.0)}
    rows = [
        {"model": "m", "weights": weights, "layer": layer, "head": None, "quantity": quantity, "estimate": value}
        | {"low": value - reach, "high": value + reach, "unit": "share", "n": 30}
        for layer in (None, 1, 2)
        for quantity, (trained, random) in values.items()
        for weights, value in (("trained", trained), ("random", random), (GAP, random - trained))
    ]
    return pd.DataFrame(rows)


def test_spread_of_sharper_heads_with_a_sink():
    text = spread(spreads())
    assert "40% ([38%, 42%], 95 %, 30 sentences)" in text
    assert "a difference of 50% [48%, 52%], so trained heads attend more sharply" in text
    assert "lies above 0 in 2 of 2 layers" in text
    assert "60% [58%, 62%] of the trained heads' weight, 50% [48%, 52%] more than from random ones: it is their" in text
    assert "the bound is 10% of the maximum, or 25% of the measured entropy" in text
    assert "0.00% of the maximum, too little to say anything" in text


def test_spread_where_random_heads_are_sharper_or_equal():
    assert "so random heads attend more sharply" in spread(spreads(spread=(0.9, 0.4)))
    text = spread(spreads(spread=(0.4, 0.41), weight_on_the_first=(0.1, 0.1), by_text=0.2))
    assert "which may be 0" in text
    assert "above 0 in 0 of 2 layers" in text
    assert "it is no sink" in text
    assert "it is 20.00% of the maximum, which says something" in text


def test_spread_without_intervals():
    text = spread(spreads(reach=NAN))
    assert "from too few sentences to judge" in text
    assert "from too few sentences to say whether that is more" in text


def runs(*rows, fixed=()):
    """A table of outcomes from (rate, outcome, least spread, loss, rise, fell, rose)."""
    names = ["rate", "outcome", "least_spread", "loss", "rise", "fell", "rose"]
    tables = [pd.DataFrame(part, columns=names).assign(fixed=kind) for part, kind in ((rows, False), (fixed, True))]
    table = pd.concat([part for part in tables if len(part)], ignore_index=True)
    seeds = table.groupby(["fixed", "rate"]).cumcount()
    return table.assign(spread=table["least_spread"], seed=seeds, single=7.65)


def weighed(table, runs_table):
    rows = list(claims(table, runs_table, seed=0))
    return outcomes_of_claims.table(rows, relevant=RELEVANT), rows


def collapse(table, **changes):
    """What is said of these runs, with some columns of the table of claims replaced."""
    return sentences.collapse(table, weighed(spreads(), table)[0].assign(**changes))


SLOW = [(0.003, "learned", 0.9, 7.4, 0.0, NAN, NAN), (0.003, "learned", 0.92, 7.3, 0.01, NAN, NAN)]
FAST = [(0.03, "learned", 0.4, 7.0, 0.1, 50, NAN), (0.03, "learned", 0.45, 7.1, 0.05, 40, NAN)]
BROKEN = [(3.0, "diverged", 0.001, 7.6, 90.0, 2, 4), (3.0, "diverged", 0.002, 7.7, 80.0, 3, 3)]
CALM = [(0.03, "learned", 0.97, 7.2, 0.0, NAN, NAN), (0.03, "stuck", 0.97, 7.6, 0.0, NAN, NAN)]
FIXED = [(3.0, "diverged", 0.97, 7.6, 90.0, NAN, 3), (3.0, "diverged", 0.96, 7.6, 80.0, NAN, 3)]


def test_collapse_that_comes_with_divergence_but_is_not_what_it_takes():
    text = collapse(runs(*SLOW, *FAST, *BROKEN, fixed=CALM + FIXED))
    assert "Of 6 runs with free scores 4 learned, 0 came to no more" in text
    assert "2 diverged (rates 3)" in text
    assert "At the end they stand -0.05 to 0.05 bits above the distribution of single tokens." in text
    assert "Any limit from 0.10 to 80.00 bits would sort them alike." in text
    assert "Those that learned end 0.25 to 0.65 bits below it." in text
    assert "Both entropy and loss follow the rate, of which there are 3: that" in text
    assert "The rates are too few to be a sample." in text
    assert "to 0.2% of its maximum or less in every run that diverged" in text
    assert "no less than 40.0% in those that learned: the two are apart" in text
    assert "a fall of entropy is no harm by itself" in text
    assert "in 1 of 2 runs that diverged and by the same step in 1; the median lead is 1 step, too short" in text
    assert "stayed at 96% of its maximum or more, and 2 of 2 runs at rates 3 diverged all the same" in text
    assert "(the control: at rates 0.03, at which free scores do not diverge, none of 2 did, and 1 learned)" in text
    assert "all the same (the control" in text
    assert "at these rates the collapse is a companion of the divergence, not what it takes." in text
    assert "No rate between 0.03 and 3 was tried, so nothing is known of the border, where" in text


@pytest.mark.parametrize(
    ("calm", "said"),
    [([], "of 0 such runs"), ([CALM[0], (0.03, "diverged", 0.97, 9.0, 3.0, NAN, 3)], "of 2 such runs")],
)
def test_fixed_scores_say_nothing_where_they_may_break_training_by_themselves(calm, said):
    table = runs(*SLOW, *FAST, *BROKEN, fixed=calm + FIXED)
    text = collapse(table)
    assert said in text
    assert text.endswith("so **the control is not passed**.")
    untested = f"{PREVENTED} (to be tested: fixed scores that hold at calm rates)"
    assert of(untested, weighed(spreads(), table)[0])["outcome"] == "not tested"


def of(claim, table):
    return table[table["claim"] == claim].iloc[0]


def test_what_six_runs_would_have_shown():
    """All six have to hold, which they do 80 % of the time if each does with a probability of .8^(1/6)."""
    table, _ = weighed(spreads(), runs(*SLOW, *FAST, *BROKEN * 3, fixed=CALM + FIXED * 3))
    assert of(PREVENTED, table)["detectable"] == pytest.approx(0.8 ** (1 / 6))
    few, _ = weighed(spreads(), runs(*SLOW, *FAST, *BROKEN, fixed=CALM + FIXED))
    assert np.isinf(of(PREVENTED, few)["detectable"])


def test_collapse_that_overlaps_comes_long_before_and_can_be_prevented():
    early = [(3.0, "diverged", 0.5, 7.6, 90.0, 2, 40)]
    some = [(3.0, "diverged", 0.9, 7.6, 9.0, NAN, 3), (3.0, "learned", 0.9, 7.0, 0.0, NAN, NAN)]
    text = collapse(runs(*SLOW, *FAST, *early, fixed=CALM + some))
    assert "the two overlap" in text
    assert "the median lead is 38 steps." in text
    assert "fewer runs diverge, but some do" in text
    text = collapse(runs(*SLOW, *FAST, *early, fixed=CALM + some[1:]))
    assert "there is no divergence, and 1 of them learned" in text


def test_collapse_and_what_was_learned():
    worse = [(0.03, "learned", 0.4, 7.5, 0.1, 50, NAN)]
    assert "where entropy fell, less was learned" in collapse(runs(*SLOW, *worse, *BROKEN))
    flat = [(0.03, "learned", 0.95, 7.0, 0.1, NAN, NAN)]
    assert "entropy did not fall with the rate" in collapse(runs(*SLOW, *flat, *BROKEN))
    assert "Runs learned at one rate only" in collapse(runs(*SLOW, *BROKEN))
    untimed = [(3.0, "diverged", 0.6, 7.6, 90.0, NAN, 4)]
    assert "No run that diverged was seen to halve its entropy" in collapse(runs(*SLOW, *untimed))


def test_a_run_that_stopped_before_its_loss_rose_is_found_by_no_limit():
    stopped = [(3.0, "diverged", 0.001, NAN, 0.0, 2, NAN)]
    assert "Any limit" not in collapse(runs(*SLOW, *FAST, *stopped))
    assert "Not all of them came back from there." in collapse(runs(*SLOW, *FAST, *stopped))


def test_nothing_is_said_of_collapse_without_both_kinds_of_run():
    assert "none diverged" in collapse(runs(*SLOW, (0.03, "stuck", 0.4, 7.6, 0.1, NAN, NAN)))
    assert "none learned" in collapse(runs(*BROKEN))
    assert "(rates none)" in collapse(runs(*SLOW))


def test_claims_of_sharp_heads_and_of_runs():
    slow, fast, broken, fixed = ([row for row in part for _ in range(2)] for part in (SLOW, FAST, BROKEN, FIXED))
    spread_out = [(*row[:4], row[4] + place / 100, *row[5:]) for place, row in enumerate(slow + fast + broken)]
    spread_out = [(*row[:2], row[2] - place / 1000, *row[3:]) for place, row in enumerate(spread_out)]
    table, rows = weighed(spreads(), runs(*spread_out, fixed=[*CALM, *fixed, *fixed[:2]]))
    assert table.loc[table["claim"] == SHARPER, "primary"].tolist() == [True, False]
    assert of(SHARPER, table)["outcome"] == "yes"
    unstable = of(UNSTABLE, table)
    assert unstable["outcome"] == "yes"
    assert unstable["clusters"] == 12
    assert unstable["probe"] == "runs at 3 rates, whose seeds count as independent"
    prevented = of(PREVENTED, table)
    assert prevented["estimate"] == 0
    assert prevented["clusters"] == 4
    assert prevented["probe"] == "runs that diverge with free scores (rates 3)"
    assert [row.get("primary", True) for row in rows] == [True, False, True, False, True]


def test_claims_that_could_not_be_tested():
    table, _ = weighed(spreads(), runs(*SLOW))
    assert of(f"{UNSTABLE} (to be tested: more runs, at more rates)", table)["outcome"] == "not tested"
    assert of(f"{PREVENTED} (to be tested: rates at which runs diverge)", table)["outcome"] == "not tested"


def test_a_correlation_of_the_other_sign_is_no_support():
    other = [(0.003 * place, "learned", 0.1 * place, 7.0, 0.1 * place, NAN, NAN) for place in range(1, 9)]
    _, rows = weighed(spreads(), runs(*other, *BROKEN[:0]))
    assert rows[2]["estimate"] == pytest.approx(-1)
    assert rows[2]["p"] == 1
    assert np.isfinite(rows[2]["detectable"])


def test_four_rates_cannot_tell_what_twelve_runs_do():
    """Even a perfect order of four has p = 2 / 24."""
    rates = [(0.001 * 10**place, (2 + place) / 10, 10.0**-place) for place in range(4)]
    rows = [
        (rate, "diverged" if rise == 1 else "learned", spread + seed / 100, 7.0, rise - seed / 1e4, NAN, NAN)
        for rate, spread, rise in rates
        for seed in range(3)
    ]
    table = runs(*rows)
    text = collapse(table)
    assert "Over runs, whose seeds count as independent, the answer is **yes**. Over rates, of which even a" in text
    assert "has p = 0.083 (two-sided), it is **cannot tell**, so **that runs count as independent decides**." in text
    assert "decides**" not in collapse(table, outcome="yes")
