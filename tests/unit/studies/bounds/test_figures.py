"""The figures of notebook 01 from small tables: each shows what its table holds, also where parameters are few."""

import numpy as np
import pandas as pd

from bitskept.base.publishing import drawn
from bitskept.studies.bounds import certificate, fano, figures, sandwich
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
    table = certificate.count([channels.symmetric(8, 0.1), channels.erasure(8, 0.3)], [100], [0.1], 20, 0)
    left, right = drawn(figures.coverage, pd.DataFrame(table), section).axes
    assert labels(left) == ["no limits", "H(X) known", "certificate", "as promised"]
    assert labels(right) == ["symmetric", "erasure"]
    assert right.get_title() == "Share of the truth certified, δ = 0.1"
