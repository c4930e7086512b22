from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

from bitskept.sources import corpora
from bitskept.studies.output.class_checkpoints import DEPTH, RANDOM, SINCE_FIRST, SINCE_RANDOM, TRAINING, by_layer
from bitskept.studies.output.word_classes import (
    COLUMNS,
    Plan,
    Use,
    choose,
    discrimination,
    enough,
    measure,
    named_right,
    standardised,
    uses,
)

CLASSES = {"pronoun": ["it", "he"], "determiner": ["the", "a"]}
PLAN = Plan("none", CLASSES, sentences=10, most=3, least=2, shuffles=2, longest=34)

pytestmark = pytest.mark.usefixtures("one_thread")


def clusters(words, classes, dim, *, by_class, by_word, uses_each=4, seed=0):
    """States of uses: a direction for each class and one for each word, with noise; the word of each use, and the class
    of each word."""
    random = np.random.default_rng(seed)
    of_word = np.arange(words) % classes
    of_use = np.repeat(np.arange(words), uses_each)
    centres = by_class * random.normal(size=(classes, dim))[of_word] + by_word * random.normal(size=(words, dim))
    return centres[of_use] + 0.1 * random.normal(size=(len(of_use), dim)), of_use, of_word


def test_classes_are_named_from_other_words():
    states, of_use, of_word = clusters(30, 3, 20, by_class=3, by_word=0.5)
    np.testing.assert_array_equal(named_right(standardised(states), of_use, of_word, seed=0), np.ones(30))


def test_words_known_by_heart_name_no_class():
    """Every word has its own direction, and classes have none: words that are held out are named by chance."""
    shares = []
    for seed in range(40):
        states, of_use, of_word = clusters(40, 4, 30, by_class=0, by_word=3, seed=seed)
        shares.append(named_right(standardised(states), of_use, of_word, seed=seed).mean())
    assert np.mean(shares) == pytest.approx(0.25, abs=3 * np.std(shares) / np.sqrt(40))
    assert np.mean(shares) == pytest.approx(0.25, abs=0.04)


def test_a_class_whose_other_words_are_all_held_out_is_never_named():
    states, of_use, _ = clusters(7, 2, 5, by_class=3, by_word=0)
    lonely = np.append(np.zeros(6, int), 1)
    assert named_right(standardised(states), of_use, lonely, seed=0)[-1] == 0


def test_standardised_features():
    states = np.random.default_rng(0).normal(3, [1, 50, 0], size=(40, 3)).astype(np.float32)
    scaled = standardised(states)
    assert scaled.shape == (40, 2)
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(scaled.std(0), 1)


def test_discrimination_of_points_and_of_noise():
    """Two classes of one point each, ±1 in every feature, have distances 0 within and √dim between."""
    signs = np.repeat([[1.0], [-1.0]], 5, axis=0) * np.ones(9)
    assert discrimination(signs, np.repeat([0, 1], 5)) == pytest.approx(-1)
    noise = np.random.default_rng(0).normal(size=(400, 30))
    assert discrimination(noise, np.arange(400) % 2) == pytest.approx(0, abs=0.01)


def test_sentences_are_chosen_while_a_word_is_wanted():
    texts = ["It and it.", "Nothing.", "it he", "it", "He, the cat", "a", "IT"]
    assert choose(texts, replace(PLAN, most=2)) == [0, 2, 4, 5]


def test_uses_are_whole_words_of_known_tokens_after_the_first_two():
    text = "so a hot cat's theme: it sat, the end"
    #       0  3 5   9     15    22
    tokens = [(0, 2), (3, 4), (5, 8), (9, 14), (15, 18), (18, 20), (20, 21), (22, 23), (23, 24), (25, 28), (28, 29)]
    listed = list(uses([text], [[*tokens, (30, 33), (34, 37)]], PLAN))
    assert listed == [Use(0, "it", 7, 8), Use(0, "the", 11, 11)]
    assert list(uses(["x x theme"], [[(0, 1), (2, 3), (4, 7), (7, 9)]], PLAN)) == []


def test_words_need_uses_and_classes_words():
    listed = [Use(place, word, 2, 2) for place, word in enumerate([*["it"] * 4, "he", "the", "the", "a", "a"])]
    kept = enough(listed, PLAN)
    assert [use.word for use in kept] == ["the", "the", "a", "a"]
    assert [use.word for use in enough(listed, replace(PLAN, least=1))][:4] == ["it", "it", "it", "he"]


@pytest.mark.parametrize("classes", [{"a": ["x"]}, {"a": ["x", "y"], "b": ["y"]}])
def test_plans_are_checked(classes):
    with pytest.raises(ValueError, match=r"two classes|in two"):
        Plan("none", classes, sentences=5)


TEXTS = ["the cat sat at it.", "cat at the it, the he a it", "at it, the he: a he", "cat sat, a he at a it the"]


def test_states_at_words_of_layer_0_are_those_of_their_tokens(tiny):
    """At layer 0 all uses of a word have one state, so each is wholly right or wholly wrong."""
    with patch.object(corpora, "load", return_value={"text": TEXTS}):
        table = measure.compute(tiny("llama"), PLAN, progress=False)
    assert list(table.columns) == COLUMNS
    assert set(table["word"]) == {"it", "he", "the", "a"}
    assert set(table["layer"]) == {0, 1, 2, 3}
    start = table[(table["layer"] == 0) & (table["reading"] == "at")]
    assert start["right"].isin([0, 1]).all()
    assert table[["right", "shuffled"]].stack().between(0, 1).all()
    assert (table["uses"] <= PLAN.most).all()


def test_texts_with_too_few_words_are_refused(tiny):
    with (
        patch.object(corpora, "load", return_value={"text": TEXTS[:1]}),
        pytest.raises(ValueError, match="too few uses of words of two classes"),
    ):
        measure.compute(tiny("llama"), PLAN, progress=False)


def raw(rights, *, weights="trained", words=24, **facts):
    """A table of `measure` with layers 0, 1, ... of these shares right on average."""
    random = np.random.default_rng(0)
    jitter = random.uniform(-0.1, 0.1, size=words)
    rows = [
        {"model": "m", "weights": weights, "layer": layer, "reading": reading, "word": f"w{word}", "class": "c"}
        | {"uses": 3, "right": right + (layer + 1) * jitter[word], "shuffled": 0.1, "discrimination": -0.1 * layer}
        for layer, right in enumerate(rights)
        for reading in ("before", "at")
        for word in range(words)
    ]
    return pd.DataFrame(rows).assign(**facts)


def test_differences_between_layers_steps_and_weights():
    twins = pd.concat([raw([0.2, 0.3], step=0, twin="next token"), raw([0.3, 0.6], step=8, twin="next token")])
    table = by_layer(raw([0.3, 0.4, 0.7]), [raw([0.2, 0.3, 0.3], weights="random")], twins, 0)
    assert table.attrs["made by"].endswith("by_layer")
    differences = table[table["reading"] == "before"].set_index(["weights", "quantity"])
    jitter = np.random.default_rng(0).uniform(-0.1, 0.1, size=24).mean()
    expected = {("trained", DEPTH): 0.4 + 2 * jitter, ("trained", RANDOM): 0.4}
    expected |= {("twin", DEPTH): 0.3 + jitter, ("twin", TRAINING): 0.3}
    expected |= {("trained", SINCE_RANDOM): 0.5 + 2 * jitter, ("twin", SINCE_FIRST): 0.4 + jitter}
    for place, value in expected.items():
        row = differences.loc[[place]].iloc[0]
        assert row["estimate"] == pytest.approx(value)
        assert row["n"] == 24
        assert np.isnan(row["low"]) or row["low"] <= row["estimate"] <= row["high"]
    levels = table[(table["quantity"] == "right") & (table["weights"] == "trained") & (table["reading"] == "at")]
    np.testing.assert_allclose(levels["estimate"], np.array([0.3, 0.4, 0.7]) + jitter * np.arange(1, 4))
    assert ((levels["low"] < levels["estimate"]) & (levels["estimate"] < levels["high"])).all()
