import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitskept.instruments.training.masking import LEFT_OUT, hide, hide_at_rate

IDS = torch.arange(10, 22)
OWN = IDS.masked_fill(IDS < 12, LEFT_OUT).masked_fill(IDS == 21, LEFT_OUT)  # nine of twelve may be hidden


def test_a_share_is_hidden_in_three_ways():
    draws = [hide(IDS, OWN, np.random.default_rng(seed), share=0.4, mask=3, types=5) for seed in range(600)]
    shown, wanted = (torch.stack(part) for part in zip(*draws, strict=True))
    chosen = wanted != LEFT_OUT
    assert chosen.any(1).all()
    assert not chosen[:, OWN == LEFT_OUT].any()
    assert torch.equal(wanted[chosen], IDS.expand_as(wanted)[chosen])
    assert torch.equal(shown[~chosen], IDS.expand_as(shown)[~chosen])
    assert 0.38 < chosen[:, OWN != LEFT_OUT].float().mean() < 0.42
    kept = (shown == IDS)[chosen].float().mean()
    masked = (shown == 3)[chosen].float().mean()
    assert 0.08 < kept < 0.12
    assert 0.8 < masked < 0.84  # 80 %, and a fifth of the 10 % that are any type


@pytest.mark.parametrize(
    ("replaced", "kept", "masked", "unchanged"),
    [(0.0, 0.0, 1, 0), (0.0, 0.5, 0.5, 0.5), (0.5, 0.0, 0.5, 0), (1.0, 0.0, 0, 0)],
)
def test_the_shares_that_do_not_become_the_mask_are_as_asked(replaced, kept, masked, unchanged):
    draws = [
        hide(IDS, OWN, np.random.default_rng(seed), share=0.4, mask=3, types=3, replaced=replaced, kept=kept)
        for seed in range(400)
    ]
    shown, wanted = (torch.stack(part) for part in zip(*draws, strict=True))
    chosen = wanted != LEFT_OUT
    assert (shown == 3)[chosen].float().mean() == pytest.approx(masked, abs=0.05)
    assert (shown == IDS)[chosen].float().mean() == pytest.approx(unchanged, abs=0.05)
    assert torch.equal(shown[~chosen], IDS.expand_as(shown)[~chosen])


@pytest.mark.parametrize(("replaced", "kept"), [(-0.1, 0.1), (0.1, -0.1), (0.6, 0.6)])
def test_shares_that_cannot_be_are_refused(replaced, kept):
    with pytest.raises(ValueError, match=f"together, but are {replaced} and {kept}"):
        hide(IDS, OWN, np.random.default_rng(0), share=0.4, mask=3, types=5, replaced=replaced, kept=kept)


@given(st.floats(0, 1, exclude_min=True), st.integers(0, 999))
def test_at_a_rate_so_many_are_hidden_and_their_weights_sum_to_the_text(rate, seed):
    shown, wanted, weight = hide_at_rate(IDS, OWN, np.random.default_rng(seed), rate=rate, mask=3)
    chosen = wanted != LEFT_OUT
    assert chosen.sum() == int(np.ceil(9 * rate))
    assert not chosen[OWN == LEFT_OUT].any()
    assert torch.equal(wanted[chosen], IDS[chosen])
    assert torch.equal(shown, IDS.masked_fill(chosen, 3))
    assert weight * chosen.sum() == pytest.approx(9)
