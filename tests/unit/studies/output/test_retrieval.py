"""The kNN-LM: its distributions by brute force and on a source whose distribution is known, and its tables on tokens
made by hand.
"""

import numpy as np
import pandas as pd
import pytest
import torch

from bitskept.instruments.likelihood import answers, heads, surprisal
from bitskept.instruments.measurement import text_key, texts_of
from bitskept.instruments.training import byte_pairs
from bitskept.instruments.training.builds import Build, network
from bitskept.sources import corpora, models
from bitskept.studies.output import knn_texts, mixing, neighbours, retrieval_tables
from bitskept.studies.output.neighbours import Neighbours, Store
from bitskept.studies.output.retrieval import OTHER, PEOPLE, SAME, SHUFFLED, Plan, measure
from bitskept.studies.output.retrieval_tables import (
    ABSENT,
    AGAINST_OTHER,
    ALL,
    FREQUENT,
    LATER,
    LOSING,
    MODEL,
    RARE,
    RARE_LESS_FREQUENT,
    RARER_LESS_FREQUENT,
    RETRIEVAL,
    RETRIEVAL_LESS_MODEL,
    SAVED,
    SHUFFLED_AS_MUCH,
    SLOPE,
)

pytestmark = pytest.mark.usefixtures("one_thread")
LETTERS = np.random.default_rng(0).choice(list("abcdefghijklmnopqrst"), (16, 12, 4))
WORDS = [" ".join("".join(word) for word in text) for text in LETTERS]
KNN = "kNN-LM, nucleus 1"


@pytest.fixture
def store():
    random = np.random.default_rng(0)
    states = torch.from_numpy(random.normal(size=(400, 5)).astype(np.float32))
    return Store(states, torch.from_numpy(random.integers(0, 7, 400)))


def test_neighbours_are_those_of_brute_force(store, monkeypatch):
    monkeypatch.setattr(neighbours, "BLOCK", 3)
    queries = torch.from_numpy(np.random.default_rng(1).normal(size=(10, 5)).astype(np.float32))
    near = neighbours.nearest(store, queries, 4)
    distances = ((queries[:, None] - store.states[None]) ** 2).sum(2).numpy()
    assert near.distances.numpy() == pytest.approx(np.sort(distances, axis=1)[:, :4], abs=1e-4)
    assert (near.tokens.numpy() == store.tokens.numpy()[np.argsort(distances, axis=1)[:, :4]]).all()
    with pytest.raises(ValueError, match="from 1 to the 400 places"):
        neighbours.nearest(store, queries, 401)


def test_probability_and_entropy_are_those_of_the_whole_law(store):
    near = neighbours.nearest(store, store.states[:20] + 0.1, 6)
    shares = neighbours.weights(near, 0.7)
    law = neighbours.law(near, shares, 7).double().numpy()
    assert law.sum(1) == pytest.approx(np.ones(20), abs=1e-6)
    targets = store.tokens[:20]
    assert neighbours.probability(near, shares, targets).numpy() == pytest.approx(law[range(20), targets], abs=1e-6)
    bits = -np.sum(law * np.log2(np.where(law > 0, law, 1)), axis=1)
    assert neighbours.entropy(near, shares).numpy() == pytest.approx(bits, abs=1e-5)


def test_a_low_temperature_takes_the_nearest_and_a_high_one_counts(store):
    near = Neighbours(torch.tensor([[0.0, 1.0, 2.0]]), torch.tensor([[3, 5, 5]]))
    for temperature, expected in ((1e-3, [1, 0, 0]), (1e6, [1 / 3] * 3)):
        assert neighbours.weights(near, temperature)[0].tolist() == pytest.approx(expected, abs=1e-5)


def test_the_law_of_a_markov_chain_is_found():
    """Where a state is the current token, the distribution of its neighbours is that of the next one."""
    random, law = np.random.default_rng(0), np.array([[0.9, 0.1], [0.3, 0.7]])
    chain = [0]
    for _ in range(4000):
        chain.append(int(random.uniform() < law[chain[-1], 1]))
    states = torch.eye(2)[torch.tensor(chain[:-1])]
    near = neighbours.nearest(Store(states, torch.tensor(chain[1:])), torch.eye(2), 900)
    assert neighbours.law(near, neighbours.weights(near, 0.1), 2).numpy() == pytest.approx(law, abs=0.05)


def test_a_shuffled_store_has_the_same_tokens_elsewhere(store):
    shuffled = store.shuffled(0)
    assert (shuffled.tokens != store.tokens).any()
    assert shuffled.tokens.sort().values.tolist() == store.tokens.sort().values.tolist()
    assert (store.shuffled(0).tokens == shuffled.tokens).all()


@pytest.mark.parametrize(
    ("mass", "kept"), [(0.45, [0]), (0.5, [0]), (0.6, [0, 2]), (0.95, [0, 1, 2]), (1.0, [0, 1, 2, 3])]
)
def test_a_nucleus_is_the_fewest_tokens_that_hold_the_mass(mass, kept):
    law = torch.tensor([[0.5, 0.15, 0.3, 0.05]])
    assert knn_texts.in_nucleus(law, mass)[0].nonzero()[:, 0].tolist() == kept


def test_mixing_by_hand():
    own, retrieved = np.array([2.0, 2.0]), np.array([1.0, 0.0])
    assert mixing.mixed_bits(own, retrieved, 0.5) == pytest.approx([-np.log2(0.625), 3])
    assert mixing.mixed_bits(own, retrieved, 0.0).tolist() == own.tolist()


def test_the_best_setting_is_that_of_the_validation_texts(knn_tokens, knn_weights):
    table = knn_tokens
    best = mixing.chosen(table, knn_weights).set_index("store")
    assert best.loc[SAME, "temperature"] == 1.0
    assert best.loc[[SHUFFLED, OTHER], "weight"].tolist() == [0, 0]
    tried = mixing.validated(table, knn_weights)
    assert best.loc[SAME, "saved"] == tried.loc[tried["store"] == SAME, "saved"].max()
    table.loc[table["part"] == "test", "retrieved"] = 0.0
    assert mixing.chosen(table, knn_weights).set_index("store").loc[SAME].equals(best.loc[SAME])


def test_who_gains_and_who_loses(knn_tokens, knn_weights):
    table = knn_tokens
    gains = retrieval_tables.gains(table, knn_weights, 0).set_index(["store", "group", "quantity"])
    assert gains.loc[(SAME, ALL, SAVED), "low"] > 0
    weight = gains.loc[(SAME, ALL, SAVED), "weight"]
    assert gains.loc[(SAME, ABSENT, SAVED), "estimate"] == pytest.approx(np.log2(1 - weight))
    assert gains.loc[(SAME, ABSENT, LOSING), "estimate"] == 1
    assert gains.loc[(SHUFFLED, ALL, SAVED), "estimate"] == 0
    assert gains.loc[(SHUFFLED, ALL, LOSING), "estimate"] == 0
    assert gains.loc[(SHUFFLED_AS_MUCH, ALL, SAVED), "estimate"] == pytest.approx(np.log2(1 - weight))
    assert gains.loc[(AGAINST_OTHER, ALL, SAVED), "estimate"] == gains.loc[(SAME, ALL, SAVED), "estimate"]
    apart = gains.loc[(SAME, RARE, SAVED), "estimate"] - gains.loc[(SAME, FREQUENT, SAVED), "estimate"]
    difference = gains.loc[(SAME, RARE_LESS_FREQUENT, SAVED)]
    assert difference["estimate"] == pytest.approx(apart)
    assert difference["low"] > 0
    names = gains.reset_index().set_index(["store", "group", "quantity"]).loc[(SAME, [ABSENT, RARE], SAVED), :]
    rarer = np.average(names["estimate"], weights=names["tokens"].astype(float))
    with_absent = gains.loc[(SAME, RARER_LESS_FREQUENT, SAVED), "estimate"]
    assert with_absent == pytest.approx(rarer - gains.loc[(SAME, FREQUENT, SAVED), "estimate"])


def test_what_is_saved_is_the_difference_of_both_costs(knn_tokens, knn_weights):
    table = knn_tokens
    mixed = retrieval_tables.people(table, knn_weights)
    row = mixed[(mixed["store"] == SAME) & (mixed["retrieved"] > 0)].iloc[0]
    both = (1 - row["weight"]) * 2 ** -row["own_bits"] + row["weight"] * row["retrieved"]
    assert row["saved"] == pytest.approx(row["own_bits"] + np.log2(both))


def test_a_rise_along_its_own_text_is_found(knn_tokens, knn_weights):
    table = knn_tokens
    changes = retrieval_tables.changes(table, knn_weights, 0).set_index(["quantity", "whose", "law"])["estimate"]
    assert changes[SLOPE, KNN, RETRIEVAL] == pytest.approx(10)
    assert changes[SLOPE, PEOPLE, RETRIEVAL] == pytest.approx(0)
    assert changes[SLOPE, f"{KNN} − {PEOPLE}", RETRIEVAL] == pytest.approx(10)
    assert changes[SLOPE, KNN, RETRIEVAL_LESS_MODEL] == pytest.approx(10 - changes[SLOPE, KNN, MODEL])
    assert changes[LATER, f"{KNN} − {PEOPLE}", RETRIEVAL] == pytest.approx(0.1 * np.arange(25, 40).mean())


def test_points_of_a_curve_are_means_over_steps(knn_tokens, knn_weights):
    along = retrieval_tables.along(knn_tokens, knn_weights, 0)
    first = along[(along["whose"] == KNN) & (along["law"] == RETRIEVAL)].iloc[0]
    assert first["position"] == (1 + retrieval_tables.STEPS) / 2
    assert first["estimate"] == pytest.approx(1 + 0.1 * np.arange(10, 10 + retrieval_tables.STEPS).mean())
    assert set(along["n"]) == {24}


@pytest.fixture
def plan(home, tmp_path):
    """A tiny decoder, and texts for it."""
    tokenizer = byte_pairs.ready(byte_pairs.learn(WORDS, 280), 120)
    for part in (network(Build(width=16, depth=1, heads=2, initial=0.3), tokenizer, causal=True, seed=0), tokenizer):
        part.save_pretrained(home / "models" / "causal")
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(WORDS), "utf-8")
    sizes = {"texts": 3, "validation_texts": 2, "stored": 60, "longest": 12, "context": 5, "neighbours": 4}
    settings = {"temperatures": (0.5, 1.0), "weights": (0.0, 0.2), "nuclei": (1.0, 0.5)}
    return Plan(str(path), str(path), **sizes, **settings, dtype="float32")


def test_the_model_says_of_each_token_what_it_says_elsewhere(plan):
    table = measure("causal", plan, progress=False)
    model = models.load("causal")
    people = table[(table["whose"] == PEOPLE) & (table["part"] == "test")]
    rows = people[(people["store"] == SAME) & (people["temperature"] == 1.0)]
    texts = corpora.load(plan.corpus, seed=0)["text"][:3]
    with pytest.warns(UserWarning, match="cut"):
        costs = surprisal.surprisals(model, heads.head(model), texts, longest=14)  # two of them special
    assert rows.groupby("text")["own_bits"].sum().to_numpy() == pytest.approx(costs["bits"].to_numpy(), abs=1e-3)
    assert len(rows) == 3 * 12
    assert table["entropy"].between(0, 2 + 1e-6).all()  # of four neighbours
    assert set(table["whose"]) == {PEOPLE, KNN, "kNN-LM, nucleus 0.5"}
    assert set(table.loc[table["whose"] == KNN, "position"]) == set(range(5, 12))
    pd.testing.assert_frame_equal(measure.compute(model, plan, progress=False), table)


def test_a_text_of_the_store_is_found_again(plan):
    """With one neighbour and the texts themselves as the store, retrieval is certain of each token."""
    model = models.load("causal")
    rows = [np.arange(20, 30), np.arange(40, 47)]
    of = knn_texts.predicted(model, rows)
    near = neighbours.nearest(Store(of.states, of.tokens), of.states, 1)
    right = neighbours.probability(near, neighbours.weights(near, 1.0), of.tokens).numpy()
    assert right[of.position > 0].tolist() == [1] * 15  # both texts begin with the state of the start token
    assert of.tokens[of.text == 1].tolist() == rows[1].tolist()


@pytest.mark.parametrize("cached", [True, False])
def test_a_writer_of_retrieval_alone_writes_what_the_store_says(plan, cached, monkeypatch):
    monkeypatch.setattr(answers, "continues", lambda model: cached)
    model = models.load("causal")
    rows = [np.arange(20, 32), np.arange(40, 52)]
    says = Store(torch.randn(9, 16, generator=torch.Generator().manual_seed(0)), torch.full((9,), 33))
    writer = knn_texts.Writer(model, heads.head(model), says, 2, 1.0, weight=1.0, nucleus=0.9)
    of = writer.continue_texts(rows, context=4, longest=9, seed=0)
    assert of.tokens.tolist() == [33] * 10
    assert of.position.tolist() == 2 * list(range(4, 9))
    whole = knn_texts.predicted(model, [np.append(ids[:4], [33] * 5) for ids in rows])
    again = whole.states[(whole.position >= 4) & (whole.text == 0)]
    assert of.states[of.text == 0].numpy() == pytest.approx(again.numpy(), abs=1e-4)


def test_too_little_text_is_said_so(plan):
    with pytest.raises(ValueError, match="3 texts of 400 tokens or more were asked for, and there are 0"):
        knn_texts.long_texts(iter([np.arange(5)]), 3, 400)
    with pytest.raises(ValueError, match="a store of 9 tokens was asked for, and the texts have 5"):
        knn_texts.store_of(models.load("causal"), iter([np.arange(5)]), 9)


def test_a_plan_that_cannot_be_is_refused(plan):
    values = dict(vars(plan))
    for wrong in ({"texts": 0}, {"neighbours": 0}, {"stored": 2}):
        with pytest.raises(ValueError, match="must be at least"):
            Plan(**values | wrong)
    with pytest.raises(ValueError, match="above the context"):
        Plan(**values | {"longest": 5})


def test_another_store_is_another_table(plan, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("\n".join(reversed(WORDS)), "utf-8")
    foreign = Plan(**dict(vars(plan)) | {"other_corpus": str(other)})
    key = text_key(foreign)
    other.write_text("\n".join(WORDS[:4]), "utf-8")
    assert text_key(foreign) != key
    assert texts_of(foreign) == [plan.corpus, str(other)]
