import numpy as np
import pytest

from bitskept.base.figures import rendered
from bitskept.studies.bounds import live
from bitskept.theory.bounds import binary_entropy


@pytest.fixture(scope="module")
def table():
    return live.proved()


@pytest.fixture(scope="module")
def bits(table):
    return table.pivot(index=["alphabet", "noise"], columns="quantity", values="estimate")


def test_no_bound_exceeds_the_truth_and_the_better_prediction_proves_more(bits):
    truth, better, fano = (bits[name] for name in ("the truth, I(X;Z)", "doubt spread by frequency", "Fano"))
    assert (fano <= better + 1e-9).all()
    assert (better <= truth + 1e-9).all()
    assert (truth <= bits["H(X)"] + 1e-9).all()
    assert (better - fano).max() > 0.3, "so the picture has something to show"


def test_everything_arrives_without_noise_and_nothing_with_noise_only(bits):
    clear, lost = bits.xs(0.0, level="noise"), bits.xs(1.0, level="noise")
    for name in bits:
        np.testing.assert_allclose(clear[name], clear["H(X)"])
        np.testing.assert_allclose(lost[name], clear["H(X)"] if name == "H(X)" else 0, atol=1e-9)


def test_a_noisy_bit_is_what_can_be_worked_out_by_hand(bits):
    """Types of probability 2/3 and 1/3; half of the time a fresh draw, so a 0 turns into 1 in a sixth of the cases."""
    row = bits.loc[2, 0.5]
    whole = binary_entropy(1 / 3)
    kept = 2 / 3 * binary_entropy(1 / 6) + 1 / 3 * binary_entropy(1 / 3)
    assert row["H(X)"] == pytest.approx(whole)
    assert row["the truth, I(X;Z)"] == pytest.approx(whole - kept)
    assert row["Fano"] == pytest.approx(max(0, whole - binary_entropy(2 * 2 / 3 / 6)))


def test_the_figure_marks_the_chosen_noise_and_says_its_bits(table, bits):
    figure = live.channel(table, noise=0.2, alphabet=100)
    assert rendered(figure, "x", ["png"])
    (axes,) = figure.axes
    assert axes.get_title() == "A token out of 100 over a channel with noise 0.2"
    said = [text.get_text() for text in axes.get_legend().get_texts()]
    assert f"Fano: {bits.loc[(100, 0.2), 'Fano']:.2f} bits" in said
    dots = {line.get_ydata()[0] for line in axes.get_lines() if line.get_marker() == "o"}
    assert dots == set(bits.loc[100, 0.2])
