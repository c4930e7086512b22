from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import cosine_similarity

from bitskept.sources import prompts
from bitskept.studies.inside.infonce import COLUMNS, Plan, bound, cosine, measure, ridge

PLAN = Plan("none", size=4, blocks=3, validation=4, train=8, layers=2)
HALVES = [
    [
        f"{first}the cat {rest}"
        for first in ("", "42, ", "it ", "at ")
        for rest in ("sat", "the 42", "cat", "at a", "it", "!")
    ],
    [
        f"{first} a hat {rest}"
        for first in ("the", "it", "no", "sat ")
        for rest in ("!", "42", "cat", "at a", "it", "the")
    ],
]

pytestmark = pytest.mark.usefixtures("one_thread")


def bounds(model, first, second, plan):
    """The table of a model for these halves of texts."""
    with patch.object(prompts, "load", return_value={"prompt": first, "answer": second}):
        return measure.compute(model, plan, progress=False)


def test_a_perfect_critic_reaches_the_ceiling_and_a_blind_one_nothing():
    assert bound(1e3 * np.eye(8)) == pytest.approx(3)
    assert bound(np.zeros((8, 8))) == pytest.approx(0)
    assert bound(-np.eye(8)) < 0


def test_the_bound_of_two_pairs_by_hand():
    scores = np.log([[3.0, 1.0], [2.0, 2.0]])
    right = [3 / 4, 2 / 4, 3 / 5, 2 / 3]  # y for each x, x for each y
    assert bound(scores) == pytest.approx(1 + np.mean(np.log2(right)))


@pytest.mark.parametrize("correlation", [0.5, 0.9, 0.999])
def test_the_best_critic_of_gaussians_stays_below_their_information_and_the_ceiling(correlation):
    random, values = np.random.default_rng(0), []
    for _ in range(200):
        x, noise = random.standard_normal((2, 64))
        y = correlation * x + np.sqrt(1 - correlation**2) * noise
        # ln p(y|x) / p(y), up to what does not matter
        density = -((y - correlation * x[:, None]) ** 2) / (2 * (1 - correlation**2)) + y**2 / 2
        values.append(bound(density))
    information = -0.5 * np.log2(1 - correlation**2)
    error = np.std(values) / np.sqrt(200)
    assert np.mean(values) <= min(information, 6) + 3 * error
    assert np.mean(values) >= 0.85 * min(information, 6)


@pytest.mark.parametrize("penalty", [0.01, 1.0])
def test_the_ridge_is_that_of_sklearn(penalty):
    random = np.random.default_rng(1)
    x, y = random.standard_normal((20, 30)) + 5, random.standard_normal((20, 4)) - 3
    some, others = random.standard_normal((6, 30)), random.standard_normal((6, 4))
    variance = ((x - x.mean(0)) ** 2).sum() / len(x)
    model = Ridge(alpha=penalty * variance).fit(x, y)
    expected = cosine_similarity(model.predict(some) - y.mean(0), others - y.mean(0))
    np.testing.assert_allclose(ridge(x, y, penalty)(some, others), expected, atol=1e-8)


def test_the_cosine_is_centred():
    random = np.random.default_rng(2)
    x, y = random.standard_normal((2, 10, 5)) + 50
    expected = cosine_similarity(x - x.mean(0), y - y.mean(0))
    np.testing.assert_allclose(cosine(x, y)(x, y), expected, atol=1e-10)


def test_what_the_halves_of_a_text_share(tiny):
    table = bounds(tiny("llama"), *HALVES, PLAN)
    assert list(table) == COLUMNS
    assert set(table["ceiling"]) == {2}
    assert (table["estimate"] <= 2).all()
    assert ((table["low"] <= table["estimate"]) & (table["estimate"] <= table["high"])).all()
    true = table[~table["shuffled"]]
    assert list(zip(true["layer"], true["pairs"], true["critic"], strict=True)) == [
        (0, "halves", "cosine"),
        (0, "halves", "ridge"),
        (0, "last layer", "cosine"),
        (0, "last layer", "ridge"),
        (3, "halves", "cosine"),
        (3, "halves", "ridge"),
    ]


def test_the_same_text_on_both_sides_reaches_the_ceiling_and_shuffled_nothing(tiny):
    halves = bounds(tiny("llama"), HALVES[0], HALVES[0], PLAN)
    found = halves[(halves["pairs"] == "halves") & (halves["critic"] == "cosine")].set_index("shuffled")["estimate"]
    assert found[False].min() > 1.9
    assert found[True].max() < 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 1}, "size must be at least 2, but is 1"),
        ({"blocks": 1}, "blocks must be at least 2, but is 1"),
        ({"validation": 3}, "validation must be at least 4, but is 3"),
        ({"train": 1}, "train must be at least 2, but is 1"),
        ({"layers": 0}, "layers must be at least 1, but is 0"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        replace(PLAN, **wrong)


def test_measured_once(home, tiny, tmp_path):
    model = tiny("llama")
    for part in (model.network, model.tokenizer):
        part.save_pretrained(home / "models" / "llama")
    corpus = tmp_path / "corpus.txt"
    words = "the cat sat on a hat it was 42 and then he sat at the cat again and more"
    corpus.write_text("\n".join(f"{number} {words} {number}" for number in range(3)), "utf-8")
    plan = replace(PLAN, corpus=str(corpus), longest=30)
    with pytest.raises(ValueError, match="24 prompts with answers were asked for"):
        measure("llama", plan, progress=False)
    corpus.write_text("\n".join(f"no {number}, {words}" for number in range(24)), "utf-8")
    with pytest.warns(UserWarning, match="longer than the 30 tokens"):
        table = measure("llama", plan, progress=False)
    assert measure("llama", plan, progress=False).equals(table)
