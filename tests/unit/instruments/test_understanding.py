import functools
import json
from dataclasses import replace

import datasets
import made_up
import numpy as np
import pytest
import transformers
from pandas.testing import assert_frame_equal
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from bitskept.base import store
from bitskept.instruments.embeddings import embed
from bitskept.instruments.likelihood.heads import head
from bitskept.instruments.likelihood.surprisal import surprisals
from bitskept.instruments.scores import UNITS, scores
from bitskept.instruments.understanding import (
    COLUMNS,
    NEIGHBOURS,
    STRENGTH,
    Plan,
    classification,
    has,
    measure,
    minimal_pairs,
    similarity,
)
from bitskept.sources import models
from bitskept.sources.packages import SourceError

WORDS = ["the", "cat", "sat", "un", "it", "42", ",", "The", "at"]
PLAN = Plan(("task",), layers=(0, -1), poolings=("mean", "last"))

pytestmark = pytest.mark.usefixtures("one_thread")


sentences = functools.partial(made_up.sentences, WORDS, 3, 7)


def rated(number, texts=12):
    rng, known = np.random.default_rng(1), sentences(texts)
    first, second = rng.integers(texts, size=(2, number))
    columns = {"first": [known[i] for i in first], "second": [known[i] for i in second]}
    return datasets.Dataset.from_dict(columns | {"score": rng.random(number).tolist()})


def labelled(number, seed):
    texts = sentences(number, seed)
    return datasets.Dataset.from_dict({"text": texts, "label": [int("cat" in text) for text in texts]})


def grammatical(number):
    good, bad = sentences(number, 3), sentences(number, 4)
    return datasets.Dataset.from_dict({"good": good, "bad": bad, "paradigm": ["one", "two"] * (number // 2)})


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_cosines_of_pairs(tiny, family):
    model, pairs = tiny(family), rated(30)
    table = similarity(model, pairs, PLAN)
    assert len(table) == 30 * 2 * 2
    assert set(table["quantity"]) == {"spearman"}
    vectors = {name: embed(model, pairs[name], layers=(0, 3)) for name in ("first", "second")}
    for (layer, pooling), rows in table.groupby(["layer", "pooling"]):
        first, second = (vectors[name][pooling][[0, 3].index(layer)] for name in ("first", "second"))
        lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        np.testing.assert_allclose(rows["value"], (first * second).sum(1) / lengths, atol=1e-6)
        np.testing.assert_array_equal(rows["reference"], pairs["score"])
    texts = dict(zip(pairs["first"], table["first"], strict=False)) | dict(
        zip(pairs["second"], table["second"], strict=False)
    )
    assert len(set(texts.values())) == len(texts) == table[["first", "second"]].stack().nunique()


def test_classes_from_frozen_vectors(tiny):
    model, train, test = tiny("llama"), labelled(80, 0), labelled(50, 1)
    table = classification(model, train, test, PLAN)
    assert len(table) == 50 * 2 * 2 * 2
    x, z = (embed(model, part["text"], layers=(3,))["last"][0].astype(float) for part in (train, test))
    y = np.array(train["label"])
    scaler = StandardScaler().fit(x)
    linear = LogisticRegression(C=STRENGTH, max_iter=1000).fit(scaler.transform(x), y).predict(scaler.transform(z))
    unit = [some / np.linalg.norm(some, axis=1, keepdims=True) for some in (z, x)]
    nearest = np.argsort(-unit[0] @ unit[1].T, axis=1)[:, :NEIGHBOURS]
    votes = (y[nearest].mean(axis=1) > 0.5).astype(int)
    for quantity, guesses in (("linear_accuracy", linear), ("neighbour_accuracy", votes)):
        rows = table[(table["quantity"] == quantity) & (table["layer"] == 3) & (table["pooling"] == "last")]
        assert (rows["value"].to_numpy() == (guesses == test["label"])).mean() > 0.97  # float32 may tip a tie


@pytest.mark.parametrize(("labels", "number"), [([0] * 20, 20), ([0, 1, 0], 3)])
def test_texts_that_teach_nothing(tiny, labels, number):
    train = datasets.Dataset.from_dict({"text": sentences(number), "label": labels})
    with pytest.raises(ValueError, match=f"{number} training texts of {len(set(labels))} classes teach nothing"):
        classification(tiny("llama"), train, labelled(8, 1), PLAN)


def test_a_larger_sample_contains_every_smaller_one(tiny):
    pairs = rated(40)
    tables = [similarity(tiny("bert"), pairs, Plan(("task",), items=items)) for items in (5, 20, None)]
    small, large, whole = (dict(zip(table["item"], table["value"], strict=True)) for table in tables)
    assert [len(one) for one in (small, large, whole)] == [5, 20, 40]
    for item, value in small.items():
        assert value == pytest.approx(large[item], abs=1e-6)
    for item, value in large.items():
        assert value == pytest.approx(whole[item], abs=1e-6)
    other = similarity(tiny("bert"), pairs, Plan(("task",), items=5, seed=1))
    assert set(other["item"]) != set(small)


def test_layers_may_be_a_number_of_evenly_spaced_ones(tiny):
    for layers, expected in ((2, {0, 3}), (None, {0, 1, 2, 3}), ((-2,), {2})):
        assert set(similarity(tiny("bert"), rated(8), Plan(("task",), layers=layers))["layer"]) == expected


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"tasks": ()}, "tasks must name at least one"),
        ({"poolings": ()}, "poolings must name at least one"),
        ({"items": 3}, "items must be at least 4, or None for all, but is 3"),
        ({"layers": 1}, "layers must be at least 2"),
    ],
)
def test_a_plan_that_measures_nothing_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Plan(**{"tasks": ("task",)} | wrong)


# ---- with files ----


@pytest.fixture
def sources(tiny, data, project, tmp_path, monkeypatch):
    """Folders with a decoder and an encoder without a head, files of three tasks, and the store's run log."""
    (project / "params" / "models.yaml").write_text("{}")
    options = {"vocab_size": len(tiny("llama").tokenizer), "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    config = transformers.LlamaConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
                                      max_position_embeddings=34, initializer_range=0.4, **options)  # fmt: skip
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "decoder")
    tiny("llama").tokenizer.save_pretrained(tmp_path / "decoder")
    tiny("bert").network.save_pretrained(tmp_path / "encoder")
    tiny("bert").tokenizer.save_pretrained(tmp_path / "encoder")
    entries = {
        "rated": {"kind": "similarity", "reader": "tab-separated", "columns": [0, 1, 2], "data": ["rated.tsv"]},
        "labelled": {"kind": "classification", "reader": "labelled-lines", "classes": {"no": ["0"], "yes": ["1"]},
                     "splits": ["train", "test"], "data": ["train.txt", "test.txt"]},
        "grammar": {"kind": "minimal-pair", "reader": "records", "fields": ["good", "bad", "paradigm"],
                    "data": ["grammar.jsonl"]},
        "votes": {"kind": "preference", "reader": "votes", "data": ["votes.json"]},
    }  # fmt: skip
    more = {"what": "a test's", "licence": "none", "by_hand": "nothing"}
    registry = {name: entry | more for name, entry in entries.items()}
    (project / "params" / "tasks.yaml").write_text(json.dumps(registry), "utf-8")
    files = {
        "rated.tsv": ["\t".join(map(str, row.values())) for row in rated(20)],
        "train.txt": [f"{row['label']} {row['text']}" for row in labelled(40, 0)],
        "test.txt": [f"{row['label']} {row['text']}" for row in labelled(20, 1)],
        "grammar.jsonl": [json.dumps(row) for row in grammatical(12)],
        "votes.json": ["[]"],
    }
    for name, lines in files.items():
        (data / name).write_text("\n".join(lines), "utf-8")
    monkeypatch.setenv(store.RUN_LOG, str(tmp_path / "log"))
    return tmp_path


def asked(folder):
    return [json.loads(line)["from_store"] for line in (folder / "log").read_text("utf-8").splitlines()]


def test_one_table_of_all_tasks(sources):
    plan = Plan(("rated", "labelled", "grammar"), layers=(0, 2), dtype="float32")
    table = measure(str(sources / "decoder"), plan, progress=False)
    assert list(table.columns) == COLUMNS
    assert set(table["quantity"]) == set(UNITS)
    assert table.groupby("quantity")["item"].nunique().to_dict() == {
        "spearman": 20,
        "linear_accuracy": 20,
        "neighbour_accuracy": 20,
        "pair_accuracy": 12,
        "pair_margin": 12,
    }
    grammar = table[table["task"] == "grammar"]
    assert grammar[["layer", "pooling", "reference"]].isna().all(axis=None)
    assert set(grammar["group"]) == {"one", "two"}
    margins = grammar[grammar["quantity"] == "pair_margin"]["value"].to_numpy()
    right = grammar[grammar["quantity"] == "pair_accuracy"]["value"].to_numpy()
    np.testing.assert_array_equal(right, (margins > 0).astype(float))
    assert (set(table["weights"]), table["seed"].isna().all()) == ({"trained"}, True)
    assert len(scores(table)) == 2 + 2 * 2 + 2


def test_margins_are_differences_of_likelihoods_after_a_start_token(sources):
    model, pairs = models.load(str(sources / "decoder")), grammatical(12)
    table = minimal_pairs(model, pairs, Plan(("grammar",)))
    bits = {name: surprisals(model, head(model), pairs[name])["bits"] for name in ("good", "bad")}
    margins = table[table["quantity"] == "pair_margin"]["value"]
    np.testing.assert_allclose(margins, bits["bad"] - bits["good"], rtol=1e-4)


def test_each_task_is_stored_by_itself_and_a_second_call_does_not_load_the_model(sources, monkeypatch):
    id, plan = str(sources / "decoder"), Plan(("rated", "grammar"), dtype="float32")
    assert not has(id, plan)
    first = measure(id, plan, progress=False)
    monkeypatch.setattr(models, "load", None)
    assert has(id, plan)
    assert has(id, replace(plan, tasks=("grammar",), layers=(0,)))  # which has no layers
    assert not has(id, replace(plan, layers=(0,)))
    assert not has(id, plan, weights=3)
    assert_frame_equal(measure(id, plan, progress=False), first)
    monkeypatch.undo()
    assert asked(sources) == [False, False, True, True]


def test_only_what_makes_a_difference_is_measured_again(sources):
    id, plan = str(sources / "decoder"), Plan(("rated", "grammar"), dtype="float32")
    measure(id, plan, progress=False)
    measure(id, Plan(**vars(plan) | {"layers": (0,)}), progress=False)
    assert asked(sources) == [False, False, False, True]
    random = measure(id, Plan(("rated",), dtype="float32"), weights=3, progress=False)
    assert (set(random["weights"]), set(random["seed"])) == ({"random"}, {3})
    (sources / "data" / "rated.tsv").write_text("the cat\tit\t1\nit sat\tthe cat\t2\nit\t42\t3\ncat\tat\t4", "utf-8")
    assert len(measure(id, Plan(("rated",), dtype="float32"), progress=False)) == 4
    assert asked(sources)[-2:] == [False, False]


def test_an_encoder_without_a_head_has_no_minimal_pairs(sources):
    with pytest.raises(SourceError, match=r"encoder has no head to predict masked tokens with .* no minimal pairs"):
        measure(str(sources / "encoder"), Plan(("grammar",)), progress=False)


def test_tasks_of_other_kinds_are_refused(sources):
    with pytest.raises(LookupError, match="votes is a task of the kind preference"):
        measure(str(sources / "decoder"), Plan(("votes",)), progress=False)
