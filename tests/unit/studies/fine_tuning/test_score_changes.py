import numpy as np
import pandas as pd
import pytest

from bitskept.studies.fine_tuning.score_changes import differences, verdicts
from bitskept.theory.statistics import holm

OPPONENTS = ("before", "continued", "permuted")


def changes(by_task, opponents=OPPONENTS):
    """Rows of `score_changes.changes`: by task, the difference to each opponent; p is 0.001 for one of 0.1 or more."""
    rows = [
        {"model": "m", "arm": "recoverability", "against": against, "task": task, "quantity": "spearman",
         "pooling": "mean", "estimate": change, "p": 0.001 if abs(change) >= 0.1 else 0.5}
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
    assert set(differences(table)["score"]) == {"a", "c", "d, linear"}
    assert set(differences(table, pooling="last")["score"]) == {"b", "c"}


def test_p_is_adjusted_for_the_scores_of_a_model_and_an_opponent():
    table = changes({name: (0.2,) for name in "abcd"}, ("before",))
    table["p"] = [0.01, 0.02, np.nan, 0.03]
    adjusted = differences(table)
    assert adjusted["p_holm"].tolist() == pytest.approx(holm(np.array([0.01, 0.02, 1, 0.03])).tolist())
    assert adjusted["sure"].tolist() == ["above", "", "", ""]
    twice = differences(pd.concat([table, table.assign(model="n")]))
    assert twice["p_holm"].tolist()[:4] == adjusted["p_holm"].tolist()


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ((0.2, 0.2, 0.2), True),
        ((0.2, 0.2, 0.05), False),
        ((0.2, -0.2, 0.2), False),
        ((0.05, 0.2, 0.2), False),
        ((-0.2, -0.2, -0.2), False),
        ((np.nan, 0.2, 0.2), False),
    ],
)
def test_the_claim_holds_where_recoverability_is_above_all_of_them(change, holds):
    assert verdicts(differences(changes({"a": change})))["holds"].tolist() == [holds]


def test_what_is_sure_for_one_score_need_not_be_for_the_best_of_many():
    one = changes({"a": (0.2, 0.2, 0.2)}).assign(p=0.02)
    assert verdicts(differences(one))["holds"].all()
    many = pd.concat([one, changes({name: (0.0, 0.0, 0.0) for name in "bcd"})])
    assert not verdicts(differences(many))["holds"].any()
