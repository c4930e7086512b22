"""Random networks without noise: what their states hold, and what probes make of it."""

import numpy as np
import pytest
import torch
from scipy.stats import ttest_1samp

from bitskept.instruments.probes.centroid import centroid
from bitskept.studies.bounds import usable_information
from bitskept.studies.bounds.random_network import RandomNetwork, closest
from bitskept.theory import information
from bitskept.theory.channels import zipf

pytestmark = pytest.mark.usefixtures("one_thread")
ENTROPY = information.entropy(zipf(usable_information.TYPES))


@pytest.fixture(scope="module")
def network():
    return RandomNetwork.draw(types=5, dim=8, layers=3, rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def table(section):
    return usable_information.measure(section.networks, section.network_layers, section.network_training, seed=0)


def test_a_state_depends_on_the_token_and_from_layer_1_on_its_sentence_and_on_nothing_else(network):
    sentences = torch.tensor([[0, 1, 2], [0, 1, 3], [0, 1, 2]])
    states = network.states(sentences).unflatten(1, (3, 3))
    assert states.shape == (4, 3, 3, 8)
    torch.testing.assert_close(states[:, 0], states[:, 2], rtol=0, atol=1e-6)  # no noise
    torch.testing.assert_close(states[0, 0, :2], states[0, 1, :2])
    assert ((states[1:, 0, :2] - states[1:, 1, :2]).abs().amax((1, 2)) > 0.01).all()
    torch.testing.assert_close(states.norm(dim=-1), torch.full((4, 3, 3), 8**0.5))


def test_the_closest_states_are_those_of_two_different_types():
    states = torch.tensor([[[0.0], [1.0], [1.5], [1.5]], [[0.0], [2.0], [2.0], [5.0]]])
    shares = closest(states, torch.tensor([0, 1, 0, 0]))
    first = 2 * (1 + 1.5 + 1.5 + 0.5 + 0.5) / 16
    assert shares == pytest.approx([0.5 / first, 0])


def test_fewer_sentences_are_among_the_more_and_a_score_leaves_the_moments_as_they_are():
    trial = usable_information.Trial(2, seed=3)
    learned = {size: (m.counts.clone(), m.sums.clone()) for size, m in trial.learning([40, 10, 40])}
    assert [int(counts.sum()) for counts, _ in learned.values()] == [10 * trial.test[1].numel() // 100, 480]
    assert (learned[40][0] >= learned[10][0]).all()
    again = usable_information.Trial(2, seed=3)
    for size, moments in again.learning([10, 40]):
        torch.testing.assert_close(moments.sums, learned[size][1])
        again.score(centroid, moments)
        torch.testing.assert_close(moments.sums, learned[size][1], rtol=0, atol=0)


def test_every_layer_holds_the_token_but_a_probe_finds_it_in_deep_layers_only_with_enough_text(table):
    assert (table.loc[table["quantity"] == "closest", "estimate"] > 0.01).all()
    usable = table[table["quantity"] == "usable"].set_index(["probe", "layer", "train_sentences"])["estimate"]
    assert (usable <= ENTROPY).all()
    few, many = usable["centroid"].unstack().to_numpy().T
    assert few[0] == pytest.approx(ENTROPY, abs=0.1)
    assert (np.diff(few[1:]) < 0).all()
    assert few[-1] < ENTROPY - 1
    assert many == pytest.approx(ENTROPY, abs=0.1)
    assert usable[("ridge", 4, 300)] < ENTROPY - 0.2


def test_its_rows_are_means_over_networks_with_students_interval(section, table):
    assert len(table) == 5 + 2 * 2 * 2 * 5
    assert set(table["n"]) == {8}
    assert set(table["entropy"]) == {ENTROPY}
    trials = [usable_information.Trial(section.network_layers, [0, number]) for number in range(8)]
    shares = [trial.score(centroid, dict(trial.learning([10]))[10]).correct[4].double().mean() for trial in trials]
    row = table.query("quantity == 'recovered' and probe == 'centroid' and layer == 4 and train_sentences == 10").iloc[
        0
    ]
    interval = ttest_1samp(np.array(shares), 0).confidence_interval()
    assert row["estimate"] == pytest.approx(np.mean(shares))
    assert list(row[["low", "high"]]) == pytest.approx(list(interval))


def test_one_network_has_no_interval(section):
    table = usable_information.measure(1, 1, [10], seed=0)
    assert table[["low", "high"]].isna().all(axis=None)
