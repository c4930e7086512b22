import numpy as np
import pandas as pd
import pytest

from bitskept.studies.fine_tuning.score_changes import differences, rises, rises_elsewhere
from bitskept.theory.statistics import holm

OPPONENTS = ("before", "continued", "permuted")


def changes(by_task, opponents=OPPONENTS):
    """Rows of `score_changes.changes`: by task, the difference to each opponent; p is 0.001 for one of 0.1 or more."""
    rows = [
        {"model": "m", "arm": "recoverability", "rate": 0.1, "step": 60, "against": against, "task": task,
         "quantity": "spearman", "pooling": "mean", "before": 0.5, "estimate": change,
         "low": change - 0.05, "high": change + 0.05, "p": 0.001 if abs(change) >= 0.1 else 0.5}
        for task, changes in by_task.items()
        for against, change in zip(opponents, changes, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_only_scores_under_the_pooling_count_and_minimal_pairs_have_none():
    table = pd.concat(
        [
            changes({"a": (0.2, 0.2, 0.2)}),
            changes({"b": (0.2, 0.2, 0.2)}).assign(pooling="last"),
            changes({"c": (0.2, 0.2, 0.2)}).assign(pooling=pd.NA, quantity="pair_accuracy"),
            changes({"c": (0.2, 0.2, 0.2)}).assign(pooling=pd.NA, quantity="pair_margin"),
            changes({"d": (0.2, 0.2, 0.2)}).assign(quantity="linear_accuracy"),
        ]
    )
    assert set(differences(table)["score"]) == {"a", "c", "d (linear)"}
    assert set(differences(table, pooling="last")["score"]) == {"b", "c"}


def test_p_is_adjusted_for_the_scores_of_a_model_and_an_opponent():
    table = changes({name: (0.2,) for name in "abcd"}, ("before",))
    table["p"] = [0.01, 0.02, np.nan, 0.03]
    adjusted = differences(table)
    assert adjusted["p_holm"].tolist() == pytest.approx(holm(np.array([0.01, 0.02, 1, 0.03])).tolist())
    assert adjusted["sure"].tolist() == ["above", "", "", ""]
    twice = differences(pd.concat([table, table.assign(model="n")]))
    assert twice["p_holm"].tolist()[:4] == adjusted["p_holm"].tolist()


def test_p_is_adjusted_for_each_dose_by_itself():
    table = changes({name: (0.2,) for name in "abcd"}, ("before",)).assign(p=0.02)
    doses = pd.concat([table, table.assign(step=30), table.assign(rate=0.2)])
    assert differences(doses)["p_holm"].tolist() == pytest.approx([0.08] * 12)


@pytest.mark.parametrize(
    ("change", "against", "p"),
    [
        ((0.2, 0.3, 0.4), "before", 0.001),
        ((0.3, 0.2, 0.4), "continued", 0.001),
        ((0.2, 0.2, 0.05), "permuted", 0.5),
        ((0.2, -0.2, 0.2), "continued", 1.0),
        ((0.05, 0.2, 0.2), "before", 0.5),
        ((-0.2, -0.2, -0.3), "permuted", 1.0),
    ],
)
def test_a_rise_is_one_against_all_of_them(change, against, p):
    (row,) = rises(changes({"a": change})).to_dict("records")
    assert (row["against"], row["p"], row["estimate"]) == (against, p, min(change))
    assert (row["low"], row["high"]) == pytest.approx((min(change) - 0.05, min(change) + 0.05))


def test_of_equal_rises_the_one_that_is_known_least_is_taken():
    table = changes({"a": (0.1, 0.1 + 1e-12, 0.1)})
    table["high"] = table["estimate"] + [0.1, 0.3, 0.2]
    (row,) = rises(table).to_dict("records")
    assert row["high"] == pytest.approx(0.4)
    (row,) = rises(table.assign(low=np.nan, high=np.nan)).to_dict("records")
    assert row["estimate"] == pytest.approx(0.1)
    assert np.isnan(row["high"])


def test_what_would_have_been_seen_follows_from_the_contrast_that_is_known_least():
    table = changes({"a": (0.0, 0.1, 0.2)})
    table["high"] = table["estimate"] + [0.1, 0.3, 0.2]
    table["low"] = table["estimate"] - [0.1, 0.3, 0.2]
    (row,) = rises(table).to_dict("records")
    assert row["detectable"] == pytest.approx((1.96 + 1.501) * 0.3 / 1.96, rel=1e-3)
    assert row["high"] == pytest.approx(0.1)
    (one,) = rises(table[table["against"] == "continued"]).to_dict("records")
    assert one["detectable"] == pytest.approx((1.96 + 0.842) * 0.3 / 1.96, rel=1e-3)


def test_what_would_have_been_seen_is_seen_against_all_opponents_four_times_in_five():
    """Each opponent's score and the arm's own vary alike; the arm is truly better by `detectable`."""
    half = 1.96 * np.sqrt(2)
    table = changes({"a": (0.0, 0.0, 0.0)}).assign(low=-half, high=half)
    (row,) = rises(table).to_dict("records")
    drawn = np.random.default_rng(0).normal(size=(4000, 4))
    seen = (row["detectable"] + drawn[:, :1] - drawn[:, 1:] > half).all(axis=1)
    assert 0.8 <= seen.mean() < 0.9


def test_the_room_for_a_rise_is_that_above_the_opponent_that_scores_most():
    (row,) = rises(changes({"a": (0.0, 0.1, 0.2)}).assign(before=[0.5, 0.4, 0.3])).to_dict("records")
    assert row["room"] == pytest.approx(0.5)
    (row,) = rises(changes({"a": (0.0, 0.1, 0.2)}).assign(before=[0.5, 0.4, 0.7])).to_dict("records")
    assert row["room"] == pytest.approx(0.3)


def test_scores_that_are_not_defined_and_controls_make_no_rises():
    table = pd.concat([changes({"b": (0.2,) * 3, "a": (np.nan, 0.2, 0.2)}), changes({"c": (0.2,) * 3})])
    margins = changes({"d": (0.2,) * 3}).assign(quantity="pair_margin", pooling=pd.NA)
    pairs = changes({"d": (0.2,) * 3}).assign(quantity="pair_accuracy", pooling=pd.NA)
    control = changes({"e": (0.2,)}, ("before",)).assign(arm="continued")
    assert rises(pd.concat([table, margins, pairs, control]))["task"].tolist() == ["b", "c", "d"]


def test_doses_arms_and_poolings_are_rises_of_their_own():
    table = changes({"a": (0.2,) * 3})
    others = [table.assign(step=30), table.assign(rate=0.2), table.assign(arm="sentence"), table.assign(pooling="last")]
    assert len(rises(pd.concat([table, *others]))) == 5


def test_a_rise_elsewhere_is_sure_against_before_alone_and_not_under_the_mean():
    table = pd.concat(
        [
            changes({"a": (0.2, -0.2, -0.2)}),
            changes({"b": (0.2, -0.2, -0.2), "c": (0.05, 0.2, 0.2), "d": (-0.2, 0.2, 0.2)}).assign(pooling="last"),
            changes({"e": (0.2,)}, ("before",)).assign(pooling="first"),
            changes({"f": (0.2,)}, ("before",)).assign(pooling="first", arm="continued"),
            changes({"g": (0.2,)}, ("before",)).assign(pooling=pd.NA, quantity="pair_accuracy"),
        ]
    )
    assert rises_elsewhere(table)[["score", "pooling", "against"]].to_numpy().tolist() == [
        ["b", "last", "before"], ["e", "first", "before"],
    ]  # fmt: skip
