"""What the tables of notebook 02 hold, on a small sweep whose values are known."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from bitskept.instruments.probes.readings import OTHERS
from bitskept.studies.layer_sweep import (
    bits_by_layer,
    controls,
    forgetting,
    learning,
    one_vector,
    units,
    which_tokens,
)

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


def test_amounts_of_text_are_ranked_within_a_model():
    table = rows(("a", 3000), ("a", 375), ("b", 2998), ("b", 375), columns=("model", "train_sentences"))
    assert bits_by_layer.amounts(table).tolist() == [2, 1, 2, 1]
    assert bits_by_layer.with_all_text(table).index.tolist() == [0, 2]


def test_the_main_reading_has_all_text_and_no_shuffled_targets(trained):
    tokens = bits_by_layer.main_reading(trained)
    assert set(tokens["train_sentences"]) == {80}
    assert not tokens["shuffled"].any()
    assert set(tokens["reading"]) == {"token"}


def test_readings_hold_one_curve_for_each_model_and_reading(trained):
    table = bits_by_layer.readings(trained)
    curves = table.groupby(["reading", "model"])["layer"].apply(list)
    assert len(curves) == 9
    assert all(layers == [0, 1, 2, 3, 4] for layers in curves)
    assert set(table["pooling"].dropna()) == {"mean"}
    assert set(table["probe"]) == {"centroid"}


def test_the_bag_is_shown_for_each_pooling(trained):
    table = one_vector.sentence(trained)
    assert set(table["reading"]) == {"bag"}
    assert set(table["pooling"]) == {"mean", "mean without first", "last"}


def test_places_stand_beside_three_controls_with_as_little_text_as_the_copies(trained, copies):
    table = one_vector.places(trained, copies)
    curves = table.groupby("curve")["train_sentences"].unique().map(list).to_dict()
    assert curves == {
        "mean": [80], "the other words alone": [80], "mean, 40 sentences": [40], "random copy, 40 sentences": [40]
    }  # fmt: skip
    random = table[table["curve"] == "random copy, 40 sentences"]
    assert set(random["weights"]) == {"random"}
    assert set(random["seed"]) == {0}


def test_the_learning_curve_holds_the_last_layer_and_the_best_above_the_embeddings(trained):
    table = learning.learning(trained)
    assert set(table["probe"]) == {"centroid", "ridge"}
    layers = table.groupby("place")["layer"].unique().map(list).to_dict()
    assert layers == {learning.LAST: [4], learning.BEST: [2]}, "layers 1 and 3 were not measured with less text"
    curves = table.groupby(["place", "probe", "model"])["amount"].apply(sorted)
    assert all(amounts == [1, 2] for amounts in curves)


def test_the_order_of_models_is_that_of_their_last_layers(trained):
    table = learning.orders(learning.learning(trained))
    assert set(table["order"]) == {("a", "b", "c")}
    assert table["train_sentences"].tolist() == [40, 80, 40, 80]


def test_units_are_kept_apart(trained):
    tokens = bits_by_layer.main_reading(trained)
    table = units.words(tokens)
    assert table.groupby("counted")["quantity"].unique().map(list).to_dict() == {
        "bits per token": ["usable"],
        "bits per character": ["bits_per_character"],
        "bits per shared word": ["usable"],
    }
    shared = table["counted"] == "bits per shared word"
    assert (table.loc[shared, "group"] == units.SHARED).all()
    assert table.loc[~shared, "group"].isna().all()
    orders = units.orders(bits_by_layer.retained(tokens), table)
    assert orders.set_index("unit").loc["bits per token", "order"] == ("a", "b", "c")
    assert orders["unit"].tolist() == ["share of H(X)", *units.UNITS]
    assert orders["ends"][0]["c"] == pytest.approx((0.58, 0.62))


def test_trained_models_stand_beside_their_copies(copies):
    table = controls.random_copies(copies)
    assert set(table["train_sentences"]) == {40}
    assert set(table["reading"]) == {"token", "bag"}
    assert set(table["weights"]) == {"trained", "random", "random: both"}


def test_a_difference_to_random_copies_takes_the_outer_ends_over_all_seeds():
    columns = ("model", "kind", "layer", "weights", "seed", "estimate", "low", "high")
    table = rows(
        ("b", "encoder", 6, "trained", None, 0.7, 0.6, 0.8),
        ("b", "encoder", 0, "trained", None, 1.0, 1.0, 1.0),
        ("b", "encoder", 6, "random", 0, 0.5, 0.45, 0.55),
        ("b", "encoder", 6, "random", 1, 0.3, 0.2, 0.4),
        ("b", "encoder", 6, "random: both", 0, 0.9, 0.9, 0.9),
        ("b", "encoder", 0, "random", 0, 0.9, 0.9, 0.9),
        columns=columns,
    ).assign(reading="token", train_sentences=40, n=50)
    first, second = controls.differences(table).to_dict("records")
    assert (first["model"], first["weights"], first["layer"]) == ("b", "random", 6)
    down, up = np.hypot(0.1, 0.55 - 0.4), np.hypot(0.1, 0.4 - 0.2)
    numbers = [first[name] for name in ("trained", "random", "estimate", "low", "high")]
    assert numbers == pytest.approx([0.7, 0.4, 0.3, 0.3 - down, 0.3 + up])
    assert 0 < first["p"] < 0.025, "an interval above 0 is significant"
    assert second["p"] > 0.975, "and one below 0 is no sign of protection"
    assert first["detectable"] == pytest.approx(2.486 * down / 1.96, rel=1e-3)


def test_the_halves_of_the_claim_are_other_contrasts_for_a_token_than_for_a_sentence(trained):
    table = forgetting.forgetting(trained)
    quantities = table.groupby(["reading", "half"])["quantity"].unique().map(list).to_dict()
    assert quantities == {
        ("token", "rise"): ["rise"], ("token", "fall"): ["late_forgetting"],
        ("window", "rise"): ["rise"], ("window", "fall"): ["late_forgetting"],
        ("bag", "rise"): ["peak_rise"], ("bag", "fall"): ["peak_fall"],
    }  # fmt: skip
    assert set(table["train_sentences"]) == {80}
    every = forgetting.contrasts(trained)
    assert set(every["train_sentences"]) == {40, 80}
    others = every[~every["main"]]
    assert set(others["reading"]) == {"bag", "place"}
    assert dict(zip(others["quantity"], others["half"], strict=True)) == {"rise": "rise", "late_forgetting": "fall"}


def test_each_setting_has_the_bits_of_the_layers_that_are_compared_and_of_the_best_of_all(trained):
    table = forgetting.by_setting(trained)
    contrasts = forgetting.contrasts(trained)
    assert len(table) == (contrasts["pooling"] != OTHERS).sum(), "no row twice, none lost but those of a control"
    usable = trained[(trained["quantity"] == "usable") & ~trained["shuffled"].astype(bool) & trained["group"].isna()]
    row = table[(table["quantity"] == "late_forgetting") & (table["reading"] == "token")].iloc[0]
    same = usable[(usable[["model", "reading", "probe", "train_sentences"]]
                   == row[["model", "reading", "probe", "train_sentences"]]).all(axis=1)]  # fmt: skip
    bits = same.set_index("layer")["estimate"]
    assert (row["bits"], row["bits_other"]) == (bits[row["layer"]], bits[row["other"]])
    assert (row["best"], row["layers"]) == (bits.max(), bits.index.nunique())


def test_groups_of_tokens_come_from_rare_to_frequent_and_domains_last():
    columns = ("model", "layer", "quantity", "group")
    tokens = rows(
        ("a", 6, "recovered", "domain: plots"),
        ("a", 0, "recovered", "word class: number"),
        ("a", 6, "recovered", "word class: number"),
        ("a", 6, "recovered", "seen in training: 11-100"),
        ("a", 6, "recovered", "seen in training: unseen"),
        ("a", 6, "recovered", "one token for all models: yes"),
        ("a", 6, "error", None),
        columns=columns,
    )
    table = which_tokens.by_group(tokens)
    assert table["name"].tolist() == ["unseen", "11-100", "number", "plots"]
    assert table["by"].tolist() == ["seen in training", "seen in training", "word class", "domain"]
