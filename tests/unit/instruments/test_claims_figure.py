import numpy as np
import pytest

from bitskept.base import figures
from bitskept.instruments import claims, claims_figure


def row(**changes):
    usual = {"paper": "P1", "claim": "Late layers forget", "reading": "token", "probe": "centroid", "unit": "bits"}
    numbers = {"train_sentences": 3000, "clusters": 250, "estimate": 0.5, "low": 0.3, "high": 0.7, "p": 0.001}
    return usual | numbers | {"model": "A", "detectable": 0.25} | changes


UNSURE = {"estimate": 0.0, "low": -0.2, "high": 0.2, "p": 0.4}
UNTESTED = dict.fromkeys(["estimate", "low", "high", "p", "detectable", "unit"], np.nan)


def drawn(*rows):
    with figures.style():
        return claims_figure.draw(claims.table(rows, relevant=0.1), relevant={"bits": 0.1, "share": 0.02})


def estimates(axes):
    """The points of a panel from top to bottom, whatever their colours."""
    places = [point for container in axes.containers if hasattr(container, "has_xerr")
              for point in zip(*container.lines[0].get_data(), strict=True)]  # fmt: skip
    return [x for x, _ in sorted(places, key=lambda place: -place[1])]


def test_a_panel_for_each_claim_and_a_line_for_each_row():
    figure = drawn(row(), row(model="B", **UNSURE), row(model="C"), row(claim="X", unit="share", model=np.nan))
    first, second = figure.axes
    assert [first.get_title(loc="left"), second.get_title(loc="left")] == ["Late layers forget", "X"]
    assert [first.get_xlabel(), second.get_xlabel()] == ["bits", "share"]
    names = {tick.get_text(): place for tick, place in zip(first.get_yticklabels(), first.get_yticks(), strict=True)}
    assert sorted(names, key=names.get, reverse=True) == [
        f"{model}: token, centroid, 3,000 sentences" for model in ("A", "B", "C")
    ]
    assert estimates(first) == [0.5, 0.0, 0.5]
    assert second.get_yticklabels()[0].get_text() == "token, centroid, 3,000 sentences"


def test_the_band_reaches_as_far_as_what_would_have_been_seen():
    (axes,) = drawn(row(), row(detectable=0.4, **UNSURE)).axes
    assert [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches] == [
        pytest.approx((-0.25, 0.25)),
        pytest.approx((-0.4, 0.4)),
    ]


def test_where_nothing_would_have_been_seen_the_band_is_under_the_whole_interval():
    (axes,) = drawn(row(detectable=np.inf, **UNSURE)).axes
    (bar,) = axes.patches
    assert (bar.get_x(), bar.get_width()) == pytest.approx((-0.21, 0.42))


@pytest.mark.parametrize(("detectable", "end"), [(0.93, 0.93), (np.inf, 1), (np.nan, 0.9)])
def test_the_band_of_a_share_begins_at_what_it_is_tested_against(detectable, end):
    share = row(estimate=0.6, low=0.58, high=0.62, p=1.0, unit="of it", detectable=detectable)
    table = claims.table([share, row()], relevant={"of it": 0.9, "bits": 0.1})
    first, second = claims_figure.draw(table, relevant={"of it": 0.9, "bits": 0.1}, shares={"of it": 0.9}).axes
    (bar,), (other,) = first.patches, second.patches
    assert (bar.get_x(), bar.get_x() + bar.get_width()) == pytest.approx((0.9, end))
    assert first.get_xlim() == (0, 1)
    assert other.get_x() == -0.25


def test_a_line_is_at_the_least_effect_that_counts():
    figure = drawn(row(), row(claim="X", unit="share"))
    lines = [[line.get_xdata()[0] for line in axes.get_lines() if line.get_linestyle() == ":"] for axes in figure.axes]
    assert lines == [[0.1], [0.02]]
    assert figure.legends[0].get_texts()[-1].get_text() == "the least that counts"


def test_outcomes_are_told_apart_and_named():
    figure = drawn(row(), row(estimate=0.0, low=-0.05, high=0.05, p=0.5), row(**UNSURE))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()][:3] == ["yes", "no", "cannot tell"]
    lines = [container.lines[0] for container in figure.axes[0].containers if hasattr(container, "has_xerr")]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 3
    assert [text.get_text() for text in drawn(row()).legends[0].get_texts()][:-2] == ["yes"]


def test_what_was_not_tested_is_listed_below():
    claim = "Encoders keep more: it takes pairs of models"
    last = drawn(row(), row(claim=claim, **UNTESTED)).axes[-1]
    (text,) = last.texts
    assert text.get_text() == f"Not tested:\n• {claim}"
    assert text.get_color() == "grey"


def test_forty_rows_and_rows_without_an_interval_can_be_written():
    missing = {"low": np.nan, "high": np.nan, "p": np.nan, "detectable": np.nan}
    rows = [row(model=f"model {number}", claim=f"claim {number % 4}") for number in range(40)]
    figure = drawn(*rows, row(model="few", **missing))
    assert set(figures.rendered(figure, "claims")) == {"png", "svg"}
    assert estimates(figure.axes[0])[-1] == 0.5


def test_a_row_with_a_long_name_has_room_for_its_lines():
    short, long = (drawn(*[row(model=name)] * 3) for name in ("A", "a name of words " * 8))
    assert "\n" in long.axes[0].get_yticklabels()[0].get_text()
    assert long.get_size_inches()[1] > short.get_size_inches()[1] + 0.3
