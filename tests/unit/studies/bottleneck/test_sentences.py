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
    return pd.DataFrame([*states, *unique, row("unique_input", 0.5, model="other")])


def test_labels_that_occur_once():
    first, second = sentences.floor(floor_table()).splitlines()
    assert first.startswith(
        "- **m**: a single state has 2.00 of 5.00 bits, so a label that occurs once seems to carry 3.00"
    )
    assert first.endswith("make up 25% of the places at width 1 and 100% at width 4.")
    assert "**other**: a single state has 3.50 of 4.00 bits" in second


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


def test_from_the_embedding_to_the_last_layer():
    said = sentences.layers(pd.DataFrame(layer_rows("a", [4.0, 3.0, 2.0]) + layer_rows("b", [1.0, 8.0]))).splitlines()
    assert said[0].startswith("- **a**: corrected complexity goes from 2.00 bits at the embedding to 1.00 at the last")
    assert "expressivity from 0.20 to 0.10. The floor makes up 17% to 25% of raw" in said[0]
    assert said[1].startswith("- **b**: corrected complexity goes from 0.50 bits at the embedding to 4.00")


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
    rows += [row("optimality_corrected", 7.0, layer=3, width=2), row("optimality", 0.1, layer=0)]
    rows += [row("optimality", value, layer=0, width=2) for value in (0.95, 0.99)]
    said = sentences.optimality(pd.DataFrame(rows))
    assert f"**m**: corrected, from {first:.2f} [{first - 0.1:.2f}, {first + 0.1:.2f}] to {last:.2f} [" in said
    assert f"at the end: {change}.\n" in said
    assert "Raw optimality at width 2: 0.95 to 0.99" in said


def test_without_intervals_a_change_of_optimality_is_not_judged():
    rows = [row("optimality_corrected", value, layer=layer) for layer, value in ((1, 0.8), (0, 0.3))]
    table = pd.DataFrame([*rows, row("optimality", 0.1, layer=0)])
    table.loc[0, ["low", "high"]] = np.nan
    said = sentences.optimality(table)
    assert "from 0.30 [0.20, 0.40] to 0.80 (no interval) at the end: too few sentences to tell." in said


def test_the_plane_counts_points_above_the_line_and_reads_the_curve_at_half():
    points = {"raw": [(2, 1), (1, 2), (1, 1)], "corrected": [(2, 1)] * 3, "extrapolated": [(1, 3), (1, 2), (3, 1)]}
    rows = [
        {"kind": kind, "of": of, "complexity": x, "expressivity": y}
        for of, factor in (("encoder", 1), ("decoder", 0.1))
        for kind, of_kind in points.items()
        for x, y in [(x, factor * y) for x, y in of_kind]
    ]
    curve = ((0, 0), (1.6, 0.6), (2.4, 1.0), (4, 1.25))
    facts = {"kind": "bigrams", "entropy": 4.0, "information": 1.25, "shuffled": 0.75}
    rows += [facts | {"complexity": x, "relevance": y} for x, y in curve]
    said = sentences.plane(pd.DataFrame(rows))
    assert "Points of encoders above the line, of 3 layers: 1 raw, 0 corrected, 2 extrapolated." in said
    assert "Points of decoders above the line, of 3 layers: 0 raw, 0 corrected, 0 extrapolated." in said
    assert "1.25 of the H(X) = 4.00 bits of a token predict the next one, a ratio of 0.31, and half of H(X)" in said
    assert "is enough for 64% of these" in said
    assert said.endswith("would show 0.75 bits; above this floor the ratio is 0.12.")


def agreement_table():
    index = pd.MultiIndex.from_product(
        [[name + end for name in ("optimality", "complexity") for end in ENDS], ["a", "b"]]
    )
    changes = [f"{place:+d}%" for place in range(len(index))]
    agree = ["yes", "no", "yes", "yes", "no", "no"] + ["no"] * 6
    columns = {1000: np.arange(12) / 20, 4000: np.arange(12)[::-1] / 10}
    return pd.DataFrame(columns | {"change": changes, "agree": agree}, index=index)


def test_which_kinds_agree_between_two_sample_sizes():
    head, _, raw, corrected, extrapolated, complexity = sentences.stability(agreement_table()).splitlines()
    assert head == "From 1,000 to 4,000 sentences (a, b):"
    assert raw.startswith(
        "- **raw** token optimality agrees within its intervals on 1 of 2 models (a) and changes by +0%, +1%"
    )
    assert "on 2 of 2 models (a, b) and changes by +2%, +3%" in corrected
    assert "on 0 of 2 models and changes by +4%, +5%" in extrapolated
    assert complexity.endswith("raw by +6%, +7%; corrected by +8%, +9%; extrapolated by +10%, +11%.")


@pytest.mark.parametrize("left_out", ["", "It is left out."])
def test_the_layer_that_tells_most(left_out):
    rows = [
        row(f"domain_information{end}", value, model=model, layer=layer, width=pd.NA)
        for model, values in (("a", (0.1, 0.3, 0.2)), ("b", (0.5, 0.4, 0.1)))
        for layer, value in enumerate(values)
        for end, value in (("", 9.0), ("_corrected", value), ("_p", value / 10))
    ]
    said = sentences.labels(pd.DataFrame(rows), left_out).splitlines()
    lines = [
        "- **a**: most domain information at layer 1, 0.300 [0.200, 0.400] bits per token (p = 0.030).",
        "- **b**: most domain information at layer 0, 0.500 [0.400, 0.600] bits per token (p = 0.050).",
    ]
    assert said == ([left_out, ""] if left_out else []) + lines


def test_the_controls_of_preference_are_named():
    rows = [
        row(f"{name}{end}", value, layer=0, width=pd.NA)
        for name, value in (("preference_beyond_length", 0.2), ("preference_exchanged", 0.1))
        for end, value in (("_corrected", value), ("_p", 0.5))
    ]
    said = sentences.labels(pd.DataFrame(rows), "").splitlines()
    assert said[0].startswith("- **m**: most preference information beyond the length of answers at layer 0, 0.200")
    assert said[1].startswith("- **m**: most “preference information” of labels exchanged at random at layer 0, 0.100")


@pytest.mark.parametrize("number", [7, 8])
@pytest.mark.parametrize("listed", [["a", "b"], ["a", "d", "c", "c"]])
@pytest.mark.parametrize("left_out", ["", "There are no scores."])
def test_correlations_need_models(number, listed, left_out):
    table, measured = pd.DataFrame({"n": [number - 1, number]}), pd.DataFrame({"model": ["a", "b"]})
    said = sentences.correlations(table, measured, listed, left_out)
    assert said.startswith(left_out)
    assert ("p-values are two-sided" in said) == (number == 8)
    assert ("7 of the measured models have a score. Fewer than 8" in said) == (number == 7)
    assert ("Not measured yet: c, d." in said) == ("c" in listed)
    assert ("Not measured" in said) == ("c" in listed)
