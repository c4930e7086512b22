import numpy as np
import pytest
import torch
from scipy.stats import kstest

from bitskept.instruments.soft_entropy.assignments import Anchors
from bitskept.instruments.soft_entropy.sentence_labels import PERMUTATIONS, SentenceSums, exchanged
from bitskept.theory.statistics import percentiles

LAYERS, DIM = 2, 6
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def anchors():
    return Anchors.draw(10, DIM, seed=0)


def states_of(rng, labels, *, signal=0.0, offset=0.0, groups=None, length=5):
    """States of texts of `length` tokens on average, with the text of each: what the tokens of a text share is the
    direction of its label, and that of its group (of the text itself without groups)."""
    owners = np.repeat(np.arange(len(labels)), rng.integers(1, 2 * length, size=len(labels)))
    groups = np.arange(len(labels)) if groups is None else groups
    directions, offsets = rng.standard_normal((labels.max() + 1, DIM)), rng.standard_normal((groups.max() + 1, DIM))
    shared = signal * directions[labels] + offset * offsets[groups]
    own = rng.standard_normal((LAYERS, len(owners), DIM))
    return torch.tensor(own + shared[owners], dtype=torch.float32), torch.from_numpy(owners)


def collected(anchors, states, owners, texts, batches=3):
    sums = SentenceSums(anchors, LAYERS, texts)
    for chosen in np.array_split(np.random.default_rng(0).permutation(len(owners)), batches):
        sums.add(anchors.assign(states[:, chosen]), owners[chosen])
    return sums


def entropy(law):
    law = np.clip(law, 1e-300, None)
    return -(law * np.log2(law)).sum(-1)


def slow(anchors, states, labels):
    """H(Z) - H(Z|label) over places, in float64."""
    cosines = torch.nn.functional.normalize(states.double(), dim=2) @ anchors.points.double().T
    assigned = torch.softmax(cosines / anchors.temperature, 2).numpy()
    classes, counts = np.unique(labels, return_counts=True)
    parts = [entropy(assigned[:, labels == one].mean(1)) for one in classes]
    return entropy(assigned.mean(1)) - counts @ np.array(parts) / len(labels)


def test_the_raw_value_is_that_of_its_definition(anchors):
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=40)
    states, owners = states_of(rng, labels, signal=0.7, offset=0.5)
    result = collected(anchors, states, owners, 40).information(np.array(["law", "news", "prose"])[labels])
    np.testing.assert_allclose(result.raw, slow(anchors, states, labels[owners]), atol=1e-5)
    assert result.places == len(owners)
    np.testing.assert_allclose(result.corrected.value, result.raw - result.floor)


def test_the_floor_is_the_mean_over_labels_permuted_over_texts(anchors):
    rng = np.random.default_rng(1)
    labels = rng.integers(3, size=40)
    states, owners = states_of(rng, labels, signal=0.7, offset=1.0)
    result = collected(anchors, states, owners, 40).information(labels)
    drawn = np.array([slow(anchors, states, rng.permutation(labels)[owners]) for _ in range(150)])
    error = drawn.std(0) * np.sqrt(1 / 150 + 1 / PERMUTATIONS)
    assert (np.abs(drawn.mean(0) - result.floor) < 4 * error).all()
    # Permuting over tokens would take texts for many times more than they are.
    tokens = np.mean([slow(anchors, states, rng.permutation(labels[owners])) for _ in range(50)], 0)
    assert (result.floor > 2 * tokens).all()


def test_labels_that_mean_nothing(anchors):
    rng, p, inside = np.random.default_rng(2), [], []
    states, owners = states_of(rng, np.zeros(60, int), offset=1.0)
    sums = collected(anchors, states, owners, 60)
    for seed in range(60):
        result = sums.information(rng.integers(2, size=60), seed=seed)
        p.append(result.p[0])
        inside.append(np.abs(result.corrected.value) < 4 * result.corrected.draws.std(0))
    assert kstest(p, "uniform").pvalue > 0.005
    assert np.all(inside)


def test_a_planted_label_is_found(anchors):
    rng = np.random.default_rng(3)
    labels = rng.integers(2, size=80)
    states, owners = states_of(rng, labels, signal=1.0, offset=0.5)
    result = collected(anchors, states, owners, 80).information(labels)
    low, high = percentiles(result.corrected.draws)
    assert (low > 0.05).all()
    assert ((low < result.corrected.value) & (result.corrected.value < high)).all()
    np.testing.assert_allclose(result.p, 1 / (1 + PERMUTATIONS))


def test_within_pairs_only(anchors):
    """Both answers to a prompt are alike, and the preferred ones a little different."""
    rng = np.random.default_rng(4)
    pairs, preferred = np.arange(80) // 2, np.arange(80) % 2 == 0
    states, owners = states_of(rng, preferred.astype(int), signal=0.5, offset=2.0, groups=pairs, length=10)
    sums = collected(anchors, states, owners, 80)
    within, over_all = sums.information(preferred, pairs=pairs), sums.information(preferred)
    np.testing.assert_allclose(within.raw, over_all.raw)
    assert (within.floor < 0.7 * over_all.floor).all()
    assert (within.p < 0.01).all()
    # Where both of a pair have the same label, permuting within pairs changes nothing.
    by_prompt = rng.integers(2, size=40)[pairs]
    same = sums.information(by_prompt, pairs=pairs)
    np.testing.assert_allclose(same.floor, same.raw)
    np.testing.assert_array_equal(same.p, 1)
    assert (sums.information(by_prompt).floor < sums.information(by_prompt).raw - 1e-3).all()


def test_clusters_are_what_the_bootstrap_draws(anchors):
    rng = np.random.default_rng(5)
    labels, groups = np.arange(150) % 2, np.arange(150) // 6
    states, owners = states_of(rng, labels, signal=0.3, offset=2.0, groups=groups * 2 + labels)
    sums = collected(anchors, states, owners, 150)
    texts, clusters = sums.information(labels), sums.information(labels, clusters=groups)
    np.testing.assert_array_equal(texts.corrected.value, clusters.corrected.value)
    assert (clusters.corrected.draws.std(0) > 1.2 * texts.corrected.draws.std(0)).all()
    pairs = sums.information(labels, pairs=groups)  # by default the pairs
    np.testing.assert_allclose(pairs.corrected.draws.std(0), clusters.corrected.draws.std(0), rtol=1e-9)


def test_texts_without_a_state_and_texts_beyond_the_room_do_not_count(anchors):
    rng = np.random.default_rng(6)
    labels = rng.integers(2, size=30)
    states, owners = states_of(rng, labels, signal=1.0)
    expected = collected(anchors, states, owners, 30).information(labels)
    result = collected(anchors, torch.cat([states, states], 1), torch.cat([owners, owners + 30]), 30)
    np.testing.assert_allclose(result.information(labels).raw, expected.raw, atol=1e-6)
    # A 31st text, of a label of its own, that has states of length 0 only.
    zeros = torch.zeros(LAYERS, 4, DIM)
    more = collected(anchors, torch.cat([states, zeros], 1), torch.cat([owners, torch.full((4,), 30)]), 31)
    result = more.information(np.append(labels, 2))
    np.testing.assert_allclose(result.raw, expected.raw, atol=1e-6)
    assert result.places == expected.places


def test_errors(anchors):
    rng = np.random.default_rng(7)
    states, owners = states_of(rng, np.zeros(10, int))
    sums = collected(anchors, states, owners, 10)
    with pytest.raises(ValueError, match="there are 9 labels for 10 texts"):
        sums.information(np.arange(9))
    with pytest.raises(ValueError, match="a label that is the same for all texts has no information"):
        sums.information(np.full(10, "news"))


def test_labels_that_go_with_a_mark_by_themselves_tell_nothing_beyond_it(anchors):
    """States know which text of a pair is marked, and people prefer the marked one in four of five pairs."""
    rng, pairs = np.random.default_rng(3), np.repeat(np.arange(120), 2)
    marked = np.tile([True, False], 120)
    preferred = marked ^ np.repeat(rng.random(120) < 0.2, 2)
    states, owners = states_of(rng, marked.astype(int), signal=2.0)
    sums = collected(anchors, states, owners, 240)
    by_chance = sums.information(preferred, pairs=pairs)
    beside = sums.information(preferred, pairs=pairs, beside=marked)
    assert (by_chance.p < 0.01).all()
    assert by_chance.p_mean < 0.01
    assert (beside.p > 0.05).all()
    assert beside.p_mean > 0.05
    np.testing.assert_allclose(by_chance.raw, beside.raw)
    known, owners = states_of(rng, preferred.astype(int), signal=2.0)
    assert (collected(anchors, known, owners, 240).information(preferred, pairs=pairs, beside=marked).p < 0.01).all()


def test_exchanged_labels_agree_with_the_mark_as_often():
    rng, pairs = np.random.default_rng(0), np.repeat([4, 1, 3, 9, 2], 2)
    marked = np.tile([True, False], 5)
    label = np.array([1, 0, 1, 0, 0, 1, 1, 0, 0, 1])
    drawn = np.array([exchanged(label, pairs, marked, rng) for _ in range(200)])
    assert ((drawn == marked).sum(1) == (label == marked).sum()).all()
    assert (drawn[:, ::2] + drawn[:, 1::2] == 1).all()
    assert (drawn[:, ::2].mean(0) > 0.4).all()
    with pytest.raises(ValueError, match="one of each label and one of them marked"):
        exchanged(np.ones(10, int), pairs, marked, rng)
    with pytest.raises(ValueError, match="one of each label and one of them marked"):
        exchanged(label, pairs, np.ones(10, bool), rng)
