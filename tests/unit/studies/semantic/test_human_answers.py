from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bitskept.instruments.likelihood import answers, heads
from bitskept.instruments.training import byte_pairs
from bitskept.instruments.training.builds import Build, network
from bitskept.sources import models, prompts
from bitskept.studies.semantic.continuations import means
from bitskept.studies.semantic.human_answers import DIFFERENCE, RISE, WHOSE, Plan, drift, late_rise, measure

TEXTS = [" ".join([word] * 9 + ["whale"] * (9 + 3 * place)) for place, word in enumerate("abcdefgh")]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def plan(home, tmp_path):
    """A tiny decoder, and texts cut in two."""
    tokenizer = byte_pairs.ready(byte_pairs.learn(TEXTS, 280), 120)
    for part in (network(Build(width=16, depth=1, heads=2, initial=0.3), tokenizer, causal=True, seed=0), tokenizer):
        part.save_pretrained(home / "models" / "causal")
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(TEXTS), "utf-8")
    return Plan(str(path), prompts=2, length=4, others=1, context=6, dtype="float32")


def test_people_and_the_model_answer_the_same_prompts(plan):
    table = measure("causal", plan, progress=False)
    assert set(table["whose"]) == set(WHOSE)
    assert len(table) == 2 * 2 * 4 * 3
    assert table["M"].to_numpy() == pytest.approx((table["S"] - table["A"]).to_numpy())
    assert set(means(table)["n"]) == {2}
    pd.testing.assert_frame_equal(measure("causal", plan, progress=False), table)


def test_densities_are_those_of_what_people_wrote(plan):
    table = measure("causal", plan, progress=False)
    rows = table[(table["whose"] == "people") & (table["sample"] == 0) & (table["marginal"] == "promptless")]
    pair = prompts.load(plan.corpus, pairs=1)[0]
    model = models.load("causal")
    [answer] = answers.read_answers(model, [pair["answer"]], length=4)
    contexts = answers.read_prompts(model, [pair["prompt"], None], context=6)
    scored = [answers.log2_probabilities(model, heads.head(model), ids, [answer])[0] for ids in contexts]
    assert rows["density"].to_numpy() == pytest.approx(np.subtract(*scored), abs=1e-4)


def test_too_few_long_answers_are_said_so(plan):
    with pytest.raises(ValueError, match="have 400 tokens or more, and 2 are needed"):
        measure("causal", replace(plan, length=400), progress=False)


@pytest.mark.parametrize("wrong", [{"prompts": 1}, {"prompts": 2, "length": 0}, {"prompts": 2, "others": 0}])
def test_a_plan_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="must be at least"):
        Plan("none", **wrong)


def answers_of(whose, slope, prompts=30, length=6):
    """S rises by `slope` a token, A by 1, with noise that is the prompt's."""
    draw = np.random.default_rng(0)
    rows = []
    for sample in range(prompts):
        noise, extra = 3 * draw.standard_normal(), 0.1 * np.random.default_rng([sample, len(whose)]).standard_normal()
        for position in range(length):
            s, a = slope * (position + 1) + noise + extra * (position + 1), position + 1.0
            rows.append({"sample": sample, "position": position, "marginal": "mixture", "S": s, "A": a, "M": s - a})
    return pd.DataFrame(rows).assign(whose=whose, token="a", density=0.0, divergence=0.0)


def test_people_and_the_model_are_compared_prompt_by_prompt():
    """What prompts differ by does not enter the interval of the difference; the order of rows does not matter."""
    both = pd.concat([answers_of("people", 0.5), answers_of("model", 1.0).iloc[::-1]])
    found = drift(both).query("position == 5 and quantity == 'M'").set_index("whose")
    assert found.loc[DIFFERENCE, "estimate"] == pytest.approx(
        found.loc["people", "estimate"] - found.loc["model", "estimate"]
    )
    assert found.loc[DIFFERENCE, "estimate"] == pytest.approx(-3, abs=0.3)
    widths = found["high"] - found["low"]
    assert widths[DIFFERENCE] < widths["people"] / 2
    assert (found["n"] == 30).all()


def test_the_rise_is_that_of_the_second_half():
    people = answers_of("people", 0.5)
    people.loc[people["position"] < 2, "S"] *= 10
    [row] = late_rise(people).to_dict("records")
    ends = people.pivot(index="sample", columns="position", values="S")
    assert row["estimate"] == pytest.approx(((ends[5] - ends[2]) / 3).mean())
    assert row["low"] < row["estimate"] < row["high"]
    assert (row["whose"], row["marginal"], row["n"]) == ("people", "mixture", 30)
    assert (row["quantity"], row["position"], row["unit"]) == (RISE, 5, "bits per token")


def test_the_rises_of_both_and_of_their_difference_are_in_the_table_of_the_figure():
    both = pd.concat([answers_of("people", 0.5), answers_of("model", 1.0)])
    rises = drift(both).query("quantity == @RISE").set_index("whose")["estimate"]
    assert set(rises.index) == {*WHOSE, DIFFERENCE}
    assert rises[DIFFERENCE] == pytest.approx(rises["people"] - rises["model"])
