import numpy as np
import pandas as pd
import pytest

from bitskept.base.figures import rendered
from bitskept.base.publishing import drawn
from bitskept.instruments.claims import COLUMNS, CONTROL
from bitskept.instruments.training.twin_runs import TWINS
from bitskept.studies.bottleneck import figures
from bitskept.studies.bottleneck.claims import NEAR, PART, REFERENCE
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
    four |= {"needed": [56, 1299, 30, 13], "needed_of_all": [96, 2271, 48, 19]}
    return pd.concat([found, pd.DataFrame(four | {"low": np.nan, "high": np.nan})])


@pytest.mark.parametrize("number", [3, 75])
def test_each_model_has_a_labelled_point_and_no_legend_lists_them(number):
    figure = drawn(figures.correlations, table(number, scored=True), IbCorrelations.model_construct())
    assert not figure.legends
    *models, four = figure.axes
    for axes in models:
        assert axes.get_legend() is None
        names = [text.get_text() for text in axes.texts]
        assert len(names) == len(set(names)) == number - 1
        points = {line.get_xdata()[0] for line in axes.get_lines() if len(line.get_xdata())}
        assert {text.xy[0] for text in axes.texts} == points
        assert "complexity" not in axes.get_xlabel()
    assert list(four.get_lines()[0].get_xdata()) == list(REPORTED.values())
    assert set(rendered(figure, "x")) == {"png", "svg"}


def test_without_a_score_the_models_that_it_takes_are_drawn():
    models = table(3, scored=False).assign(n=0)
    (needed,) = drawn(figures.correlations, models, IbCorrelations.model_construct()).axes
    assert needed.get_title(loc="left") == "The paper's coefficients (models with a score here: 0)"
    assert [line.get_xdata().tolist() for line in needed.get_lines()] == [[56, 1299, 30, 13], [96, 2271, 48, 19]]
    assert needed.get_yticklabels()[0].get_text() == "complexity: -0.38"


def test_coefficients_found_here_are_beside_the_papers():
    models = table(9, scored=True)
    models.loc[models["model"].isna(), ["estimate", "low", "high"]] = 0.3, 0.1, 0.5
    four = drawn(figures.correlations, models, IbCorrelations.model_construct()).axes[-1]
    assert [text.get_text() for text in four.get_legend().get_texts()][1] == "found here, 9 models"


def runs_of(kinds):
    """A correlation for each of two targets, the second without any run, and two runs of each kind for the first."""
    row = {"target": "bits per byte", "able": True, "measure": "rankme", "estimate": 0.9, "low": 0.8, "high": 1.0}
    row |= {"p": 0.001, "p_holm": 0.01, "detectable": 0.7, "n": 2 * len(kinds), "controls": 0}
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


def test_claims_are_the_papers_primary_ones_with_the_reference_where_nothing_hides_an_estimate():
    row = {"claim": REFERENCE.text, "paper": CONTROL, "outcome": "no", "estimate": 0.6, "low": 0.5, "high": 0.7}
    row |= {"unit": PART, "detectable": 0.93, "primary": True}
    none = {"claim": "bound", "paper": "P2", "outcome": "not tested", "unit": np.nan}
    others = [{"claim": "of control"}, {"claim": "wider", "primary": False}, none, none]
    table = pd.DataFrame([row, *(row | other for other in others)]).reindex(columns=COLUMNS)
    shown, untested = drawn(figures.claims, table, IbCorrelations.model_construct()).axes
    assert shown.get_title(loc="left").replace("\n", " ") == REFERENCE.text
    assert [bar.get_x() for bar in shown.patches] == [NEAR]
    assert untested.texts[0].get_text() == "Not tested:\n• bound"


def test_a_correlation_that_is_not_tested_has_a_hollow_mark_and_no_interval():
    runs = runs_of([*TWINS][:3])
    runs.loc[runs["p"].notna(), ["p", "p_holm"]] = np.nan
    figure = drawn(figures.runs, runs.assign(able=False), IbCorrelations.model_construct())
    assert "not above guessing" in figure.axes[0].get_title()
    correlated = figure.axes[2]
    hollow = [line for line in correlated.get_lines() if line.get_markerfacecolor() == "white"]
    assert [list(line.get_xdata()) for line in hollow] == [[0.9]]
    assert not np.concatenate([part.get_segments() for part in correlated.collections]).size
    assert not correlated.patches


def test_intervals_end_where_information_has_to():
    facts = {"model": "A", "anchors": 16, "depth": [0.0, 1.0], "width": 1.0}
    kinds = ("", "_corrected", "_extrapolated", "_floor")
    names = ["soft_entropy", *(side + end for side in ("complexity", "expressivity") for end in kinds)]
    ends = {"estimate": [2.0, -0.5], "low": [-3.0, -1.0], "high": [9.0, 3.0]}
    rows = pd.concat([pd.DataFrame(facts | ends | {"quantity": name}) for name in names])
    figure = drawn(figures.layers, rows, IbCorrelations.model_construct())
    for axes in figure.axes:
        for band in axes.collections:
            heights = band.get_paths()[0].vertices[:, 1]
            assert (heights.min(), heights.max()) == (-0.5, 4)
    assert 4 in [line.get_ydata()[0] for line in figure.axes[0].get_lines()]


@pytest.mark.parametrize("models", [[], ["A", "B", "C"], list("ABCDEF")])
def test_preferences_of_each_model_have_a_panel_and_the_same_axis(models):
    ends = {"depth": [0.0, 1.0], "layer": [0, 1], "estimate": [0.0, 0.1], "low": [-0.1, 0.0], "high": [0.1, 0.2]}
    quantities = [f"preference_{name}_corrected" for name in ("information", "beyond_length", "exchanged")]
    rows = [pd.DataFrame(ends | {"model": "A", "quantity": "domain_information_corrected"})]
    rows += [pd.DataFrame(ends | {"model": model, "quantity": name}) for model in models for name in quantities]
    for place, part in enumerate(rows):
        part[["low", "high"]] *= place + 1
    figure = drawn(figures.labels, pd.concat(rows), IbCorrelations.model_construct())
    domain, *preferred = figure.axes
    assert domain.get_title() == figures.DOMAIN
    assert [axes.get_title() for axes in preferred] == [f"{figures.ANSWER}: {model}" for model in models]
    assert len({axes.get_ylim() for axes in preferred}) <= 1
    highest = max([part["high"].max() for part in rows if part["quantity"].iloc[0] == quantities[0]], default=0)
    for axes in preferred:
        assert axes.get_ylim()[1] > highest
        assert [line.get_linestyle() for line in axes.get_lines()[:3]] == ["-", "--", ":"]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(names) == sorted({"A", *models} | ({"beyond length", "labels exchanged"} if models else set()))


def test_no_mark_is_cut_off_at_the_top():
    rows = [(varied, size, kind, height) for varied, height in (("vocabulary", 0.3), ("text", 0.6))
            for size in (10, 20) for kind in figures.KINDS.values()]  # fmt: skip
    models = pd.DataFrame(rows, columns=["varied", "size", "kind", "estimate"])
    found = models[models["size"] == 10].assign(size=np.nan, estimate=0.5)
    figure = drawn(figures.floor_alone, pd.concat([models, found]), IbCorrelations.model_construct())
    assert [axes.get_ylim()[1] for axes in figure.axes] == [pytest.approx(0.63)] * 2


def test_estimates_that_coincide_have_markers_of_different_sizes():
    ends = {"source": "language", "quantity": "complexity", "sentences": [10, 20], "estimate": 1.0, "exact": 1.0}
    rows = pd.concat([pd.DataFrame(ends | {"kind": kind}) for kind in figures.KINDS.values()])
    (axes,) = drawn(figures.exactness, rows, IbCorrelations.model_construct()).axes
    sizes = [line.get_markersize() for line in axes.get_lines()[:3]]
    assert sizes == sorted(set(sizes), reverse=True)
    assert axes.get_ylim()[1] > 1.05


def test_correlations_of_fewer_runs_than_a_p_value_needs_are_left_out():
    runs = runs_of([*TWINS][:3]).assign(controls=1)
    runs.loc[runs["p"].notna(), ["p", "p_holm"]] = np.nan
    figure = drawn(figures.runs, runs, IbCorrelations.model_construct())
    points, _, correlated, _ = figure.axes
    assert "too few to test" in points.get_title()
    for axes in (points, correlated):
        assert [text.get_text() for text in axes.texts] == ["too few runs"]
    assert not [x for line in correlated.get_lines()[1:] for x in line.get_xdata() if x == 0.9]


def text_added(seeds):
    rows = [
        {"model": "A", "sentences": size, "anchor_seed": seed, "quantity": quantity + end, "estimate": value}
        for seed in seeds
        for size in (10, 20)
        for quantity, high in (("optimality", 0.8), ("complexity", 2.0))
        for end, value in zip(("", "_corrected", "_extrapolated"), (high, high / 5, high / 4), strict=True)
    ]
    table = pd.DataFrame(rows)
    return table.assign(low=table["estimate"] - 0.01, high=table["estimate"] + 0.01, width=1)


def test_raw_optimality_does_not_hide_how_the_others_change():
    raw, others, bits = drawn(figures.stability, text_added([0, 1]), IbCorrelations.model_construct()).axes
    assert raw.get_ylim()[1] > 0.8
    assert 0.2 < others.get_ylim()[1] < 0.3
    assert [axes.get_ylim()[0] for axes in (raw, others, bits)] == [0, 0, 0]


@pytest.mark.parametrize(("draw", "panels"), [("stability", 3), ("by_sentences", 1)])
@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_thin_lines_are_in_the_legend_where_there_are_any(draw, panels, seeds):
    figure = drawn(getattr(figures, draw), text_added(seeds), IbCorrelations.model_construct())
    assert len(figure.axes) == panels
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["raw", "corrected", "extrapolated", "thin: other draws of the anchors"][: 2 + len(seeds)]


def test_soft_bits_have_one_scale_in_the_plane():
    facts = {"model": "A", "of": "decoder"}
    rows = [facts | {"kind": kind, "complexity": x, "expressivity": x / 4} for kind in ("raw", "corrected")
            for x in (2.0, 1.0)]  # fmt: skip
    rows += [{"kind": "bigrams", "complexity": x, "relevance": x / 2, "shuffled": 0.3} for x in (0.0, 4.0)]
    axes = {
        part.get_title(): part
        for part in drawn(figures.plane, pd.DataFrame(rows), IbCorrelations.model_construct()).axes
    }
    assert axes["raw"].get_aspect() == axes["corrected"].get_aspect() == 1
    assert axes["raw"].get_xlim() == axes["corrected"].get_xlim() == (0, 2.1)
    assert axes["raw"].get_ylim() == axes["corrected"].get_ylim()
