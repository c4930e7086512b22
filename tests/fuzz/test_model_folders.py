"""Folders of models and adapters, each with a file that is not what it should be.

How to search longer: see conftest.py.
"""

import json
import shutil
import struct

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitskept.sources import models

slow = settings.get_profile("slow")


@pytest.fixture(scope="module")
def folders(place, tiny):
    """Small models and an adapter of one of them, on disk."""
    import peft

    (place / "project" / "params" / "models.yaml").write_text("{}")
    for family in ("bert", "llama"):
        tiny(family).network.save_pretrained(place / family)
        tiny(family).tokenizer.save_pretrained(place / family)
    base = models.load(str(place / "llama"), dtype="float32", device="cpu").network
    with models.peft_without_warnings():
        options = {"target_modules": ["q_proj"], "base_model_name_or_path": str(place / "llama")}
        config = peft.LoraConfig(r=2, init_lora_weights=False, **options)
        peft.get_peft_model(base, config).save_pretrained(place / "adapter")
    (place / "adapter" / "README.md").unlink()
    return place


def changed(folders, name, file, content):
    """A copy of a folder in which one file has other content."""
    copy = folders / "changed"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folders / name, copy)
    (copy / file).write_bytes(content)
    return copy


def sound(model):
    with torch.inference_mode():
        out = model.network(**model.tokenizer("the cat sat", return_tensors="pt"), output_hidden_states=True)
    return len(out.hidden_states) == model.layers + 1


def test_the_sound_folders_are_read(folders):
    assert all(sound(models.load(str(folders / name))) for name in ("bert", "llama", "adapter"))


@slow
@given(data=st.data(), seed=st.sampled_from([None, 0]))
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("bert", "config.json"),
        ("llama", "config.json"),
        ("bert", "tokenizer.json"),
        ("llama", "tokenizer.json"),
        ("bert", "tokenizer_config.json"),
        ("adapter", "adapter_config.json"),
    ],
)
def test_a_changed_description(name, file, data, seed, folders, outcome_of, mutated_bytes, mutated_tree):
    content = (folders / name / file).read_bytes()
    if data.draw(st.integers(0, 2)) == 0:
        content = data.draw(mutated_bytes(content))
    else:
        content = json.dumps(data.draw(mutated_tree(json.loads(content)))[0]).encode()
    copy = changed(folders, name, file, content)
    outcome_of(lambda: models.load(str(copy), seed=seed, device="cpu"), str(copy))


@st.composite
def headers(draw, content, mutated_bytes, mutated_tree):
    """A safetensors file with another header, another header length, or other bytes."""
    length = struct.unpack("<Q", content[:8])[0]
    header, weights = json.loads(content[8 : 8 + length]), content[8 + length :]
    match draw(st.integers(0, 3)):
        case 0:
            wrong = st.sampled_from([0, 1, length - 1, length + 1, len(content), 10**8, 2**31, 2**63, 2**64 - 1])
            return struct.pack("<Q", draw(wrong)) + content[8:]
        case 1:
            return draw(mutated_bytes(content))
        case 2:
            tree = draw(mutated_tree(header))[0]
        case _:  # two tensors in the same place, a shape beyond any memory, another type
            names = [name for name in header if name != "__metadata__"]
            one, other = draw(st.sampled_from(names)), draw(st.sampled_from(names))
            wrong = {"data_offsets": header[other]["data_offsets"], "shape": [2**40, 2**40], "dtype": "I32"}
            tree = header | {one: header[one] | dict([draw(st.sampled_from(sorted(wrong.items())))])}
    text = json.dumps(tree).encode()
    return struct.pack("<Q", len(text)) + text + weights


@slow
@given(data=st.data())
@pytest.mark.parametrize(("name", "file"), [("llama", "model.safetensors"), ("adapter", "adapter_model.safetensors")])
def test_changed_weights(name, file, data, folders, outcome_of, mutated_bytes, mutated_tree):
    content = data.draw(headers((folders / name / file).read_bytes(), mutated_bytes, mutated_tree))
    copy = changed(folders, name, file, content)
    model, _ = outcome_of(lambda: models.load(str(copy), device="cpu"), str(copy))
    assert model is None or sound(model)


def test_an_adapter_that_leads_back_to_itself_or_is_pickled_is_refused(folders, outcome_of):
    ring = [folders / f"ring{number}" for number in range(2)]
    for one, other in zip(ring, reversed(ring), strict=True):
        shutil.copytree(folders / "adapter", one, dirs_exist_ok=True)
        (one / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(other)}))
    assert "itself" in outcome_of(lambda: models.load(str(ring[0])), str(ring[0]))[1]
    pickled = shutil.copytree(folders / "adapter", folders / "pickled", dirs_exist_ok=True)
    (pickled / "adapter_model.safetensors").rename(pickled / "adapter_model.bin")
    assert "pickled weights are never loaded" in outcome_of(lambda: models.load(str(pickled)), str(pickled))[1]


def test_code_in_a_folder_is_not_run_and_no_question_is_asked(folders, outcome_of, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a question was asked"))
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
    copy = changed(folders, "bert", "config.json", json.dumps(config).encode())
    (copy / "own.py").write_text("raise SystemExit('code of the folder ran')")
    for seed in (None, 0):
        assert outcome_of(lambda seed=seed: models.load(str(copy), seed=seed), str(copy))[1]
