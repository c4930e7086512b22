import numpy as np
import pandas as pd
import pytest

from bitskept.studies.bottleneck.correlations import (
    FEWEST,
    REPORTED,
    correlations,
    models_needed,
    per_model,
    with_coefficients,
    with_scores,
)
from bitskept.theory.statistics import detectable_correlation

RANDOM = np.random.default_rng(0)


def rows(model, estimate, **facts):
    known = {"model": model, "kind": "decoder", "quantity": "optimality", "weights": "trained", "layer": pd.NA}
    ends = {"estimate": estimate, "low": estimate - 0.1, "high": estimate + 0.1}
    return known | {"width": 1, "sentences": 80, "anchor_seed": 0} | ends | facts


def test_one_number_a_model_is_the_mean_over_layers_at_the_largest_sample_and_the_token_width():
    table = pd.DataFrame(
        [
            rows("a", 0.2),
            rows("a", 0.4, anchor_seed=1),
            rows("a", 0.9, layer=3),
            rows("a", 0.9, width=2),
            rows("a", 0.9, sentences=40),
            rows("a", 0.9, weights="random"),
            rows("a", 0.7, quantity="preference_information", width=pd.NA, sentences=10),
        ]
    )
    found = per_model(table).set_index("quantity")
    assert found.loc["optimality", ["estimate", "low", "high"]].tolist() == pytest.approx([0.3, 0.1, 0.5])
    assert found.loc["preference_information", "estimate"] == 0.7


def made_up(number):
    """Values that go with scores once the size of a model is known, and scores for one model more."""
    size = 10.0 ** np.arange(number + 1)
    score = RANDOM.permutation(number + 1) / number
    scores = pd.DataFrame({"model": [f"m{i}" for i in range(number + 1)], "parameters": size, "average": score})
    values = {"optimality": score, "complexity": -score, "expressivity": RANDOM.permutation(number + 1)}
    table = [
        rows(model, values[name][place], quantity=name)
        for name in values
        for place, model in enumerate(scores["model"][:number])
    ]
    return per_model(pd.DataFrame(table)), scores


def test_correlations_over_the_models_that_have_a_score():
    values, scores = made_up(20)
    names = ["optimality", "complexity", "expressivity", "preference_information_corrected"]
    found = correlations(values, scores, seed=0).set_index("quantity").loc[names]
    assert found["n"].tolist() == [20, 20, 20, 0]
    assert found["paper"].tolist()[:3] == [0.52, -0.38, 0.08]
    assert found["spearman"].tolist()[:2] == pytest.approx([1, -1])
    assert found["partial"].tolist()[:2] == pytest.approx([1, -1])
    assert found.loc["expressivity", "low"] < found.loc["expressivity", "spearman"] < found.loc["expressivity", "high"]
    assert found["p"].tolist()[:2] == pytest.approx([1e-4, 1e-4])
    assert found["p_holm"].tolist()[:2] == pytest.approx([3e-4, 3e-4])
    assert found.iloc[3].drop("n").isna().all()


@pytest.mark.parametrize("number", [0, 3, 4, 5, FEWEST - 1, FEWEST])
def test_few_models_leave_missing_what_they_cannot_say(number):
    values, scores = made_up(20)
    scores = scores[:number]
    found = correlations(values, scores, seed=0).set_index("quantity").loc[["optimality", "complexity"]]
    assert found["n"].tolist() == [number] * 2
    assert found["spearman"].notna().all() == (number >= 4)
    assert found["partial"].notna().all() == (number >= 5)
    assert found["p"].notna().all() == found["p_holm"].notna().all() == (number >= FEWEST)


def test_the_papers_coefficients_stand_beside_those_found():
    values, scores = made_up(20)
    table = with_coefficients(with_scores(values, scores), correlations(values, scores, seed=0))
    models, four = table[table["model"].notna()], table[table["model"].isna()]
    assert set(models["model"]) == {f"m{i}" for i in range(20)}
    assert models["parameters"].notna().all()
    assert four["quantity"].tolist() == list(REPORTED)
    assert four["reported"].tolist() == list(REPORTED.values())
    assert four["needed"].tolist() == [56, 1299, 30, 13]
    assert (four["needed_of_all"] > four["needed"]).all()
    assert four.set_index("quantity").loc["optimality", "estimate"] == pytest.approx(1)


@pytest.mark.parametrize("tests", [1, 8])
@pytest.mark.parametrize("coefficient", REPORTED.values())
def test_one_model_fewer_than_needed_does_not_show_the_coefficient(coefficient, tests):
    number = models_needed(coefficient, tests)
    assert detectable_correlation(number, 1, tests) <= abs(coefficient) < detectable_correlation(number - 1, 1, tests)
