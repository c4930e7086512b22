import pandas as pd

from bitskept.base.figures import rendered
from bitskept.studies.tour import live

ROWS = [
    # sentence, position, token, layer, without_state, surprisal, correct
    (0, 0, "The", 0, 4.0, 0.0, True),
    (0, 0, "The", 5, 4.0, 1.0, True),
    (0, 1, "whale", 0, 9.0, 0.5, True),
    (0, 1, "whale", 5, 9.0, 12.0, False),
    (1, 0, "$x$", 0, 7.0, 0.0, True),
    (1, 0, "$x$", 5, 7.0, 0.5, True),
]
TABLE = pd.DataFrame(ROWS, columns=["sentence", "position", "token", "layer", "without_state", "surprisal", "correct"])


def axes_of(sentence, layer):
    figure = live.tokens(TABLE, sentence=sentence, layer=layer)
    assert rendered(figure, "x", ["png"])
    return figure.axes[0]


def test_bars_are_the_tokens_of_the_chosen_sentence_at_the_chosen_layer():
    axes = axes_of(0, 5)
    assert [bar.get_height() for bar in axes.patches] == [1, 12]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["The", "whale"]
    assert axes.get_title() == "Your sentence: layer 5 leaves 13.0 of 13.0 bits open"
    without, wrong = axes.get_lines()
    assert list(without.get_ydata()) == [4, 9]
    assert list(zip(*wrong.get_data(), strict=True)) == [(1, 12)]


def test_all_layers_of_a_sentence_have_the_same_scale():
    assert axes_of(0, 0).get_ylim() == axes_of(0, 5).get_ylim() == (0, 1.05 * 12)


def test_the_other_sentences_are_told_by_their_number():
    axes = axes_of(1, 0)
    assert axes.get_title() == "Sentence 1: layer 0 leaves 0.0 of 7.0 bits open"
    assert len(axes.get_lines()[1].get_xdata()) == 0, "no guess is wrong"
