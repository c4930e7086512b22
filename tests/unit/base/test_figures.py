import re
from io import BytesIO

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from matplotlib.figure import Figure
from PIL import Image

from bitskept.base import figures

RC = {
    "font.size": 30, "axes.labelsize": 40, "figure.dpi": 33, "savefig.dpi": 50, "savefig.transparent": True,
    "savefig.bbox": "tight", "axes.formatter.use_mathtext": True, "lines.linewidth": 9, "svg.fonttype": "path",
    "figure.facecolor": "red", "figure.constrained_layout.use": False,
}  # fmt: skip


def drawn(size=(5, 3), title="title", x="linear", words=None):
    with figures.style():
        figure = Figure(figsize=size)
        left, right = figure.subplots(1, 2)
        left.plot([1, 10, 1e5], [1e-3, 1, 1e4], label=title)
        left.set(xscale=x, yscale="log", title=title, xlabel=title)
        left.legend()
        right.bar(words or ["a", "b", "c"], [1, 3, 2])
        return figure


def texts(svg):
    """Every text of a picture, without its spaces."""
    return [re.sub(r"<[^>]*>|\s", "", text) for text in re.findall(r"<text.*?</text>", svg.decode(), re.DOTALL)]


def pixels(png):
    return np.asarray(Image.open(BytesIO(png)))


def test_the_same_figure_gives_the_same_files_and_text_stays_text():
    first, second = (figures.rendered(drawn(), "x") for _ in range(2))
    assert first == second
    assert set(first) == {"png", "svg"}
    assert "title" in texts(first["svg"])


@pytest.mark.parametrize("usetex", [False, True])
def test_a_users_own_settings_change_nothing(usetex):
    before = figures.rendered(drawn(), "x")
    with mpl.rc_context(RC | {"text.usetex": usetex}):
        assert figures.rendered(drawn(), "x") == before
        assert mpl.rcParams["font.size"] == 30, "and they stay"


@pytest.mark.parametrize("label", ["$$", "a$b_{$c", "$x^2$", r"\frac"])
def test_text_is_never_read_as_mathematics(label):
    svg = figures.rendered(drawn(title=label, words=[label, f"{label}!", "c"]), "x")["svg"]
    assert texts(svg).count(label) == 4, "as a title, an axis label, an entry of a legend and a tick"
    assert f"{label}!" in texts(svg)


@pytest.mark.parametrize("scale", ["log", "symlog"])
@pytest.mark.parametrize("size", [(5, 3), (16, 12)])
def test_powers_of_ten_are_shown_as_powers(scale, size):
    shown = texts(figures.rendered(drawn(size, x=scale), "x")["svg"])
    assert len([text for text in shown if re.fullmatch(r"10−?\d", text)]) >= 4
    assert not [text for text in shown if "$" in text or "mathdefault" in text]


def test_a_power_that_the_layout_adds_is_shown_as_a_power():
    with figures.style():
        figure = Figure(figsize=(4, 1.6))
        axes = figure.subplots()
        axes.plot([0, 1], [1, 1e3])
        axes.set(yscale="log", xticks=[])
        assert len(axes.yaxis.get_ticklabels()) == 4, "before the layout makes room for more"
    shown = texts(figures.rendered(figure, "x")["svg"])
    assert shown == ["100", "101", "102", "103"]
    assert len(axes.yaxis.get_ticklabels()) > 4


def test_minor_powers_and_those_of_an_inset_are_shown_as_powers():
    with figures.style():
        figure = Figure(figsize=(5, 5))
        axes = figure.subplots()
        axes.plot([0, 1], [2, 6])
        axes.set_yscale("log")  # so short that the minor ticks have labels
        inset = axes.inset_axes([0.2, 0.5, 0.3, 0.3])
        inset.plot([1, 1000], [0, 1])
        inset.set_xscale("log")
    shown = texts(figures.rendered(figure, "x")["svg"])
    assert [text for text in shown if text == "4×100"]
    assert not [text for text in shown if "$" in text]


def test_a_large_figure_is_rendered_at_a_lower_resolution():
    assert max(pixels(figures.rendered(drawn((40, 4)), "x")["png"]).shape) <= 1.05 * figures.LARGEST_SIDE
    height, width, _ = pixels(figures.rendered(drawn((5, 3)), "x")["png"]).shape
    assert 0.8 * 5 * figures.DPI < width < 1.2 * 5 * figures.DPI
    assert 0.8 * 3 * figures.DPI < height < 1.2 * 3 * figures.DPI


def test_seaborn_grids_keep_their_legend():
    table = pd.DataFrame({"layer": [0, 1, 2], "estimate": [1.0, 2.0, 3.0], "side": "late"})
    with figures.style():
        grid = sns.relplot(table, x="layer", y="estimate", hue="side", col="side", kind="line")
    assert "late" in texts(figures.rendered(grid.figure, "x")["svg"])


@pytest.mark.parametrize("axes", [0, 1])
def test_a_figure_that_shows_nothing_is_refused(axes):
    figure = Figure()
    for _ in range(axes):
        figure.add_subplot()
    with pytest.raises(ValueError, match="figure empty shows no data"):
        figures.rendered(figure, "empty")


def test_registered_models_have_colours_of_their_own_and_others_a_steady_one(project):
    ids = [f"model-{number}" for number in range(25)]
    (project / "params" / "models.yaml").write_text("".join(f"{id}: {{}}\n" for id in ids))
    assert len({figures.colour(id) for id in ids}) == len(ids)
    assert figures.colour("my-own") == figures.colour("my-own")


def test_a_curve_has_its_interval_around_it_and_is_drawn_in_order():
    rows = pd.DataFrame({"layer": [1, 0], "estimate": [0.5, 0.2], "low": [0.4, 0.1], "high": [0.7, 0.3]})
    axes = Figure().subplots()
    figures.curve(axes, rows, "layer", share=True)
    (line,), (band,) = axes.lines, axes.collections
    assert line.get_xydata().tolist() == [[0, 0.2], [1, 0.5]]
    corners = {(x, round(y, 6)) for x, y in band.get_paths()[0].vertices}
    assert {(0, 0.1), (0, 0.3), (1, 0.4), (1, 0.7)} <= corners
    assert axes.yaxis.get_major_formatter()(0.5) == "50%"


def test_points_have_their_intervals():
    rows = pd.DataFrame({"estimate": [0.5, 0.2], "low": [0.4, 0.1], "high": [0.7, 0.3]})
    axes = Figure().subplots()
    figures.points(axes, rows, [3.0, 4.0])
    (bars,) = axes.containers
    (segments,) = bars[2]
    assert np.allclose(segments.get_segments(), [[[0.4, 3], [0.7, 3]], [[0.1, 4], [0.3, 4]]])


def test_the_label_says_where_there_is_no_interval_at_all():
    rows = pd.DataFrame({"layer": [0, 1], "estimate": [1.0, 2.0], "low": [0.5, np.nan], "high": [1.5, np.nan]})
    none = rows.assign(low=np.nan)
    axes = Figure().subplots()
    for part, label in ((rows, "known"), (none, "few"), (none, None)):
        figures.curve(axes, part, "layer", **({"label": label} if label else {}))
        figures.points(axes, part, [0.0, 1.0], **({"label": label} if label else {}))
    assert axes.get_legend_handles_labels()[1] == ["known", "few (no interval)"] * 2


def test_a_family_has_one_colour():
    ids = ["smollm2-135m", "smollm-1.7b-instruct", "pythia-70m@step1000", "pythia-12b", "My-own", "my-other", "7b"]
    found = figures.colours_by_family(ids)
    assert found["smollm2-135m"] == found["smollm-1.7b-instruct"]
    assert found["pythia-70m@step1000"] == found["pythia-12b"]
    assert found["My-own"] == found["my-other"]
    assert len(set(found.values())) == 4
    many = [f"{letter}{other}" for letter in "abc" for other in "defgh"]
    assert len(set(figures.colours_by_family(many).values())) == 15


@pytest.mark.parametrize("number", [1, 3, 75])
def test_each_of_many_points_has_its_name_beside_it_and_no_two_names_overlap(number):
    random = np.random.default_rng(0)
    places = {f"model-{place}": tuple(random.normal(size=2).tolist()) for place in range(number)}
    with figures.style():
        figure = Figure(figsize=(13, 9), layout="constrained")
        axes = figure.subplots()
        axes.plot(*zip(*places.values(), strict=True), "o")
        figures.label_points(axes, places, size=8)
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in axes.texts]
    assert [text.get_text() for text in axes.texts] == list(places)
    for text, (x, y) in zip(axes.texts, places.values(), strict=True):
        assert tuple(text.xy) == (x, y)
    overlaps = sum(box.count_overlaps(boxes) - 1 for box in boxes)
    assert overlaps <= 0.05 * number
    assert all(axes.get_window_extent().padded(2).contains(box.x0, box.y0) for box in boxes)


def test_intervals_end_where_what_they_are_about_does_or_at_an_estimate_beyond():
    rows = pd.DataFrame({"estimate": [1.0, -0.1, 2.2], "low": [-1.0, -0.3, 1.5], "high": [3.0, 0.2, 2.9]})
    ends = figures.possible(rows, 2.0)
    assert ends["low"].tolist() == [0.0, -0.1, 1.5]
    assert ends["high"].tolist() == [2.0, 0.2, 2.2]
