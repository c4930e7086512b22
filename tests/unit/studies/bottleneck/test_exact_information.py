"""Exact values against brute force, and estimates beside them."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from bitskept.studies.bottleneck import codes, exact_information
from bitskept.studies.bottleneck.exact_information import CORPUS, LANGUAGE, assigned, exact, exactness, shown
from bitskept.theory.information import entropy

pytestmark = pytest.mark.usefixtures("one_thread")


def brute_force(joint, laws):
    """I(token; J) and I(next token; J) from the whole law of token, next token and J."""
    whole = joint[:, :, None] * laws[:, None, :]
    pair = {"complexity": whole.sum(1), "expressivity": whole.sum(0)}
    return {
        name: entropy(law.sum(1), 0) + entropy(law.sum(0), 0) - entropy(law.ravel(), 0) for name, law in pair.items()
    }


def test_exact_values_are_those_of_the_whole_law():
    random = np.random.default_rng(0)
    joint = random.dirichlet(np.full(20, 0.3)).reshape(5, 4)
    joint = np.pad(joint, ((0, 0), (0, 1)))  # a token that comes never next
    laws = random.dirichlet(np.ones(7), 5)
    found = exact(sparse.csr_array(joint * 3), torch.tensor(laws))
    known = brute_force(joint, laws)
    assert found["complexity"] == pytest.approx(known["complexity"])
    assert found["expressivity"] == pytest.approx(known["expressivity"])
    assert found["optimality"] == pytest.approx(known["expressivity"] / known["complexity"])


def test_soft_values_are_below_those_of_shannon_and_the_bound_holds_where_it_is_a_theorem():
    table = codes.codes(0).set_index("code")
    known = table.loc[["the token", "its class"]]
    for name in ("complexity", "expressivity"):
        assert (known[name] <= known[f"shannon {name}"]).all()
    assert (known["expressivity"] < known["complexity"]).all()
    assert (known["shannon optimality"] <= known["best"] + 1e-3).all()
    assert table.loc["its class", "optimality"] > table.loc["the token", "optimality"]
    older = table.loc["the synonym before the token"]
    assert older["expressivity"] > 0.5
    assert older["complexity"] == 0
    assert older["expressivity"] <= older["shannon expressivity"]


def test_neighbours_have_the_law_of_the_language():
    spoken = exact_information.language(0)
    joint = exact_information.neighbours(spoken)
    assert joint.sum() == pytest.approx(1)
    assert joint.sum(1) == pytest.approx(spoken.stationary)
    assert joint.sum(0) == pytest.approx(spoken.stationary)


def test_estimates_of_samples_stand_beside_exact_values(bottleneck):
    plan = exact_information.Plan(bottleneck.corpus, 30, (10, 25), 2, 32, 0)
    table = exact_information.against_exact(bottleneck.exact_model, plan)
    assert len(table) == 2 * 2 * 2 * 3 * 3
    assert table.groupby(["source", "quantity"])["exact"].nunique().eq(1).all()
    states = exact_information.token_states(np.random.default_rng(0))
    spoken = exact_information.language(0)
    known = exact(exact_information.neighbours(spoken), assigned(states, 0))
    rows = table[(table["source"] == LANGUAGE) & (table["quantity"] == "complexity")]
    assert rows["exact"].iloc[0] == pytest.approx(known["complexity"], rel=0.05)  # other states of the same kind
    raw = rows[rows["kind"] == "raw"]
    assert raw["estimate"].to_numpy() == pytest.approx(raw["exact"].to_numpy(), rel=0.1)  # states of a token are equal
    assert set(table["source"]) == {CORPUS, LANGUAGE}


def test_bias_and_coverage():
    rows = [
        {"source": "s", "sentences": 5, "repeat": i, "quantity": "optimality", "kind": kind, "exact": 0.5}
        | {"estimate": value, "low": value - 0.1, "high": value + 0.1}
        for kind, values in (("raw", (0.9, 1.1)), ("corrected", (0.45, 0.75)), ("extrapolated", (0.4, 0.5)))
        for i, value in enumerate(values)
    ]
    table = exactness(pd.DataFrame(rows)).set_index("kind")
    assert table["bias"].tolist() == pytest.approx([1, 0.2, -0.1])
    assert table["covered"].tolist() == [0, 0.5, 1]
    words = shown(table.reset_index())[5].droplevel(["source", "quantity"])
    assert words.index.tolist() == ["raw", "corrected", "extrapolated"]
    assert words.tolist() == ["+100%, 0 of 2", "+20%, 1 of 2", "-10%, 2 of 2"]
