from itertools import pairwise

import numpy as np
import pytest

from bitskept.studies.bounds.toy_language import Language
from bitskept.theory import bounds, information


def test_it_is_a_markov_source():
    language = Language(3, 4, repeat=0.6, lost=0.25)
    one, two = language.source.sum((1, 2, 3)), language.source.sum((2, 3))
    np.testing.assert_allclose(language.source.sum((0, 1, 2)), one)
    following = information.conditional_entropy(two, 1, 0)
    assert information.entropy(language.source) == pytest.approx(information.entropy(one) + 3 * following, abs=1e-12)
    assert information.mutual_information(language.source, 0, 2, given=1) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(language.joint.sum(-1), language.source, atol=1e-15)


@pytest.mark.parametrize("pooled", [False, True])
def test_it_forgets_as_its_encoder_loses(pooled):
    kept = [bounds.sandwich(Language(3, 4, 0.5, lost, pooled).joint) for lost in (0.0, 0.3, 0.6, 1.0)]
    assert all(more.information > less.information for more, less in pairwise(kept))
    assert kept[-1].information == pytest.approx(0, abs=1e-12)
    assert kept[-1].conditional_total_correlation == pytest.approx(kept[-1].total_correlation, abs=1e-12)
    assert (kept[0].information == pytest.approx(kept[0].entropy, abs=1e-12)) is not pooled


def test_independent_tokens_are_lost_one_by_one():
    s = bounds.sandwich(Language(4, 3, repeat=0.0, lost=0.3).joint)
    assert s.information == pytest.approx(0.7 * s.entropy, abs=1e-12)
    assert s.lower == pytest.approx(s.information, abs=1e-12)
    assert s.upper == pytest.approx(s.information, abs=1e-12)


def test_pooling_keeps_less():
    slots, bag = (bounds.sandwich(Language(3, 4, 0.5, 0.2, pooled).joint).information for pooled in (False, True))
    assert bag < slots - 0.1


def test_the_channel_of_a_token_is_its_marginal():
    language = Language(3, 4, 0.5, 0.2)
    tokens = bounds.sandwich(language.joint).tokens
    for position in range(4):
        assert language.token(position).mutual_information == pytest.approx(tokens[position], abs=1e-12)


@pytest.mark.parametrize("pooled", [False, True])
def test_each_state_has_a_vector_of_its_own(pooled):
    channel = Language(3, 4, 0.5, 0.2, pooled).token(1)
    assert len(np.unique(channel.features, axis=0)) == channel.joint.shape[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"repeat": 1.5}, "repeat must be a probability from 0 to 1, but is 1.5"),
        ({"lost": np.nan}, "lost must be a probability from 0 to 1, but is nan"),
        ({"alphabet": 1}, "alphabet must be at least 2 and length 1, but are 1 and 4"),
        ({"length": 0}, "alphabet must be at least 2 and length 1, but are 3 and 0"),
        ({"length": 12}, "would have 8916100448256 cells"),
    ],
)
def test_impossible_languages_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Language(**{"alphabet": 3, "length": 4, "repeat": 0.5, "lost": 0.1} | change)
