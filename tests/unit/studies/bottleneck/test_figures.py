import numpy as np
import pandas as pd
import pytest

from bitskept.base.figures import rendered
from bitskept.base.publishing import drawn
from bitskept.instruments.training.twin_runs import TWINS
from bitskept.studies.bottleneck import figures
from bitskept.studies.bottleneck.correlations import REPORTED
from bitskept.studies.bottleneck.section import IbCorrelations


def table(number, *, scored):
    """Optimality and complexity of so many models, raw and corrected; a score of all but the first."""
    rows = [
        {
            "model": f"family{'abcde'[place % 5]}-{place}",
            "quantity": f"{quantity}{end}",
            "estimate": 0.01 * place + shift,
            "parameters": 10.0 ** (7 + place % 4),
        }
        for place in range(number)
        for quantity, shift in (("complexity", 3.0), ("optimality", 0.2))
        for end in ("", "_corrected")
    ]
    found = pd.DataFrame(rows)
    found["average"] = found["model"].map(lambda name: int(name.split("-")[1]) / 100 or None) if scored else None
    found = found.assign(low=found["estimate"] - 0.01, high=found["estimate"] + 0.01)
    four = {"quantity": list(REPORTED), "reported": list(REPORTED.values()), "n": number, "estimate": np.nan}
    return pd.concat([found, pd.DataFrame(four | {"low": np.nan, "high": np.nan})])


@pytest.mark.parametrize(("number", "scored"), [(1, False), (3, False), (3, True), (75, True)])
def test_each_model_has_a_labelled_point_and_no_legend_lists_them(number, scored):
    figure = drawn(figures.correlations, table(number, scored=scored), IbCorrelations.model_construct())
    assert not figure.legends
    *models, four = figure.axes
    for axes in models:
        assert axes.get_legend() is None
        names = [text.get_text() for text in axes.texts]
        assert len(names) == len(set(names)) == number - scored
        points = {line.get_xdata()[0] for line in axes.get_lines() if len(line.get_xdata())}
        assert {text.xy[0] for text in axes.texts} == points
        assert "complexity" not in axes.get_xlabel()
    assert list(four.get_lines()[0].get_xdata()) == list(REPORTED.values())
    assert set(rendered(figure, "x")) == {"png", "svg"}


def runs_of(kinds):
    """A correlation for each of two targets, the second without any run, and two runs of each kind for the first."""
    row = {"target": "bits per byte", "able": True, "measure": "rankme", "estimate": 0.9, "low": 0.8, "high": 1.0}
    row |= {"p": 0.001, "p_holm": 0.01, "detectable": 0.7, "n": 2 * len(kinds)}
    none = dict.fromkeys(("estimate", "low", "high", "p", "p_holm", "detectable"), np.nan)
    none |= {"target": "accuracy", "able": False, "n": 0}
    dots = [
        {"target": "bits per byte", "run": f"{kind}-{seed}", "twin": kind, "weights": 10.0 * (seed + 1)}
        | {"left_of_measure": place + seed, "left_of_target": place - seed}
        for place, kind in enumerate(kinds)
        for seed in (0, 1)
    ]
    return pd.DataFrame([row, row | none, *dots])


def test_runs_of_seven_kinds_have_as_many_colours_and_no_panel_is_empty_without_a_word():
    kinds = [*TWINS][:7]
    figure = drawn(figures.runs, runs_of(kinds), IbCorrelations.model_construct())
    dots, marks = figure.legends
    assert [text.get_text() for text in dots.get_texts()] == kinds
    assert len({handle.get_color() for handle in dots.legend_handles}) == 7
    assert "significant (Holm)" in [text.get_text() for text in marks.get_texts()]
    shown, lacking, correlated, none = figure.axes
    assert len(shown.collections[0].get_offsets()) == 14
    assert correlated.get_lines()[-2].get_xdata().tolist() == [0.9]  # the mark of what is significant
    for axes in (lacking, none):
        assert [text.get_text() for text in axes.texts] == ["too few runs"]
    assert "(14 runs)" in shown.get_title()
    assert "(0 runs, not above guessing)" in lacking.get_title()
    assert set(rendered(figure, "x")) == {"png", "svg"}
