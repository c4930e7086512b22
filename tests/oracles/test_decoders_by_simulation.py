"""Mirostat on a source whose laws are known, and Top-H against every set of tokens."""

from itertools import product

import numpy as np
import pytest
from scipy.special import entr

from bitskept.theory.decoding import Mirostat, restricted, surprisals, top_h
from bitskept.theory.information import entropy

TOKENS, LENGTH = 1000, 300


def zipf(s):
    law = np.arange(1, TOKENS + 1.0) ** -s
    return law / law.sum()


def held(law, target, rng, length=LENGTH):
    """Surprisals of a text whose tokens are all drawn from one law."""
    steering, bits, drawn = Mirostat(target), surprisals(law), []
    for place in rng.random(length):
        kept = np.cumsum(restricted(law, steering.keeps(law)))
        drawn.append(bits[min(np.searchsorted(kept, place), TOKENS - 1)])
        steering.told(drawn[-1])
    return np.array(drawn), steering


@pytest.mark.parametrize(("s", "target"), [(1.0, 4.0), (1.0, 6.0), (1.3, 2.5), (1.3, 4.0)])
def test_mirostat_converges_to_its_target_on_a_zipf_law(s, target):
    law = zipf(s)
    assert entropy(law) > target
    runs = [held(law, target, np.random.default_rng(seed)) for seed in range(5)]
    for drawn, steering in runs:
        assert drawn.mean() - target == pytest.approx((2 * target - steering.ceiling) / LENGTH)
    misses = np.array([[drawn[:end].mean() - target for end in (25, LENGTH)] for drawn, _ in runs])
    assert np.abs(misses[:, 1]).max() < 0.1
    assert np.abs(misses[:, 1]).mean() < np.abs(misses[:, 0]).mean() / 2


@pytest.mark.parametrize("reach", ["below the likeliest token", "above the entropy"])
def test_mirostat_misses_a_target_that_no_set_of_likeliest_tokens_has(reach):
    law = zipf(1.3)
    least = surprisals(law)[0]
    target = least - 0.5 if reach.startswith("below") else entropy(law) + 2
    drawn, steering = held(law, target, np.random.default_rng(0))
    assert abs(drawn.mean() - target) > 0.4
    assert abs(steering.ceiling) > LENGTH / 3


def test_mirostat_strays_less_than_a_fixed_size():
    """The means of texts whose laws differ from text to text in their exponent."""
    rng = np.random.default_rng(0)
    texts = [zipf(s) for s in rng.uniform(0.8, 1.4, 20)]
    steered = np.array([held(law, 4.0, rng, 60)[0].mean() for law in texts])
    fixed = np.array([law[:200] @ surprisals(law)[:200] / law[:200].sum() for law in texts])
    assert np.abs(steered - 4).mean() < np.abs(fixed - fixed.mean()).mean() / 2


def test_top_h_is_the_best_of_the_likeliest_but_seldom_of_all_sets():
    """The set of the largest probability within the bound may skip tokens. Among sets that do not, greedy is exact."""
    rng, best, lost = np.random.default_rng(0), 0, []
    every = np.array([chosen for chosen in product([False, True], repeat=8) if any(chosen)])
    without_gaps = np.array([kept[: kept.sum()].all() for kept in every])
    for _ in range(200):
        law, share = np.sort(rng.dirichlet(np.ones(8)))[::-1], rng.uniform(0.2, 0.9)
        masses = every @ law
        within = every @ entr(law) / np.log(2) / masses + np.log2(masses) <= share * entropy(law) + 1e-12
        greedy = law[top_h(law, share)].sum()
        assert greedy == pytest.approx(masses[within & without_gaps].max())
        lost.append(masses[within].max() - greedy)
        best += lost[-1] < 1e-9
    assert min(lost) > -1e-9
    assert 20 < best < 100
    assert np.mean(lost) < 0.1
