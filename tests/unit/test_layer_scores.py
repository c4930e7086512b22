import numpy as np
import pandas as pd
import pytest

from bitskept.measure.layer_scores import by_layer, rank_correlations, sentence

KEPT = [1.0, 0.9, 0.8, 0.6, 0.7]


def sweep(model="m"):
    rows = [
        {"model": model, "layer": layer, "quantity": quantity, "probe": probe, "reading": "token", "shuffled": False,
         "estimate": value * factor}
        for layer, value in enumerate(KEPT)
        for quantity, probe, factor in [
            ("retained_cross_entropy", "centroid", 1), ("retained_cross_entropy", "ridge", 0.5),
            ("error", "centroid", 2),
        ]
    ]  # fmt: skip
    shuffled = [row | {"shuffled": True, "estimate": 0.0} for row in rows]
    return pd.DataFrame([*rows, *shuffled]).astype({"layer": "Int64"})


def scores(values, task="task", layers=None):
    layers = range(len(values)) if layers is None else layers
    table = pd.DataFrame({"model": "m", "task": task, "quantity": "spearman", "layer": layers, "estimate": values})
    return table.astype({"layer": "Int64"})


def test_each_layer_gets_what_it_keeps_by_the_probe_that_is_asked_for():
    table = pd.concat([scores([0.1, 0.2], layers=[0, 4]), scores([0.9], layers=[pd.NA])])
    assert by_layer(table, sweep())["retained"].tolist() == [1.0, 0.7]
    assert by_layer(table, sweep(), probe="ridge")["retained"].tolist() == [0.5, 0.35]
    assert not len(by_layer(table, sweep("another")))


def test_ranks_over_the_layers_of_one_model():
    table = pd.concat(
        [scores(np.array(KEPT) ** 2, "with"), scores(-np.array(KEPT), "against"), scores([0.5] * 5, "flat")]
    )
    found = rank_correlations(by_layer(table, sweep())).set_index("task")
    assert found["spearman"].tolist() == pytest.approx([1, -1, np.nan], nan_ok=True)
    assert found["n"].tolist() == [5, 5, 5]
    assert found["best_layer"].tolist()[:2] == [0, 3]
    assert found["keeps_most"].tolist() == [0, 0, 0]
    assert found.loc["with", ["best", "last"]].tolist() == pytest.approx([1, 0.49])


def test_of_layers_that_keep_the_same_the_later_one_keeps_most():
    kept = sweep()
    kept.loc[kept["layer"] == 1, "estimate"] = 1.0
    assert rank_correlations(by_layer(scores([0.1] * 5), kept))["keeps_most"].tolist() == [1]


def test_three_layers_have_no_correlation():
    found = rank_correlations(by_layer(scores([0.1, 0.2, 0.3]), sweep()))
    assert found["spearman"].isna().all()
    assert sentence(found) == "No model was measured at enough layers to say."


@pytest.mark.parametrize(
    ("signs", "words"),
    [
        ((-1, -1, -1), "3 are negative; they run from -1.00 (t0, m) to -1.00 (t0, m). The best layer is the one that "),
        ((-1, -1, -1), "mostly understand *less*"),
        ((1, 1, 1), "mostly understand more as well"),
        ((1, -1, 1), "There is no common direction"),
    ],
)
def test_the_sentence_follows_the_signs(signs, words):
    table = pd.concat([scores(sign * np.array(KEPT), f"t{place}") for place, sign in enumerate(signs)])
    assert words in sentence(rank_correlations(by_layer(table, sweep())))
