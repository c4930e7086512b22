import numpy as np
import pandas as pd
import pytest

from bitskept.studies.tour import averages
from bitskept.studies.tour.section import Tour

SECTION = Tour(
    profile="test",
    model="some-model",
    sentence="Two words",
    corpus="texts",
    train_sentences=1,
    validation_sentences=1,
    test_sentences=2,
    layers=2,
    seed=0,
    dtype="float32",
    accept_terms=[],
)


def surprisals():
    """Sentence 0 with two tokens, 1 with one token and 2 with three, at two layers."""
    rows = [
        (sentence, position, layer, float(layer + sentence), (sentence, layer) != (2, 1))
        for sentence, tokens in enumerate((2, 1, 3))
        for position in range(tokens)
        for layer in (0, 1)
    ]
    table = pd.DataFrame(rows, columns=["sentence", "position", "layer", "surprisal", "correct"])
    return table.assign(kind="decoder", token="word", seen=1, without_state=5.0)


def test_the_average_is_over_tokens_and_its_interval_over_sentences():
    table = surprisals()
    table_by_layer = averages.by_layer(table[table["sentence"] > 0], seed=0)
    assert table_by_layer["layer"].tolist() == [0, 1]
    np.testing.assert_allclose(table_by_layer["estimate"], [(1 + 3 * 2) / 4, (2 + 3 * 3) / 4])
    np.testing.assert_allclose(table_by_layer["wrong"], [0, 0.75])
    assert table_by_layer[["low", "high"]].isna().all(axis=None)  # two sentences are too few
    assert (table_by_layer["n"] == 2).all()
    assert (table_by_layer["tokens"] == 4).all()


def test_more_tokens_of_the_same_sentences_do_not_narrow_the_interval():
    rng = np.random.default_rng(0)
    once = pd.DataFrame({"sentence": range(40), "layer": 0, "surprisal": rng.exponential(size=40), "correct": True})
    alone, fourfold = (averages.by_layer(pd.concat([once] * copies), seed=0).iloc[0] for copies in (1, 4))
    assert alone["low"] < alone["estimate"] < alone["high"]
    assert fourfold[["low", "high"]].tolist() == pytest.approx(alone[["low", "high"]].tolist())


def test_the_table_of_the_figure_has_each_token_and_each_mean():
    table = surprisals()
    average = averages.by_layer(table[table["sentence"] > 0], seed=0)
    figure = averages.one_and_all(SECTION, table[table["sentence"] == 0], average)
    assert figure["quantity"].value_counts().to_dict() == {"surprisal": 4, "mean_surprisal": 2}
    assert figure["estimate"].tolist() == pytest.approx([0, 1, 0, 1, 1.75, 2.75])
    assert figure.notna()[["low", "high", "wrong"]].sum().tolist() == [0, 0, 2]
    assert set(figure["model"]) == {"some-model"}
    assert set(figure["kind"]) == {"decoder"}
