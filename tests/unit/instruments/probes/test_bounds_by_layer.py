import numpy as np
import pandas as pd
import pytest
import torch

from bitskept.instruments.probes.bounds_by_layer import (
    DELTA,
    Outcome,
    bound_rows,
    by_sentence,
    certificate_rows,
    group_rows,
)
from bitskept.instruments.probes.law import Scores
from bitskept.instruments.probes.readings import View
from bitskept.theory import bounds

PER_SENTENCE = 6


def outcome(correct, surprisal, types, sentences, parts=2):
    """As a sweep gathers it: batch by batch, from tensors. Arrays are [layer, item] and [item]."""
    layers, gathered = tuple(range(len(correct))), []
    for items in np.array_split(np.arange(len(types)), parts):
        view = View(torch.zeros(1, len(items), 1), torch.tensor(types[items]), torch.tensor(sentences[items]))
        scores = Scores(torch.tensor(correct[:, items]), torch.tensor(surprisal[:, items], dtype=torch.float32))
        gathered.append(Outcome.of_batch(layers, view, scores))
    return Outcome.joined(gathered)


def draw(means, sentences=80, seed=0, types=12):
    """Tokens of `sentences` sentences, whose surprisal at a layer has the mean given and is shared in part by a
    sentence; a layer's guesses are right where the surprisal is below 2 bits."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(sentences), PER_SENTENCE)
    noise = 0.3 * rng.standard_normal((len(means), sentences))[:, owner]
    surprisal = (np.array(means)[:, None] + noise + 0.3 * rng.standard_normal((len(means), len(owner)))).clip(0.01)
    return outcome(surprisal < 2, surprisal, rng.integers(types, size=len(owner)), owner)


def counts(gathered, types=12):
    return np.bincount(gathered.types, minlength=types) + 3


def table(rows):
    return pd.DataFrame(list(rows))


def shapes(means, seed):
    gathered = draw(means, seed=seed)
    rows = table(bound_rows(gathered, counts(gathered), seed=seed)).set_index("quantity")
    return rows.loc[["forgetting", "late_forgetting", "rise"]]


def test_batches_are_put_together():
    gathered = draw([1.0, 2.0])
    once = outcome(gathered.correct, gathered.surprisal, gathered.types, gathered.sentences, parts=1)
    for name in ("correct", "surprisal", "types", "sentences"):
        np.testing.assert_array_equal(getattr(gathered, name), getattr(once, name))
    assert gathered.correct.shape == gathered.surprisal.shape == (2, 80 * PER_SENTENCE)


def test_sums_by_sentence_against_a_loop():
    rng = np.random.default_rng(0)
    values, sentences = rng.standard_normal((2, 3, 40)), rng.choice([7, 2, 900], size=40)
    expected = np.stack([values[..., sentences == sentence].sum(-1) for sentence in (2, 7, 900)], axis=-1)
    np.testing.assert_allclose(by_sentence(values, sentences), expected)
    np.testing.assert_allclose(by_sentence(values[0, 0], sentences), expected[0, 0])


def test_bounds_against_their_formulas():
    gathered = draw([1.0, 2.5, 2.0, 30.0])
    seen = counts(gathered)
    entropy = -np.log2(seen / seen.sum())[gathered.types].mean()
    error, cross_entropy = 1 - gathered.correct.mean(1), gathered.surprisal.mean(1)
    fano, information = bounds.fano(entropy, error, 12), np.maximum(0, entropy - cross_entropy)
    rows = table(bound_rows(gathered, seen, seed=0))
    by = {quantity: part["estimate"].to_numpy() for quantity, part in rows.groupby("quantity")}
    expected = {
        "entropy": [entropy],
        "error": error,
        "cross_entropy": cross_entropy,
        "fano_bound": fano,
        "cross_entropy_bound": information,
        "retained_fano": fano / entropy,
        "retained_cross_entropy": information / entropy,
    }
    assert {*by} == {*expected, "forgetting", "late_forgetting", "rise"}
    for quantity, values in expected.items():
        np.testing.assert_allclose(by[quantity], values, rtol=1e-9, err_msg=quantity)
    assert information[-1] == 0
    assert 0 < information[1] < information[0]
    assert (rows["n"] == 80).all()
    assert (rows["tokens"] == 80 * PER_SENTENCE).all()
    layered = rows.dropna(subset="layer")
    assert (layered.groupby("quantity")["layer"].apply(list).map(lambda result: result == [0, 1, 2, 3])).all()


def test_intervals_hold_the_estimate_and_shrink_with_more_sentences():
    wide, narrow = [table(bound_rows(draw([1.5, 2.0], n), np.arange(3, 15), seed=0)) for n in (50, 800)]
    for rows in (wide, narrow):
        assert (rows["low"] < rows["estimate"]).all()
        assert (rows["estimate"] < rows["high"]).all()
    ratio = (narrow["high"] - narrow["low"]) / (wide["high"] - wide["low"])
    assert ratio.between(0.15, 0.4).all()  # a quarter, up to the noise


def test_tokens_repeated_within_their_sentence_do_not_count_as_more_sentences():
    once = draw([1.5, 2.0])
    widths = {}
    for name, step in {"once": None, "same sentences": 0, "new sentences": 80}.items():
        parts = [once] if step is None else [once] * 4
        owners = np.concatenate([once.sentences + (step or 0) * copy for copy in range(len(parts))])
        arrays = [np.concatenate([getattr(part, key) for part in parts], axis=-1) for key in ("correct", "surprisal")]
        repeated = outcome(*arrays, np.concatenate([part.types for part in parts]), owners)
        rows = table(bound_rows(repeated, counts(once), seed=0))
        widths[name] = (rows["high"] - rows["low"]).to_numpy()
    np.testing.assert_allclose(widths["same sentences"], widths["once"], rtol=1e-9)
    assert (widths["new sentences"] < 0.65 * widths["once"]).all()


@pytest.mark.parametrize("layers", [8, 31])
def test_on_a_flat_curve_nothing_is_forgotten_and_nothing_rises(layers):
    # Noise alone makes each of the three positive every time: they are maxima over layers.
    flat = pd.concat([shapes([1.5] * layers, seed) for seed in range(40)])
    covered = ((flat["low"] <= 0) & (flat["high"] >= 0)).groupby("quantity").mean()
    assert (covered >= 0.9).all(), covered


@pytest.mark.parametrize("seed", range(3))
def test_a_falling_curve_is_forgetting_and_not_a_rise(seed):
    rows = shapes(np.linspace(0.5, 2.5, 8), seed)
    for quantity, truth in {"forgetting": 2.0, "late_forgetting": 2 * 3 / 7}.items():
        assert 0 < rows["low"][quantity] < truth + 0.1
        assert rows["high"][quantity] > truth - 0.1
        assert rows["estimate"][quantity] == pytest.approx(truth, abs=0.25)
    assert rows["estimate"]["rise"] < 0
    assert rows["low"]["rise"] < 0


@pytest.mark.parametrize("seed", range(3))
def test_a_rising_curve_is_a_rise_and_not_forgetting(seed):
    rows = shapes(np.linspace(2.5, 0.5, 8), seed)
    assert 1.7 < rows["low"]["rise"] < rows["estimate"]["rise"] < rows["high"]["rise"] < 2.3
    for quantity in ("forgetting", "late_forgetting"):
        assert rows["low"][quantity] <= rows["estimate"][quantity] <= rows["high"][quantity] == 0


def test_two_layers_have_no_shape():
    gathered = draw([1.0, 2.0])
    assert not table(bound_rows(gathered, counts(gathered), seed=0))["quantity"].isin(["rise", "forgetting"]).any()


def test_the_certificate_takes_one_token_a_sentence():
    # All tokens of a sentence are right together, so that it does not matter which one is taken.
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(300) + 40, PER_SENTENCE)
    right = np.array([[0.0], [0.3]]) < rng.random(300)
    gathered = outcome(right[:, owner - 40], np.ones((2, len(owner))), np.zeros(len(owner), int), owner)
    one_per_sentence = rng.integers(50, size=2000)
    rows = table(certificate_rows(gathered, np.ones(1, bool), one_per_sentence, 1000, seed=0))
    expected = bounds.certificate((~right).sum(1), 300, 1000, np.bincount(one_per_sentence), DELTA)
    np.testing.assert_allclose(rows["estimate"], expected)
    assert 0 < expected[1] < expected[0]
    assert rows["n"].tolist() == [300, 300]
    assert (rows["low"] == rows["estimate"]).all()
    assert rows["high"].isna().all()


def test_the_certificate_takes_a_token_at_random():
    # In each sentence the first token alone is right: about one in six of those taken should be.
    owner = np.repeat(np.arange(3000), PER_SENTENCE)
    gathered = outcome(np.arange(len(owner))[None] % PER_SENTENCE != 0, np.ones((1, len(owner))), 0 * owner, owner)
    even = np.arange(1024).repeat(20)
    result = table(certificate_rows(gathered, np.ones(1, bool), even, 1024, seed=0))["estimate"][0]
    low, high = (bounds.certificate(wrong, 3000, 1024, np.bincount(even), DELTA) for wrong in (580, 420))
    assert low < result < high


def test_the_certificate_counts_what_only_the_test_sentences_have_as_missed():
    # All guesses are right, but a fifth of the sentences are of a type that a predictor could not have known.
    types = np.arange(500) % 5
    gathered = outcome(np.ones((1, 500), bool), np.ones((1, 500)), types, np.arange(500))
    even = np.arange(1024).repeat(20)
    known = np.arange(5) > 0
    [result] = table(certificate_rows(gathered, known, even, 1024, seed=0))["estimate"]
    assert result == bounds.certificate(100, 500, 1024, np.bincount(even), DELTA)
    assert result < table(certificate_rows(gathered, np.ones(5, bool), even, 1024, seed=0))["estimate"][0] - 1


def test_without_a_single_error_fanos_bound_still_has_a_lower_end():
    owner = np.repeat(np.arange(40), PER_SENTENCE)
    types = np.random.default_rng(0).integers(12, size=len(owner))
    gathered = outcome(np.ones((1, len(owner)), bool), np.full((1, len(owner)), 0.01), types, owner)
    rows = table(bound_rows(gathered, counts(gathered), seed=0)).set_index("quantity")
    assert rows.loc["error", ["estimate", "low"]].tolist() == [0, 0]
    assert rows.loc["error", "high"] == pytest.approx(1 - 0.025 ** (1 / 40))
    fano = rows.loc["fano_bound"]
    assert 0.5 < fano["estimate"] - fano["low"] < 1


@pytest.mark.parametrize("sentences", [1, 8])
def test_few_sentences_give_shares_and_no_bits(sentences):
    gathered = draw([1.5, 2.0, 2.5], sentences)
    rows = table(bound_rows(gathered, counts(gathered), seed=0))
    shares = rows["quantity"] == "error"
    assert rows.loc[~shares, ["low", "high"]].isna().all(axis=None)
    assert (rows.loc[shares, "low"].notna() == (sentences > 1)).all()
    assert (rows["n"] == sentences).all()


def test_groups_share_out_all_items():
    gathered = draw([1.8, 2.2])
    rng = np.random.default_rng(0)
    kind = np.where(gathered.types < 5, "low", "high")
    domain = np.where(gathered.sentences < 20, "news", "prose")  # whole sentences
    groups = pd.DataFrame({"kind": kind, "domain": domain, "any": rng.choice(["a", "b", "c"], size=len(kind))})
    rows = table(group_rows(gathered, groups))
    assert set(rows["quantity"]) == {"recovered"}
    for column in groups:
        part = rows[rows["group"].str.startswith(f"{column}: ")]
        assert (part.groupby("layer")["tokens"].sum() == len(kind)).all()
        mean = (part["estimate"] * part["tokens"]).groupby(part["layer"]).sum() / len(kind)
        np.testing.assert_allclose(mean, gathered.correct.mean(1))
    for name, inside in {"kind: low": kind == "low", "domain: news": domain == "news"}.items():
        part = rows[rows["group"] == name]
        np.testing.assert_allclose(part["estimate"], gathered.correct[:, inside].mean(1))
        assert part["tokens"].tolist() == [inside.sum()] * 2
        assert part["n"].tolist() == [len(set(gathered.sentences[inside]))] * 2
        assert ((part["low"] < part["estimate"]) & (part["estimate"] < part["high"])).all()
