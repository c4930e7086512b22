import re
from dataclasses import replace

import numpy as np
import pytest

from bitskept.instruments.likelihood import hidden_token, next_token
from bitskept.instruments.likelihood.information_density import MARGINALS, Plan
from bitskept.instruments.likelihood.next_token import QUANTITIES
from bitskept.instruments.states import encode
from bitskept.instruments.training import twin_measures, twin_runs, twins
from bitskept.instruments.training.twin_runs import BERT, DIFFUSION, MASK, NEXT, TwinTraining
from bitskept.sources import corpora

WORDS = ["the captain", "a whale", "his ship", "the children", "a parrot", "swallowed", "told", "saw", "of", "and"]
pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:.*sentences are longer than"),
]


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """Small twins on a text of a few words."""
    folder, random = tmp_path_factory.mktemp("twins"), np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, size=10 + place % 5)) + "." for place in range(150)]
    (folder / "text.txt").write_text("\n".join(texts), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BITSKEPT_HOME", str(folder / "home"))
        yield TwinTraining(
            width=48, depth=1, steps=2, batch=4, rate=0.01, weight_decay=0.0, first_weights=0.1, hidden=0.3, longest=64,
            vocabulary=300, corpus=str(folder / "text.txt"), sentences=40, held_out=50, test_sentences=12, draws=2,
            seed=0, dtype="float32",
        )  # fmt: skip


@pytest.fixture(scope="module")
def measured(training):
    plan = Plan(training.corpus, 4, others=2, context=8, length=4)
    return twin_measures.architectures(training, [NEXT, DIFFUSION], [0], plan)


def test_a_run_is_named_by_what_differs_from_the_middle_size(training):
    plans = [twin_runs.plan(training, BERT, 3, **other) for other in ({}, {"size": 96}, {"amount": 8})]
    names = [twin_runs.run_name(training, BERT, plan) for plan in plans]
    assert names == ["BERT-s-rule-3", "BERT-s-rule-3-width96", "BERT-s-rule-3-sentences8"]
    assert [(plan.build.width, plan.build.heads, plan.sentences) for plan in plans] == [
        (48, 1, 40),
        (96, 3, 40),
        (48, 1, 8),
    ]


def test_each_twin_has_its_checkpoints(training, measured):
    found = twin_runs.checkpoints(training, [NEXT, DIFFUSION], [0])
    assert list(found) == ["twin", "seed", "step", "id"]
    steps = found.groupby("twin", sort=False)["step"].agg(list)
    assert steps.to_dict() == {NEXT: [0, 2], DIFFUSION: [0, 2]}


def test_costs_are_exact_or_bounds(measured):
    costs, _ = measured
    assert costs.groupby("twin")["quantity"].unique().map(list).to_dict() == {
        NEXT: ["bits_per_byte"],
        DIFFUSION: ["bits_per_byte_bound"],
    }
    assert costs["seed"].tolist() == [0] * 4
    assert costs["step"].tolist() == [0, 2] * 2


def test_only_twins_that_answer_token_by_token_are_prompted(training, measured):
    _, gains = measured
    assert set(gains["twin"]) == {NEXT}
    assert gains.groupby("step")["marginal"].agg(list).tolist() == [list(MARGINALS)] * 2
    assert set(gains["seed"]) == {0}
    plan = Plan(training.corpus, 4, others=2, context=8, length=4)
    assert not len(twin_measures.architectures(training, [DIFFUSION], [0], plan)[1])


def test_what_a_causal_twin_gathers_from_the_context(training):
    told = twin_measures.next_tokens_of(training, [NEXT], [0])
    assert told.groupby("step")["quantity"].agg(list).tolist() == [list(QUANTITIES)] * 2
    wide = told.pivot_table(index="step", columns="quantity", values="estimate")
    assert (wide["frequency_entropy"] - wide["cross_entropy"]).to_numpy() == pytest.approx(wide["gathered"].to_numpy())


def test_each_twin_has_a_plan_a_name_for_files_and_a_colour(training):
    plans = {twin: twin_runs.plan(training, twin, 0) for twin in twin_runs.TWINS}
    for twin, plan in plans.items():
        assert re.fullmatch("[A-Za-z0-9-]+", twin_runs.run_name(training, twin, plan))
        assert twin_runs.is_causal(twin) == plan.causal
        assert (plan.schedule.beta2, plan.build.initial) == (twin_runs.BETA2, 0.1)
    assert len({twin_runs.run_name(training, twin, plan) for twin, plan in plans.items()}) == len(plans)
    assert len(set(twin_runs.COLOURS.values())) == len(plans)
    assert len(set(plans.values())) == len(plans)
    assert replace(plans[BERT], replaced=0.0, kept=0.0) == plans[MASK]
    assert (plans[BERT].replaced, plans[BERT].kept) == (0.1, 0.1)
    assert replace(plans[MASK], kept=0.1) == plans["10 % kept"]
    assert replace(plans[NEXT], tied=False) == plans[f"{NEXT}, untied"]
    assert replace(plans[MASK], tied=False) == plans[f"{MASK}, untied"]


def test_the_tokens_that_a_run_is_trained_on_are_counted(training):
    plan = twin_runs.plan(training, NEXT, 0)
    assert twin_runs.tokens_seen(plan) == 8 * plan.longest  # two steps of four rows
    assert twin_runs.tokens_seen(twin_runs.plan(training, BERT, 3)) == twin_runs.tokens_seen(plan)
    assert twin_runs.tokens_seen(twin_runs.plan(training, BERT, 3, size=96)) == twin_runs.tokens_seen(plan)


def test_how_often_a_run_sees_its_text(training):
    """Sentences with their starts and ends fill rows, of which a step takes four."""
    for amount in (40, 8):
        plan = twin_runs.plan(training, NEXT, 0, amount=amount)
        texts = corpora.load(training.corpus, sentences=50 + amount, seed=0)["text"][50:]
        encoding = encode(twins.untrained(twins.tokenizer(plan), plan), texts)
        tokens = sum(map(len, encoding.ids))
        assert twin_runs.passes(plan) == 8 / (tokens // 64)


def test_the_gain_of_a_twin_is_measured_by_what_it_was_asked_for(training):
    following, hidden = (twin_measures.gain_of(training, twin, 0.15) for twin in (NEXT, MASK))
    assert following == (next_token.measure, twin_measures.next_plan(training))
    assert hidden[0] is hidden_token.measure
    assert (hidden[1].hidden, hidden[1].draws, hidden[1].sentences) == (0.15, twin_measures.DRAWS, 12)
