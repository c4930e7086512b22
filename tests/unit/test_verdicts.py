import numpy as np
import pandas as pd
import pytest

from bitskept.theory.statistics import holm
from bitskept.training.verdicts import cause_sentences, contrasts, sentences, verdicts

OPPONENTS = ("before", "continued", "permuted")


def changed(differences, opponents=OPPONENTS):
    """Rows as of `comparison.changed`: by task, the difference to each opponent; p is 0.001 for one of 0.1 or more."""
    rows = [
        {"model": "m", "arm": "recoverability", "against": against, "task": task, "quantity": "spearman",
         "pooling": "mean", "estimate": one, "p": 0.001 if abs(one) >= 0.1 else 0.5}
        for task, some in differences.items()
        for against, one in zip(opponents, some, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def said(differences, opponents=OPPONENTS):
    (one,) = sentences(verdicts(contrasts(changed(differences, opponents))))
    return one


def test_only_scores_under_the_pooling_count_and_minimal_pairs_have_none():
    table = pd.concat(
        [
            changed({"a": (0.2, 0.2, 0.2)}),
            changed({"b": (0.2, 0.2, 0.2)}).assign(pooling="last"),
            changed({"c": (0.2, 0.2, 0.2)}).assign(pooling=pd.NA, quantity="pair_accuracy"),
            changed({"c": (0.2, 0.2, 0.2)}).assign(pooling=pd.NA, quantity="pair_margin"),
            changed({"d": (0.2, 0.2, 0.2)}).assign(quantity="linear_accuracy"),
        ]
    )
    assert set(contrasts(table)["score"]) == {"a", "c", "d, linear"}
    assert set(contrasts(table, pooling="last")["score"]) == {"b", "c"}


def test_p_is_adjusted_for_the_scores_of_a_model_and_an_opponent():
    table = changed({name: (0.2,) for name in "abcd"}, ("before",))
    table["p"] = [0.01, 0.02, np.nan, 0.03]
    found = contrasts(table)
    assert found["p_holm"].tolist() == pytest.approx(holm(np.array([0.01, 0.02, 1, 0.03])).tolist())
    assert found["sure"].tolist() == ["above", "", "", ""]
    twice = contrasts(pd.concat([table, table.assign(model="n")]))
    assert twice["p_holm"].tolist()[:4] == found["p_holm"].tolist()


@pytest.mark.parametrize(
    ("differences", "holds"),
    [
        ((0.2, 0.2, 0.2), True),
        ((0.2, 0.2, 0.05), False),
        ((0.2, -0.2, 0.2), False),
        ((0.05, 0.2, 0.2), False),
        ((-0.2, -0.2, -0.2), False),
        ((np.nan, 0.2, 0.2), False),
    ],
)
def test_the_claim_holds_where_recoverability_is_above_all_of_them(differences, holds):
    assert verdicts(contrasts(changed({"a": differences})))["holds"].tolist() == [holds]


def test_what_is_sure_for_one_score_need_not_be_for_the_best_of_many():
    one = changed({"a": (0.2, 0.2, 0.2)}).assign(p=0.02)
    assert verdicts(contrasts(one))["holds"].all()
    many = pd.concat([one, changed({name: (0.0, 0.0, 0.0) for name in "bcd"})])
    assert not verdicts(contrasts(many))["holds"].any()


def test_the_sentence_follows_the_numbers():
    assert "**The claim holds for a**: above before and above every control" in said({"a": (0.2,) * 3, "b": (0,) * 3})
    shared = said({"a": (0.2, 0.0, 0.2)})
    assert "surely above before: a; surely below: none" in shared
    assert "against *continued* it is above in none and below in none; against *permuted* it is above in a" in shared
    assert "**Recoverability itself is not shown to be the cause**: no gain is surely larger" in shared
    assert "no score rises for sure, and some fall." in said({"a": (-0.2, 0.0, 0.0)})
    assert said({"a": (0.0, 0.0, 0.0)}).endswith("**The claim is not seen here**: no score rises for sure.")


def test_a_control_that_was_not_run_is_told():
    one = said({"a": (0.2, 0.2)}, ("before", "continued"))
    assert "**The claim holds for a**" in one
    assert one.endswith("The control *permuted* was not run for it.")
    none = said({"a": (0.2,)}, ("before",))
    assert none.endswith(
        "above before, without any control. The controls *continued* and *permuted* were not run for it."
    )
    both = changed({"a": (0.2,) * 3}), changed({"a": (0.2, 0.2)}, OPPONENTS[:2]).assign(model="n")
    first, second = sentences(verdicts(contrasts(pd.concat(both))))
    assert "was not run" not in first
    assert "*permuted* was not run" in second


@pytest.mark.parametrize(
    ("difference", "permuted", "words"),
    [
        (0.2, 0.5, "compares names and bits at once"),
        (0.2, 0.78, "Right names are surely better for a, surely worse for none. They keep about the same"),
        (-0.2, 0.78, "surely worse for a. They keep about the same, so what tells them apart is not"),
        (0.0, 0.78, "the names make no sure difference"),
    ],
)
def test_right_names_against_wrong_ones(difference, permuted, words):
    arms = pd.MultiIndex.from_product([["m"], ["before", "recoverability", "permuted"]], names=["model", "arm"])
    retained = pd.Series([0.6, 0.8, permuted], arms)
    table = contrasts(changed({"a": (0.2, 0.2, difference)}))
    (one,) = cause_sentences(table, retained)
    assert words in one
    assert cause_sentences(table[table["against"] != "permuted"], retained) == []
