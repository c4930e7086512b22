import json
import pickle

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from bitskept.base import store
from bitskept.instruments.effective_rank import COLUMNS, Plan, measure
from bitskept.instruments.measurement import Measurement
from bitskept.sources import models
from bitskept.sources.random_weights import Weights


@pytest.fixture
def model(tiny, tmp_path, home, monkeypatch):
    """The folder of a decoder; results that are asked for are logged."""
    for part in (tiny("llama").network, tiny("llama").tokenizer):
        part.save_pretrained(tmp_path / "model")
    monkeypatch.setenv(store.RUN_LOG, str(tmp_path / "log"))
    return str(tmp_path / "model")


@pytest.fixture
def plan(tmp_path):
    """What to measure in a file of sentences."""
    (tmp_path / "corpus.txt").write_text(
        "the cat sat.\nthe cat, the 42!\nit sat at the cat\nthe un unlocked cat", "utf-8"
    )
    return Plan(str(tmp_path / "corpus.txt"), sentences=4, ranks=(1, 8), groups=2)


def from_store(folder):
    return [json.loads(line)["from_store"] for line in (folder / "log").read_text("utf-8").splitlines()]


def test_a_second_call_does_not_load_the_model(model, plan, tmp_path, monkeypatch):
    assert not measure.has(model, plan)
    first = measure(model, plan, progress=False)
    assert list(first.columns) == COLUMNS
    monkeypatch.setattr(models, "load", None)
    assert measure.has(model, plan)
    assert_frame_equal(measure(model, plan, progress=False), first)
    assert from_store(tmp_path) == [False, True]


def test_another_plan_dtype_weights_or_text_is_another_result(model, plan, tmp_path):
    trained = measure(model, plan, progress=False)
    random = measure(model, plan, weights=3, progress=False)
    assert (set(random["weights"]), set(random["seed"])) == ({"random"}, {3})
    assert not np.allclose(random["estimate"], trained["estimate"], equal_nan=True)
    assert not measure.has(model, plan, weights=4)
    assert measure.has(model, plan, weights=Weights(3))
    assert not measure.has(model, plan, weights=Weights(3, "residual"))
    for other in ({"seed": 1}, {"dtype": "bfloat16"}):
        assert not measure.has(model, Plan(**vars(plan) | other))
    (tmp_path / "corpus.txt").write_text("it sat\nit sat.\nthe cat\nthe cat.", "utf-8")
    assert not measure.has(model, plan)
    assert from_store(tmp_path) == [False, False]


def test_what_is_not_logged_leaves_no_line(model, plan, tmp_path):
    quiet = Measurement(lambda model, plan, *, progress: pd.DataFrame({"n": [model.width]}), "width", 1, logged=False)
    assert quiet(model, plan)["n"].tolist() == [16]
    assert not (tmp_path / "log").exists()


def test_several_models_and_weights_give_the_tables_of_each_alone_in_the_order_asked(model, plan, monkeypatch):
    monkeypatch.setenv("BITSKEPT_PROCESSES", "1")
    asked = [(model, plan, 3), (model, plan, None)]
    random, trained = measure.each(asked)
    monkeypatch.setattr(models, "load", None)
    assert_frame_equal(random, measure(model, plan, weights=3))
    assert_frame_equal(trained, measure(model, plan))
    assert_frame_equal(measure.each(asked[::-1])[1], random)


def test_it_is_sent_to_other_processes_by_its_name():
    assert pickle.loads(pickle.dumps(measure)) is measure
