"""What can be read from one vector for a sentence, where the truth is known: the states are made here."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch

from bitskept.instruments.probes import sentence_vectors
from bitskept.instruments.probes.centroid import centroid
from bitskept.instruments.probes.closed_form import Moments
from bitskept.instruments.probes.law import FINE
from bitskept.instruments.probes.readings import OTHERS, token_reading
from bitskept.instruments.probes.sentence_vectors import Items, Question, SentenceVectors, entropy_within
from bitskept.instruments.states import Encoding, StateBatch

VOCABULARY, TEST, VALIDATION, TRAIN = 16, 150, 100, 300
"""The vocabulary of the tiny encoder is as large as its states are wide, so that a state can hold a token's number."""


def encoded(shortest=2):
    """Sentences of 2 to 7 tokens."""
    rng, shares = np.random.default_rng(0), 1 / np.arange(1, VOCABULARY + 1)
    number = TEST + VALIDATION + TRAIN
    ids = [rng.choice(VOCABULARY, size=rng.integers(shortest, 8), p=shares / shares.sum()) for _ in range(number)]
    return Encoding(ids, [np.ones(len(row), dtype=bool) for row in ids], 0)


def batch_of(encoding, states):
    """All sentences, the last one first, as one batch of one layer; `states` [token, dim] are made of the tokens."""
    order = range(len(encoding))[::-1]
    tokens = torch.from_numpy(np.concatenate([encoding.ids[sentence] for sentence in order]))
    sentences = torch.cat([torch.full((len(encoding.ids[sentence]),), sentence) for sentence in order])
    positions = torch.cat([torch.arange(len(encoding.ids[sentence])) for sentence in order])
    return StateBatch(tokens, sentences, positions, states(tokens, positions)[None], (5,))


def one_hot(tokens, positions):
    return torch.eye(VOCABULARY)[tokens]


def first_only(tokens, positions):
    """The state at place 0 tells its token, the others tell nothing."""
    return torch.eye(VOCABULARY)[tokens] * (positions == 0)[:, None]


def noise(tokens, positions):
    return torch.randn(len(tokens), VOCABULARY, generator=torch.Generator().manual_seed(1))


def read(model, states, *, poolings=("mean",), places=0, train=TRAIN, sizes=None, encoding=None, layers=(5,)):
    """The table of rows."""
    encoding = encoding or encoded()
    parts = np.split(np.arange(TEST + VALIDATION + train), [TEST, TEST + VALIDATION])
    questions = [Question(token_reading(encoding, VOCABULARY, [5], types=99))]
    questions += sentence_vectors.place_questions(encoding, VOCABULARY, types=99, places=places)
    sizes = sizes or [train]
    options = {"layers": layers, "side": layers, "sizes": sizes, "seed": 0}
    vectors = SentenceVectors(model, encoding, parts, questions, poolings, **options)
    batch = batch_of(encoding, states)
    kept = batch.sentences < len(np.concatenate(parts))
    fields = (batch.tokens[kept], batch.sentences[kept], batch.positions[kept])
    vectors.add(StateBatch(*fields, batch.states[:, kept].expand(len(layers), -1, -1), layers))
    return pd.DataFrame(list(vectors.rows()))


def estimate(table, quantity, **where):
    for column, value in where.items():
        table = table[table[column] == value]
    (value,) = table.loc[table["quantity"] == quantity, "estimate"]
    return value


def test_exact_counts_tell_the_bag_nearly_all(tiny):
    table = read(tiny("bert"), one_hot)
    share = estimate(table, "usable_share")
    assert 0.5 < share <= 1
    [tokens] = set(table["tokens"])
    assert tokens == sum(len(ids) for ids in encoded().ids[:TEST])
    assert set(table["n"]) == {TEST}


@pytest.mark.parametrize("seed", range(3))
def test_vectors_that_say_nothing_are_worth_no_bits_and_cost_none(tiny, seed):
    def silent(tokens, positions):
        return torch.randn(len(tokens), VOCABULARY, generator=torch.Generator().manual_seed(seed))

    table = read(tiny("bert"), silent, places=2, sizes=[40, TRAIN])
    usable = table[table["quantity"] == "usable"]
    assert len(usable) == 2 * (1 + 2)  # sizes; the bag and two places
    assert (usable["estimate"].abs() < 0.05).all(), usable["estimate"]


def test_a_place_is_read_from_the_vector_that_holds_it(tiny):
    def share(pooling, position):
        table = read(tiny("bert"), first_only, poolings=(pooling,), places=2)
        return estimate(table[table["reading"] == "place"], "usable_share", position=position)

    assert share("first", 0) > 0.9
    assert share("mean", 0) > 0.5
    for pooling, position in (("last", 0), ("first", 1), ("mean", 1), (OTHERS, 0)):
        assert abs(share(pooling, position)) < 0.03, (pooling, position)


def test_places_are_asked_of_the_first_pooling_and_of_the_other_words(tiny):
    table = read(tiny("bert"), one_hot, poolings=("mean", "last", OTHERS), places=2, sizes=[80, TRAIN])
    asked = table.groupby(["reading", "pooling"])["train_sentences"].unique().map(set).to_dict()
    both = {80, TRAIN}
    assert asked == {
        ("bag", "mean"): both,
        ("place", "mean"): both,
        ("bag", "last"): {TRAIN},
        ("place", OTHERS): {TRAIN},
    }


def test_short_sentences_are_left_out_of_places(tiny):
    encoding = encoded()
    table = read(tiny("bert"), one_hot, places=4, encoding=encoding)
    long = sum(len(ids) >= 4 for ids in encoding.ids[:TEST])
    assert 0 < long < TEST
    assert set(table.loc[table["reading"] == "place", "tokens"]) == {long}


def test_a_smaller_number_of_sentences_gives_what_so_many_alone_give(tiny):
    many = read(tiny("bert"), one_hot, poolings=("mean", OTHERS), places=2, sizes=[80, TRAIN])
    few = read(tiny("bert"), one_hot, poolings=("mean", OTHERS), places=2, train=80)
    names = ["reading", "pooling", "position", "probe", "quantity"]
    ours, alone = (
        table[table["quantity"].isin(["error", "cross_entropy", "usable"]) & (table["train_sentences"] == 80)]
        .query("pooling == 'mean'")
        .set_index(names)["estimate"]
        .sort_index()
        for table in (many, few)
    )
    assert len(ours) == 3 * (1 + 2)
    pd.testing.assert_series_equal(ours, alone, rtol=0, atol=1e-4)


def test_layers_are_fitted_alike_in_groups_of_any_size(tiny, monkeypatch):
    whole = read(tiny("bert"), one_hot)
    monkeypatch.setattr(sentence_vectors, "LAYERS_AT_ONCE", 1)
    monkeypatch.setattr(sentence_vectors, "CHUNK", 7)
    pd.testing.assert_frame_equal(read(tiny("bert"), one_hot), whole, rtol=0, atol=1e-3)


def test_equal_vectors_at_two_layers_are_worth_equal_bits(tiny):
    table = read(tiny("bert"), one_hot, layers=(4, 5))
    first, second = (estimate(table, "usable", layer=layer) for layer in (4, 5))
    assert first == pytest.approx(second, abs=0.01)


def test_no_setting_of_the_probe_of_a_bag_is_much_better_than_the_candidates():
    """Vectors are means of embeddings, of many types and few sentences: much depends on how far means are shrunk."""
    random, types, length = np.random.default_rng(0), 500, 20
    embeddings = torch.randn(types, 32, generator=torch.Generator().manual_seed(0))
    shares = 1 / np.arange(1, types + 1)
    tokens = torch.from_numpy(random.choice(types, size=(400, length), p=shares / shares.sum()))
    vectors = embeddings[tokens].mean(1)[None]
    owners = torch.arange(200).repeat_interleave(length)
    train, held = tokens[:200].flatten(), tokens[200:].flatten()

    def cost(ridges, strengths):
        moments = Moments(1, types, 32)
        moments.update(vectors[:, :200], train, owners)
        options = {"ridges": ridges, "strengths": strengths, "damping": sentence_vectors.DAMPING, "factor": FINE}
        probe = centroid(moments, embeddings, vectors[:, 200:], held, owners, **options)
        return probe.score(vectors[:, 200:], held, owners).surprisal.mean().item()

    chosen = cost(sentence_vectors.MORE_RIDGES, sentence_vectors.MORE_STRENGTHS)
    for ridge, strength in product((1e-3, 1e-2, 0.1, 1.0), (30.0, 300.0, 1000.0, 3000.0, 10000.0)):
        assert chosen < cost([ridge], [strength]) + 0.1, (ridge, strength)


def test_what_a_sentence_leaves_open_is_the_entropy_of_its_own_tokens():
    items = Items(torch.tensor([3, 3, 7, 1, 5]), torch.tensor([0, 0, 0, 2, 2]), torch.tensor([8, 8, 8, 9, 9]))
    third = np.log2(3) - 2 / 3
    np.testing.assert_allclose(entropy_within(items), [third, third, third, 1, 1])


def test_places_that_cannot_be_asked_for_are_refused():
    encoding = encoded()
    with pytest.raises(ValueError, match="no sentence has 9 tokens, as many as are to be read"):
        sentence_vectors.place_questions(encoding, VOCABULARY, types=99, places=9)
    for ids in encoding.ids:
        ids[1] = 4
    with pytest.raises(ValueError, match="the token at position 1 of every sentence is the same"):
        sentence_vectors.place_questions(encoding, VOCABULARY, types=99, places=2)


def test_a_part_without_a_long_sentence_is_refused(tiny):
    encoding = encoded()
    for sentence in range(TEST):
        encoding.ids[sentence], encoding.measured[sentence] = encoding.ids[sentence][:1], np.ones(1, dtype=bool)
    with pytest.raises(ValueError, match="too few sentences are long enough for the reading place"):
        read(tiny("bert"), one_hot, places=2, encoding=encoding)
