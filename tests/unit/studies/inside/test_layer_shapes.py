from dataclasses import replace
from itertools import permutations
from unittest.mock import patch

import numpy as np
import pytest

from bitskept.sources import corpora
from bitskept.studies.inside.layer_shapes import COLUMNS, Plan, distances, gromov_wasserstein, measure

TEXTS = [
    f"{first}the cat {rest}" for first in ("", "42, ", "it ") for rest in ("sat.", "the 42!", "cat, it", "at a hat")
]
PLAN = Plan("none", points=6, groups=2, layers=2, starts=1)

pytestmark = pytest.mark.usefixtures("one_thread")


def compare(model, texts, plan):
    """The table of a model for these texts."""
    with patch.object(corpora, "load", return_value={"text": texts}):
        return measure.compute(model, plan, progress=False)


def cloud(number, dim=3, seed=0):
    return np.random.default_rng(seed).standard_normal((number, dim)) * np.arange(1, dim + 1)


def test_the_distances_are_those_of_the_metric_over_their_mean():
    points = cloud(7)
    for metric in ("cosine", "euclidean"):
        found = distances(points, metric)
        others = found[~np.eye(7, dtype=bool)]
        assert others.mean() == pytest.approx(1)
        assert (np.diagonal(found) == 0).all()
    first, second, third = points[:3]
    ratio = np.linalg.norm(first - second) / np.linalg.norm(first - third)
    assert distances(points, "euclidean")[0, 1] / distances(points, "euclidean")[0, 2] == pytest.approx(ratio)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_what_is_turned_scaled_and_listed_in_another_order_is_the_same(metric):
    points, random = cloud(20), np.random.default_rng(1)
    turn = np.linalg.qr(random.standard_normal((3, 3)))[0]
    moved = (3 * points @ turn + (7 if metric == "euclidean" else 0))[random.permutation(20)]
    low, best = gromov_wasserstein(distances(points, metric), distances(moved, metric), matched=False)
    assert low == pytest.approx(0, abs=1e-7)
    assert best == pytest.approx(0, abs=1e-6)


def test_two_points_have_a_closed_form():
    one, other = (np.array([[0.0, size], [size, 0.0]]) for size in (1.0, 4.0))
    assert gromov_wasserstein(one, other) == pytest.approx((3 / np.sqrt(2), 3 / np.sqrt(2)))


@pytest.mark.parametrize("seed", range(4))
def test_the_bracket_holds_what_the_best_of_all_orders_gives(seed):
    first, second = (distances(cloud(5, seed=2 * seed + side), "euclidean") for side in range(2))
    best = min(
        np.sqrt(((first - second[np.ix_(order, order)]) ** 2).mean()) for order in map(list, permutations(range(5)))
    )
    low, found = gromov_wasserstein(first, second, starts=60)
    assert low <= found <= best + 1e-9


@pytest.mark.parametrize("matched", [True, False])
def test_the_lower_bound_is_below_each_coupling_and_the_search_below_its_starts(matched):
    first, second = distances(cloud(12), "euclidean"), distances(cloud(12, seed=5), "euclidean")
    low, best = gromov_wasserstein(first, second, starts=0, matched=matched)
    independent = np.sqrt((first**2).mean() + (second**2).mean() - 2 * first.mean() * second.mean())
    assert low <= best <= independent
    if matched:
        assert best <= np.sqrt(((first - second) ** 2).mean()) + 1e-12
    assert gromov_wasserstein(first, second, starts=6)[1] <= best


def test_the_layers_of_a_model(tiny):
    table = compare(tiny("llama"), TEXTS, PLAN)
    assert list(table) == COLUMNS
    assert set(table["against"]) == {"layer", "permuted", "other texts", "random points"}
    found = table.set_index(["against", "layer", "quantity"])["estimate"]
    assert found["permuted"].to_numpy() == pytest.approx(0, abs=1e-6)
    pairs = found["layer"].droplevel("layer")
    assert 0 < pairs["lower_bound"] <= pairs["gromov_wasserstein"] <= pairs["matched"]
    assert (table["low"] <= table["estimate"]).all()
    assert (table["estimate"] <= table["high"]).all()
    assert compare(tiny("llama"), TEXTS, PLAN).equals(table)


def test_all_layers_with_other_distances(tiny):
    table = compare(tiny("bert"), TEXTS, replace(PLAN, layers=None, metric="euclidean", pooling="mean"))
    pairs = table[(table["against"] == "layer") & (table["quantity"] == "matched")]
    assert list(zip(pairs["layer"], pairs["other"], strict=True)) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"points": 2}, "points must be at least 3, but is 2"),
        ({"groups": 1}, "groups must be at least 2, but is 1"),
        ({"starts": -1}, "starts must be at least 0"),
        ({"layers": 0}, "layers must be at least 1, but is 0"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        replace(PLAN, **wrong)


@pytest.mark.parametrize(
    ("points", "metric"),
    [
        (np.ones((4, 2)), "euclidean"),
        (np.ones((4, 2)), "cosine"),
        (np.diag([1.0, 1.0, 0.0]), "cosine"),
        (np.array([[np.inf, 1.0], [1.0, 0.0], [0.0, 1.0]]), "cosine"),
        (np.array([[np.nan, 1.0], [1.0, 0.0], [0.0, 1.0]]), "euclidean"),
    ],
)
def test_what_has_no_geometry_is_refused(points, metric):
    with pytest.raises(ValueError, match="have no geometry"):
        distances(points, metric)


def test_sets_of_different_sizes_cannot_be_matched():
    with pytest.raises(ValueError, match="same number of columns"):
        gromov_wasserstein(np.zeros((3, 3)), np.zeros((4, 4)))


def test_measured_once(home, tiny, tmp_path):
    model = tiny("llama")
    for part in (model.network, model.tokenizer):
        part.save_pretrained(home / "models" / "llama")
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(TEXTS), "utf-8")
    plan = replace(PLAN, corpus=str(corpus))
    table = measure("llama", plan, progress=False)
    assert measure("llama", plan, progress=False).equals(table)
    assert set(measure("llama", plan, weights=1, progress=False)["weights"]) == {"random"}
