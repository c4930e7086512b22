"""Every sentence of notebook 04, on tables small enough to check by hand."""

import numpy as np
import pandas as pd
import pytest

from bitskept.studies.bottleneck import sentences

ENDS = ("", "_corrected", "_extrapolated")


def row(quantity, estimate, spread=0.1, **facts):
    ends = {"low": estimate - spread, "high": estimate + spread}
    return {"model": "m", "layer": pd.NA, "width": 1, "quantity": quantity, "estimate": estimate} | ends | facts


def test_a_label_of_few_states_seems_to_carry_much():
    entropies = dict(zip(("one state", "one label", "random", "all"), (1.0, 1.5, 2.0, 3.0), strict=True))
    rows = [{"cloud": name, "quantity": "entropy", "estimate": bits} for name, bits in entropies.items()]
    rows += [{"cloud": name, "quantity": "anchor", "estimate": 0.1} for name in entropies for _ in range(16)]
    said = sentences.circle(pd.DataFrame(rows))
    assert "3.00 bits (at most log2 16 = 4.00)" in said
    assert "one label have 1.50: the label seems to carry 1.50 bits" in said
    assert "*random* states have 2.00, so a label that means nothing would seem to carry 1.00 bits" in said
    assert "occurs only once 2.00." in said


def test_known_data():
    planted = [
        {"labels": "planted", "kind": kind, "classes": 64, "states_a_label": states, "estimate": bits}
        for states, *of_kinds in ((2, 3.0, 0.2, 1.0), (8, 9.0, 9.0, 9.0), (128, 2.0, 1.0, 1.5))
        for kind, bits in zip(("raw", "corrected", "extrapolated"), of_kinds, strict=True)
    ]
    shuffled = [
        {"labels": labels, "kind": kind, "classes": classes, "estimate": bits}
        for labels, kind, bits in (
            ("shuffled", "raw", 5),
            ("shuffled", "corrected", -0.002),
            ("planted", "corrected", 5),
        )
        for classes, bits in ((2, bits), (512, -bits / 2))
    ]
    quantities = ["complexity", "complexity_floor", "complexity_corrected", "unique_input"]
    noise = [
        {"quantity": quantity, "width": width, "estimate": bits}
        for width, raw, corrected in ((1, 1.05, 0.9), (2, 0.98, np.nan), (3, 1.0, np.nan))
        for quantity, bits in {
            "optimality": raw,
            "optimality_corrected": corrected,
            **dict.fromkeys(quantities, 0.5),
        }.items()
    ]
    said = sentences.known(pd.DataFrame(planted + shuffled + noise))
    assert "raw from 3.00 to 2.00 bits, corrected from 0.20 to 1.00 bits, extrapolated from 1.00 to 1.50 bits" in said
    assert "differ by 2.80 bits at first and by 1.00 at last" in said
    assert "nearest to where they end is extrapolated" in said
    assert "Shuffled labels get -0.002 to +0.001 bits" in said
    assert "raw optimality is 0.98 to 1.05" in said
    assert "for 2 of 3 widths" in said


def floor_table():
    states = [row("soft_entropy", 5.0), row("random_entropy", 2.0, n=1), row("random_entropy", 3.0, n=2)]
    states += [row("soft_entropy", 4.0, model="other"), row("random_entropy", 3.5, model="other", n=1)]
    unique = [row("unique_input", share, width=width) for width, share in ((1, 0.25), (2, 0.7), (4, 1.0))]
    seeming = [row("seeming_of_one", 2.9), row("seeming_of_one", 0.5, model="other")]
    return pd.DataFrame([*states, *unique, *seeming, row("unique_input", 0.5, model="other")])


def test_labels_that_occur_once():
    first, second = sentences.floor(floor_table()).splitlines()
    assert first.startswith(
        "- **m**: a label that occurs once seems to carry H(Z) − h(1) = 2.90 [2.80, 3.00] bits. Places"
    )
    assert first.endswith("make up 25% at width 1 and 100% at width 4.")
    assert "**other**: a label that occurs once seems to carry H(Z) − h(1) = 0.50 [0.40, 0.60] bits" in second


def layer_rows(model, complexity, floor=0.5):
    """Raw complexity by layer; half of it is corrected, a tenth expressivity, of which a share is floor."""
    values = [
        {"complexity": bits, "complexity_corrected": bits / 2, "complexity_extrapolated": bits}
        | {
            "expressivity": bits / 10,
            "expressivity_corrected": bits / 20,
            "expressivity_floor": floor * bits / 10 / (layer + 1),
        }
        for layer, bits in enumerate(complexity)
    ]
    return [row(name, bits, model=model, layer=layer) for layer, by in enumerate(values) for name, bits in by.items()]


def exactness_table(raw=3.0, corrected=(0.5, 0.9)):
    """Expressivity of two sources whose exact value is 1, and of a smaller sample."""
    rows = [
        {"source": source, "sentences": size, "quantity": "expressivity", "exact": 1.0, "kind": kind, "estimate": value}
        for source, value_of in zip("st", corrected, strict=True)
        for size, values in ((80, (raw, value_of)), (10, (9.0, 9.0)))
        for kind, value in zip(("raw", "corrected"), values, strict=True)
    ]
    return pd.DataFrame(rows)


def test_from_the_first_to_the_last_layer():
    table = pd.DataFrame(layer_rows("a", [4.0, 3.0, 2.0]) + layer_rows("b", [1.0, 8.0]))
    said = sentences.layers(table, exactness_table()).splitlines()
    assert said[0].startswith("- **a**: from the first layer, the embedding, to the last, corrected complexity goes ")
    assert "goes from 2.00 [1.90, 2.10] to 1.00 [0.90, 1.10] bits; expressivity goes from 0.20 [0.10, 0.30]" in said[0]
    assert said[0].endswith("to 0.10 [0.00, 0.20] bits. The floor makes up 17% to 25% of raw expressivity.")
    assert " goes from 0.50 [0.40, 0.60] to 4.00 " in said[1]


@pytest.mark.parametrize(
    ("course", "between"),
    [
        ([4, 8, 2], " bits (highest at layer 1: 4.00); "),
        ([4, 2, 6], " bits (lowest at layer 1: 1.00); "),
        ([4, 8, 2, 6], " bits (highest at layer 1: 4.00; lowest at layer 2: 1.00); "),
        ([2, 4, 4], " bits; "),
    ],
)
def test_where_a_quantity_is_highest_and_lowest_is_said_if_not_at_an_end(course, between):
    said = sentences.layers(pd.DataFrame(layer_rows("a", course)), exactness_table()).splitlines()[0]
    assert f"]{between}expressivity goes" in said


@pytest.mark.parametrize(
    ("corrected", "than"),
    [((0.5, 0.9), "more than"), ((0.5, 1.5), "not always more than"), ((1.2, 1.5), "no more than")],
)
def test_the_floor_is_compared_with_what_is_spurious(corrected, than):
    said = sentences.layers(pd.DataFrame(layer_rows("a", [4, 2])), exactness_table(corrected=corrected))
    share = 1 - corrected[0] / 3
    assert said.splitlines()[-1].startswith(
        f"Where both are known, in section 3, the floor is {than} what is spurious: {share:.0%} against 67% of raw "
        "expressivity (s); "
    )


@pytest.mark.parametrize(
    ("first", "last", "change"),
    [
        (0.3, 0.8, "it rises"),
        (0.8, 0.3, "it falls"),
        (0.3, 0.45, "no significant change"),
        (0.45, 0.3, "no significant change"),
    ],
)
def test_corrected_optimality_changes_if_the_intervals_are_apart(first, last, change):
    rows = [row("optimality_corrected", value, layer=layer) for layer, value in ((2, last), (0, first), (1, 9.0))]
    rows.append(row("optimality_corrected", np.nan, layer=0.5))
    rows += [row("optimality_corrected", 7.0, layer=3, width=2), row("optimality", 0.1, layer=0)]
    rows += [row("optimality", value, layer=0, width=2) for value in (0.95, 0.99)]
    said = sentences.optimality(pd.DataFrame(rows))
    course = f"corrected, from {first:.2f} [{first - 0.1:.2f}, {first + 0.1:.2f}] to {last:.2f} ["
    assert f"**m**: from the first to the last layer, {course}" in said
    assert f" (highest at layer 1.0: 9.00): {change}.\n" in said
    assert "Raw optimality at width 2: 0.95 to 0.99" in said


def test_without_intervals_a_change_of_optimality_is_not_judged():
    rows = [row("optimality_corrected", value, layer=layer) for layer, value in ((1, 0.8), (0, 0.3))]
    table = pd.DataFrame([*rows, row("optimality", 0.1, layer=0)])
    table.loc[0, ["low", "high"]] = np.nan
    said = sentences.optimality(table)
    assert "from 0.30 [0.20, 0.40] to 0.80 (no interval): too few sentences to tell." in said


def test_the_plane_counts_points_above_the_line_and_reads_the_curve_at_half():
    points = {"raw": [(2, 1), (1, 2), (1, 1)], "corrected": [(2, 1)] * 3, "extrapolated": [(1, 3), (1, 2), (3, 1)]}
    rows = [
        {"kind": kind, "of": of, "complexity": x, "expressivity": y}
        for of, factor in (("encoder", 1), ("decoder", 0.1))
        for kind, of_kind in points.items()
        for x, y in [(x, factor * y) for x, y in of_kind]
    ]
    curve = ((0, 0), (1.6, 0.6), (2.4, 1.0), (4, 1.25))
    facts = {"kind": "bigrams", "entropy": 4.0, "information": 1.25, "shuffled": 0.75, "types": 1200}
    rows += [facts | {"complexity": x, "relevance": y} for x, y in curve]
    said = sentences.plane(pd.DataFrame(rows))
    assert "Points of encoders above the line, of 3 layers: 1 raw, 0 corrected, 2 extrapolated." in said
    assert "Points of decoders above the line, of 3 layers: 0 raw, 0 corrected, 0 extrapolated." in said
    assert "1.25 of the H(X) = 4.00 bits of a token (1,200 types, all rarer tokens merged) predict the next" in said
    assert "a ratio of 0.31, and half of H(X)" in said
    assert "is enough for 64% of these" in said
    assert said.endswith("would show 0.75 bits; above this floor the ratio is 0.12.")


def agreement_table():
    index = pd.MultiIndex.from_product(
        [[name + end for name in ("optimality", "complexity") for end in ENDS], ["a", "b"]]
    )
    changes = [f"{place:+d}%" for place in range(len(index))]
    columns = {1000: np.arange(12) / 20, 4000: np.arange(12)[::-1] / 10}
    return pd.DataFrame(columns | {"change": changes}, index=index)


def changes_table(p=0.001):
    """The changes of models a and b; and others that are settings: of a wider label and of other sizes."""
    values = {"raw": ((-0.2, 0.1), (0.2, 0.1)), "corrected": ((0.03, 0.01), (0.01, 0.03)), "extrapolated": (
        (0.04, 0.03), (np.nan, np.nan),
    )}  # fmt: skip
    rows = [
        {"estimator": kind, "model": model, "width": width, "planned": planned, "estimate": change, "first": np.nan}
        | {"low": change - spread, "high": change + spread, "sentences": 1000, "more": more, "p": p}
        for kind, pair in values.items()
        for model, (value, spread) in zip("ab", pair, strict=True)
        for width, planned, change, more in ((1, True, value, 4000), (2, True, 9.0, 4000), (1, False, 9.0, 8000))
    ]
    return pd.DataFrame(rows)


def test_how_each_kind_changes_between_two_sample_sizes_and_whether_it_stays_the_same():
    said = sentences.stability(agreement_table(), changes_table()).splitlines()
    head, _, raw, corrected, extrapolated, complexity, _, question, _, *answers = said
    assert head == "From 1,000 to 4,000 sentences (a, b):"
    change = "-0.200 [-0.300, -0.100] (+0%), +0.200 [+0.100, +0.300] (+1%)."
    assert raw == f"- **raw** token optimality changes by {change}"
    assert corrected.endswith("changes by +0.030 [+0.020, +0.040] (+2%), +0.010 [-0.020, +0.040] (+3%).")
    assert extrapolated.endswith("changes by +0.040 [+0.010, +0.070] (+4%), what is not estimable.")
    assert complexity.endswith("raw by +6%, +7%; corrected by +8%, +9%; extrapolated by +10%, +11%.")
    assert question == "Does the ratio stay the same, to within 0.05?"
    assert answers == [
        "- Raw, no (it falls) for a; no (it rises) for b (4 of 4 other settings agree).",
        "- Corrected, yes (though it rises) for a, b (0 of 4 other settings agree). The intervals end at 0.040, 0.040, "
        "where the limit is 0.050.",
        "- Extrapolated, cannot tell for a, b (0 of 2 other settings agree).",
    ]


def test_a_kind_that_is_not_estimable_stops_nothing():
    changes = changes_table()
    changes.loc[changes["estimator"] == "corrected", ["estimate", "low", "high", "p"]] = np.nan
    said = sentences.stability(agreement_table(), changes)
    assert "Corrected, cannot tell for a, b (0 of 0 other settings agree).\n" in said
    rows = [row("optimality_corrected", np.nan, layer=layer) for layer in (0, 1, 2)]
    said = sentences.optimality(pd.DataFrame([*rows, row("optimality", 0.1, layer=0)]))
    assert "from nan (no interval) to nan (no interval): too few sentences to tell." in said


def test_a_change_is_called_one_only_if_it_is_significant_after_holms_correction():
    """The family has five tests."""
    for p, said in ((0.0125, "Corrected, yes for a, b ("), (0.009, "Corrected, yes (though it rises) for a, b (")):
        assert said in sentences.stability(agreement_table(), changes_table(p))


def test_the_end_of_a_single_interval():
    changes = changes_table()
    single = changes[~((changes["estimator"] == "corrected") & (changes["model"] == "b") & (changes["width"] == 1))]
    said = sentences.stability(agreement_table(), single)
    assert "yes (though it rises) for a (0 of 2 other settings agree). The interval ends at 0.040, where" in said


@pytest.mark.parametrize("left_out", ["", "It is left out."])
def test_the_layer_that_tells_most(left_out):
    rows = [
        row(f"domain_information{end}", value, model=model, layer=layer, width=pd.NA)
        for model, values in (("a", (0.1, 0.3, 0.2)), ("b", (0.5, 0.4, 0.1)))
        for layer, value in enumerate(values)
        for end, value in (("", 9.0), ("_corrected", value), ("_p", value / 10))
    ]
    rows.append(row("preference_information_corrected", 0.9, model="a", layer=0, width=pd.NA))
    said = sentences.labels(pd.DataFrame(rows), left_out).splitlines()
    lines = [
        "- **a**: most domain information at layer 1, 0.3000 [0.2000, 0.4000] bits per token (p = 0.030).",
        "- **b**: most domain information at layer 0, 0.5000 [0.4000, 0.6000] bits per token (p = 0.050).",
    ]
    assert said == ([left_out, ""] if left_out else []) + lines


@pytest.mark.parametrize("number", [7, 8])
@pytest.mark.parametrize("listed", [["a", "b"], ["a", "d", "c", "c"]])
@pytest.mark.parametrize("left_out", ["", "There are no scores."])
def test_correlations_need_models(number, listed, left_out):
    table, measured = pd.DataFrame({"n": [number - 1, number]}), pd.DataFrame({"model": ["a", "b"]})
    said = sentences.correlations(table, measured, listed, left_out)
    assert said.startswith(left_out)
    assert ("p-values are two-sided" in said) == (number == 8)
    assert "P2's coefficients take: -0.38 (complexity) 56 models and 96, 0.08 (expressivity) 1,299 models" in said
    assert ("7 of the measured models have a score. Fewer than 8" in said) == (number == 7)
    assert ("Not measured yet: c, d." in said) == ("c" in listed)
    assert ("Not measured" in said) == ("c" in listed)
