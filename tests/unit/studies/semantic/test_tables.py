"""The tables of notebook 06 that are made of others, and those of toy sources."""

import numpy as np
import pandas as pd
import pytest

from bitskept.instruments.likelihood.information_density import DENSITIES, MARGINALS
from bitskept.studies.semantic import checkpoints_in_plane, prompt_information, rate_distortion, rewards
from bitskept.studies.semantic.section import SemanticInformation
from bitskept.theory.bounds import binary_entropy
from bitskept.theory.naming import naming_rate


@pytest.fixture(scope="module")
def section():
    """The parameters of the smoke profile."""
    return SemanticInformation.read({"profile": "smoke"})


def test_the_densities_of_the_shown_answer_add_up(section):
    rows = [
        {"corpus": corpus, "answer": answer, "position": position, "token": "a"}
        for corpus in ("another", section.shown_corpus)
        for answer in (0, 1)
        for position in (0, 1, 2)
    ]
    tokens = pd.DataFrame(rows)
    tokens[DENSITIES] = np.random.default_rng(0).standard_normal((len(tokens), 3))
    found = prompt_information.along_answer(tokens, section.model_copy(update={"shown": 1}))
    shown = tokens.iloc[-3:]
    for marginal, part in found.groupby("marginal"):
        assert part["estimate"].tolist() == shown[f"density_{marginal}"].tolist()
        assert part["S"].iloc[-1] == pytest.approx(shown[f"density_{marginal}"].sum())
    assert len(found) == 9


def tokens(seed=0, answers=30, length=4, contexts=(64,)):
    """Densities of answers, of which the own prompt gives 2 bits, another one 0.5, and each token of context .01."""
    draw, rows = np.random.default_rng(seed), []
    for context in contexts:
        for answer in range(answers):
            for position in range(length):
                promptless = -8 + 0.1 * draw.standard_normal()
                given = {"given_prompt": promptless + 2 + 0.01 * context, "given_another": promptless + 0.5}
                row = {"model": "m", "kind": "decoder", "weights": "trained", "seed": pd.NA, "corpus": "c"}
                rows.append(
                    row | {"context": context, "answer": answer, "position": position, "promptless": promptless} | given
                )
    table = pd.DataFrame(rows)
    noise = 0.01 * draw.standard_normal(len(table))
    table["given_another"] += noise
    table["given_prompt"] += 0.01 * draw.standard_normal(len(table))
    return table.assign(**{name: table["given_prompt"] - table["promptless"] for name in DENSITIES})


def test_the_control_takes_what_another_prompt_gives_apart(section):
    found = prompt_information.gains(tokens(contexts=(0,)), section.model_copy(update={"others": 3})).set_index(
        "marginal"
    )
    assert list(found.index) == [*MARGINALS, prompt_information.BEYOND_ANOTHER, prompt_information.ANOTHER]
    promptless = found.loc["promptless", "estimate"]
    assert found.loc[prompt_information.ANOTHER, "estimate"] == pytest.approx(0.5, abs=0.01)
    both = found.loc[[prompt_information.ANOTHER, prompt_information.BEYOND_ANOTHER], "estimate"].sum()
    assert both == pytest.approx(promptless)
    assert found.loc["mixture", "ceiling"] == pytest.approx(2 / 4)
    assert found["ceiling"].notna().sum() == 1
    assert (found["low"] < found["estimate"]).all()


def test_contexts_are_compared_answer_by_answer():
    """What answers differ by does not enter the interval of the change."""
    many = tokens(contexts=(1, 4, 16))
    shift = many["answer"] % 7
    many[DENSITIES] = many[DENSITIES].add(shift, axis=0)
    found = prompt_information.changes(many)
    assert set(found["quantity"]) == {prompt_information.CHANGE}
    mixture = found[found["marginal"] == "mixture"].set_index("since")
    assert mixture.loc[1, "estimate"] == pytest.approx(0.15, abs=0.02)
    assert mixture.loc[4, "estimate"] == pytest.approx(0.12, abs=0.02)
    assert (mixture["context"] == 16).all()
    assert (mixture["high"] - mixture["low"] < 0.05).all()


def test_the_curves_are_those_of_the_closed_forms(section):
    found = rate_distortion.curves(section.model_copy(update={"flips": [0.3, 0.2], "markov_steps": 3}))
    for (kind, of), rows in found[found["kind"] != "Markov"].groupby(["kind", "of"]):
        known = rate_distortion.closed_form(kind, of, rows["distortion"].to_numpy())
        assert rows["rate"].to_numpy() == pytest.approx(known, abs=2 * section.tolerance)
    markov = found[found["kind"] == "Markov"].groupby("of")
    rates = [np.interp(0.1, rows["distortion"], rows["rate"]) for _, rows in markov]
    assert rates[0] == pytest.approx(1 - binary_entropy(0.1), abs=2 * section.tolerance)
    assert rates[0] > rates[1] > rates[2] > rate_distortion.endless(0.2, 0.1)


def test_the_rate_of_naming_reaches_below_the_fewest_errors():
    law = np.array([0.5, 0.3, 0.2])
    rows = [
        {"twin": "next token", "step": step, "quantity": "error", "estimate": error, "seed": seed}
        for step, error in ((0, 0.4), (8, 0.2))
        for seed in (0, 1)
    ]
    gathered = pd.DataFrame(rows)
    found = checkpoints_in_plane.with_rate(gathered, law)
    rate = found[found["quantity"] == "rate"]
    assert rate["error"].iloc[[0, -1]].tolist() == pytest.approx([0.05, 1])
    assert rate["estimate"].to_numpy() == pytest.approx(naming_rate(law, rate["error"].to_numpy()))


def test_what_is_gathered_beyond_what_names_need():
    law = np.array([0.5, 0.3, 0.2])
    rows = [
        {"twin": twin, "step": step, "quantity": name, "estimate": value + seed / 100, "seed": seed, "n": 50}
        for twin, final in (
            ("next token", {"gathered": 0.9, "error": 0.2}),
            ("state space", {"gathered": 0.1, "error": 0.3}),
        )
        for step, values in ((0, {"gathered": -1.0, "error": 0.9}), (8, final))
        for name, value in values.items()
        for seed in (0, 2)
    ]
    gathered = pd.DataFrame(rows).assign(low=lambda t: t["estimate"] - 0.05, high=lambda t: t["estimate"] + 0.05)
    found = checkpoints_in_plane.at_the_end(gathered, law).set_index("twin").loc["next token"]
    assert (found["step"], found["n"], found["corner"]) == (8, 50, 0.5)
    assert found[["gathered", "low", "high", "error"]].tolist() == pytest.approx([0.91, 0.85, 0.97, 0.21])
    assert found["needed"] == pytest.approx(naming_rate(law, 0.21))
    assert found["beyond"] == pytest.approx(0.91 - naming_rate(law, 0.21))
    assert found["beyond_low"] == pytest.approx(0.85 - naming_rate(law, 0.15))
    assert found["beyond_high"] == pytest.approx(0.97 - naming_rate(law, 0.27))


def test_no_way_to_a_reward_is_cheaper_than_the_least_rate():
    earned = np.random.default_rng(0).random(200)
    points = rewards.frontier(earned, [0.0, 1.0], [1, 4])
    found = rewards.with_cheapest(points, earned)
    least = found[found["way"] == "cheapest"]
    assert (points["rate"].to_numpy() >= np.interp(points["reward"], least["reward"], least["rate"]) - 1e-3).all()
    assert found[found["way"] == "sample"]["reward"].tolist() == earned.tolist()
