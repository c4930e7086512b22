import gzip
import json
from dataclasses import replace
from itertools import product

import datasets
import numpy as np
import pytest
from pandas.testing import assert_frame_equal

from bitskept.base import store
from bitskept.instruments.soft_entropy.compression import COLUMNS, Instrument
from bitskept.instruments.states import Encoding
from bitskept.sources import models
from bitskept.studies.bottleneck.preference import Plan, _answers, _longer, measure, measured

DRAWS = Instrument(anchors=12), Instrument(anchors=12, seed=1)
PLAN = Plan("hh-harmless", pairs=20, longest=256, instruments=DRAWS, seed=0, dtype="float32")
pytestmark = pytest.mark.usefixtures("one_thread")


def dialogue(question):
    return f"Human: {question}\n\nAssistant:"


def answers(*rows):
    return datasets.Dataset.from_list(
        [dict(zip(("prompt", "preferred", "rejected"), row, strict=True)) for row in rows]
    )


@pytest.mark.parametrize("family", ["llama", "gemma", "bert"])
def test_only_the_tokens_of_answers_are_measured_and_both_must_fit(tiny, family):
    model = tiny(family)
    long = "the cat " * 10
    found = answers(
        ("it 42 .", "the cat", "42"),
        ("it sat .", long, "it"),
        ("it .", "it", long),
        ("it 42 .", "the 42 cat", "it !"),
        ("the cat .", "it", "42"),
    )
    encoding, prompts = _answers(model, found, 2, 16)
    words = ["the cat", "42", "the 42 cat", "it !"]
    spaced = words if family == "bert" else [f" {text}" for text in words]
    expected = model.tokenizer(spaced, add_special_tokens=False)["input_ids"]
    assert [encoding.tokens(place).tolist() for place in range(len(encoding))] == expected
    whole = model.tokenizer("it 42 . the cat")["input_ids"]
    assert encoding.ids[0].tolist() == whole  # the prompt is read all the same
    assert prompts.tolist() == [0, 0, 0, 0]
    assert _answers(model, found, 3, 16)[1].tolist() == [0, 0, 0, 0, 1, 1]
    with pytest.raises(ValueError, match=f"only 3 pairs fit in 16 tokens of {family}, but 4 are needed"):
        _answers(model, found, 4, 16)


def test_the_longer_answer_of_each_pair_and_the_first_of_equal_ones():
    measured = [np.arange(6) < tokens for tokens in (2, 3, 5, 1, 4, 4)]
    encoding = Encoding([np.zeros(6, int)] * 6, measured, 0)
    assert _longer(encoding).tolist() == [False, True, True, False, True, False]


def first_draw(table):
    return table[table["anchor_seed"] == 0].reset_index(drop=True)


def test_preference_information_of_answers(tiny, tmp_path, home, monkeypatch):
    """Preferred answers speak of cats, rejected ones of numbers."""
    model, log = str(tmp_path / "model"), tmp_path / "log"
    for part in (tiny("llama").network, tiny("llama").tokenizer):
        part.save_pretrained(model)
    monkeypatch.setenv(store.RUN_LOG, str(log))
    rng, rows, prompts = np.random.default_rng(0), {}, list(product("abcd", repeat=3))
    while len(rows) < 24:
        chosen, other = " ".join(rng.choice(["the cat", "cat"], 3)), " ".join(rng.choice(["42", "4", "24"], 3))
        prompt = f"\n\n{dialogue(' '.join(prompts[len(rows)]))}"
        rows[prompt, chosen, other] = {"chosen": f"{prompt} {chosen}", "rejected": f"{prompt} {other}"}
    path = tmp_path / "data" / "preference" / "hh_harmless_base_test.jsonl.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows.values())).encode()))
    monkeypatch.setenv("BITSKEPT_DATA", str(tmp_path / "data"))
    table = measure(model, PLAN, progress=False)
    assert list(table.columns) == [*COLUMNS, "clusters"]
    assert set(table["clusters"]) == {20}
    assert set(table["sentences"]) == {40}
    assert set(table["corpus"]) == {"hh-harmless"}
    p, corrected = (table[table["quantity"] == f"preference_information_{end}"] for end in ("p", "corrected"))
    assert (len(p), len(corrected)) == (10, 10)  # of two draws and 4 layers, and their mean
    one, other = (rows.reset_index(drop=True) for _, rows in corrected.groupby("anchor_seed"))
    assert (one["estimate"] != other["estimate"]).all()
    assert_frame_equal(measure(model, replace(PLAN, instruments=DRAWS[:1]), progress=False), first_draw(table))
    assert (p["estimate"] < 0.01).all()
    beyond, exchanged = (
        table[table["quantity"] == f"preference_{name}_corrected"] for name in ("beyond_length", "exchanged")
    )
    assert (beyond["low"] > 0).all()
    assert (exchanged["estimate"] < corrected["estimate"].to_numpy() / 3).all()
    assert (corrected["low"] > 0).all()
    longer = table[table["quantity"] == "preference_longer_corrected"]
    assert len(longer) == 10
    assert (longer["estimate"] < corrected["estimate"].to_numpy() / 3).all()  # length and preference are independent
    monkeypatch.setattr(models, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    assert_frame_equal(measure(model, PLAN, progress=False), table)
    assert [json.loads(line)["from_store"] for line in log.read_text("utf-8").splitlines()] == [False, False, True]
    assert_frame_equal(measured(replace(PLAN, dtype="auto")), table)  # "auto" may be another dtype on each machine
    assert measured(replace(PLAN, pairs=19)).empty
