import numpy as np
import pandas as pd
import pytest

from bitskept.studies.dynamics.phases import INFORMATION_PLANE, RANK, by_quantity, changes, turning_points

STEPS = [0, *(2**power for power in range(11))]
FIT = {"fitting": "rise", "compression": "fall"}
PEAK = np.array([0, 0.5, 1, 2, 3, 4, 5, 5.5, 6, 5, 4, 3.0])


def checkpoints(curves, *, error=0.0, **facts):
    """A table of curves, one per seed."""
    rows = [
        {"twin": "next token", "size": 64, "amount": 100, "seed": seed, "step": step, "unit": "bits per token",
         "estimate": value, "low": value - 1.96 * error, "high": value + 1.96 * error} | facts
        for seed, curve in enumerate(curves)
        for step, value in zip(STEPS, curve, strict=False)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_a_planted_turn_is_found_and_measured_on_the_seed_left_out():
    noise = np.random.default_rng(0).normal(scale=0.1, size=(3, len(PEAK)))
    found = changes(checkpoints(PEAK + noise, error=0.02), FIT)
    assert found[["phase", "from_step", "to_step"]].to_numpy().tolist() == [
        ["fitting", 0, STEPS[8]],
        ["compression", STEPS[8], STEPS[-1]],
    ]
    assert found["estimate"].tolist() == pytest.approx([6, -3], abs=0.3)
    assert found["seen"].all()


@pytest.mark.parametrize("start", [0, 2])
def test_a_fall_before_the_rise_is_a_phase_of_its_own(start):
    curve = np.concatenate([[2.0, 1.0][:start], PEAK])[: len(STEPS)]
    found = changes(checkpoints([curve] * 3, error=0.01), INFORMATION_PLANE).set_index("phase")
    assert found["to_step"].tolist() == [STEPS[start], STEPS[start + 8], STEPS[-1]]
    assert found["estimate"].tolist() == pytest.approx([-float(start), 6, [-3, -1][start > 0]])
    assert found["seen"].tolist() == [start > 0, True, True]


def test_each_quantity_has_its_turns():
    tables = [checkpoints([curve], error=0.1, quantity=name) for name, curve in (("a", PEAK), ("b", PEAK[::-1]))]
    found = by_quantity(pd.concat(tables), FIT)
    assert found[["quantity", "phase", "to_step"]].to_numpy().tolist() == [
        ["a", "fitting", 128],
        ["a", "compression", 1024],
        ["b", "fitting", 4],
        ["b", "compression", 1024],
    ]
    with pytest.raises(ValueError, match="duplicate"):
        changes(pd.concat(tables), FIT)


def test_a_phase_that_one_choice_of_steps_has_is_in_doubt_and_not_absent():
    """The first seed has no fall at the end; the others have."""
    curves = np.array([[0.0, 1, 2, 3], [0, 1, 2, 1], [0, 1, 2, 1]])
    fall = changes(checkpoints(curves, error=0.01), FIT).iloc[1]
    assert fall["p"] < 1
    assert fall["low"] < fall["high"]
    assert not fall["seen"]


def test_the_turn_of_another_seed_is_used():
    """Each curve has a peak of its own, which the others do not have: nothing but noise."""
    curves = np.zeros((2, 4))
    curves[0, 1] = curves[1, 2] = 1
    assert changes(checkpoints(curves), FIT)["estimate"].tolist() == [0, 0]
    assert changes(checkpoints(curves[:1]), FIT)["estimate"].tolist() == [1, -1]


@pytest.mark.parametrize(
    ("curve", "phases", "spans"),
    [
        (np.arange(5.0), FIT, [4, 0]),
        (-np.arange(5.0), FIT, [0, 4]),
        (np.arange(5.0), RANK, [0, 4, 0]),
        (-np.arange(5.0), RANK, [4, 0, 0]),
        (np.array([0.0, 1, 1, 1]), FIT, [3, 0]),
        (np.array([5.0, 2, 4, 7, 6]), RANK, [1, 2, 1]),
    ],
)
@pytest.mark.parametrize("runs", [1, 3])
def test_phases_that_do_not_come_take_no_steps_and_are_not_seen(curve, phases, spans, runs):
    found = changes(checkpoints(np.tile(curve, (runs, 1)), error=1e-3), phases)
    places = [[STEPS.index(step) for step in found[name]] for name in ("from_step", "to_step")]
    assert np.subtract(*places[::-1]).tolist() == spans
    assert found["seen"].tolist() == [span > 0 for span in spans]
    none = found[np.array(spans) == 0]
    assert not none[["estimate", "low", "high"]].any(axis=None)
    assert (none["p"] == 1).all()
    assert (found.loc[np.array(spans) > 0, "p"] < 0.01).all()


@pytest.mark.parametrize("phases", [[1, -1], [-1, 1, -1]])
@pytest.mark.parametrize(("runs", "own", "common"), [(1, 0.0, 1.0), (3, 0.0, 1.0), (3, 1.0, 1.0), (2, 1.0, 0.0)])
def test_noise_is_seldom_seen_as_a_phase(phases, runs, own, common):
    """Whether it is the seeds' own or the items', which they share; without both precautions it is seen in up to 59 %
    of these cases."""
    random, seen = np.random.default_rng(0), []
    for _ in range(60):
        curves = own * random.normal(size=(runs, 12)) + common * random.normal(size=12)
        _, means = turning_points(curves, np.full((runs, 12), common), np.array(phases))
        seen.append([min(sign * mean.low, sign * mean.high) > 0 for sign, mean in zip(phases, means, strict=True)])
    assert np.mean(seen, axis=0).max() < 0.1


@pytest.mark.parametrize(("runs", "own", "common"), [(1, 0.0, 0.2), (3, 0.3, 0.0), (3, 0.2, 0.2)])
def test_intervals_cover_the_change_that_was_planted(runs, own, common):
    random, covered = np.random.default_rng(0), []
    for _ in range(60):
        curves = PEAK + own * random.normal(size=(runs, 12)) + common * random.normal(size=12)
        _, means = turning_points(curves, np.full((runs, 12), common), np.array([1, -1]))
        covered.append([mean.low <= true <= mean.high for mean, true in zip(means, (6, -3), strict=True)])
    assert np.mean(covered) > 0.9


def test_a_step_that_a_seed_lacks_is_left_out():
    curves = np.array([PEAK, PEAK, PEAK])
    curves[1, 8] = np.nan
    found = changes(checkpoints(curves), FIT)
    assert found["to_step"].iloc[0] == STEPS[7]
    assert not len(changes(checkpoints([[np.nan, np.nan]]), FIT))


def test_each_twin_has_its_own_turns():
    tables = [checkpoints([curve], error=0.1, twin=twin) for twin, curve in (("a", PEAK), ("b", PEAK[::-1]))]
    found = changes(pd.concat(tables), FIT)
    assert found[["twin", "to_step"]].to_numpy().tolist() == [["a", 128], ["a", 1024], ["b", 4], ["b", 1024]]
    assert found["runs"].tolist() == [1] * 4


def test_layers_are_not_taken_for_runs():
    table = pd.concat([checkpoints([[1.0]]).assign(layer=layer) for layer in (0, 1)])
    with pytest.raises(ValueError, match="duplicate"):
        changes(table, RANK)
