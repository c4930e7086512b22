import numpy as np
import pandas as pd
import pytest

from bitskept.studies.fine_tuning.best_layers import best_layers


def answers(by_layer, pooling="mean", quantity="linear_accuracy", task="trec"):
    """Items of which those with even numbers, and then those with odd ones, are right in these shares, by layer."""
    rows = []
    for layer, shares in by_layer.items():
        for item in range(40):
            share = shares[item % 2]
            rows.append({"layer": layer, "item": item, "value": float(item // 2 < 20 * share)})
    facts = {"model": "m", "kind": "encoder", "weights": "trained", "seed": None, "task": task, "quantity": quantity}
    facts |= {"pooling": pooling, "first": np.nan, "second": np.nan, "group": None, "reference": np.nan}
    return pd.DataFrame([facts | row for row in rows]).astype({"layer": "Int64", "pooling": "string"})


def runs(arm="recoverability"):
    return pd.DataFrame({"model": "m", "arm": ["before", arm, arm], "id": ["m", "one", "other"]})


@pytest.fixture
def before(home):
    return answers({0: (0.5, 1.0), 3: (0.8, 0.6), 6: (0.6, 0.7)})


def test_the_layer_is_chosen_on_some_items_and_compared_on_the_others(before):
    outcomes = {"m": before, "one": answers({6: (0.0, 0.8)}), "other": answers({6: (0.0, 0.9)})}
    (row,) = best_layers(runs(), outcomes).to_dict("records")
    assert (row["model"], row["layers"], row["best_layer"], row["n"], row["runs"]) == ("m", 3, 3, 20, 2)
    assert (row["before"], row["after"], row["estimate"]) == pytest.approx((0.6, 0.85, 0.25))
    assert row["last_before"] == pytest.approx(0.7), "on the same items"


def test_only_scores_under_the_mean_count(before):
    others = [answers({6: (1.0, 1.0)}, pooling="last"), answers({6: (1.0, 1.0)}, quantity="pair_margin")]
    pairs = answers({6: (1.0, 1.0)}, quantity="pair_accuracy", pooling=None).assign(layer=pd.NA)
    tuned = pd.concat([answers({6: (0.5, 0.5)}), *others, pairs])
    outcomes = {"m": pd.concat([before, *others, pairs]), "one": tuned, "other": tuned}
    assert best_layers(runs(), outcomes)["quantity"].tolist() == ["linear_accuracy"]


def test_of_layers_with_the_same_score_the_first_is_read(home):
    outcomes = {
        "m": answers({0: (0.5, 0.5), 3: (0.5, 0.7)}),
        "one": answers({3: (0, 0.5)}),
        "other": answers({3: (0, 1)}),
    }
    assert best_layers(runs(), outcomes)["best_layer"].tolist() == [0]


def test_a_model_that_was_not_tuned_for_recoverability_has_none(before):
    outcomes = {"m": before, "n": before, "one": answers({6: (0.5, 0.5)}), "other": answers({6: (0.5, 0.5)})}
    table = pd.concat([runs(), pd.DataFrame({"model": ["n"], "arm": ["before"], "id": ["n"]})])
    assert best_layers(table, outcomes)["model"].tolist() == ["m"]
