from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bitskept.instruments.likelihood.answers import log2_probabilities, read_answers, read_prompts
from bitskept.instruments.likelihood.information_density import (
    COLUMNS,
    FACTS,
    Plan,
    bits_so_far,
    density,
    gains,
    measure,
    mixture,
)
from bitskept.instruments.training import byte_pairs
from bitskept.instruments.training.builds import Build, network

PROMPTS = ["the cat sat", "it", "42"]
ANSWERS = [" the cat", "!", " 42 the"]
TEXTS = [
    "the captain told the children about it; that the whale had swallowed his whole ship and more",
    "his compass and his parrot were there as well; so that he had to swim to the shore",
    "the parrot told the captain where his compass was; it was still inside of the whale out there",
]

pytestmark = pytest.mark.usefixtures("one_thread")
surprising = arrays(float, (4, 5), elements=st.floats(-200, 0))


@pytest.fixture(scope="module")
def head(tiny):
    weights = torch.randn(tiny("llama").width, 300, generator=torch.Generator().manual_seed(0))
    return lambda states: states @ weights


@pytest.fixture
def corpus(home, tmp_path):
    """A file of text, and tiny models "causal", "mamba2" and "masked"."""
    tokenizer = byte_pairs.ready(byte_pairs.learn(TEXTS, 280), 80)
    small = Build(width=16, depth=2, heads=2, feed_forward=24, state=8, initial=0.3)
    for name, (family, causal) in {
        "causal": ("llama", True), "mamba2": ("mamba2", True), "masked": ("llama", False),
    }.items():  # fmt: skip
        for part in (network(replace(small, family=family), tokenizer, causal=causal, seed=0), tokenizer):
            part.save_pretrained(home / "models" / name)
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(TEXTS), "utf-8")
    return str(path)


def test_the_mixture_is_the_marginal_of_a_prompt_drawn_from_the_bank():
    """All answers of two tokens out of three, three prompts: the mean of the densities is the mutual information."""
    rng = np.random.default_rng(0)
    first, second = rng.dirichlet(np.ones(3), 3), rng.dirichlet(np.ones(3), (3, 3))
    joint = first[:, :, None] * second / 3  # prompt, token, token
    marginal, found = joint.sum(0), 0.0
    for one in range(3):
        for two in range(3):
            laws = np.log2(np.stack([first[:, one], second[:, one, two]], axis=1))
            law = mixture(laws)
            assert law.sum() == pytest.approx(np.log2(marginal[one, two]))
            assert law[0] == pytest.approx(np.log2(marginal[one].sum()))
            found += (joint[:, one, two] * (laws - law).sum(axis=1)).sum()
    assert found == pytest.approx((joint * np.log2(3 * joint / marginal)).sum())


@given(surprising)
def test_a_prompt_that_is_one_of_four_directs_two_bits_at_most(laws):
    totals = (laws - mixture(laws)).cumsum(axis=1)
    assert totals.max() <= 2 + 1e-9
    assert (totals.max(axis=0) >= -1e-9).all()  # nor is the mixture above all of its parts


def test_one_row_a_token(tiny, head):
    table = density(tiny("llama"), head, PROMPTS, ANSWERS, others=["the", "it"])
    assert list(table) == COLUMNS
    assert table["token"].tolist() == ["Ġthe", "Ġcat", "!", "Ġ42", "Ġthe"]
    assert table["position"].tolist() == [0, 1, 0, 0, 1]
    assert table["prompt"].tolist() == table["answer"].tolist() == [0, 0, 1, 2, 2]
    bank = [*PROMPTS, "the"]
    model = tiny("llama")
    answers = read_answers(model, ANSWERS)
    each = [np.concatenate(log2_probabilities(model, head, ids, answers)) for ids in read_prompts(model, [None, *bank])]
    np.testing.assert_allclose(table["promptless"], each[0])
    np.testing.assert_allclose(table["given_prompt"], np.choose(table["answer"], each[1:4]))
    third = slice(3, 5)
    np.testing.assert_allclose(table["mixture"][third], mixture(np.stack(each[1:])[:, third]))
    np.testing.assert_allclose(table["left_out"][third], mixture(np.stack(each)[[1, 2, 4], third]))
    for name in ("mixture", "left_out", "promptless"):
        np.testing.assert_allclose(table[f"density_{name}"], table["given_prompt"] - table[name])


def test_an_answers_bank_begins_with_its_own_prompt_as_on_a_circle(tiny, head):
    model = tiny("llama")
    table = density(model, head, PROMPTS, ANSWERS, others=["the"], bank=3).query("answer == 2")
    [answer] = read_answers(model, ANSWERS[2:])
    each = np.stack(
        [log2_probabilities(model, head, ids, [answer])[0] for ids in read_prompts(model, [*PROMPTS, "the"])]
    )
    np.testing.assert_allclose(table["given_prompt"], each[2], rtol=1e-5)
    np.testing.assert_allclose(table["given_another"], each[3], rtol=1e-5)
    np.testing.assert_allclose(table["mixture"], mixture(each[[2, 3, 0]]), rtol=1e-5)
    np.testing.assert_allclose(table["left_out"], mixture(each[[3, 0]]), rtol=1e-5)


def test_of_no_context_nothing_is_directed(tiny, head):
    table = density(tiny("llama"), head, PROMPTS, ANSWERS, context=0)
    np.testing.assert_allclose(table.filter(like="density"), 0, atol=1e-6)
    whole, cut = (density(tiny("llama"), head, PROMPTS, ANSWERS, context=context) for context in (None, 1))
    np.testing.assert_allclose(whole["promptless"], cut["promptless"], rtol=1e-6)
    assert np.abs(whole["density_promptless"] - cut["density_promptless"]).max() > 0.1


@pytest.mark.parametrize("prompts", [["the"], ["the", "the"]])
def test_a_bank_of_one_is_no_mixture(tiny, head, prompts):
    with pytest.raises(ValueError, match="a bank of 1 different prompts makes no mixture"):
        density(tiny("llama"), head, prompts, ["a"] * len(prompts))


def test_bits_are_gathered_and_an_answer_that_has_ended_keeps_its_own():
    rows = [("a", 0, 0, 1.0), ("a", 0, 1, 2.0), ("a", 1, 0, 3.0), ("b", 0, 0, 0.5), ("b", 1, 0, 0.5)]
    found = bits_so_far(pd.DataFrame(rows, columns=["corpus", "answer", "position", "density_mixture"]), seed=1)
    assert found[["corpus", "tokens", "estimate"]].to_numpy().tolist() == [["a", 1, 2.0], ["a", 2, 3.0], ["b", 1, 0.5]]
    assert found["n"].tolist() == [2, 2, 2]
    assert found[["low", "high"]].isna().all(axis=None)  # 2 answers are too few


def test_bits_so_far_have_an_interval_over_many_answers():
    values = np.random.default_rng(0).normal(1, 0.5, 40)
    rows = {"corpus": "a", "answer": np.arange(40), "position": 0, "density_mixture": values}
    [row] = bits_so_far(pd.DataFrame(rows), seed=1).to_dict("records")
    assert 0.7 < row["low"] < row["estimate"] < row["high"] < 1.3


def test_an_encoder_has_no_law_of_the_next_token(tiny, head):
    with pytest.raises(ValueError, match="bert is an encoder, and has no law of the next token"):
        density(tiny("bert"), head, PROMPTS, ANSWERS)


def test_every_prompt_has_to_leave_room_for_every_answer(tiny, head):
    with pytest.raises(ValueError, match="a prompt of 25 tokens and an answer of 12 are more than the 33 that llama"):
        density(tiny("llama"), head, ["a" * 25, "b"], ["c", "d" * 12])


@pytest.mark.parametrize("model", ["causal", "mamba2"])
def test_a_measurement_is_stored_and_read_as_gains(corpus, model):
    plan = Plan(corpus, 2, others=1, context=6, length=5)
    table = measure(model, plan, progress=False)
    assert list(table) == FACTS + COLUMNS
    assert (table.groupby("answer").size() == 5).all()
    assert table["context"].unique() == [6]
    pd.testing.assert_frame_equal(measure(model, plan, progress=False), table)
    found = gains(table).set_index("marginal")
    for name in ("mixture", "left_out", "promptless"):
        row = found.loc[name]
        assert row["estimate"] == pytest.approx(table[f"density_{name}"].mean())
        assert row[["low", "high"]].isna().all()  # 2 answers are too few
        assert (row["quantity"], row["unit"], row["n"], row["model"]) == ("context_gain", "bits per token", 2, model)
    both = pd.concat([table, measure(model, replace(plan, context=None), progress=False)])
    assert gains(both)["context"].isna().tolist() == [False] * 3 + [True] * 3


def test_an_encoder_is_refused_before_its_head_is_asked_for(corpus):
    with pytest.raises(ValueError, match="masked is an encoder"):
        measure("masked", Plan(corpus, 2), progress=False)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"pairs": 0}, "pairs must be at least 1"),
        ({"others": 0}, "others must be at least 1, but is 0"),
        ({"context": -1}, "context must be"),
        ({"length": 0}, "length must be"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Plan("none", **{"pairs": 2} | wrong)
