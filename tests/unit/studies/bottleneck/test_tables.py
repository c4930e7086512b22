"""The tables behind the figures of notebook 04, from invented measurements."""

import numpy as np
import pandas as pd
import pytest

from bitskept.studies.bottleneck import amount_of_text, by_layer, by_width, text_labels
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
    parts = [rows(model=model, layer=range(last + 1), quantity="soft_entropy") for model, last in (("a", 5), ("b", 2))]
    parts += [rows(width=[1, 2], quantity="unique_input"), rows(width=[1, 2], quantity="unique_output")]
    table = by_layer.floor(pd.concat(parts), section)
    assert table["quantity"].tolist() == ["soft_entropy"] * 2 + ["unique_input"] * 2
    assert table["layer"].tolist()[:2] == [2, 1]


def test_the_exact_curve_is_shown_in_bits_and_as_shares():
    names = [side + end for side in by_layer.SIDES for end in ENDS]
    layers = pd.concat([rows(layer=[0, 1], quantity=name, estimate=float(place)) for place, name in enumerate(names)])
    exact = pd.DataFrame({"complexity": [1.0, 3.0], "relevance": [0.5, 1.0], "entropy": 4.0, "information": 2.0})
    table = by_layer.plane(layers, exact)
    assert table["kind"].value_counts(sort=False).to_dict() == {
        "raw": 2, "corrected": 2, "extrapolated": 2, "bigrams": 2, "bigrams, shares": 4,
    }  # fmt: skip
    assert table.loc[table["kind"] == "corrected", ["complexity", "expressivity"]].to_numpy().tolist() == [[1, 4]] * 2
    shares = table.loc[table["kind"] == "bigrams, shares", ["complexity", "relevance"]]
    assert shares.to_numpy().tolist() == [[0, 0], [0.25, 0.25], [0.75, 0.5], [1, 1]]


def text_added(quantity, values, model="b", seed=3, spread=0.1):
    """Values at 10, 20 and 40 sentences."""
    values = np.array(values, float)
    where = {"model": model, "anchor_seed": seed, "sentences": [10.0, 20.0, 40.0], "width": 1, "quantity": quantity}
    return rows(**where, estimate=values, low=values - spread, high=values + spread)


def test_two_sample_sizes_agree_if_they_do_for_every_draw_of_the_anchors(section):
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
    assert table.loc["optimality", "agree"].tolist() == ["yes", "no"]


def test_the_smaller_size_is_the_third_below_the_largest(section):
    table = pd.concat(
        text_added(name + end, [1, 1, 1], model)
        for name in ("optimality", "complexity")
        for end in ENDS
        for model in "ab"
    )
    longer = section.model_copy(update={"sentences": [1, 10, 20, 30, 40]})
    assert amount_of_text.agreement(table, longer).columns.tolist() == [10, 40, "change", "agree"]


def test_figures_as_text_is_added():
    table = rows(width=[1, 1, 2, 2], quantity=["optimality", "complexity_floor", "optimality_corrected", "complexity"])
    assert amount_of_text.stability(table)["quantity"].tolist() == ["optimality", "complexity_floor"]
    assert amount_of_text.by_sentences(table)["quantity"].tolist() == ["optimality_corrected"]


@pytest.fixture
def growing():
    """Two widths: shares seen once that fall with the square root of the positions, and ones that hardly fall."""
    positions, parts = 100 * 4.0 ** np.arange(4), []
    for width, slope in ((1, -0.5), (2, -0.001)):
        where = {"width": width, "n": positions, "sentences": positions / 10}
        parts.append(rows(**where, quantity="unique_input", estimate=0.8 * (positions / 100) ** slope))
        value = np.array([np.nan, 1, 1, 1]) if width == 1 else np.nan
        half = np.array([0.3, 0.3, 0.05, 0.05])
        parts.append(
            rows(**where, quantity="optimality_corrected", estimate=value, low=value - half, high=value + half)
        )
        parts.append(rows(**where, quantity="complexity_corrected", estimate=1.0, low=0.5, high=1.5))
    return pd.concat(parts)


def test_shares_seen_once_are_drawn_on_along_a_line(growing):
    table = amount_of_text.estimable(growing)
    ahead = table[table["quantity"] == "drawn_on"].set_index("width")
    assert ahead["slope"].tolist() == pytest.approx([-0.5, -0.001])
    assert ahead.loc[1, "unique now"] == pytest.approx(0.1)
    assert ahead.loc[1, "unique in the paper's text"] == pytest.approx(0.1 * (6400 / amount_of_text.PAPER) ** 0.5)
    assert ahead.loc[1, "half repeat from"] == pytest.approx(100 * 1.6**2)
    signal = table[table["quantity"] == "complexity_corrected"]
    assert signal["error"].tolist() == pytest.approx([1 / 3.92] * 8)
    checked = amount_of_text.drawn_from_less(growing)
    assert checked.loc["predicted"].tolist() == pytest.approx(checked.loc["measured"].tolist())


def test_how_much_text_is_needed(growing):
    needed = amount_of_text.needed(growing, amount_of_text.estimable(growing)).T
    assert needed[1].tolist() == ["40", "160", "10.0%", "-0.50", "0.4%", "256 positions"]
    assert needed.loc[["estimable from (sentences)", "to within 10 % from (sentences)"], 2].tolist() == ["not yet"] * 2
    assert needed.loc["half repeat from", 2] == "over 10 billion"


def test_the_model_with_most_text_is_followed_by_size_for_one_draw(section):
    table = rows(model=["b", "b", "b", "a"], anchor_seed=[3, 3, 4, 3], n=[9, 5, 7, 6])
    assert amount_of_text.growing(table, section)["n"].tolist() == [5, 9]


def test_shares_of_the_width(section):
    bits = {"complexity": (2, 3, 4), "complexity_extrapolated": (2, 5, np.nan), "complexity_corrected": (2, 1, 0)}
    table = pd.concat(
        rows(model=model, width=[1, 2, 3], quantity=quantity, estimate=np.array(values, float))
        for quantity, values in bits.items()
        for model in "ba"
    )
    shares = by_width.shares(by_width.by_width(table, section))
    assert shares.index.tolist() == [(quantity, model) for quantity in list(bits)[:2] for model in "ba"]
    assert shares.loc[("complexity", "b")].tolist() == [0.5, 0.25, 0.25]
    assert shares.loc[("complexity_extrapolated", "a")].tolist() == pytest.approx([0.4, 0.6, np.nan], nan_ok=True)


def test_labels_of_texts_have_rows_for_layers_only(section):
    domain = rows(layer=[0, 1, pd.NA], quantity=["domain_information", "domain_information_p", "domain_information"])
    other = [rows(layer=0, quantity=["complexity"]), rows(layer=[0], quantity="domain_information", anchor_seed=4)]
    compressed = pd.concat([domain, *other])
    assert len(text_labels.labels(compressed, None, section)) == 2
    preferred = rows(layer=[0, pd.NA], quantity="preference_information_corrected", estimate=[0.5, 0.7])
    assert text_labels.labels(compressed, preferred, section)["estimate"].tolist() == [1.0, 1.0, 0.5]
