from io import BytesIO

import pandas as pd
import pytest
from IPython.display import Image, Markdown
from matplotlib.figure import Figure
from PIL import Image as Pixels

from bitskept.base import live

TABLE = pd.DataFrame({"number_of_words": [1, 1, 5, 5], "reading": ["token", "bag"] * 2, "y": [1, 2, 3, 4]})


class Shown:
    """Stands for a front end: what was displayed, and what a picture was replaced by."""

    def __init__(self):
        self.outputs, self.updates = [], []

    def display(self, output, display_id=False):
        self.outputs.append(output)
        return self if display_id else None

    def update(self, output):
        self.updates.append(output)


@pytest.fixture
def shown(monkeypatch):
    front_end = Shown()
    monkeypatch.setattr(live, "display", front_end.display)
    return front_end


@pytest.fixture
def drawn():
    """The values that the figure below was drawn for."""
    return []


@pytest.fixture
def bars(drawn):
    def draw(table, number_of_words, reading):
        """One bar.

        `table` is TABLE.
        """
        drawn.append((number_of_words, reading))
        figure = Figure(figsize=(2, 2))
        rows = table[(table["number_of_words"] == number_of_words) & (table["reading"] == reading)]
        figure.subplots().bar([0], rows["y"])
        return figure

    return draw


def test_without_a_reader_there_is_a_picture_and_a_sentence(shown, drawn, bars):
    live.explore(bars, TABLE, number_of_words=5, reading="bag")
    picture, sentence = shown.outputs
    assert isinstance(picture, Image)
    assert Pixels.open(BytesIO(picture.data)).format == "PNG"
    assert picture.alt == "One bar. (number of words 5, reading bag)"
    assert isinstance(sentence, Markdown)
    assert "choose number of words and reading" in sentence.data
    assert drawn == [(5, "bag")]


def test_a_value_that_the_table_does_not_have_is_refused(shown, bars):
    with pytest.raises(LookupError, match="number_of_words = 3: choose one of 1, 5"):
        live.explore(bars, TABLE, number_of_words=3, reading="bag")
    assert not shown.outputs


def test_with_a_reader_each_control_draws_the_picture_again(shown, drawn, bars, monkeypatch):
    widgets = pytest.importorskip("ipywidgets")
    monkeypatch.setattr(live, "_has_reader", lambda: True)
    live.explore(bars, TABLE, number_of_words=5, reading="bag")
    box, picture = shown.outputs
    slider, buttons = box.children
    assert isinstance(slider, widgets.SelectionSlider)
    assert isinstance(buttons, widgets.ToggleButtons)
    assert [(slider.description, slider.value), (buttons.description, buttons.value)] == [
        ("number of words", 5),
        ("reading", "bag"),
    ]
    slider.value = 1
    buttons.value = "token"
    assert drawn == [(5, "bag"), (1, "bag"), (1, "token")]
    assert [update.data != picture.data for update in shown.updates] == [True, True]
    assert shown.updates[-1].alt.endswith("(number of words 1, reading token)")
