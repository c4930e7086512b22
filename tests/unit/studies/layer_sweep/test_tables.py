"""What the tables of notebook 02 hold, on small ones whose values are known."""

from itertools import product

import pandas as pd
import pytest

from bitskept.studies.layer_sweep import bits_by_layer, controls, forgetting, one_vector, which_tokens

RETAINED = "retained_cross_entropy"


def rows(*parts, columns=("model", "layer", "quantity", "estimate", "low", "high")):
    return pd.DataFrame([dict(zip(columns, part, strict=True)) for part in parts])


def test_the_last_layer_is_found_for_each_model():
    table = rows(("a", 0), ("a", 6), ("b", 0), ("b", 12), ("b", 12), columns=("model", "layer"))
    assert bits_by_layer.at_last_layer(table).index.tolist() == [1, 3, 4]


def test_tables_of_bounds_and_probes_hold_nothing_else():
    pairs = product(("centroid", "ridge"), (RETAINED, "retained_fano", "error"))
    tokens = rows(*pairs, columns=("probe", "quantity"))
    assert bits_by_layer.retained(tokens).index.tolist() == [0]
    assert bits_by_layer.bounds(tokens).index.tolist() == [0, 1]
    assert bits_by_layer.probes(tokens).index.tolist() == [0, 3]
    assert bits_by_layer.probes(tokens).attrs["made by"] == "bitskept.studies.layer_sweep.bits_by_layer.probes"


def test_a_difference_to_random_copies_takes_the_outer_ends_over_all_seeds():
    columns = ("model", "kind", "layer", "weights", "seed", "estimate", "low", "high")
    table = rows(
        ("b", "encoder", 6, "trained", None, 0.7, 0.6, 0.8),
        ("b", "encoder", 0, "trained", None, 1.0, 1.0, 1.0),
        ("a", "decoder", 2, "trained", None, 0.1, 0.0, 0.2),
        ("b", "encoder", 6, "random", 0, 0.5, 0.45, 0.55),
        ("b", "encoder", 6, "random", 1, 0.3, 0.2, 0.4),
        ("b", "encoder", 0, "random", 0, 0.9, 0.9, 0.9),
        ("a", "decoder", 2, "random", 0, 0.5, 0.4, 0.6),
        columns=columns,
    )
    first, second = controls.differences(table).to_dict("records")
    assert (first["model"], first["kind"], first["layer"]) == ("b", "encoder", 6)
    numbers = [first[name] for name in ("trained", "random", "estimate", "low", "high")]
    assert numbers == pytest.approx([0.7, 0.4, 0.3, 0.6 - 0.55, 0.8 - 0.2])
    assert (second["model"], second["estimate"]) == ("a", pytest.approx(-0.4))


def test_a_shape_is_seen_where_both_probes_put_the_interval_above_0():
    columns = ("model", "kind", "probe", "quantity", "low")
    lows = {"rise": (0.1, 0.2), "forgetting": (0.1, 0.0), "late_forgetting": (-0.1, 0.3)}
    tokens = rows(
        *(("b", "decoder", probe, quantity, low)
          for quantity, pair in lows.items() for probe, low in zip(("centroid", "ridge"), pair, strict=True)),
        *(("a", "encoder", probe, quantity, 0.1) for quantity in lows for probe in ("centroid", "ridge", "softmax")),
        ("a", "encoder", "centroid", "error", 0.1), columns=columns,
    )  # fmt: skip
    table = forgetting.forgetting(tokens)
    assert len(table) == 12
    first, second = forgetting.seen_by_both(table).to_dict("records")
    assert first == {"model": "b", "kind": "decoder", "rise": True, "forgetting": False, "late_forgetting": False}
    assert second == {"model": "a", "kind": "encoder", "rise": True, "forgetting": True, "late_forgetting": True}


def test_groups_of_tokens_come_from_rare_to_frequent_and_domains_apart():
    columns = ("model", "layer", "quantity", "group")
    tokens = rows(
        ("a", 0, "recovered", "word class: number"),
        ("a", 6, "recovered", "domain: plots"),
        ("a", 6, "recovered", "word class: number"),
        ("a", 6, "recovered", "seen in training: 11-100"),
        ("a", 6, "recovered", "seen in training: unseen"),
        ("a", 6, "error", None),
        columns=columns,
    )
    table = which_tokens.by_group(tokens)
    assert table["name"].tolist() == ["unseen", "11-100", "number"]
    assert table["by"].tolist() == ["seen in training", "seen in training", "word class"]
    assert which_tokens.domains(tokens)["name"].tolist() == ["plots"]


def test_what_is_named_is_the_rest_of_the_error():
    columns = ("reading", "quantity", "estimate", "low", "high")
    trained = rows(
        ("token", "error", 0.5, 0.4, 0.6),
        ("sentence: mean without first", "error", 0.9, 0.7, 1.0),
        ("sentence: last", "fano_bound", 0.1, 0.0, 0.2),
        columns=columns,
    )
    pooled = one_vector.pooled_rows(trained)
    assert pooled["pooling"].tolist() == ["mean without first", "last"]
    (row,) = one_vector.sentence(pooled).to_dict("records")
    assert row["quantity"] == "recovered"
    assert [row[name] for name in ("estimate", "low", "high")] == pytest.approx([0.1, 0.0, 0.3])
