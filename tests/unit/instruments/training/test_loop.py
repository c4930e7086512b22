import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from damage import flip_a_bit
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers.utils import logging

from bitskept.instruments.training.loop import Diverged, train
from bitskept.instruments.training.schedule import Schedule, in_order
from bitskept.sources.seals import SEAL

SCHEDULE = Schedule(steps=8, batch=4, rate=0.05, accumulate=2, warmup=2, save_every=3, measure_every=3)
ITEMS = [{"place": place} for place in range(32)]


class Line(nn.Module):
    """A regression with dropout, so that the random state counts; `ends_at` is the pass in which it is killed."""

    def __init__(self, ends_at=None, wrong_at=None):
        super().__init__()
        torch.manual_seed(3)
        self.weight = nn.Parameter(torch.randn(6))
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)
        self.passes, self.ends_at, self.wrong_at = 0, ends_at, wrong_at

    def forward(self, inputs, wanted):
        self.passes += 1
        if self.passes == self.ends_at:
            raise KeyboardInterrupt
        factor = float("nan") if self.passes == self.wrong_at else 1.0
        return {"loss": factor * (nn.functional.dropout(inputs, 0.3) @ self.weight - wanted).square().mean()}


def collate(items):
    places = torch.tensor([float(item["place"]) for item in items])
    inputs = torch.sin(places[:, None] + torch.arange(6))
    return {"inputs": inputs, "wanted": inputs.sum(1)}


def test_a_run_that_was_killed_ends_with_the_same_weights_and_the_same_log(tmp_path):
    whole, killed, resumed = Line(), Line(ends_at=10), Line()
    measures = [lambda module=module: {"norm": module.weight.norm().item()} for module in (whole, killed, resumed)]
    log = train(whole, ITEMS, collate, SCHEDULE, tmp_path / "whole", seed=5, measure=measures[0])
    with pytest.raises(KeyboardInterrupt):
        train(killed, ITEMS, collate, SCHEDULE, tmp_path / "killed", seed=5, measure=measures[1])
    again = train(resumed, ITEMS, collate, SCHEDULE, tmp_path / "killed", seed=5, measure=measures[2])
    assert resumed.passes < whole.passes == 16
    assert torch.equal(resumed.weight, whole.weight)
    kept = [{name: value for name, value in record.items() if name != "epoch"} for record in log]
    assert [{name: value for name, value in record.items() if name != "epoch"} for record in again] == kept
    assert [record["step"] for record in log if "norm" in record] == [0, 3, 6, 8]


def test_the_optimizer_is_that_of_the_schedule(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(Line(ends_at=15), ITEMS, collate, replace(SCHEDULE, beta2=0.9), tmp_path / "killed", seed=5)
    [group] = [
        group
        for group in torch.load(tmp_path / "killed" / "checkpoint-6" / "optimizer.pt")["param_groups"]
        if group["params"]
    ]
    assert group["betas"] == (0.9, 0.9)
    assert group["weight_decay"] == 0


def truncate(checkpoint):
    with (checkpoint / "optimizer.pt").open("r+b") as file:
        file.truncate(100)


def change_a_weight(checkpoint):
    flip_a_bit(checkpoint / "model.safetensors")


def cut_off(checkpoint):
    """As a kill in the middle of writing leaves it."""
    for name in ("trainer_state.json", "rng_state.pth", SEAL):
        (checkpoint / name).unlink()


@pytest.mark.parametrize(("damage", "told"), [(truncate, True), (change_a_weight, True), (cut_off, False)])
def test_a_damaged_checkpoint_is_passed_over_and_the_weights_are_the_same(tmp_path, damage, told):
    whole, killed, resumed = Line(), Line(ends_at=15), Line()
    train(whole, ITEMS, collate, SCHEDULE, tmp_path / "whole", seed=5)
    with pytest.raises(KeyboardInterrupt):
        train(killed, ITEMS, collate, SCHEDULE, tmp_path / "killed", seed=5)
    damage(tmp_path / "killed" / "checkpoint-6")
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        train(resumed, ITEMS, collate, SCHEDULE, tmp_path / "killed", seed=5)
    assert resumed.passes == 10  # from step 3 on, two passes a step
    assert torch.equal(resumed.weight, whole.weight)
    damaged = [str(one.message) for one in given if "checkpoint-6 is damaged" in str(one.message)]
    assert len(damaged) == told


def test_without_a_whole_checkpoint_training_begins_anew(tmp_path):
    whole, killed, resumed = Line(), Line(ends_at=8), Line()
    train(whole, ITEMS, collate, SCHEDULE, tmp_path / "whole", seed=5)
    with pytest.raises(KeyboardInterrupt):
        train(killed, ITEMS, collate, SCHEDULE, tmp_path / "killed", seed=5)
    cut_off(tmp_path / "killed" / "checkpoint-3")
    train(resumed, ITEMS, collate, SCHEDULE, tmp_path / "killed", seed=5)
    assert resumed.passes == 16
    assert torch.equal(resumed.weight, whole.weight)


def test_another_seed_ends_elsewhere(tmp_path):
    first, second = Line(), Line()
    train(first, ITEMS, collate, SCHEDULE, tmp_path / "first", seed=5)
    train(second, ITEMS, collate, SCHEDULE, tmp_path / "second", seed=6)
    assert not torch.equal(first.weight, second.weight)


def test_checkpoints_hold_what_is_trained_alone(tmp_path):
    from safetensors.torch import load_file

    train(Line(), ITEMS, collate, SCHEDULE, tmp_path, seed=0)
    assert set(load_file(tmp_path / "checkpoint-8" / "model.safetensors")) == {"weight"}


def test_a_checkpoint_of_other_weights_is_refused_and_the_log_of_the_library_stays_as_it_was(tmp_path):
    level = logging.get_verbosity()
    with pytest.raises(KeyboardInterrupt):
        train(Line(ends_at=10), ITEMS, collate, SCHEDULE, tmp_path, seed=5)
    other = Line()
    other.added = nn.Parameter(torch.ones(2))
    with pytest.raises(RuntimeError, match=r"has 1 weights too few or too many, added among them: remove that folder"):
        train(other, ITEMS, collate, SCHEDULE, tmp_path, seed=5)
    assert logging.get_verbosity() == level


def test_a_gradient_that_is_no_number_ends_the_run_with_the_last_good_checkpoint(tmp_path):
    module = Line(wrong_at=11)  # two passes a step: step 6
    with pytest.raises(Diverged, match=r"step 6.*learning rate of 0\.0\d+.*Lower the rate") as told:
        train(module, ITEMS, collate, SCHEDULE, tmp_path, seed=0)
    assert str(tmp_path) in str(told.value)
    assert (tmp_path / "checkpoint-3").is_dir()
    assert module.weight.isfinite().all()


def test_every_step_is_told_and_the_callers_random_state_stays(tmp_path):
    steps, module = [], Line()
    # Python's own is put back as well, but the type checks of the tests draw from it.
    numpy, state = np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    train(module, ITEMS, collate, SCHEDULE, tmp_path, seed=0, at_step=steps.append)
    assert steps == list(range(9))
    assert np.random.get_state()[1].tolist() == numpy  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"batch": 5}, "cannot be split into 2 equal parts"),
        ({"rate": 0.0}, "learning rate must be above 0"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Schedule(**{"steps": 2, "batch": 4, "rate": 0.1, "accumulate": 2} | wrong)


def test_too_few_items_are_refused(tmp_path):
    with pytest.raises(ValueError, match="8 steps of 4 items need as many items, not 31"):
        train(Line(), ITEMS[1:], collate, SCHEDULE, tmp_path, seed=0)
    with pytest.raises(ValueError, match="nothing to train on"):
        in_order(np.array([], dtype=int), SCHEDULE, seed=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 90), st.integers(1, 40), st.integers(1, 6), st.integers(0, 3))
def test_the_order_takes_every_item_before_any_again(items, steps, batch, seed):
    lengths = np.random.default_rng(items).integers(1, 50, items)
    drawn = in_order(lengths, Schedule(steps, batch, 0.1), seed=seed)
    counts = np.bincount(drawn, minlength=items)
    assert len(drawn) == steps * batch
    assert counts.max() - counts.min() <= 1
    assert np.array_equal(drawn, in_order(lengths, Schedule(steps, batch, 0.2), seed=seed))


def test_a_batch_holds_items_of_like_length():
    lengths = np.random.default_rng(0).integers(1, 60, 640)
    drawn = in_order(lengths, Schedule(20, 32, 0.1), seed=0)
    spread = np.ptp(lengths[drawn].reshape(20, 32), axis=1)
    assert spread.mean() < 10 < np.ptp(lengths[:32])
