import numpy as np
import pandas as pd
import pytest

from bitskept.studies.fine_tuning.layers_before_tuning import by_layer, rank_correlations, untrained

KEPT = [1.0, 0.9, 0.8, 0.6, 0.7]


def retained(model="m", kept=KEPT):
    rows = [
        {"model": model, "layer": layer, "probe": probe, "estimate": value * factor}
        for layer, value in enumerate(kept)
        for probe, factor in [("centroid", 1), ("ridge", 0.5)]
    ]
    return pd.DataFrame(rows).astype({"layer": "Int64"})


def scores(values, task="task", layers=None):
    layers = range(len(values)) if layers is None else layers
    facts = {"model": "m", "task": task, "quantity": "spearman", "score": task}
    return pd.DataFrame(facts | {"layer": layers, "estimate": values}).astype({"layer": "Int64"})


def test_each_layer_gets_what_the_centroid_shows_it_to_keep():
    table = pd.concat([scores([0.1, 0.2], layers=[0, 4]), scores([0.9], layers=[pd.NA])])
    assert by_layer(table, retained())["retained"].tolist() == [1.0, 0.7]
    assert not len(by_layer(table, retained("another")))


def test_the_figure_shows_layers_in_order_and_no_neighbours():
    table = pd.concat([scores([0.2, 0.1], layers=[4, 0]), scores([0.3]).assign(quantity="neighbour_accuracy")])
    assert untrained(table)["estimate"].tolist() == [0.1, 0.2]


def test_ranks_over_the_layers_of_one_model():
    table = pd.concat(
        [scores(np.array(KEPT) ** 2, "with"), scores(-np.array(KEPT), "against"), scores([0.5] * 5, "flat")]
    )
    ranks = rank_correlations(by_layer(table, retained())).set_index("task")
    assert ranks["spearman"].tolist() == pytest.approx([1, -1, np.nan], nan_ok=True)
    assert ranks["n"].tolist() == [5, 5, 5]
    assert ranks["best_layer"].tolist()[:2] == [0, 3]
    assert ranks["keeps_most"].tolist() == [0, 0, 0]
    assert ranks["last_layer"].tolist() == [4, 4, 4]
    assert ranks.loc["with", ["best", "last"]].tolist() == pytest.approx([1, 0.49])


def test_layers_that_all_keep_the_same_have_no_correlation():
    assert rank_correlations(by_layer(scores(KEPT), retained(kept=[0.5] * 5)))["spearman"].isna().all()


def test_of_layers_that_keep_the_same_the_later_one_keeps_most():
    kept = retained(kept=[1.0, 1.0, 0.8, 0.6, 0.7])
    assert rank_correlations(by_layer(scores([0.1] * 5), kept))["keeps_most"].tolist() == [1]


def test_three_layers_have_no_correlation():
    ranks = rank_correlations(by_layer(scores([0.1, 0.2, 0.3]), retained()))
    assert ranks["spearman"].isna().all()


def test_scores_that_are_not_defined_are_left_out():
    ranks = rank_correlations(by_layer(scores([0.1, 0.2, 0.3, 0.4, np.nan]), retained()))
    assert ranks["n"].tolist() == [4]
    assert ranks["last_layer"].tolist() == [3]
