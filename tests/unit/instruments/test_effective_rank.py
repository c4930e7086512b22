from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitskept.instruments.effective_rank import COLUMNS, Moments, Plan, _rows, power_law, rankme, ranks
from bitskept.instruments.states import LayerByLayer, StateBatch, encode, stream

TEXTS = ["the cat sat.", "it", "the cat, the 42!", "The cat the cat the cat sat, it", "!", "the cat sat at it."] * 3
PLAN = Plan("none", len(TEXTS), ranks=(1, 8), groups=4)


def test_equal_values_count_as_many_as_they_are():
    assert rankme(np.array([2.0] * 5 + [0.0] * 3)) == pytest.approx(5)
    assert rankme(np.array([7.0, 0.0])) == pytest.approx(1)
    assert np.isnan(rankme(np.zeros(4)))


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=20), st.floats(0.1, 10))
def test_the_rank_lies_between_1_and_the_number_of_values_whatever_their_scale(values, scale):
    values = np.array(values)
    assert 1 - 1e-9 <= rankme(values) <= len(values) + 1e-9
    assert rankme(scale * values) == pytest.approx(rankme(values))


@pytest.mark.parametrize("alpha", [0.3, 1.0, 2.5])
def test_the_exponent_of_a_power_law_is_found(alpha):
    law = np.arange(1, 201) ** -alpha
    assert power_law(law, 11, 100) == pytest.approx(alpha)
    bent = law.copy()
    bent[:10] *= 50  # the leading ones and the tail are not looked at
    bent[100:] = 0
    assert power_law(bent, 11, 100) == pytest.approx(alpha)
    noisy = law * np.exp(np.random.default_rng(0).normal(0, 0.05, 200))
    assert power_law(np.sort(noisy)[::-1], 11, 100) == pytest.approx(alpha, abs=0.05)


def test_no_exponent_where_there_is_little_to_fit():
    assert np.isnan(power_law(np.arange(1, 17) ** -1.0, 11, 100))  # a width of 16
    assert np.isnan(power_law(np.r_[np.ones(20), np.full(180, 1e-20)], 21, 100))  # rounding
    assert np.isnan(power_law(np.zeros(200), 11, 100))


def batches(states, sentences, size):
    """States [layer, token, dim] in batches of so many tokens."""
    positions = np.concatenate([np.arange((sentences == one).sum()) for one in np.unique(sentences)])
    for start in range(0, len(sentences), size):
        part = slice(start, start + size)
        where = torch.from_numpy(sentences[part])
        yield StateBatch(where, where, torch.from_numpy(positions[part]), states[:, part], tuple(range(len(states))))


def test_moments_of_batches_are_those_of_all_states():
    random = np.random.default_rng(1)
    states = torch.from_numpy(random.normal(30, 1, (2, 90, 6)) * [1, 2, 3, 0.1, 5, 1]).float()
    sentences = np.repeat(np.arange(18), 5)
    moments = Moments(4, 2, 6, torch.device("cpu"))
    for batch in batches(states, sentences, 17):
        moments.update(batch)
    for layer in range(2):
        for without, kept in ((None, sentences >= 0), (3, sentences % 4 != 3)):
            centred = states[layer].double().numpy()[kept]
            centred = centred - centred.mean(0)
            singular = np.linalg.svd(centred, compute_uv=False)
            np.testing.assert_allclose(moments.spectrum(layer, without=without), singular**2 / kept.sum(), rtol=1e-8)
    skipping = Moments(4, 2, 6, torch.device("cpu"))
    for batch in batches(states, sentences, 17):
        skipping.update(batch, without_first=True)
    assert skipping.counts.sum() == 90 - 18


def test_quantities_against_singular_values(tiny):
    model = tiny("llama")
    table = ranks(model, TEXTS, PLAN)
    assert list(table) == COLUMNS
    encoding = encode(model, TEXTS)
    [batch] = stream(model, encoding, range(len(TEXTS)))
    values = table.set_index(["layer", "quantity"])["estimate"]
    for layer, states in enumerate(batch.states.double().numpy()):
        singular = np.linalg.svd(states - states.mean(0), compute_uv=False)
        assert values[layer, "rankme"] == pytest.approx(rankme(singular**2))
        assert values[layer, "rankme_singular"] == pytest.approx(rankme(singular))
        assert values[layer, "variance"] == pytest.approx((singular**2).sum() / len(states))
        assert values[layer, "rankme"] < values[layer, "rankme_singular"] < model.width
        assert values[layer, "alpha_req"] > 0
    assert set(table["n"]) == {len(batch.tokens)}
    known = table.dropna(subset="estimate")
    assert (known["low"] <= known["estimate"]).all()
    assert (known["estimate"] <= known["high"]).all()
    some = ranks(model, TEXTS, replace(PLAN, layers=2))
    assert some["layer"].unique().tolist() == [0, 3]
    assert some[some["layer"] == 3]["estimate"].tolist() == table[table["layer"] == 3]["estimate"].tolist()


def test_states_layer_by_layer_give_the_same():
    states = torch.randn(2, 30, 4, generator=torch.Generator().manual_seed(0))
    [batch] = batches(states, np.repeat(np.arange(6), 5), 30)
    one, other = Moments(2, 2, 4, torch.device("cpu")), Moments(2, 2, 4, torch.device("cpu"))
    one.update(batch)
    other.update(replace(batch, states=LayerByLayer([layer[None] for layer in states], torch.arange(30))))
    np.testing.assert_allclose(one.spectrum(1), other.spectrum(1))


def test_intervals_cover_what_more_text_gives():
    random, covered = np.random.default_rng(2), []
    truth = rankme(np.arange(1, 9.0) ** -1)
    for _ in range(60):
        states = random.normal(size=(1, 1600, 8)) * np.arange(1, 9) ** -0.5
        moments = Moments(8, 1, 8, torch.device("cpu"))
        for batch in batches(torch.from_numpy(states).float(), np.repeat(np.arange(320), 5), 1600):
            moments.update(batch)
        [row] = [
            row for row in _rows(moments, 0, replace(PLAN, sentences=320, groups=8)) if row["quantity"] == "rankme"
        ]
        covered.append(row["low"] <= truth <= row["high"])
    assert np.mean(covered) > 0.8


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ranks": (5, 5)}, "ranks must be a first and a later one"),
        ({"ranks": (0, 5)}, "ranks must be a first and a later one"),
        ({"groups": 1}, "groups must be 2 to 18"),
        ({"groups": 19}, "groups must be 2 to 18"),
        ({"layers": 0}, "layers must be at least 1"),
    ],
)
def test_an_impossible_plan_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        replace(PLAN, **wrong)


def test_too_little_text(tiny):
    with pytest.raises(ValueError, match="two tokens at least"):
        ranks(tiny("llama"), ["it", ""], replace(PLAN, sentences=2, groups=2))
