import pytest

from bitskept.theory.directed import conservation
from bitskept.theory.echoes import echo_law
from bitskept.theory.information import entropy


def test_who_listens_decides_which_way_the_bits_go():
    alone, forward, back = (conservation(echo_law(2, *chances)) for chances in ((0, 0), (0.8, 0), (0, 0.8)))
    assert alone.mutual == pytest.approx(0, abs=1e-12)
    assert forward.forward == pytest.approx(forward.mutual)
    assert forward.feedback == pytest.approx(0, abs=1e-12)
    assert back.feedback == pytest.approx(back.mutual)
    assert back.forward == pytest.approx(0, abs=1e-12)
    # Two symmetric channels that are wrong with a chance of 0.1, against one.
    assert forward.mutual == pytest.approx(2 * back.mutual)


def test_it_is_a_law_and_a_perfect_echo_leaves_nothing_open():
    assert entropy(echo_law(3, 0, 0)) == pytest.approx(6)
    assert entropy(echo_law(3, 1, 1)) == pytest.approx(1)


@pytest.mark.parametrize("wrong", [(0, 0.5, 0.5), (9, 0.5, 0.5), (2, 1.5, 0.5), (2, 0.5, -0.1)])
def test_what_is_no_talk_is_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        echo_law(*wrong)
