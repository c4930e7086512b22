"""The tables behind the figures of notebook 04, from invented measurements."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from bitskept.studies.bottleneck import amount_of_text, bound, by_layer, documents, text_labels
from bitskept.studies.bottleneck.section import IbCorrelations
from bitskept.theory.repeated_runs import mean_over_runs

ENDS = ("", "_corrected", "_extrapolated")


@pytest.fixture(scope="module")
def section():
    """The smoke profile's section with sample sizes, draws of the anchors and models of this module's tables."""
    values = {"sentences": [10, 20, 40], "anchor_seeds": [3, 4], "models": ["b", "a"], "more_model": "b"}
    return IbCorrelations.read({"profile": "smoke"}).model_copy(update=values)


def rows(**columns):
    """A table of measurements: what all rows share, and lists of what they do not."""
    shared = {"model": "b", "sentences": 40, "anchor_seed": 3, "layer": pd.NA, "width": pd.NA, "quantity": "?"}
    table = pd.DataFrame(shared | {"estimate": 1.0, "low": 0.9, "high": 1.1, "n": 100} | columns)
    return table.astype({"layer": "Int64", "width": "Int64", "n": "Int64"})


def test_depth_goes_from_0_to_1_in_each_model():
    table = by_layer.with_depth(rows(model=["a", "a", "a", "b", "b"], layer=[0, 1, pd.NA, 4, 2]))
    assert table["depth"].fillna(-1).tolist() == [0, 1, -1, 1, 0.5]


def test_figures_by_layer_show_the_largest_sample_and_the_mean_of_the_draws(section):
    wanted = {"layer": [0, 1], "quantity": "complexity", "width": 1}
    table = pd.concat(
        [
            rows(**wanted, estimate=[5.0, 6.0]),
            rows(**wanted | {"width": 2}),
            rows(**wanted | {"quantity": "regularity"}),
            rows(**wanted, sentences=20),
            rows(**wanted, anchor_seed=4),
            rows(**wanted | {"layer": [pd.NA]}),
            rows(**wanted | {"quantity": "soft_entropy", "width": pd.NA}),
        ]
    )
    table = by_layer.layers(table, section)
    assert table["estimate"].tolist() == [3.0, 3.5, 1.0, 1.0]
    assert table["quantity"].tolist() == ["complexity"] * 2 + ["soft_entropy"] * 2


def test_an_interval_over_draws_is_that_of_the_mean_over_runs(section):
    values = {3: 0.834, 4: 0.576, 5: 0.829}
    table = pd.concat(
        rows(layer=[0], anchor_seed=seed, estimate=value, low=value - 0.0098, high=value + 0.0098)
        for seed, value in values.items()
    )
    [row] = by_layer.at_largest(table, section).to_dict("records")
    known = mean_over_runs(np.array(list(values.values())), 0.005, 40)
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx((known.estimate, known.low, known.high))
    assert row["high"] - row["low"] > 0.7  # and not the 0.02 of a single draw


def test_one_draw_has_the_interval_over_sentences_and_what_a_draw_lacks_is_missing(section):
    one = by_layer.at_largest(rows(layer=[0]), section).iloc[0]
    assert (one["low"], one["high"]) == pytest.approx((0.9, 1.1), abs=0.01)
    without = rows(layer=[0], anchor_seed=4, estimate=np.nan, low=np.nan, high=np.nan)
    lacking = by_layer.at_largest(pd.concat([rows(layer=[0]), without]), section).iloc[0]
    assert lacking[["estimate", "low", "high"]].isna().all()
    shares = pd.concat(rows(layer=[0], anchor_seed=seed, low=np.nan, high=np.nan) for seed in (3, 4))
    assert by_layer.at_largest(shares, section)["estimate"].tolist() == [1.0]


def test_optimality_is_shown_for_all_widths_and_no_other_quantity(section):
    quantities = ["optimality", "optimality_corrected", "optimality_extrapolated", "optimality_floor", "complexity"]
    table = pd.concat([rows(layer=1, width=width, quantity=quantities) for width in (1, 2)])
    table = by_layer.optimality(pd.concat([table, rows(width=1, quantity=["optimality"])]), section)
    assert table["width"].tolist() == [1, 1, 1, 2, 2, 2]
    assert set(table["quantity"]) == set(quantities[:3])


def test_the_floor_is_that_of_the_middle_layer(section):
    parts = [
        rows(model=model, layer=range(last + 1), quantity=name, n=n, estimate=4.0, low=-2.0, high=9.0)
        for model, last in (("a", 5), ("b", 2))
        for name, n in (("soft_entropy", 100), ("random_entropy", 1))
    ]
    parts += [rows(width=[1, 2], quantity="unique_input"), rows(width=[1, 2], quantity="unique_output")]
    table = by_layer.floor(pd.concat(parts), section)
    names = ["soft_entropy", "random_entropy"] * 2 + ["seeming_of_one"] * 2 + ["unique_input"] * 2
    assert table["quantity"].tolist() == names
    assert table["layer"].tolist()[:6] == [2, 2, 1, 1, 2, 1]
    assert set(table["low"][:4]) == {0}
    assert set(table["high"][:4]) == {np.log2(section.anchors)}


def test_what_a_label_that_occurs_once_seems_to_carry_has_the_interval_of_its_own_draws(section):
    """The two entropies differ by much between draws, their difference by little."""
    values = {"soft_entropy": (100, (5.0, 3.0)), "random_entropy": (1, (2.0, 0.2))}
    table = pd.concat(
        rows(layer=[0], quantity=name, n=n, anchor_seed=seed, estimate=value)
        for name, (n, draws) in values.items()
        for seed, value in zip((3, 4), draws, strict=True)
    )
    table = pd.concat(
        [table, rows(layer=[0], quantity="random_entropy", n=2), table.assign(sentences=20, estimate=7.0)]
    )
    found = by_layer.floor(table, section).set_index("quantity").loc["seeming_of_one"]
    known = mean_over_runs(np.array([3.0, 2.8]), 0.0)
    assert found[["estimate", "low", "high"]].tolist() == pytest.approx(list(known[:3]))


def test_entropies_by_layer_lie_within_what_is_possible(section):
    wide = {"layer": [0], "estimate": 3.0, "low": -4.0, "high": 10.0}
    table = by_layer.layers(
        pd.concat([rows(**wide, quantity="soft_entropy"), rows(**wide, quantity="complexity", width=1)]), section
    )
    soft, other = table.to_dict("records")
    assert (soft["low"], soft["high"]) == (0, np.log2(section.anchors))
    assert other["low"] < -3


def test_the_exact_curve_goes_from_nothing_to_the_whole_token():
    names = [side + end for side in by_layer.SIDES for end in ENDS]
    layers = pd.concat([rows(layer=[0, 1], quantity=name, estimate=float(place)) for place, name in enumerate(names)])
    exact = {"complexity": [1.0, 3.0], "relevance": [0.5, 1.0], "entropy": 4.0, "information": 2.0, "shuffled": 0.3}
    table = by_layer.plane(layers.assign(kind="decoder"), pd.DataFrame(exact))
    assert table["kind"].value_counts(sort=False).to_dict() == {
        "raw": 2, "corrected": 2, "extrapolated": 2, "bigrams": 4,
    }  # fmt: skip
    assert set(table["of"].dropna()) == {"decoder"}
    assert table.loc[table["kind"] == "corrected", ["complexity", "expressivity"]].to_numpy().tolist() == [[1, 4]] * 2
    curve = table.loc[table["kind"] == "bigrams", ["complexity", "relevance"]]
    assert curve.to_numpy().tolist() == [[0, 0], [1, 0.5], [3, 1], [4, 2]]


def text_added(quantity, values, model="b", seed=3, spread=0.1):
    """Values at 10, 20 and 40 sentences."""
    values = np.array(values, float)
    where = {"model": model, "anchor_seed": seed, "sentences": [10.0, 20.0, 40.0], "width": 1, "quantity": quantity}
    return rows(**where, estimate=values, low=values - spread, high=values + spread)


def test_two_sample_sizes_are_means_over_the_draws_of_the_anchors(section):
    table = pd.concat(
        text_added(name + end, values, model, seed)
        for name in ("optimality", "complexity")
        for end in ENDS
        for model, seed, values in (
            ("a", 3, [1.0, 9, 1.1]), ("a", 4, [1.0, 9, 1.3]), ("b", 3, [1.2, 9, 1.1]), ("b", 4, [1.0, 9, 1.1]),
            ("other", 3, [0, 0, 0]),
        )
    )  # fmt: skip
    table = amount_of_text.agreement(table, section)
    assert table.index[:4].tolist() == [(f"optimality{end}", model) for end in ENDS[:2] for model in ("b", "a")]
    assert len(table) == 12
    assert table.loc["optimality", [10, 40]].to_numpy() == pytest.approx(np.array([[1.1, 1.1], [1.0, 1.2]]))
    assert table.loc["optimality", "change"].tolist() == ["+0%", "+20%"]


def test_the_smaller_size_is_the_third_below_the_largest(section):
    table = pd.concat(
        text_added(name + end, [1, 1, 1], model)
        for name in ("optimality", "complexity")
        for end in ENDS
        for model in "ab"
    )
    longer = section.model_copy(update={"sentences": [1, 10, 20, 30, 40]})
    assert amount_of_text.agreement(table, longer).columns.tolist() == [10, 40, "change"]


def test_figures_as_text_is_added():
    table = rows(width=[1, 1, 2, 2], quantity=["optimality", "complexity_floor", "optimality_corrected", "complexity"])
    assert amount_of_text.stability(table)["quantity"].tolist() == ["optimality", "complexity_floor"]
    assert amount_of_text.by_sentences(table)["quantity"].tolist() == ["optimality_corrected"]


def test_a_change_of_optimality_is_that_of_each_draw(section):
    table = pd.concat(
        text_added(f"optimality{end}", values, model, seed)
        for end in ENDS
        for model, seed, values in (("a", 3, [0.5, 9, 0.3]), ("a", 4, [0.6, 9, 0.2]), ("b", 3, [1, 9, np.nan]))
    )
    found = amount_of_text.changes(table, section).set_index(["model", "estimator"])
    assert found.pop("planned").all()
    assert found.loc[("a", "raw"), ["first", "estimate"]].tolist() == pytest.approx([0.55, -0.3])
    known = mean_over_runs(np.array([-0.2, -0.4]), np.hypot(0.1, 0.1) / norm.isf(0.025), 10)
    assert found.loc[("a", "raw"), "low"] == pytest.approx(known.low)
    assert found.loc["b", ["estimate", "low", "high", "p"]].isna().all().all()
    assert (set(found["sentences"]), set(found["more"]), set(found["width"])) == ({10}, {40}, {1})


def test_changes_are_those_of_each_width_and_of_the_largest_amount_with_the_draws_that_have_it(section):
    """The model with more text has it for one draw of the anchors only."""
    parts = [text_added("optimality", [0.5, 9, 0.3], model, seed) for model in "ab" for seed in (3, 4)]
    more = rows(sentences=80.0, width=1, quantity=["optimality"], estimate=0.1, low=0.0, high=0.2)
    other, single = more.assign(model="c"), more.assign(model="d")
    wider = [part.assign(width=2) for part in parts]
    table = pd.concat([*parts, *wider, more, other, other.assign(sentences=20.0), single])
    found = amount_of_text.changes(table, section)
    facts = found[["model", "width", "sentences", "more", "planned"]].astype({"width": int}).to_numpy().tolist()
    assert facts == [
        ["a", 1, 10, 40, True], ["b", 1, 10, 40, True], ["b", 1, 10, 80, False],
        ["a", 2, 10, 40, True], ["b", 2, 10, 40, True], ["c", 1, 20, 80, False],
    ]  # fmt: skip
    row = found.iloc[2]
    known = mean_over_runs(np.array([-0.4]), np.hypot(0.1, 0.1) / norm.isf(0.025), 10)
    assert (row["estimate"], row["low"]) == pytest.approx((known.estimate, known.low))


def test_the_last_layer_beside_the_bound(section):
    facts = {"kind": "decoder", "layer": [0, 1], "quantity": "optimality_corrected"}
    table = pd.concat([rows(**facts, width=1, estimate=[0.9, 0.25], low=0.2, high=0.3), rows(**facts, width=2)])
    other = rows(model="a", layer=[4], width=1, quantity="optimality", estimate=np.nan).assign(kind="encoder")
    table = pd.concat([table, other, other.assign(quantity="optimality_extrapolated", estimate=1.0)])
    last = bound.at_last_layer(table)
    assert last[["layer", "estimate", "estimator"]].iloc[0].tolist() == [1, 0.25, "corrected"]
    words = bound.distances(table)
    assert words.loc[("b", "token"), "corrected"] == "0.25 [0.20, 0.30]"
    assert words.loc[("a (has seen the output)", "token"), "raw"] == "not estimable"


def test_other_texts_stand_beside_the_text_of_all_sections(section):
    compressed = pd.concat([rows(model=name, width=[1, 2], quantity="unique_input") for name in "ab"])
    other = rows(model="a", width=[1], quantity="optimality").assign(longest=512, corpus="c4", anchor_seed=0)
    table = documents.documents(compressed.assign(corpus="mixed"), other, section)
    assert table["model"].tolist() == ["a"] * 3
    assert table["longest"].tolist() == [64, 64, 512]


def test_preference_is_a_mean_over_draws_with_the_largest_p():
    p = [rows(layer=[pd.NA], quantity="x_p", anchor_seed=seed, estimate=p) for seed, p in ((3, 0.2), (4, 0.6))]
    bits = [
        rows(layer=[1, pd.NA], quantity="x", anchor_seed=seed, estimate=value) for seed, value in ((3, 1), (4, 1.5))
    ]
    found = text_labels.over_draws(pd.concat([*p, *bits]).assign(clusters=30))
    assert found["estimate"].tolist() == [0.6, 1.25, 1.25]
    known = mean_over_runs(np.array([1, 1.5]), 0.1 / norm.isf(0.025), 30)
    assert found.loc[2, ["low", "high"]].tolist() == pytest.approx([known.low, known.high])
    assert "anchor_seed" not in found


def test_labels_of_texts_have_rows_for_layers_and_for_their_mean(section):
    domain = rows(layer=[0, 1, pd.NA], quantity=["domain_information", "domain_information_p", "domain_information"])
    other = [rows(layer=0, quantity=["complexity"]), rows(layer=[0], quantity="domain_information", anchor_seed=4)]
    table = text_labels.labels(pd.concat([domain, *other]), None, section)
    assert table["layer"].fillna(-1).tolist() == [0, 1, -1]
    assert table["clusters"].tolist() == [40] * 3
    assert text_labels.preferences(table).empty
    names = ["beyond_length_corrected", "beyond_length_p", "exchanged", "longer_corrected", "longer_corrected"]
    facts = {"quantity": [f"preference_{name}" for name in names], "clusters": 7}
    preferred = rows(layer=[pd.NA, pd.NA, 1, 1, pd.NA], estimate=[0.5, 0.04, 0.2, 0.7, 0.8], **facts)
    table = text_labels.labels(pd.concat([domain, *other]), preferred, section)
    assert table["estimate"].tolist() == [1.0, 1.0, 1.0, 0.5, 0.04, 0.2, 0.8]
    words = text_labels.preferences(table)
    assert words.index.tolist() == [("b", "of people, beyond length")]
    assert words.iloc[0].tolist() == ["0.5000 [0.9000, 1.1000]", "0.040", 7]
