"""Training on a language with a truth."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import transformers

from bitskept.instruments.training.builds import Build
from bitskept.instruments.training.masking import LEFT_OUT
from bitskept.studies.dynamics import language_runs
from bitskept.studies.dynamics.language_runs import Language, Learner, Plan, Sizes
from bitskept.theory.corruption import Corruption
from bitskept.theory.information import entropy

pytestmark = pytest.mark.usefixtures("one_thread")
LANGUAGE = Language(classes=3, synonyms=2, concentration=0.5, seed=0)
SIZES = Sizes(train=40, validation=10, test=24, smaller=(20,), loss=40, optimum=40, anchors=8, clusters=4)
NEXT = Plan(LANGUAGE, None, Build("llama", 16, 2, 2, 24), SIZES, causal=True, length=8, steps=2, batch=4)
MASK = replace(NEXT, corruption=Corruption(0.3), causal=False)


def sentences(plan, number=200):
    return language_runs.draw(plan, number, np.random.default_rng(0))


def test_a_lag_makes_the_other_language_with_the_same_classes():
    second = replace(LANGUAGE, lag=2).law
    assert (second.lag, second.noise, LANGUAGE.law.noise) == (2, 0.1, 1)
    assert (second.transitions == LANGUAGE.law.transitions).all()


def test_a_causal_network_is_asked_for_the_next_token():
    text = sentences(NEXT)
    shown, wanted = language_runs.task(NEXT, text, np.random.default_rng(0))
    assert torch.equal(shown, text)
    assert torch.equal(wanted[:, :-1], text[:, 1:])
    assert (wanted[:, -1] == LEFT_OUT).all()


def test_hidden_tokens_are_asked_for_and_all_others_are_shown_as_they_are():
    plan = replace(MASK, corruption=Corruption(0.3, 0.1, 0.2))
    text = sentences(plan, 2000)
    shown, wanted = language_runs.task(plan, text, np.random.default_rng(0))
    asked = wanted != LEFT_OUT
    assert torch.equal(shown[~asked], text[~asked])
    assert torch.equal(wanted[asked], text[asked])
    masked = shown[asked] == plan.vocabulary.mask_token_id
    assert asked.float().mean() == pytest.approx(0.3, abs=0.02)
    assert masked.float().mean() == pytest.approx(0.7, abs=0.02)
    kept = (shown == text)[asked].float().mean()
    assert kept == pytest.approx(0.2 + 0.1 / 6, abs=0.02)  # a token may be replaced by itself


def test_steps_double_and_the_last_is_among_them():
    assert language_runs.steps(replace(NEXT, steps=9)) == [0, 1, 2, 4, 8, 9]
    assert language_runs.steps(replace(NEXT, steps=8)) == [0, 1, 2, 4, 8]


def test_a_run_that_is_not_followed_has_the_last_rows_of_one_that_is(home):
    followed, other = (language_runs.run(replace(NEXT, followed=each)) for each in (True, False))
    assert set(other["step"]) == {NEXT.steps} < set(followed["step"])
    last = followed[followed["step"] == NEXT.steps].reset_index(drop=True)
    pd.testing.assert_frame_equal(last, other)


def test_the_optimum_from_the_left_is_that_of_all_patterns_of_masks():
    law, hidden, length = LANGUAGE.law, 0.4, 4
    classes = len(law.transitions)
    joint = np.zeros((classes,) * length)
    for path in itertools.product(range(classes), repeat=length):
        steps = [law.transitions[a, b] for a, b in itertools.pairwise(path)]
        joint[path] = law.class_chain.stationary[path[0]] * np.prod(steps)
    costs = []
    for place in range(length):
        for pattern in itertools.product((True, False), repeat=place):
            visible = tuple(i for i, shown in enumerate(pattern) if shown)
            chance = np.prod([1 - hidden if shown else hidden for shown in pattern])
            given = entropy(joint, visible) if visible else 0.0
            costs.append(chance * (entropy(joint, (*visible, place)) - given))
    expected = sum(costs) / length + law.synonym_bits
    assert language_runs.left_optimum(law, length, Corruption(hidden)).bits == pytest.approx(expected, abs=1e-9)


def test_the_optimum_from_the_left_is_not_claimed_where_it_is_not_known():
    with pytest.raises(ValueError, match="masks alone"):
        language_runs.left_optimum(LANGUAGE.law, 4, Corruption(0.3, kept=0.1))
    with pytest.raises(ValueError, match="without a lag"):
        language_runs.left_optimum(replace(LANGUAGE, lag=2).law, 4, Corruption(0.3))


def test_every_objective_has_the_least_cost_of_its_own(home):
    law = LANGUAGE.law
    assert language_runs.optimum(NEXT).bits == pytest.approx(law.entropy_rate)
    both, left = (language_runs.optimum(replace(MASK, causal=causal)).bits for causal in (False, True))
    assert law.synonym_bits < both < left < law.entropy
    replaced = replace(MASK, corruption=Corruption(0.3, 0.1, 0.1))
    assert language_runs.optimum(replaced).bits < both


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corruption": None, "causal": False}, "make it causal"),
        ({"build": Build("mamba2", 16, 2, 2, 24)}, "left to right only"),
        ({"length": 1}, "2 tokens"),
        ({"steps": 0}, "a step"),
        ({"rate": 0.0}, "above 0"),
    ],
)
def test_a_plan_that_cannot_work_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(MASK, **changes)


def test_an_own_head_adds_the_cost_of_the_visible_tokens():
    text = sentences(MASK, 16)
    for plan in (MASK, NEXT):
        shown, wanted = language_runs.task(plan, text, np.random.default_rng(0))
        without, beside = Learner(plan), Learner(replace(plan, own=True))
        assert all(map(torch.equal, without.network.parameters(), beside.network.parameters()))
        states = beside.states(shown)[-1]
        places = torch.ones_like(wanted, dtype=torch.bool) if plan.causal else wanted == LEFT_OUT
        own = torch.nn.functional.cross_entropy(beside.own(states[places]), shown[places])
        assert beside.loss(shown, wanted).item() == pytest.approx((without.loss(shown, wanted) + own).item(), rel=1e-5)


def test_states_end_with_those_that_the_head_reads():
    for family in ("llama", "roberta", "roberta-prelayernorm"):
        learner = Learner(replace(MASK, build=replace(MASK.build, family=family)))
        shown, wanted = language_runs.task(MASK, sentences(MASK, 16), np.random.default_rng(0))
        states = learner.states(shown, at_once=5)
        assert states.shape == (3, 16, 8, 16)
        mean = learner.surprisal(states[-1], wanted).mean().item()
        assert mean == pytest.approx(learner.loss(shown, wanted).item(), rel=1e-5)


def test_a_run_is_repeatable_stored_and_leaves_the_random_state_and_the_log(home, monkeypatch):
    level = transformers.logging.get_verbosity()
    before = torch.random.get_rng_state()
    table = language_runs.run(replace(MASK, own=True))
    assert transformers.logging.get_verbosity() == level
    assert torch.equal(torch.random.get_rng_state(), before)
    assert language_runs.is_stored(replace(MASK, own=True))
    assert not language_runs.is_stored(MASK)
    again = language_runs._train(replace(MASK, own=True))
    assert again["estimate"].tolist() == pytest.approx(table["estimate"].tolist(), nan_ok=True)
    monkeypatch.setattr(language_runs, "_train", lambda plan: pytest.fail("it was trained again"))
    language_runs.run(replace(MASK, own=True))


def test_training_comes_near_to_the_least_cost(home):
    table = language_runs.run(replace(NEXT, steps=150, batch=32, rate=1e-2))
    gaps = table[table["quantity"] == "gap"].set_index("step")["estimate"]
    assert gaps[0] > 0.5
    assert -0.1 < gaps[150] < 0.15


def test_training_that_diverges_says_so(home, monkeypatch):
    monkeypatch.setattr(Learner, "loss", lambda *_: torch.tensor(float("nan"), requires_grad=True))
    with pytest.raises(RuntimeError, match="diverged at step 1"):
        language_runs.run(NEXT)


def test_the_language_can_be_learned_from_its_parameters():
    assert LANGUAGE.law.types == NEXT.vocabulary.types == 6
