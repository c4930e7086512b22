import numpy as np
import pandas as pd
import pytest

from bitskept.studies.semantic.rewards import cheapest_rate, excess, frontier, share_of_words, texts


def test_a_reward_counts_whole_words_in_any_case():
    found = share_of_words(["We and our wells", "", "12 %", "US-made, we’re us"], ["we", "us", "our"])
    assert found.tolist() == pytest.approx([0.5, 0, 0, 0.5])


def test_texts_are_joined_once_and_in_order():
    rows = [
        {"sample": sample, "position": position, "token": f"{sample}{position} ", "marginal": marginal}
        for sample in (1, 0)
        for position in (1, 0)
        for marginal in ("mixture", "promptless")
    ]
    assert texts(pd.DataFrame(rows)) == ["00 01 ", "10 11 "]


def test_no_way_is_cheaper_than_the_least_rate_and_the_bound_is_dearer_than_best_of_n():
    rewards = np.random.default_rng(0).random(400)
    table = frontier(rewards, [0.0, 1.0, 2.0], [1, 4, 16])
    tilted, best, bound = (table[table["way"] == way] for way in ("reweighted", "best_of", "bound"))
    for rows in (tilted, best):
        least = [cheapest_rate(rewards, one) for one in rows["reward"]]
        assert (rows["rate"] >= np.array(least) - 1e-9).all()
    assert tilted["rate"].to_numpy() == pytest.approx(
        [cheapest_rate(rewards, one) for one in tilted["reward"]], abs=1e-6
    )
    assert (bound["rate"].to_numpy() >= best["rate"].to_numpy() - 1e-12).all()
    assert best["reward"].iloc[0] == pytest.approx(rewards.mean())
    assert best["rate"].iloc[0] == pytest.approx(0)
    assert best["reward"].between(best["reward_low"], best["reward_high"], inclusive="neither").all()


def test_what_is_not_estimable_is_left_out():
    rewards = np.random.default_rng(0).random(100)
    table = frontier(rewards, [0.0, 100.0], [1])
    assert table.loc[table["way"] == "reweighted", "at"].tolist() == [0.0]


def test_the_interval_of_best_of_n_holds_what_more_samples_would_give():
    """Uniform rewards: the best of N earns N / (N + 1) on average."""
    held, draw = np.zeros(2), np.random.default_rng(1)
    for seed in range(100):
        found = frontier(draw.random(200), [], [1, 4], replicates=200, seed=seed).query("way == 'best_of'")
        held += (found["reward_low"] <= [1 / 2, 4 / 5]) & (found["reward_high"] >= [1 / 2, 4 / 5])
    assert (held >= 85).all()


def test_best_of_n_costs_more_than_the_least_rate_where_that_is_known():
    """Of two rewards that are as likely, best of two is the tilted law (1/4, 3/4), so no bit is lost."""
    rewards = np.repeat([0.0, 1.0], 200)
    points = frontier(rewards, [0.0, 1.0, 2.0], [1, 2, 16])
    found = excess(points, rewards).set_index("at")
    assert list(found.index) == [2, 16]
    assert found["estimate"].to_numpy() == pytest.approx(0, abs=1e-6)
    assert found["known"].tolist() == [True, False]
    mixed = np.random.default_rng(0).random(400)
    [row] = excess(frontier(mixed, [0.0, 2.0, 4.0], [1, 4]), mixed).to_dict("records")
    best = frontier(mixed, [], [4]).query("way == 'best_of'").iloc[0]
    assert row["estimate"] == pytest.approx(best["rate"] - cheapest_rate(mixed, best["reward"]))
    assert 0 < row["low"] < row["estimate"] < row["high"]
    assert row["n"] == 400


def test_without_a_reweighted_reward_no_least_rate_is_known():
    rewards = np.random.default_rng(0).random(30)
    assert not excess(frontier(rewards, [0.0], [2]), rewards)["known"].any()
