import numpy as np
import pytest

from bitskept.studies.bottleneck.known_data import of_k_grams, planted, rows, soft_information, zipf_text

pytestmark = pytest.mark.usefixtures("one_thread")


def test_planted_labels_are_found_and_shuffled_ones_are_not():
    states, labels = planted(8, 100, seed=0)
    shuffled = np.random.default_rng(0).permutation(labels)
    found = soft_information(states, {"planted": labels, "shuffled": shuffled})
    table = rows(found, classes=8).set_index(["labels", "kind"])
    assert set(table["classes"]) == {8}
    assert table.loc[("planted", "corrected"), "low"] > 0.5
    assert abs(table.loc[("shuffled", "corrected"), "estimate"]) < 0.02
    assert table.loc[("shuffled", "raw"), "estimate"] > 0.02


def test_frequencies_of_a_made_up_text_fall_as_one_over_the_rank():
    text = zipf_text(20_000, types=50, seed=0)
    assert len(text) == 1000
    counts = np.bincount(np.concatenate(text.ids))
    assert counts[0] / counts[1] == pytest.approx(2, rel=0.1)
    assert text.tokens(3).tolist() == text.ids[3].tolist()


def test_pure_noise_has_a_raw_optimality_of_one_and_no_corrected_one():
    text = zipf_text(2000, types=500, seed=0)
    noise = np.random.default_rng(1).standard_normal((2000, 16)).astype(np.float32)
    table = of_k_grams(noise, text, (1, 2), seed=0).set_index(["quantity", "width"])["estimate"]
    assert table["optimality"].tolist() == pytest.approx([1, 1], abs=0.05)
    assert table["optimality_corrected"].isna().all()
