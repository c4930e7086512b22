import warnings

import numpy as np
import pytest
import torch

from bitskept.instruments.soft_entropy.accumulator import HELD, SoftEntropy
from bitskept.instruments.soft_entropy.assignments import Anchors
from bitskept.instruments.soft_entropy.labels import ABSENT, Labels
from bitskept.theory.statistics import percentiles

LAYERS, DIM = 2, 8
KINDS = ("raw", "corrected", "extrapolated")
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def anchors():
    return Anchors.draw(12, DIM, seed=0)


def zipf(rng, places, kinds, power=1.0):
    weights = 1 / np.arange(1, kinds + 1) ** power
    return rng.choice(kinds, places, p=weights / weights.sum())


def noise(seed, places, layers=LAYERS):
    return torch.randn(layers, places, DIM, generator=torch.Generator().manual_seed(seed))


def planted(rng, labels, strength=1.0, layers=LAYERS):
    """States around a direction of their label's own, the same for every call, less and less layer by layer."""
    directions = np.random.default_rng(99).standard_normal((labels.max() + 1, DIM))
    own = rng.standard_normal((layers, len(labels), DIM))
    signal = strength * directions[labels] / np.arange(1, layers + 1)[:, None, None]
    return torch.tensor(own + signal, dtype=torch.float32)


def accumulate(anchors, states, sets, *, sentences=None, portions=(), batch=70, rows=10_000, seed=0, equal=False):
    """What is found after the last portion; `portions` are the places where one ends and the next begins. Batches of
    a portion come in random order."""
    places, rng = states.shape[1], np.random.default_rng(seed)
    sentences = np.arange(places) // 5 if sentences is None else sentences
    soft = SoftEntropy(anchors, Labels.build(sets, sentences, rows=rows, seed=seed), len(states), seed=seed)
    result, ends = [], [*portions, places]
    for begin, end in zip([0, *ends], ends, strict=False):
        soft.open(np.arange(begin, end))
        for chosen in np.array_split(rng.permutation(np.arange(begin, end)), max(1, (end - begin) // batch)):
            soft.add(anchors.assign(states[:, chosen]), chosen)
        result.append(soft.evaluate(equal=equal))
    return result if portions else result[0]


def estimates(result, name, kind):
    return getattr(result.sets[name], kind).value


def errors(result, name, kind):
    return getattr(result.sets[name], kind).draws.std(0)


# ---- the definitions, slowly ----


def entropy(law):
    law = np.clip(law, 1e-300, None)
    return -(law * np.log2(law)).sum(-1)


def assignments(anchors, states):
    """[place, layer, anchor], in float64."""
    states, points = states.double().numpy(), anchors.points.double().numpy()
    cosines = states @ points.T / np.linalg.norm(states, axis=2, keepdims=True)
    weights = np.exp((cosines - cosines.max(2, keepdims=True)) / anchors.temperature)
    return (weights / weights.sum(2, keepdims=True)).transpose(1, 0, 2)


def slow(assigned, labels, floor, *, equal=False):
    """H(Z), the three figures of a label set, and the share of labels that occur once."""
    used = labels >= 0
    assigned, labels = assigned[used], labels[used]
    whole, single = entropy(assigned.mean(0)), entropy(assigned).mean(0)
    classes, counts = np.unique(labels, return_counts=True)
    share = np.full(len(classes), 1 / len(classes)) if equal else counts / len(labels)
    conditional = np.array([entropy(assigned[labels == one].mean(0)) for one in classes])
    own = np.array([entropy(assigned[labels == one]).mean(0) for one in classes])
    expected = floor(counts)
    raw = whole - share @ conditional
    corrected = share @ (expected - conditional)
    lack = ((whole - expected) / (whole - single))[counts > 1]
    limit = (conditional[counts > 1] - lack * own[counts > 1]) / (1 - lack)
    several, shares = counts[counts > 1], share[counts > 1]
    rare = several <= 3
    for_unique = shares[rare] @ limit[rare] / shares[rare].sum()
    extrapolated = whole - shares @ limit - share[counts == 1].sum() * for_unique
    return whole, dict(zip(KINDS, (raw, corrected, extrapolated), strict=True)), (counts == 1).sum() / len(labels)


@pytest.fixture(scope="module")
def text():
    """States and label sets of 600 places, 80 of which are not measured."""
    rng = np.random.default_rng(0)
    common = zipf(rng, 600, 30)
    states = planted(rng, common, layers=3)
    places = np.arange(600)
    sets = {"common": common, "rare": zipf(rng, 600, 4000, 0.7), "mixed": np.where(places % 3, common, 50 + places)}
    absent = rng.permutation(600)[:80]
    for labels in sets.values():
        labels[absent] = ABSENT
    return states, sets


@pytest.mark.parametrize("equal", [False, True])
def test_every_estimate_is_that_of_its_definition(anchors, text, equal):
    states, sets = text
    result, assigned = accumulate(anchors, states, sets, equal=equal), assignments(anchors, states)
    assert result.places == 520
    for name, labels in sets.items():
        whole, figures, unique = slow(assigned, labels, result.floor, equal=equal)
        np.testing.assert_allclose(result.entropy.value, whole, atol=1e-5)
        for kind in KINDS:
            np.testing.assert_allclose(
                estimates(result, name, kind), figures[kind], atol=2e-5, err_msg=f"{name} {kind}"
            )
        assert result.sets[name].unique == pytest.approx(unique)
    assert result.sets["common"].unique < 0.1 < 0.6 < result.sets["rare"].unique


def test_equal_weights_are_not_those_of_frequency(anchors, text):
    states, sets = text
    by_frequency, equal = (accumulate(anchors, states, sets, equal=equal) for equal in (False, True))
    difference = estimates(equal, "common", "raw") - estimates(by_frequency, "common", "raw")
    assert (difference > 0.1).all()  # a rare label's entropy is lower


def test_the_floor_is_the_expectation_over_random_states(anchors, text):
    states, sets = text
    result = accumulate(anchors, states, sets)
    assigned, rng = assignments(anchors, states)[sets["common"] >= 0], np.random.default_rng(1)
    np.testing.assert_allclose(result.floor.values[0], entropy(assigned).mean(0), atol=1e-5)
    for place, size in enumerate(result.floor.sizes[1:], start=1):
        drawn = np.array([entropy(assigned[rng.choice(520, size, replace=False)].mean(0)) for _ in range(400)])
        error = np.hypot(result.floor.errors[place], drawn.std(0) / np.sqrt(400))
        assert (np.abs(result.floor.values[place] - drawn.mean(0)) < 4.5 * error).all(), size
    assert result.floor.sizes.tolist() == [1, 2, 4, 8, 16, 32, 64, 128, 256]


def test_raw_less_corrected_is_the_floor_of_permuted_labels(anchors, text):
    states, sets = text
    result = accumulate(anchors, states, sets)
    assigned, rng = assignments(anchors, states), np.random.default_rng(2)
    for name in ("common", "rare"):
        labels, used = sets[name].copy(), sets[name] >= 0
        drawn = []
        for _ in range(40):
            labels[used] = rng.permutation(labels[used])
            drawn.append(slow(assigned, labels, result.floor)[1]["raw"])
        floor = estimates(result, name, "raw") - estimates(result, name, "corrected")
        assert (np.abs(np.mean(drawn, 0) - floor) < 0.015 * floor + 4 * np.std(drawn, 0) / np.sqrt(40)).all()


# ---- one pass over portions and batches ----


def test_portions_give_what_a_pass_over_each_prefix_gives(anchors, text):
    states, sets = text
    for result, end in zip(accumulate(anchors, states, sets, portions=(150, 400)), (150, 400, 600), strict=True):
        prefix = {name: labels[:end] for name, labels in sets.items()}
        fresh = accumulate(anchors, states[:, :end], prefix)
        assigned = assignments(anchors, states[:, :end])
        assert result.places == fresh.places == (prefix["common"] >= 0).sum()
        np.testing.assert_allclose(result.entropy.value, fresh.entropy.value, atol=1e-5)
        for name, labels in prefix.items():
            assert result.sets[name].unique == fresh.sets[name].unique
            np.testing.assert_allclose(estimates(result, name, "raw"), estimates(fresh, name, "raw"), atol=1e-5)
            # The groups for the floor are others, so the rest agrees with the definition under this floor.
            figures = slow(assigned, labels, result.floor)[1]
            for kind in KINDS[1:]:
                np.testing.assert_allclose(estimates(result, name, kind), figures[kind], atol=3e-5)
        difference = np.abs(result.floor(np.array([2, 8])) - fresh.floor(np.array([2, 8])))
        assert (difference < 0.05).all()


def test_the_size_and_order_of_batches_change_nothing_but_rounding(anchors, text):
    states, sets = text
    # The seed that orders the batches also draws the groups, so only the size differs there.
    one, many = (accumulate(anchors, states, sets, batch=batch) for batch in (600, 3))
    for name in sets:
        for kind in KINDS:
            np.testing.assert_allclose(estimates(one, name, kind), estimates(many, name, kind), atol=2e-5)
            np.testing.assert_allclose(errors(one, name, kind), errors(many, name, kind), rtol=0.15)


def test_looking_twice_changes_nothing(anchors, text):
    states, sets = text
    soft = SoftEntropy(anchors, Labels.build(sets, np.arange(600) // 5, rows=1000, seed=0), 3)
    soft.open(np.arange(600))
    soft.add(anchors.assign(states), np.arange(600))
    first, second = soft.evaluate(), soft.evaluate()
    for name in sets:
        np.testing.assert_array_equal(first.sets[name].corrected.draws, second.sets[name].corrected.draws)


def test_anchors_may_be_any_points(text):
    states, sets = text
    points = torch.nn.functional.normalize(torch.eye(DIM) + 0.1, dim=1)
    own = Anchors(points, 0.3)
    result = accumulate(own, states, sets)
    whole, figures, _ = slow(assignments(own, states), sets["common"], result.floor)
    np.testing.assert_allclose(result.entropy.value, whole, atol=1e-5)
    np.testing.assert_allclose(estimates(result, "common", "corrected"), figures["corrected"], atol=2e-5)


def test_the_length_of_a_state_and_its_type_do_not_matter(anchors, text):
    states, _ = text
    assigned = anchors.assign(states)
    assert assigned.shape == (600, 3, 12)
    torch.testing.assert_close(anchors.assign(states * 1e4), assigned, rtol=1e-4, atol=1e-6)
    rounded = states.bfloat16()
    torch.testing.assert_close(anchors.assign(rounded), anchors.assign(rounded.float()), rtol=0, atol=0)


# ---- what is known beforehand ----


@pytest.mark.parametrize("seed", range(4))
def test_noise_and_shuffled_labels_have_raw_information_but_none_above_the_floor(anchors, seed):
    rng = np.random.default_rng(seed)
    labels = zipf(rng, 1500, 20)
    sets = {"token": zipf(rng, 1500, 300), "k-gram": zipf(rng, 1500, 20_000, 0.6), "shuffled": rng.permutation(labels)}
    for states in (noise(seed, 1500), planted(rng, labels, 2.0)):
        result = accumulate(anchors, states, sets, seed=seed)
        for name in sets:
            raw = estimates(result, name, "raw")
            assert (raw > 4 * errors(result, name, "raw")).all()
            for kind in KINDS[1:]:
                assert (np.abs(estimates(result, name, kind)) < 4 * errors(result, name, kind)).all(), (name, kind)
            # That is not for want of precision: where labels are rare, next to nothing of the raw value is left.
            if name != "shuffled":
                assert (np.abs(estimates(result, name, "corrected")) < 0.1 * raw).all()
        assert (estimates(result, "k-gram", "raw") > 0.25 * result.entropy.value).all()


def test_errors_are_small_enough_to_see_a_signal(anchors):
    rng = np.random.default_rng(0)
    labels = zipf(rng, 1500, 40)
    result = accumulate(anchors, planted(rng, labels, 2.0), {"token": labels})
    for kind in KINDS[1:]:
        assert (estimates(result, "token", kind) > 8 * errors(result, "token", kind)).all()


def test_a_planted_signal_is_found_closer_to_its_limit_when_extrapolated(anchors):
    rng = np.random.default_rng(5)
    many = np.repeat(np.arange(60), 800)
    assigned = assignments(anchors, planted(rng, many))
    level = np.array([entropy(assigned[many == one].mean(0)) for one in range(60)])
    raw, corrected, extrapolated = [], [], []
    for _ in range(6):
        labels = np.tile(np.arange(60), 5)
        result = accumulate(anchors, planted(rng, labels), {"label": labels})
        raw, corrected, extrapolated = (
            [*one, estimates(result, "label", kind)]
            for one, kind in zip((raw, corrected, extrapolated), KINDS, strict=True)
        )
    truth = entropy(assigned.mean(0)) - level.mean(0)
    assert (np.mean(raw, 0) > 1.15 * truth).all()
    assert (np.mean(corrected, 0) < 0.9 * truth).all()
    assert (np.abs(np.mean(extrapolated, 0) - truth) < 0.4 * np.abs(np.mean(corrected, 0) - truth)).all()


def test_finer_classes_tell_more(anchors):
    rng = np.random.default_rng(6)
    kind = rng.integers(16, size=2000)
    sets = {"4": kind // 4, "8": kind // 2, "16": kind}
    result = accumulate(anchors, planted(rng, kind, 2.0), sets)
    for figure in KINDS:
        values = np.array([estimates(result, name, figure) for name in sets])
        assert (np.diff(values, axis=0) > 0.05).all(), figure


def test_a_sample_of_the_labels_agrees_with_all_within_its_error(anchors):
    rng = np.random.default_rng(7)
    labels = zipf(rng, 3000, 1500, 0.6)
    states = planted(rng, labels, 1.5)
    every = accumulate(anchors, states, {"x": labels})
    wide = 0
    for seed in range(8):
        some = accumulate(anchors, states, {"x": labels}, rows=60, seed=seed)
        for kind in KINDS:
            # The groups for the floor are drawn anew too, hence a little more than the error of sampling.
            error = np.sqrt(np.maximum(errors(some, "x", kind) ** 2 - 0.9 * errors(every, "x", kind) ** 2, 0))
            difference = np.abs(estimates(some, "x", kind) - estimates(every, "x", kind))
            assert (difference < 4 * error + 0.005).all(), (seed, kind)
            wide += (errors(some, "x", kind) > 1.05 * errors(every, "x", kind)).all()
    assert wide >= 20  # of 24: that labels were sampled shows in the intervals


def sentences_of(seed, number=40, length=6):
    """States that depend on a label and on their sentence, which also prefers some labels."""
    rng = np.random.default_rng(seed)
    owners = np.repeat(np.arange(number), length)
    liked = rng.integers(8, size=number)
    labels = np.where(rng.random(len(owners)) < 0.4, liked[owners], rng.integers(8, size=len(owners)))
    offset = rng.standard_normal((1, number, DIM))[:, owners]
    return planted(rng, labels, 1.5) + torch.tensor(offset, dtype=torch.float32), labels, owners


def test_intervals_cover_the_mean_over_texts(anchors):
    values, bounds = [], []
    for seed in range(60):
        states, labels, owners = sentences_of(seed)
        result = accumulate(anchors, states, {"x": labels}, sentences=owners).sets["x"].corrected
        values.append(result.value)
        bounds.append(percentiles(result.draws))
    low, high = np.array(bounds).transpose(1, 0, 2)
    covered = ((low <= np.mean(values, 0)) & (np.mean(values, 0) <= high)).mean(0)
    assert (covered >= 0.85).all(), covered
    # And not because they are needlessly wide.
    assert ((high - low).mean(0) < 1.6 * 2 * 1.96 * np.std(values, 0)).all()


def test_held_sentences_stand_for_all(anchors):
    number = 5 * HELD
    states, labels, owners = sentences_of(0, number)
    some = accumulate(anchors, states, {"x": labels}, sentences=owners)
    few = accumulate(anchors, states[:, : 6 * HELD], {"x": labels[: 6 * HELD]}, sentences=owners[: 6 * HELD])
    for kind in KINDS:
        ratio = errors(few, "x", kind) / errors(some, "x", kind)
        assert (np.abs(ratio / np.sqrt(5) - 1) < 0.25).all(), kind


# ---- bad input ----


def test_states_of_length_0_are_left_out_counted_and_warned_of(anchors, text):
    states, sets = text
    without = np.flatnonzero(sets["common"] >= 0)[::17]
    spoilt = states.clone()
    spoilt[1, without] = 0  # at one layer
    with pytest.warns(UserWarning, match="tokens have a state of length 0, without direction: left out"):
        result = accumulate(anchors, spoilt, sets)
    assert result.places == 520 - len(without)
    left = {name: labels.copy() for name, labels in sets.items()}
    for labels in left.values():
        labels[without] = ABSENT
    clean = accumulate(anchors, states, left)
    np.testing.assert_allclose(result.entropy.value, clean.entropy.value, atol=1e-6)
    assigned = assignments(anchors, states)
    for name, labels in left.items():
        np.testing.assert_allclose(estimates(result, name, "raw"), estimates(clean, name, "raw"), atol=1e-5)
        assert result.sets[name].unique == clean.sets[name].unique
        figures = slow(assigned, labels, result.floor)[1]
        for kind in KINDS[1:]:
            np.testing.assert_allclose(estimates(result, name, kind), figures[kind], atol=3e-5)


def test_random_groups_that_lost_a_state_do_not_count_for_the_floor(anchors):
    states, lost = noise(0, 1000), np.arange(1000) % 3 == 0
    assigned = assignments(anchors, states)[~lost]
    pairs = np.random.default_rng(0).permutation(len(assigned))[:666].reshape(-1, 2)
    expected = entropy(assigned[pairs].mean(1))
    states[0, lost] = 0
    with pytest.warns(UserWarning, match="length 0"):
        result = accumulate(anchors, states, {"x": np.arange(1000) % 7})
    error = np.hypot(result.floor.errors[1], expected.std(0) / np.sqrt(len(expected)))
    assert (np.abs(result.floor.values[1] - expected.mean(0)) < 4 * error).all()
    assert (4 * error < (expected.mean(0) - result.floor.values[0]) / 3).all()  # a third of a pair's gain is not lost


def test_one_token_has_no_entropy(anchors):
    with pytest.raises(ValueError, match="soft information needs at least 2 tokens with a state, but has 1"):
        accumulate(anchors, noise(0, 1), {"x": np.zeros(1, int)})
    with pytest.warns(UserWarning, match="length 0"), pytest.raises(ValueError, match=r"at least 2 tokens .* has 0"):
        accumulate(anchors, torch.zeros(LAYERS, 3, DIM), {"x": np.zeros(3, int)})


def test_two_tokens_are_enough(anchors):
    states = noise(0, 2)
    result = accumulate(anchors, states, {"same": np.zeros(2, int), "other": np.arange(2)})
    assigned = assignments(anchors, states)
    raw = entropy(assigned.mean(0)) - entropy(assigned).mean(0)
    np.testing.assert_allclose(estimates(result, "same", "raw"), 0, atol=1e-6)
    np.testing.assert_allclose(estimates(result, "other", "raw"), raw, atol=1e-6)
    np.testing.assert_allclose(estimates(result, "other", "corrected"), 0, atol=1e-6)


def test_one_anchor_is_too_few():
    with pytest.raises(ValueError, match="anchors must be at least 2, but is 1"):
        Anchors.draw(1, DIM, seed=0)


def test_labels_that_all_occur_once_cannot_be_extrapolated(anchors):
    result = accumulate(anchors, noise(0, 200), {"x": np.arange(200)}).sets["x"]
    assert result.unique == 1
    assert np.isnan(result.extrapolated.value).all()
    assert np.isnan(result.extrapolated.draws).all()
    np.testing.assert_allclose(result.corrected.value, 0, atol=1e-6)
    assert (result.raw.value > 0.3).all()


def test_a_single_label_tells_nothing(anchors):
    result = accumulate(anchors, noise(0, 200), {"x": np.zeros(200, int)}).sets["x"]
    for kind in KINDS:
        np.testing.assert_allclose(getattr(result, kind).value, 0, atol=1e-5)


def test_the_anchors_are_uniform_on_the_sphere():
    points = Anchors.draw(4000, 5, seed=1).points
    torch.testing.assert_close(points.norm(dim=1), torch.ones(4000))
    torch.testing.assert_close(points.T @ points / 4000, torch.eye(5) / 5, rtol=0, atol=0.02)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not torch.equal(points, Anchors.draw(4000, 5, seed=2).points)
