"""Scores of tasks against SciPy, scikit-learn and sentence-transformers; their intervals against a closed form."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from bitskept.base.store import home
from bitskept.instruments.embeddings import embed
from bitskept.instruments.scores import scores
from bitskept.instruments.understanding import Plan, classification, outcomes, similarity
from bitskept.sources import models, task_files, tasks

PUBLISHED = 0.8203  # of all-MiniLM-L6-v2 on the test part of STS-B


FACTS = {"model": "a", "kind": "encoder", "weights": "trained", "seed": None, "task": "task"}


def pairs_table(values, reference, first, second):
    """A table as `understanding.measure` gives it."""
    known = FACTS | {"quantity": "spearman", "layer": 1, "pooling": "mean", "item": np.arange(len(values))}
    return pd.DataFrame(known | {"first": first, "second": second, "value": values, "reference": reference})


def correlated(first, second, shared, seed):
    """Cosines and scores of pairs, in which texts have effects of their own, of size `shared`."""
    rng = np.random.default_rng(seed)
    reference = rng.normal(size=len(first))
    off = shared * rng.normal(size=(2, max(*first, *second) + 1))
    values = reference + 0.5 * rng.normal(size=len(first)) + off[0][first] + off[0][second]
    return values, reference + off[1][first] + off[1][second]


@pytest.mark.parametrize("digits", [1, 8])
def test_spearman_is_that_of_scipy(digits):
    """With one digit, most values are tied."""
    first, second = np.random.default_rng(0).integers(40, size=(2, 200))
    values, reference = (one.round(digits) for one in correlated(first, second, 0.3, 1))
    result = scores(pairs_table(values, reference, first, second))
    assert result["estimate"].item() == pytest.approx(spearmanr(values, reference).statistic, abs=1e-12)


@pytest.mark.parametrize(("texts", "all_pairs"), [(40, True), (400, False)])
def test_the_interval_is_that_of_pairs_that_share_members(texts, all_pairs):
    """The variance of Aronow, Samii and Assenova (2015): the influences of all pairs of pairs that share a text."""
    first, second = np.triu_indices(texts, 1) if all_pairs else np.random.default_rng(0).integers(texts, size=(2, 400))
    values, reference = correlated(first, second, 0.4, 2)
    row = scores(pairs_table(values, reference, first, second)).iloc[0]
    number = len(values)
    # Influence of a pair, in units of its weight: what leaving it out takes away.
    without = [spearmanr(*np.delete((values, reference), place, axis=1)).statistic for place in range(number)]
    influence = row["estimate"] - np.array(without)
    members = np.zeros((number, texts))
    members[np.arange(number), first] = members[np.arange(number), second] = 1
    share = members @ members.T > 0
    error = np.sqrt(influence @ share @ influence)
    assert (row["high"] - row["low"]) / 2 / 1.96 == pytest.approx(error, rel=0.15)


@pytest.fixture(scope="module")
def minilm():
    """The real model from the real home, where it is there already."""
    if not (home() / "models" / "minilm-l6" / "config.json").is_file():
        pytest.skip("minilm-l6 is not here: run `bitskept fetch minilm-l6`")
    return models.load("minilm-l6")


def need(task):
    if not task_files.present(task_files.entry(task)):
        pytest.skip(f"{task} is not here: run `bitskept fetch {task}`, or name its folder in BITSKEPT_DATA")


def test_classes_are_those_of_scikit_learn(minilm):
    need("review-sentiment")
    train, test = (part.select(range(60)) for part in tasks.classification("review-sentiment"))
    table = classification(minilm, train, test, Plan(("review-sentiment",)))
    x, z = (embed(minilm, part["text"], layers=[6], poolings=["mean"])["mean"][0] for part in (train, test))
    scaler = StandardScaler().fit(x)
    linear = LogisticRegression(C=0.01, max_iter=1000).fit(scaler.transform(x), train["label"])
    nearest = KNeighborsClassifier(5, metric="cosine").fit(x, train["label"])
    result = table.groupby("quantity")["value"].mean()
    assert result["linear_accuracy"] == pytest.approx(linear.score(scaler.transform(z), test["label"]))
    assert result["neighbour_accuracy"] == pytest.approx(nearest.score(z, test["label"]))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_sts_b_is_that_of_sentence_transformers(minilm):
    package = pytest.importorskip("sentence_transformers", reason="pip install sentence-transformers")
    from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    need("stsb")
    pairs = tasks.similarity("stsb").select(range(300))
    ours = scores(similarity(minilm, pairs, Plan(("stsb",))).assign(**FACTS))["estimate"].item()
    body = Transformer(str(models.fetch("minilm-l6")))
    pooling = Pooling(body.get_embedding_dimension(), pooling_mode="mean")
    theirs = EmbeddingSimilarityEvaluator(
        list(pairs["first"]), list(pairs["second"]), list(pairs["score"]), write_csv=False, main_similarity="cosine"
    )(package.SentenceTransformer(modules=[body, pooling], device="cpu"))
    assert ours == pytest.approx(theirs["spearman_cosine"], abs=1e-4)


def test_sts_b_is_what_was_published(minilm):
    need("stsb")
    result = scores(outcomes.compute(minilm, Plan(("stsb",))))["estimate"].item()
    assert result == pytest.approx(PUBLISHED, abs=0.001)
