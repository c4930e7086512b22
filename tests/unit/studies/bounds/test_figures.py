"""The figures of notebook 01 from small tables: each shows what its table holds, also where parameters are few."""

import numpy as np
import pandas as pd

from bitskept.base.publishing import drawn
from bitskept.studies.bounds import certificate, fano, figures, interval_coverage, sandwich, usable_information
from bitskept.theory import channels


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_sandwich_has_a_panel_for_each_encoder(section):
    figure = drawn(figures.sandwich, sandwich.by_loss(section), section)
    assert [axes.get_title() for axes in figure.axes] == list(sandwich.ENCODERS)


def test_fano_region_has_a_curve_for_each_alphabet(section):
    laws = np.random.default_rng(0).dirichlet(np.ones(20), size=5).reshape(5, 4, 5)
    left, right = drawn(figures.fano_region, fano.region(laws), section).axes
    assert labels(right) == ["|A| = 10", "|A| = 1,000", "|A| = 50,000"]
    assert [text.get_text().strip() for text in left.texts] == [f"|A| = {size}" for size in section.fano_alphabets]
    dots = next(line for line in left.lines if line.get_label() == "random channels, |A| = 4")
    assert len(dots.get_xdata()) == 5


def test_coverage_of_one_delta_and_one_size(section):
    table = certificate.count([channels.symmetric(8, 0.1), channels.erasure(8, 0.3)], [100], [0.1], 20, 0, 1000)
    left, right = drawn(figures.coverage, pd.DataFrame(table), section).axes
    assert labels(left) == ["no limits", "H(X) known", "same samples", "certificate", "as promised"]
    assert labels(right) == ["symmetric", "erasure", "H(X) from the\nsame samples"]
    assert right.get_title() == "Share of the truth certified, δ = 0.1"


def test_interval_coverage_has_a_panel_for_each_kind_and_says_where_there_is_no_interval(section):
    table = interval_coverage.count(section.clusters, section.data_sets, 0)
    panels = drawn(figures.interval_coverage, table, section).axes
    titles = [axes.get_title().replace("\n", " ") for axes in panels]
    assert titles == list(interval_coverage.KINDS)
    assert labels(panels[0]) == [interval_coverage.PERCENTILES, interval_coverage.OURS, "promised: 5 %"]
    # One sentence never has an interval; 8 have none where values are skewed.
    assert [text.get_text() for axes in panels for text in axes.texts] == [
        f"no interval\nup to {most}" for most in (1, 1, 1, 8)
    ]
    missed = panels[0].lines[1].get_ydata()
    assert np.isnan(missed[0])
    assert (missed[1:] < 0.2).all()


def test_usable_information_has_a_panel_for_each_probe_and_a_curve_for_the_first_and_last_layer(section):
    table = usable_information.measure(1, 1, [5, 20], 0)
    panels = drawn(figures.usable_information, table, section).axes
    assert [axes.get_title() for axes in panels] == list(usable_information.PROBES)
    assert labels(panels[0]) == ["the truth at every layer, H(X)", "layer 0", "layer 1"]
    usable = table[table["quantity"] == "usable"].set_index(["probe", "layer"])["estimate"]
    for axes, probe in zip(panels, usable_information.PROBES, strict=True):
        for layer in (0, 1):
            np.testing.assert_allclose(axes.lines[1 + layer].get_ydata(), usable[(probe, layer)])
