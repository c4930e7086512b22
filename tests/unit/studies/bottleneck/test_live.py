import pandas as pd
import pytest

from bitskept.base.figures import rendered
from bitskept.studies.bottleneck import live

ROWS = [
    ("a", "soft_entropy", 60000, None, 6.0),
    ("a", "random_entropy", 1, None, 3.0),
    ("a", "random_entropy", 8, None, 5.0),
    ("b", "random_entropy", 1, None, 4.0),
    ("b", "random_entropy", 8, None, 5.0),
    ("b", "soft_entropy", 60000, None, 5.5),
    ("a", "unique_input", None, 1, 0.1),
]
FLOOR = pd.DataFrame(ROWS, columns=["model", "quantity", "n", "width", "estimate"]).assign(layer=3, unit="bits")


def test_each_model_has_its_own_entropy_of_all_states():
    table = live.floors(FLOOR)
    assert table["states"].tolist() == [1, 8, 1, 8], "and the whole text is no number of states of a label"
    assert table["all_states"].tolist() == [6.0, 6.0, 5.5, 5.5]


@pytest.mark.parametrize(("states", "words"), [(1, "1 random state "), (8, "8 random states ")])
def test_the_figure_says_what_the_chosen_number_seems_to_carry(states, words):
    figure = live.states_of_a_label(live.floors(FLOOR), states=states)
    assert rendered(figure, "x", ["png"])
    (axes,) = figure.axes
    assert words in axes.get_title()
    said = [text.get_text() for text in axes.get_legend().get_texts()]
    expected = {1: (3.0, 1.5), 8: (1.0, 0.5)}[states]
    assert said == [f"a: {expected[0]:.2f} of 6.00 bits", f"b: {expected[1]:.2f} of 5.50 bits"]
