from itertools import chain, combinations

import numpy as np
import pytest
import torch
from transformers import TopKLogitsWarper, TopPLogitsWarper, TypicalLogitsWarper
from transformers.generation.logits_process import TopHLogitsWarper

from bitskept.theory.decoding import (
    Mirostat,
    mirostat_size,
    nucleus,
    restricted,
    surprisals,
    top_h,
    top_h_terms,
    top_k,
    typical,
    zipf_exponent,
)
from bitskept.theory.information import entropy

LAW = np.array([0.1, 0.5, 0.05, 0.3, 0.05])


def laws(number=40, tokens=300, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.dirichlet(np.full(tokens, rng.choice([0.05, 0.3, 2.0]))) for _ in range(number)]


def zipf(s, tokens):
    law = np.arange(1, tokens + 1.0) ** -s
    return law / law.sum()


def test_sets_of_a_law_that_is_seen_through():
    assert top_k(LAW, 2).tolist() == [False, True, False, True, False]
    assert nucleus(LAW, 0.8).tolist() == [False, True, False, True, False]
    assert nucleus(LAW, 0.81).tolist() == [True, True, False, True, False]
    # H = 1.785 bits; surprisals are 3.32, 1, 4.32, 1.74, 4.32.
    assert typical(LAW, 0.25).tolist() == [False, False, False, True, False]
    assert typical(LAW, 0.75).tolist() == [False, True, False, True, False]
    # The two likeliest have an entropy of h(5/8) = 0.954 bits, half of 1.785 is 0.893.
    assert top_h(LAW, 0.5).tolist() == [False, True, False, False, False]
    assert top_h(LAW, 0.54).tolist() == [False, True, False, True, False]


@pytest.mark.parametrize(
    ("ours", "setting", "theirs"),
    [
        (top_k, 7, TopKLogitsWarper(7)),
        (nucleus, 0.9, TopPLogitsWarper(0.9)),
        (nucleus, 0.3, TopPLogitsWarper(0.3)),
        (typical, 0.9, TypicalLogitsWarper(0.9)),
        (typical, 0.2, TypicalLogitsWarper(0.2)),
        (top_h_terms, 0.4, TopHLogitsWarper(0.4)),
        (top_h_terms, 0.9, TopHLogitsWarper(0.9)),
    ],
)
def test_sets_are_those_of_transformers(ours, setting, theirs):
    for law in laws():
        logits = torch.from_numpy(np.maximum(np.log(np.maximum(law, 1e-300)), -600))[None]
        kept = torch.isfinite(theirs(None, logits))[0].numpy()
        assert ours(law, setting).tolist() == kept.tolist()


def every_set(law):
    tokens = range(len(law))
    for chosen in chain.from_iterable(combinations(tokens, size) for size in range(1, len(law) + 1)):
        kept = np.zeros(len(law), dtype=bool)
        kept[list(chosen)] = True
        yield kept


def test_typical_sets_have_the_nearest_surprisals_and_no_token_too_many():
    for law in laws(20, 8):
        far = np.abs(surprisals(law) - entropy(law))
        kept = typical(law, 0.6)
        enough = [rest for rest in every_set(law) if law[rest].sum() >= 0.6]
        assert law[kept].sum() >= 0.6
        assert far[kept].max() == pytest.approx(min(far[rest].max() for rest in enough))
        assert law[kept].sum() - law[kept][far[kept].argmax()] < 0.6


def test_a_nucleus_is_the_smallest_set_of_its_mass():
    for law in laws(20, 8):
        assert nucleus(law, 0.7).sum() == min(rest.sum() for rest in every_set(law) if law[rest].sum() >= 0.7)


def test_top_h_keeps_its_bound_and_its_code_breaks_it():
    for law in laws():
        assert entropy(restricted(law, top_h(law, 0.4))) <= 0.4 * entropy(law) + 1e-9
    flat = np.full(64, 1 / 64)
    assert entropy(restricted(flat, top_h(flat, 0.5))) == pytest.approx(3)  # 8 of 64 tokens
    assert entropy(restricted(flat, top_h_terms(flat, 0.5))) == pytest.approx(5)  # half of the tokens


def test_a_restricted_law_is_a_law():
    assert restricted(LAW, nucleus(LAW, 0.8)).tolist() == pytest.approx([0, 0.625, 0, 0.375, 0])
    with pytest.raises(ValueError, match="the probability of the kept tokens"):
        restricted(np.array([1.0, 0.0]), np.array([False, True]))


@pytest.mark.parametrize("s", [0.8, 1.0, 1.3, 2.0])
def test_zipfs_exponent_and_the_size_that_goes_with_it(s):
    law = zipf(s, 5000)
    assert zipf_exponent(law) == pytest.approx(s)
    sizes = [mirostat_size(s, ceiling, 5000) for ceiling in (-50.0, 0.0, 4.0, 8.0, 1e6)]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (1, 5000)
    # The k-th likeliest token has about the surprisal of the ceiling: p_k = (s - 1) / (1 - n^(1 - s)) / k^s.
    k = mirostat_size(s, 8.0, 5000)
    constant = 1 / np.log(5000) if s == 1 else (s - 1) / (1 - 5000 ** (1 - s))
    assert -np.log2(constant / k**s) == pytest.approx(8, abs=0.2)


def test_mirostat_at_the_edges():
    assert mirostat_size(0.0, 20.0, 1000) == 1000
    assert mirostat_size(np.inf, 20.0, 1000) == 1
    assert zipf_exponent(np.array([1.0, 0.0])) == np.inf
    assert Mirostat(3.0).keeps(np.array([1.0, 0.0])).tolist() == [True, False]
    for wrong in ({"target": 0.0}, {"target": 1.0, "step": 0.0}):
        with pytest.raises(ValueError, match="must be above 0"):
            Mirostat(**wrong)


def test_the_mean_is_off_the_target_by_the_change_of_the_ceiling():
    told, steering = np.array([1.0, 7.0, 2.5]), Mirostat(2.0, step=0.5)
    for surprisal in told:
        steering.told(surprisal)
    assert told.mean() - 2 == pytest.approx((4 - steering.ceiling) / (0.5 * 3))


@pytest.mark.parametrize(("function", "setting"), [(top_k, 0), (nucleus, 1.1), (typical, -0.1), (top_h, 2.0)])
def test_settings_outside_their_range_are_refused(function, setting):
    with pytest.raises(ValueError, match="must be"):
        function(LAW, setting)
