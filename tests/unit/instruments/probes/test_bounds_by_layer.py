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
    word_rows,
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


PRIOR = np.full(12, 1 / 12)


def table(rows):
    return pd.DataFrame(list(rows))


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
    rows = table(bound_rows(gathered, seen, prior=PRIOR, seed=0))
    by = {quantity: part["estimate"].to_numpy() for quantity, part in rows.groupby("quantity")}
    expected = {
        "entropy": [entropy],
        "error": error,
        "cross_entropy": cross_entropy,
        "fano_bound": fano,
        "cross_entropy_bound": information,
        "retained_fano": fano / entropy,
        "retained_cross_entropy": information / entropy,
        "usable": np.log2(12) - cross_entropy,
        "usable_share": 1 - cross_entropy / np.log2(12),
    }
    assert {*by} == {*expected, "forgetting", "late_forgetting", "rise"}
    for quantity, values in expected.items():
        np.testing.assert_allclose(by[quantity], values, rtol=1e-9, err_msg=quantity)
    assert information[-1] == 0
    assert 0 < information[1] < information[0]
    assert (rows["n"] == 80).all()
    assert (rows["tokens"] == 80 * PER_SENTENCE).all()
    layered = rows[rows["layer"].notna() & rows["other"].isna()]
    assert (layered.groupby("quantity")["layer"].apply(list).map(lambda result: result == [0, 1, 2, 3])).all()


def test_intervals_hold_the_estimate_and_shrink_with_more_sentences():
    wide, narrow = [table(bound_rows(draw([1.5, 2.0], n), np.arange(3, 15), prior=PRIOR, seed=0)) for n in (50, 800)]
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
        rows = table(bound_rows(repeated, counts(once), prior=PRIOR, seed=0))
        widths[name] = (rows["high"] - rows["low"]).to_numpy()
    np.testing.assert_allclose(widths["same sentences"], widths["once"], rtol=1e-9)
    assert (widths["new sentences"] < 0.65 * widths["once"]).all()


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
    rows = table(bound_rows(gathered, counts(gathered), prior=PRIOR, seed=0)).set_index("quantity")
    assert rows.loc["error", ["estimate", "low"]].tolist() == [0, 0]
    assert rows.loc["error", "high"] == pytest.approx(1 - 0.025 ** (1 / 40))
    fano = rows.loc["fano_bound"]
    assert 0.5 < fano["estimate"] - fano["low"] < 1


@pytest.mark.parametrize("sentences", [1, 8])
def test_few_sentences_give_shares_and_no_bits(sentences):
    gathered = draw([1.5, 2.0, 2.5], sentences)
    rows = table(bound_rows(gathered, counts(gathered), prior=PRIOR, seed=0))
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


def test_usable_bits_are_measured_against_the_prior_and_what_the_sentence_leaves_open():
    gathered = draw([1.0, 2.5, 30.0])
    prior = np.arange(1, 13) / 78
    expected, left_open = -np.log2(prior[gathered.types]), np.random.default_rng(1).uniform(0, 2, gathered.types.size)
    rows = table(bound_rows(gathered, counts(gathered), prior=prior, left_open=left_open, seed=0))
    usable, share = (rows[rows["quantity"] == name] for name in ("usable", "usable_share"))
    truth = expected.mean() - gathered.surprisal.mean(1)
    np.testing.assert_allclose(usable["estimate"], truth)
    np.testing.assert_allclose(share["estimate"], truth / (expected - left_open).mean())
    assert truth[-1] < -20  # not clipped
    for part in (usable, share):
        assert ((part["low"] < part["estimate"]) & (part["estimate"] < part["high"])).all()


def test_the_interval_of_a_share_covers_it_though_a_sentence_may_leave_more_open_than_its_item_has():
    covered, rng = 0, np.random.default_rng(0)
    for _ in range(200):
        types = rng.integers(12, size=60)
        prior, costs = np.arange(1, 13) / 78, rng.exponential(1.5, size=(1, 60))
        left_open = rng.uniform(1, 4, size=60)  # some items have fewer bits than that
        gathered = Outcome((0,), costs < 1, costs, types, np.arange(60))
        rows = table(bound_rows(gathered, counts(gathered), prior=prior, left_open=left_open, seed=0))
        low, high = rows.loc[rows["quantity"] == "usable_share", ["low", "high"]].to_numpy()[0]
        mean = -np.log2(prior).mean()
        covered += low <= (mean - 1.5) / (mean - 2.5) <= high
    assert 0.91 <= covered / 200 <= 0.99


def test_bits_per_character_count_the_characters_of_the_test_sentences():
    gathered = draw([1.0, 1.5, 30.0])
    apart = Outcome(gathered.layers, gathered.correct, gathered.surprisal, gathered.types, 2 * gathered.sentences)
    characters = np.where(np.arange(160) % 2, 10**6, np.arange(160) + 20)
    rows = table(bound_rows(apart, counts(apart), prior=PRIOR, characters=characters, seed=0))
    rows = rows.set_index("quantity")
    result = rows.loc["bits_per_character"]
    per_token = rows.loc["usable", "estimate"].to_numpy()
    np.testing.assert_allclose(result["estimate"], per_token * len(apart.types) / characters[::2].sum())
    assert result["estimate"].iloc[-1] < 0  # not clipped
    assert ((result["low"] < result["estimate"]) & (result["estimate"] < result["high"])).all()


def test_the_peak_is_the_inner_layer_that_is_best_on_other_items():
    # The ends are better than any layer between them, and no peak.
    gathered, others = draw([1.5, 1.4, 1.0, 1.2]), draw([0.4, 0.5, 1.0, 0.3], seed=1)
    rows = table(bound_rows(gathered, counts(gathered), prior=PRIOR, chosen_on=others, seed=0)).set_index("quantity")
    means = gathered.surprisal.mean(1)
    for quantity, end in {"peak_rise": 0, "peak_fall": 3}.items():
        assert rows.loc[quantity, ["layer", "other"]].tolist() == [1, end]
        assert rows.loc[quantity, "estimate"] == pytest.approx(means[end] - means[1])
    assert rows.loc["rise", ["layer", "other"]].tolist() == [2, 0]
    assert rows.loc["forgetting", "layer"] == 2


def test_shared_words_have_an_entropy_and_usable_bits_of_their_own():
    gathered = draw([1.0, 2.0, 2.5])
    inside, seen = gathered.types < 4, counts(gathered)
    rows = table(word_rows(gathered, inside, seen, prior=PRIOR, seed=0))
    assert (rows["group"] == "one token for all models: yes").all()
    assert rows["quantity"].tolist() == ["entropy", *["usable"] * 3]
    assert rows["estimate"][0] == pytest.approx(-np.log2(seen / seen.sum())[gathered.types[inside]].mean())
    np.testing.assert_allclose(rows["estimate"][1:], np.log2(12) - gathered.surprisal[:, inside].mean(1))
    assert (rows["tokens"] == inside.sum()).all()
