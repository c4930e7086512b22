from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import torch

from bitskept.instruments.training import byte_pairs, twins
from bitskept.instruments.training.builds import Build
from bitskept.instruments.training.schedule import Schedule
from bitskept.sources import corpora
from bitskept.studies.output import attention_runs
from bitskept.studies.output.attention_runs import Run, outcomes, spread

WORDS = ["the captain", "a whale", "his ship", "the children", "a parrot", "swallowed", "told", "saw", "of", "and"]
TEXTS = [
    " ".join(WORDS[place] for place in np.random.default_rng(number).integers(len(WORDS), size=12)) + "."
    for number in range(40)
]
BUILD = Build(width=16, depth=2, heads=2, feed_forward=24, initial=0.2)
SCHEDULE = Schedule(steps=16, batch=4, rate=0.01, save_every=16, measure_every=4)
PLAN = twins.Plan(
    "causal", "none", SCHEDULE, sentences=30, held_out=10, curve=8, longest=12, build=BUILD, dtype="float32"
)
TOKENIZER = byte_pairs.ready(byte_pairs.learn(TEXTS, 300), 12)

pytestmark = pytest.mark.usefixtures("one_thread")


def trained(**others):
    run = Run(others.pop("plan", PLAN), rows=3, **others)
    with (
        patch.object(corpora, "load", return_value={"text": TEXTS}),
        patch.object(twins, "tokenizer", return_value=TOKENIZER),
    ):
        return attention_runs._trained(run)


def test_a_run_is_measured_early_at_every_step_and_learns():
    curve = trained(plan=replace(PLAN, schedule=replace(SCHEDULE, steps=64, save_every=64)))
    assert curve["step"].tolist() == [*range(9), *range(12, 65, 4)]
    assert curve["loss"].iloc[-1] < curve["loss"].iloc[0] - 1
    assert not curve["stopped"].any()
    assert curve[["spread", "lowest"]].stack().between(0, 1 + 1e-9).all()
    assert (curve["lowest"] <= curve["spread"]).all()


def test_fixed_scores_keep_their_weights():
    kept = {}

    def watch(network, ids):
        kept.setdefault("q", []).append(network.model.layers[0].self_attn.q_proj.weight.clone())
        kept.setdefault("v", []).append(network.model.layers[0].self_attn.v_proj.weight.clone())
        return np.full((2, 2), 0.5)

    with patch.object(attention_runs, "spread", watch):
        trained(fixed=True)
    assert torch.equal(kept["q"][0], kept["q"][-1])
    assert not torch.equal(kept["v"][0], kept["v"][-1])


def test_a_gradient_that_is_not_finite_ends_the_curve():
    def fail(*arguments, measure, **options):
        measure()
        raise attention_runs.loop.Diverged("training diverged")

    with patch.object(attention_runs.loop, "train", fail):
        curve = trained()
    assert curve["step"].tolist() == [0]
    assert curve["stopped"].all()


def test_too_little_held_out_text_is_refused():
    with pytest.raises(ValueError, match="too few for a row of 12"):
        attention_runs._rows([np.arange(5)], 12, 3)


def test_the_law_of_single_tokens_is_counted_with_one_added():
    training, held_out = np.array([0, 0, 1]), np.array([[2, 0, 1]])
    assert attention_runs._single(training, held_out, 3) == pytest.approx(-np.log2([3 / 6, 2 / 6]).mean())


def network():
    with patch.object(corpora, "load", return_value={"text": TEXTS}):
        return twins.untrained(TOKENIZER, PLAN).network.eval()


def test_equal_scores_spread_over_all_and_large_ones_over_one():
    model, ids = network(), torch.arange(24).reshape(2, 12)
    before = model.config._attn_implementation
    for layer in model.model.layers:
        layer.self_attn.q_proj.weight.data.zero_()
    np.testing.assert_allclose(spread(model, ids), np.ones((2, 2)), atol=1e-6)
    assert model.config._attn_implementation == before
    other = network()
    for layer in other.model.layers:
        layer.self_attn.q_proj.weight.data.mul_(1e4)
    assert spread(other, ids).max() < 0.1


def curve(rate, losses, spreads, *, fixed=False, seed=0, stopped=False):
    facts = {"rate": rate, "fixed": fixed, "seed": seed, "single": 7.0, "stopped": stopped, "lowest": 0.1}
    return pd.DataFrame({"loss": losses, "spread": spreads, "step": range(len(losses))}).assign(**facts)


def test_what_became_of_runs():
    table = outcomes(
        pd.concat(
            [
                curve(0.1, [9.0, 8.0, 6.0], [0.9, 0.8, 0.7]),
                curve(0.2, [9.0, 8.0, 7.0], [0.9, 0.4, 0.5]),
                curve(0.3, [9.0, 8.0, 9.0, 6.0], [0.9, 0.46, 0.4, 0.9]),
                curve(0.4, [9.0, np.nan], [0.9, 0.8]),
                curve(0.5, [9.0, 8.0, 6.0], [0.9, 0.8, 0.8], stopped=True),
                curve(0.6, [9.0, 8.5, 6.95], [0.9, 0.8, 0.8], fixed=True),
            ]
        )
    ).set_index("rate")
    expected = ["learned", "stuck", "diverged", "diverged", "diverged", "stuck"]
    assert table["outcome"].loc[[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]].tolist() == expected
    assert table.loc[0.3, ["fell", "rose", "rise", "least_spread"]].tolist() == [2, 2, 1, 0.4]
    assert np.isnan(table.loc[0.1, "fell"])
    assert np.isinf(table.loc[0.4, "rise"])
    assert table["fixed"].loc[0.6]
