import numpy as np
import pandas as pd
import pytest

from bitskept.instruments.probes.layer_contrasts import contrast_rows
from bitskept.theory.intervals import LEAST

LAYERS = (0, 2, 4, 6, 8, 10, 12, 14)  # every second one of a model


def sentences(means, number=80, seed=0):
    """The bits of each sentence at each layer [layer, sentence], and its tokens; the noise of a sentence is shared."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(5, 20, size=number).astype(float)
    noise = 0.3 * rng.standard_normal(number) + 0.1 * rng.standard_normal((len(means), number))
    return sizes * (np.array(means)[:, None] + noise), sizes


def contrasts(means, peak=None, layers=LAYERS, **options):
    costs = None if peak is None else (np.arange(len(means)) != peak).astype(float)
    rows = contrast_rows(layers, *sentences(means, **options), other_costs=costs, seed=0)
    return pd.DataFrame(list(rows)).set_index("quantity")


@pytest.mark.parametrize("seed", range(3))
def test_a_falling_curve_is_forgetting_and_not_a_rise(seed):
    rows = contrasts(8 - np.arange(8), seed=seed)
    truths = 7 - np.arange(7)
    for quantity, first in {"forgetting": 0, "late_forgetting": 8}.items():
        row = rows.loc[quantity]
        assert row["low"] <= truths[LAYERS.index(row["layer"])]
        assert row["low"] <= max(truths[LAYERS.index(layer)] for layer in LAYERS[:-1] if layer >= first) <= row["high"]
        assert row["other"] == 14
        assert row["p"] < 0.01
        assert 0 < row["detectable"] < 0.2
    assert rows.loc["forgetting", "layer"] == 0
    assert rows.loc["late_forgetting", "layer"] == 8
    assert rows.loc["rise", "high"] < 0
    assert rows.loc["rise", "p"] == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_rising_curve_is_a_rise_and_not_forgetting(seed):
    rows = contrasts(np.arange(8), seed=seed)
    row = rows.loc["rise"]
    assert (row["layer"], row["other"]) == (14, 0)
    assert row["low"] <= 7 <= row["high"]
    assert row["p"] < 0.01
    for quantity in ("forgetting", "late_forgetting"):
        assert rows.loc[quantity, "high"] < 0
        assert rows.loc[quantity, "p"] == 1


def test_late_forgetting_does_not_see_the_first_half():
    rows = contrasts([5, 5, 5, 5, 1, 1, 1, 1])
    assert rows.loc["forgetting", "layer"] < 8
    assert rows.loc["forgetting", "p"] < 0.01
    assert rows.loc["late_forgetting", "p"] > 0.05
    assert abs(rows.loc["late_forgetting", "estimate"]) < 0.2


def test_the_peak_is_compared_with_both_ends():
    rows = contrasts([1, 2, 3, 2.5, 2, 2, 1.5, 1.2], peak=2)
    assert rows.loc[["peak_rise", "peak_fall"], ["layer", "other"]].to_numpy().tolist() == [[4, 0], [4, 14]]
    for quantity, truth in {"peak_rise": 2, "peak_fall": 1.8}.items():
        row = rows.loc[quantity]
        assert row["low"] < truth < row["high"]
        assert row["p"] < 0.01
        assert row["detectable"] == pytest.approx((1.645 + 0.842) * (row["high"] - row["low"]) / (2 * 1.99), rel=0.06)
        assert row["high"] - row["low"] < rows.loc["rise", "high"] - rows.loc["rise", "low"]


def test_a_peak_that_was_chosen_on_other_items_is_unbiased_on_a_flat_curve():
    found = []
    for seed in range(150):
        other, tokens = sentences(np.ones(8), 40, seed=1000 + seed)
        peak = 1 + int((other[1:-1].sum(axis=1) / tokens.sum()).argmax())
        rows = contrasts(np.ones(8), peak, number=40, seed=seed)
        found.append(rows.loc[["peak_rise", "peak_fall", "rise"]])
    table = pd.concat(found)
    for quantity in ("peak_rise", "peak_fall"):
        rows = table.loc[quantity]
        assert abs(rows["estimate"].mean()) < 3 * rows["estimate"].std() / np.sqrt(150)
        assert (rows["p"] < 0.05).mean() <= 0.11
        assert ((rows["low"] <= 0) & (rows["high"] >= 0)).mean() >= 0.9
    assert table.loc["rise", "estimate"].mean() > 0.02, "the largest difference is always above 0"


def test_without_a_peak_or_a_third_layer_there_is_less_to_say():
    assert contrasts(np.ones(8)).index.tolist() == ["rise", "forgetting", "late_forgetting"]
    assert not list(contrast_rows((0, 4), *sentences([1, 2]), other_costs=np.array([1.0, 0.0]), seed=0))


def test_few_sentences_have_estimates_only():
    rows = contrasts(np.arange(8), peak=3, number=LEAST - 1)
    assert rows[["low", "high", "p", "detectable"]].isna().all(axis=None)
    assert rows["estimate"].notna().all()
