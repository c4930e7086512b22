"""Texts with hidden tokens: how many are hidden, that a seed fixes which, and who cannot be asked."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bitskept.instruments.masks import behind_masks, hidden_places, visible_among_masks
from bitskept.instruments.states import encode
from bitskept.instruments.training import byte_pairs
from bitskept.instruments.training.builds import Build, network
from bitskept.sources.language_model import LanguageModel

TEXTS = ["the captain told the children that the whale had", "his ship", "swallowed his compass and his parrot", ""]
BUILD = Build(width=16, depth=1, heads=2, feed_forward=24, initial=0.3)


@pytest.fixture(scope="module")
def model():
    tokenizer = byte_pairs.ready(byte_pairs.learn(TEXTS, 270), 60)
    whole = network(BUILD, tokenizer, causal=False, seed=0)
    return LanguageModel("one", "encoder", tokenizer, whole, torch.float32, torch.device("cpu"), "")


def test_any_token_is_as_likely_to_be_hidden():
    random = np.random.default_rng(0)
    places = np.concatenate([hidden_places(6, 0.5, random) for _ in range(4000)])
    np.testing.assert_allclose(np.bincount(places) / 4000, 0.5, atol=0.04)


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.01, float("nan")])
def test_a_rate_that_cannot_be_is_refused(rate):
    with pytest.raises(ValueError, match="the rate of hiding must lie above 0"):
        hidden_places(5, rate, np.random.default_rng(0))


@pytest.mark.parametrize("rate", [0.15, 0.5, 1.0])
def test_each_copy_hides_its_share_behind_the_mask_and_measures_what_it_hid(model, rate):
    encoding = encode(model, TEXTS)
    copies, mask = behind_masks(model, encoding, rate, 3, seed=0), model.tokenizer.mask_token_id
    assert len(copies) == 3 * len(TEXTS)
    for place, (shown, hidden) in enumerate(zip(copies.ids, copies.measured, strict=True)):
        ids, measured = encoding.ids[place // 3], encoding.measured[place // 3]
        assert hidden.sum() == np.ceil(rate * measured.sum())
        assert not hidden[~measured].any()
        assert shown.tolist() == np.where(hidden, mask, ids).tolist()
    assert mask not in np.concatenate(encoding.ids)  # the given one is left alone


def test_a_seed_fixes_what_is_hidden_whatever_the_other_texts(model):
    encoding = encode(model, TEXTS)
    one, again, fewer, other = (
        behind_masks(model, some, 0.5, 2, seed)
        for some, seed in ((encoding, 0), (encoding, 0), (encode(model, TEXTS[:1]), 0), (encoding, 1))
    )
    assert all(map(np.array_equal, one.ids, again.ids))
    assert all(map(np.array_equal, one.ids[:2], fewer.ids))
    assert not np.array_equal(one.ids[0], one.ids[1])  # the two copies
    assert not np.array_equal(one.ids[0], other.ids[0])


def test_the_visible_are_the_others(model):
    encoding = encode(model, TEXTS)
    found, hidden = visible_among_masks(model, encoding, 0.3, 0), behind_masks(model, encoding, 0.3, 1, 0)
    assert all(map(np.array_equal, found.ids, hidden.ids))
    for sentence, measured in enumerate(encoding.measured):
        assert (found.measured[sentence] ^ hidden.measured[sentence]).tolist() == measured.tolist()
        assert found.tokens(sentence).tolist() == encoding.ids[sentence][found.measured[sentence]].tolist()
        assert model.tokenizer.mask_token_id not in found.tokens(sentence)


def test_who_names_no_hidden_tokens_is_refused(model, tiny):
    with pytest.raises(ValueError, match="one cannot fill in hidden tokens"):
        behind_masks(replace(model, kind="decoder"), encode(model, TEXTS), 0.5, 1, 0)
    with pytest.raises(ValueError, match="bert cannot fill in hidden tokens"):
        visible_among_masks(tiny("bert"), encode(tiny("bert"), ["the cat"]), 0.5, 0)
