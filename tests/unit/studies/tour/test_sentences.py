"""Every sentence of notebook 00, on tables small enough to check by hand."""

import pandas as pd
import pytest

from bitskept.studies.tour import sentences


def one_sentence(*last):
    """Three tokens at layers 0 and 6; `last` are the bits left open at layer 6."""
    rows = [
        ("the", 90, 2.0, 0, 0.0, True),
        ("whale", 1, 9.0, 0, 0.5, True),
        ("sang", 0, 12.0, 0, 0.75, True),
        *(
            (token, seen, without, 6, bits, bits < 1)
            for (token, seen, without), bits in zip(
                [("the", 90, 2.0), ("whale", 1, 9.0), ("sang", 0, 12.0)], last, strict=True
            )
        ),
    ]
    return pd.DataFrame(rows, columns=["token", "seen", "without_state", "layer", "surprisal", "correct"])


def test_one_sentence_names_what_is_lost_first_and_most():
    text = sentences.one_sentence(one_sentence(0.05, 3.0, 5.0))
    assert text.startswith("The first token to drop below even odds (one bit) is “sang”, at layer 6.")
    assert "At layer 6, the last one, **“sang” is lost most**: it leaves 5.0 of the 12.0 bits open" in text
    assert "It occurs 0 times in the training sentences." in text
    assert "guesses 2 of 3 tokens wrong, and 1 are nearly certain (below 0.1 bits): `the`." in text
    assert "leaves 8.1 of 23.0 bits open" in text


def test_what_is_seen_once_is_not_seen_1_times():
    text = sentences.one_sentence(one_sentence(0.05, 3.0, 5.0).assign(seen=1))
    assert "(It occurs once in the training sentences.)" in text


def test_the_first_doubt_may_come_before_the_last_layer():
    table = one_sentence(0.05, 3.0, 5.0)
    table.loc[1, "surprisal"] = 1.5
    assert "is “whale”, at layer 0." in sentences.one_sentence(table)


def test_one_sentence_in_which_nothing_is_lost():
    text = sentences.one_sentence(one_sentence(0.05, 0.2, 1.0))
    assert text.startswith("No token drops below even odds (one bit) at any layer.")
    assert "“sang” is lost most" in text


def test_one_sentence_in_which_nothing_is_certain():
    assert "and 0 are nearly certain (below 0.1 bits). Over" in sentences.one_sentence(one_sentence(0.1, 3.0, 5.0))


def layers(*bits):
    rows = [(layer, value, value - 0.25, value + 0.25, 0.5) for layer, value in zip((0, 3, 6, 9), bits, strict=True)]
    return pd.DataFrame(rows, columns=["layer", "estimate", "low", "high", "wrong"])


def test_average_of_layers_that_rise():
    text = sentences.average(layers(0.5, 1.0, 3.0, 2.5), 10.0)
    assert "naming a token takes 10.0 bits on average. Layer 0 leaves 0.50 [0.25, 0.75] of them open" in text
    assert "layer 6 3.00 [2.75, 3.25], and layer 9 **2.50 [2.25, 2.75]**, where 50% of the tokens" in text
    assert "The largest rise is 2.00 bits, up to layer 6." in text
    assert "the probe finds 75% of the bits" in text


@pytest.mark.parametrize("bits", [(3.0, 2.0, 1.0, 0.5), (1.0, 1.0, 1.0, 1.0)])
def test_average_of_layers_that_do_not_rise(bits):
    assert "It never rises from one of these layers to the next." in sentences.average(layers(*bits), 10.0)


@pytest.mark.parametrize("without_state", [2.0, 2.5])
def test_average_of_a_probe_that_finds_nothing(without_state):
    text = sentences.average(layers(0.5, 1.0, 3.0, 2.5), without_state)
    assert "the probe does no better than a guess by frequency" in text
    assert "finds" not in text
