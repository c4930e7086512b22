import warnings

import numpy as np
import pytest

from bitskept.instruments.probes.sweep import Plan
from bitskept.instruments.states import encode
from bitskept.studies.tour.token_surprisals import token_surprisals

WORDS = ["the", "cat", "sat", "it", "42"]
PLAN = Plan("texts", train=60, validation=20, test=11, side_layers=3, longest=30)


@pytest.fixture(scope="module")
def texts():
    random = np.random.default_rng(0)
    drawn = [" ".join(random.choice(WORDS, size=size)) for size in random.integers(4, 12, size=200)]
    return ["the cat sat!", *dict.fromkeys(drawn)][:91]


@pytest.fixture(scope="module", params=["bert", "llama"])
def model(request, tiny):
    return tiny(request.param)


@pytest.fixture(scope="module")
def table(model, texts):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return token_surprisals(model, texts, PLAN)


def test_each_token_of_each_test_sentence_has_one_row_a_layer_in_order(model, texts, table):
    encoding = encode(model, texts)
    layers = [0, 2, 3]
    expected = [
        (sentence, position, model.tokenizer.decode([token]).strip(), layer)
        for sentence in range(11)
        for position, token in enumerate(encoding.tokens(sentence).tolist())
        for layer in layers
    ]
    found = table[["sentence", "position", "token", "layer"]]
    assert list(found.itertuples(index=False, name=None)) == expected


def test_counts_and_the_surprisal_without_a_state_are_those_of_the_training_sentences(model, texts, table):
    encoding = encode(model, texts)
    trained_on = np.concatenate([encoding.tokens(sentence) for sentence in range(31, 91)])
    types = {token for sentence in range(91) for token in encoding.tokens(sentence).tolist()}
    first = table[(table["sentence"] == 0) & (table["layer"] == 0)]
    counts = [int((trained_on == token).sum()) for token in encoding.tokens(0)]
    assert first["seen"].tolist() == counts
    assert counts[-1] == 0  # the exclamation mark is in the test sentence only
    shares = (np.array(counts) + 0.5) / (len(trained_on) + 0.5 * len(types))
    np.testing.assert_allclose(first["without_state"], -np.log2(shares), rtol=1e-5)


def test_the_embeddings_tell_the_tokens_that_training_saw(table):
    known = table[(table["layer"] == 0) & (table["seen"] > 0)]
    assert known["correct"].all()
    assert known["surprisal"].mean() < 0.5 < known["without_state"].mean()
    assert (table["surprisal"] >= 0).all()


def test_too_few_texts_are_refused(model, texts):
    with pytest.raises(ValueError, match="91 are asked for: 11 for test"):
        token_surprisals(model, texts[:50], PLAN)
