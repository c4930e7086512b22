"""The tables of notebook 06 that are made of others, and those of toy sources."""

import numpy as np
import pandas as pd
import pytest

from bitskept.instruments.likelihood.information_density import DENSITIES
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
    assert checkpoints_in_plane.needed(gathered, law)["next token", 8] == pytest.approx(naming_rate(law, 0.2))


def test_no_way_to_a_reward_is_cheaper_than_the_least_rate():
    earned = np.random.default_rng(0).random(200)
    points = rewards.frontier(earned, [0.0, 1.0], [1, 4])
    found = rewards.with_cheapest(points, earned)
    least = found[found["way"] == "cheapest"]
    assert (points["rate"].to_numpy() >= np.interp(points["reward"], least["reward"], least["rate"]) - 1e-3).all()
    assert found[found["way"] == "sample"]["reward"].tolist() == earned.tolist()
