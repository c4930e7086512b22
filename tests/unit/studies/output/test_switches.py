"""Switches between two models, on tokens small enough to check by hand, and on a source where the truth is known."""

import numpy as np
import pytest

from bitskept.studies.output import switch_curve, switches
from bitskept.studies.output.switch_curve import (
    BITS,
    ENTROPY,
    GAIN,
    ONE,
    ORACLE,
    RANDOM,
    SAVED,
    SAVED_EQUAL,
    SURPRISAL,
)

TEXTS = np.array([0, 0, 0, 1, 1])


def test_a_rolling_mean_stays_in_its_text():
    values = np.array([1.0, 2.0, 6.0, 10.0, 20.0])
    assert switches.rolling(values, TEXTS, 2).tolist() == [1, 1.5, 4, 10, 15]
    assert switches.rolling(values, TEXTS, 1).tolist() == values.tolist()


def test_the_token_before():
    values = np.array([1.0, 2.0, 6.0, 10.0, 20.0])
    assert switches.previous(values, TEXTS).tolist() == [-np.inf, 1, 2, -np.inf, 10]


def test_a_share_of_the_scores_lies_above_the_threshold():
    scores = np.random.default_rng(0).permutation(100).astype(float)
    for share, threshold in zip([0.1, 0.5, 0.93], switches.thresholds(scores, [0.1, 0.5, 0.93]), strict=True):
        assert (scores > threshold).mean() == pytest.approx(share)


def test_one_model_at_a_time_by_hand():
    small = np.array([5.0, 5, 5, 0, 0, 0, 9, 9])
    large = np.array([1.0, 1, 1, 1, 4, 4, 0, 0])
    texts = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    used = switches.one_at_a_time(small, large, texts, 3.0, window=1, least=1)
    # 5 → large, 1 → small, 5 → large, 1 → small, 0 stays small; a new text begins with the small model.
    assert used.tolist() == [False, True, False, True, False, False, False, True]
    slower = switches.one_at_a_time(small, large, texts, 3.0, window=1, least=2)
    assert slower.tolist() == [False, False, True, True, False, False, False, False]
    assert not switches.one_at_a_time(small, large, texts, 10.0, window=2, least=1).any()


def test_what_a_switch_saves_is_the_covariance_of_choice_and_gain(informative, setting):
    curve = switch_curve.curve(informative, setting, 0)
    gain = (informative.test["small_bits"] - informative.test["large_bits"]).to_numpy()
    for choice in switch_curve.choices(informative.test, informative.validation, setting):
        rows = curve[(curve["policy"] == choice.policy) & (curve["level"] == choice.level)]
        rows = rows[rows["window"].isna() if np.isnan(choice.window) else rows["window"] == choice.window]
        rows = rows.set_index("quantity")
        assert rows.loc[SAVED, "estimate"] == pytest.approx(np.cov(choice.used, gain, bias=True)[0, 1])
        assert rows.loc[SAVED, "share"] == pytest.approx(choice.used.mean())


def test_random_switches_cost_what_the_line_says(blind, setting):
    curve, random = switch_curve.curve(blind, setting, 0), np.random.default_rng(0)
    line = curve[curve["policy"] == RANDOM].set_index("share")
    small, large = blind.test["small_bits"].to_numpy(), blind.test["large_bits"].to_numpy()
    drawn = [np.where(random.uniform(size=len(small)) < 0.5, large, small).mean() for _ in range(2000)]
    assert line.loc[0.5, "estimate"] == pytest.approx(np.mean(drawn), abs=0.002)
    assert line.loc[0.5, "computation"] == pytest.approx(0.625)
    assert line["estimate"].iloc[[0, -1]].tolist() == pytest.approx([small.mean(), large.mean()])


def test_an_entropy_that_knows_the_gain_does_as_well_as_the_oracle(informative, setting):
    curve = switch_curve.curve(informative, setting, 0)
    half = curve[(curve["level"] == 0.5) & (curve["quantity"] == SAVED)]
    assert half[(half["policy"] == ENTROPY) & (half["window"] == 1)]["estimate"].iloc[0] == pytest.approx(
        0.25, abs=0.02
    )
    assert half[half["policy"] == ORACLE]["estimate"].iloc[0] == pytest.approx(0.25, abs=0.02)
    assert set(curve.loc[(curve["policy"] == ENTROPY) & curve["chosen"], "window"]) == {1}
    gains = curve[curve["policy"] == GAIN]
    assert gains["estimate"].iloc[[0, -1]].tolist() == pytest.approx([0, 1], abs=0.01)


def test_no_interval_of_a_blind_switch_is_far_from_chance(blind, setting):
    table = switch_curve.advantages(blind, setting, 0)
    rows = table[~table["chosen"] | table["window"].isna()].set_index(["policy", "quantity"])
    for policy in (ENTROPY, SURPRISAL, ONE):
        assert rows.loc[(policy, SAVED), "low"] < 0
    assert rows.loc[(ENTROPY, SAVED_EQUAL), "high"] < 0.02  # reading every token twice costs more than it brings
    assert rows.loc[(ORACLE, SAVED), "low"] > 0.1


def test_validation_texts_choose_one_of_the_windows(informative, setting):
    """Here a window of one token tells most, on validation texts as on test texts."""
    table = switch_curve.advantages(informative, setting, 0)
    switched = table[(table["policy"] == ENTROPY) & (table["quantity"] == SAVED)].set_index("chosen")
    assert switched["window"].tolist() == [1, 1]
    assert switched.loc[True, "estimate"] == switched.loc[False, "estimate"]
    assert switched.loc[True, "high"] <= switched.loc[False, "high"]  # fewer contrasts to allow for
    assert table[table["chosen"]].groupby("quantity")["policy"].nunique().tolist() == [5, 5]
    assert table.loc[~table["chosen"], "policy"].unique().tolist() == [ENTROPY, ONE, f"{ENTROPY} − {SURPRISAL}"]


def test_computation_by_hand(informative, setting):
    curve = switch_curve.curve(informative, setting, 0)
    bits = curve[curve["quantity"] == BITS].set_index("policy")
    for policy, slope in ((ENTROPY, 1.0), (ORACLE, 0.75), (ONE, 0.75)):
        rows = bits.loc[policy]
        assert rows["computation"].to_numpy() == pytest.approx(0.25 + slope * rows["share"].to_numpy())


def test_equal_computation_buys_a_random_switch_a_larger_share(informative, setting):
    curve = switch_curve.curve(informative, setting, 0)
    small, large = informative.test[["small_bits", "large_bits"]].mean()
    rows = curve[(curve["policy"] == ENTROPY) & (curve["window"] == 1)]
    for _, part in rows.groupby("level"):
        part = part.set_index("quantity")
        share = min(1, part.loc[BITS, "share"] / 0.75)
        expected = small - share * (small - large) - part.loc[BITS, "estimate"]
        assert part.loc[SAVED_EQUAL, "estimate"] == pytest.approx(expected)
