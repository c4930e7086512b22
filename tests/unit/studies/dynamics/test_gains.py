"""What was learned and what is kept, from made-up runs."""

import numpy as np
import pandas as pd
import pytest

from bitskept.instruments.training.twin_runs import MASK, NEXT
from bitskept.studies.dynamics import gains
from bitskept.studies.dynamics.checkpoints import GAIN
from bitskept.studies.dynamics.gains import KEPT

STEPS = (0, 1, 2, 4)


def run(twin, learned, kept, *, seed=0, half=0.1):
    """The rows of one run: its gain by step, and what the last of two layers keeps by each probe."""
    facts = {"twin": twin, "seed": seed, "size": 64, "amount": 100}
    usual = {"reading": "token", "train_sentences": 60}
    rows = []
    for step, gain, share in zip(STEPS, learned, kept, strict=True):
        rows.append(facts | {"step": step, "quantity": GAIN, "estimate": gain})
        for probe, less in (("centroid", 0.0), ("ridge", 0.1)):
            read = facts | usual | {"step": step, "probe": probe}
            rows.append(read | {"quantity": KEPT, "layer": 2, "estimate": share - less})
            rows.append(read | {"quantity": KEPT, "layer": 1, "estimate": 0.99})
            rows.append(read | {"quantity": KEPT, "layer": 2, "estimate": 0.01, "train_sentences": 30})
            rows.append(read | {"quantity": KEPT, "layer": 2, "estimate": 0.02, "reading": "window"})
            rows.append(read | {"quantity": "late_forgetting", "estimate": 1 - share})
    table = pd.DataFrame(rows).assign(unit="bits per token")
    table["low"], table["high"] = table["estimate"] - half, table["estimate"] + half
    return table.reindex(columns=[*table, "k"]).astype({"layer": "Int64", "train_sentences": "Int64"})


RUNS = pd.concat(
    [
        run(NEXT, [-1.0, 1.0, 2.0, 4.0], [1.0, 0.8, 0.6, 0.2]),
        run(NEXT, [-1.0, 0.0, 1.0, 3.0], [1.0, 0.9, 0.8, 0.4], seed=1),
        run(MASK, [-1.0, 0.0, 0.5, 1.0], [1.0, 0.9, 0.9, 0.8]),
    ],
    ignore_index=True,
)


def test_a_run_has_learned_if_the_whole_interval_of_its_last_gain_lies_above_the_least():
    for least, passed in (
        (0.8, [True] * 3),
        (0.95, [True, True, False]),
        (2.95, [True, False, False]),
        (5.0, [False] * 3),
    ):
        found = gains.learned(RUNS, least)
        assert list(found) == [*gains.RUN, "estimate", "low", "high", "learned"]
        assert found["learned"].tolist() == passed
    assert found["estimate"].tolist() == [4, 3, 1]


def at(level):
    found = gains.at_equal_gain(RUNS, level)
    usual = (found["reading"] == "token") & (found["train_sentences"] == 60) & (found["probe"] == "centroid")
    return found[usual].set_index(["twin", "seed"])["estimate"].to_dict()


def test_what_is_kept_where_the_gain_first_reaches_a_level_lies_on_a_straight_line():
    assert at(2.0) == pytest.approx({(NEXT, 0): 0.6, (NEXT, 1): 0.6})  # at a saved step, and half-way between two
    assert at(3.5) == pytest.approx({(NEXT, 0): 0.3})
    assert at(0.25) == pytest.approx({(NEXT, 0): 0.875, (NEXT, 1): 0.875, (MASK, 0): 0.9})
    assert at(9.0) == {}  # no run comes so far
    assert at(-1.0) == {}  # and all were there from the start
    found = gains.at_equal_gain(RUNS, 3.5)
    assert len(found) == 2 * 3  # probes; readings and amounts of text
    np.testing.assert_allclose((found["high"] - found["low"]).astype(float), 0.2)
    assert set(found["unit"]) == {"bits per token"}


def test_the_first_time_counts():
    back = run(NEXT, [-1.0, 3.0, 0.0, 3.0], [1.0, 0.8, 0.6, 0.2])
    assert gains.at_equal_gain(back, 2.0)["estimate"].max() == pytest.approx(0.85)


def test_the_share_kept_stands_next_to_the_gain_of_its_step():
    found = gains.kept_and_learned(RUNS)
    assert list(found) == ["twin", "seed", "step", "probe", "gain", "estimate", "low", "high"]
    assert len(found) == 3 * len(STEPS) * 2
    row = found.query("twin == @NEXT and seed == 1 and step == 4 and probe == 'ridge'").iloc[0]
    assert row[["gain", "estimate"]].tolist() == pytest.approx([3, 0.3])
    with pytest.raises(pd.errors.MergeError):
        gains.kept_and_learned(pd.concat([RUNS, RUNS[RUNS["quantity"] == GAIN]]))


def test_gains_and_costs_are_means_over_runs():
    cost = RUNS[RUNS["quantity"] == GAIN].assign(quantity="bits_per_byte", estimate=2.0)
    found = gains.learning(pd.concat([RUNS, cost])).set_index(["twin", "quantity", "step"])["estimate"]
    assert found[NEXT, GAIN, 4] == 3.5
    assert found[MASK, "bits_per_byte", 0] == 2
    assert len(found) == 2 * 2 * len(STEPS)


def test_the_main_table_says_it_in_words():
    table = gains.summary(RUNS, 2.0).set_index("twin")
    assert table.loc[NEXT, ["runs", "learned"]].tolist() == [2, 2]
    assert table.loc[MASK, ["runs", "learned"]].tolist() == [1, 0]
    assert table.loc[MASK].tolist()[2:] == [
        "1.00 [0.90, 1.10]",
        "0.80 [0.70, 0.90]",
        "0.70 [0.60, 0.80]",
        "0.20 [0.10, 0.30]",
        "never reached",
        "never reached",
    ]
    assert [words.split(" ")[0] for words in table.loc[NEXT].tolist()[2:]] == [
        *("3.50", "0.30", "0.20", "0.70", "0.60", "0.50"),
    ]


def test_a_twin_has_no_verdict_unless_all_of_its_runs_have_learned():
    assert gains.without_verdict(gains.learned(RUNS, 0.95)) == [MASK]
    assert gains.without_verdict(gains.learned(RUNS, 2.95)) == [NEXT, MASK]


def test_a_gain_that_no_twin_reaches_is_said_to_be_never_reached():
    table = gains.summary(RUNS, 9.0)
    assert (table[["at equal gain, centroid", "at equal gain, ridge"]] == "never reached").all(axis=None)
