"""What the figures of notebook 05 derive from their tables."""

import itertools

import pandas as pd

from bitskept.studies.dynamics import figures
from bitskept.studies.dynamics.sizes import along

POINTS = [(48, 64), (96, 64), (24, 64), (48, 16)]
"""Width and sentences: the middle size with all the text, two other widths, and less text."""


def sizes(points=POINTS):
    quantities = ("bits_per_byte_bound", "retained_cross_entropy", "late_forgetting")
    rows = [
        {
            "twin": "masked",
            "size": size,
            "amount": amount,
            "quantity": quantity,
            "estimate": 1.0,
            "low": 0.5,
            "high": 2.0,
        }
        for (size, amount), quantity in itertools.product(points, quantities)
    ]
    return pd.DataFrame(rows)


def test_sizes_vary_with_all_the_text_and_amounts_at_the_middle_width():
    assert set(along(sizes(), "size")["size"]) == {24, 48, 96}
    assert set(along(sizes(), "amount")["amount"]) == {16, 64}
    assert set(along(sizes(POINTS[:1]), "size")["size"]) == {48}
    panels = figures.size_and_data(sizes()).axes
    assert [axes.lines[0].get_xdata().tolist() for axes in panels] == [[24, 48, 96]] * 3 + [[16, 64]] * 3
    assert [text.get_text() for text in panels[0].get_legend().get_texts()] == ["masked, bound"]
    assert panels[0].get_ylabel() == "bits per byte"


def test_a_build_has_a_panel_and_each_initial_scale_a_colour():
    rows = [
        {"family": family, "causal": causal, "initial": initial, "probe": probe, "layer": layer, "estimate": 0.5,
         "low": 0.4, "high": 0.6}
        for family, causal, initial, probe, layer in itertools.product(
            ("mamba2", "llama"), (True, False), (0.1, 0.02), ("ridge", "centroid"), (0, 1)
        )
    ]  # fmt: skip
    panels = figures.untrained(pd.DataFrame(rows)).axes
    assert [axes.get_title() for axes in panels] == [
        *("mamba2\ncentroid", "llama\ncentroid", "mamba2\nridge", "llama\nridge")
    ]
    assert [(line.get_color(), line.get_linestyle()) for line in panels[0].lines] == [
        *(("C0", "-"), ("C1", "-"), ("C0", "--"), ("C1", "--"))
    ]


def test_every_target_has_a_panel_with_costs_first_and_the_others_are_empty():
    rows = [
        {"target": target, "measure": measure, "kind": kind, "estimate": 0.5, "smallest": 0.1, "largest": 0.9}
        for target, measure, kind in itertools.product(
            ("lee spearman", "bits_per_byte"), ("rankme", "step"), ("spearman", "partial")
        )
    ]
    first, second, third = figures.predictors(pd.DataFrame(rows)).axes
    assert (first.get_title(), second.get_title()) == ("bits\nper byte", "lee\nspearman")
    assert not third.axison
    assert [label.get_text() for label in first.get_yticklabels()] == ["rankme", "step"]
