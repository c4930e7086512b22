"""Folders of models, adapters and GGUF files, each with a file that is not what it should be.

How to search longer: see conftest.py.
"""

import hashlib
import json
import shutil
import struct
import zipfile

import gguf
import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bitskept.sources import models

slow = settings.get_profile("slow")
HIDDEN, FEED, WORDS = 16, 24, 4


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
        config = peft.LoraConfig(r=2, target_modules=["q_proj"], base_model_name_or_path=str(place / "llama"))
        peft.get_peft_model(base, config).save_pretrained(place / "adapter")
    (place / "adapter" / "README.md").unlink()
    return place


def changed(folders, name, file, content):
    """A copy of a folder, one of its files with other content."""
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
    """A safetensors file with another header, or another length of it, or other bytes."""
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
        case _:  # two that lie on one another, a shape beyond all memory, another type
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


def test_what_leads_back_to_itself_or_lies_elsewhere_is_refused(folders, outcome_of):
    ring = [folders / f"ring{number}" for number in range(2)]
    for one, other in zip(ring, reversed(ring), strict=True):
        shutil.copytree(folders / "adapter", one, dirs_exist_ok=True)
        (one / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(other)}))
    assert "itself" in outcome_of(lambda: models.load(str(ring[0])), str(ring[0]))[1]
    pickled = shutil.copytree(folders / "adapter", folders / "pickled", dirs_exist_ok=True)
    (pickled / "adapter_model.safetensors").rename(pickled / "adapter_model.bin")
    assert "pickled weights are never loaded" in outcome_of(lambda: models.load(str(pickled)), str(pickled))[1]


def test_code_in_a_folder_is_neither_run_nor_asked_about(folders, outcome_of, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("a question was asked"))
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
    copy = changed(folders, "bert", "config.json", json.dumps(config).encode())
    (copy / "own.py").write_text("raise SystemExit('code of the folder ran')")
    for seed in (None, 0):
        assert outcome_of(lambda seed=seed: models.load(str(copy), seed=seed), str(copy))[1]


# ---- GGUF ----


@pytest.fixture(scope="module")
def gguf_file(folders):
    """A small llama network as GGUF."""
    path = folders / "model.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    for add, value in (
        (writer.add_block_count, 1), (writer.add_context_length, 32), (writer.add_embedding_length, HIDDEN),
        (writer.add_feed_forward_length, FEED), (writer.add_head_count, 2), (writer.add_head_count_kv, 2),
        (writer.add_layer_norm_rms_eps, 1e-5), (writer.add_vocab_size, WORDS), (writer.add_tokenizer_model, "gpt2"),
        (writer.add_token_list, ["a", "b", "ab", "<end>"]), (writer.add_token_types, [1, 1, 1, 3]),
        (writer.add_token_merges, ["a b"]),
        (writer.add_bos_token_id, 3), (writer.add_eos_token_id, 3),
    ):  # fmt: skip
        add(value)
    shapes = {"attn_q": (HIDDEN, HIDDEN), "attn_k": (HIDDEN, HIDDEN), "attn_v": (HIDDEN, HIDDEN),
              "attn_output": (HIDDEN, HIDDEN), "ffn_gate": (FEED, HIDDEN), "ffn_up": (FEED, HIDDEN),
              "ffn_down": (HIDDEN, FEED), "attn_norm": (HIDDEN,), "ffn_norm": (HIDDEN,)}  # fmt: skip
    tensors = {"token_embd.weight": (WORDS, HIDDEN), "output_norm.weight": (HIDDEN,), "output.weight": (WORDS, HIDDEN)}
    for name, shape in (tensors | {f"blk.0.{name}.weight": shape for name, shape in shapes.items()}).items():
        writer.add_tensor(name, np.ones(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


def converted(folders, content):
    """The folder that the package of a GGUF file is turned into."""
    shutil.rmtree(folders / "home" / "models", ignore_errors=True)
    wheel = folders / "home" / "wheels" / "small-1.0-py3-none-any.whl"
    wheel.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("small.gguf", content)
    package = {
        "package": "small",
        "version": "1.0",
        "bytes": 1,
        "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
    }
    entry = {"kind": "decoder", "parameters": 1, "licence": "MIT", "packages": [package], "gguf": ["small.gguf"]}
    (folders / "project" / "params" / "models.yaml").write_text(yaml.safe_dump({"small": entry}))
    return models.fetch("small")


def test_the_sound_gguf_file_is_converted(folders, gguf_file):
    assert (converted(folders, gguf_file) / "model.safetensors").is_file()


@slow
@given(data=st.data())
def test_a_changed_gguf_file(data, folders, gguf_file, outcome_of, mutated_bytes):
    """Its head: 4 bytes of magic, 4 of version, 8 each for the number of tensors and of keys."""
    content, field = gguf_file, data.draw(st.integers(0, 5))
    if field < 4:
        start, form = ((0, "<I"), (4, "<I"), (8, "<Q"), (16, "<Q"))[field]
        number = data.draw(st.sampled_from([0, 1, 2, 4, 13, 2**31, 2**32 - 1] + [2**62, 2**64 - 1] * (form == "<Q")))
        content = content[:start] + struct.pack(form, number) + content[start + struct.calcsize(form) :]
    elif field == 4:  # a number somewhere among the keys and shapes
        start = data.draw(st.integers(24, 1400))
        content = (
            content[:start] + struct.pack("<Q", data.draw(st.sampled_from([0, 2**30, 2**62]))) + content[start + 8 :]
        )
    else:
        content = data.draw(mutated_bytes(content))
    outcome_of(lambda: converted(folders, content), "small")
    assert not list((folders / "home" / "models").glob(".partial*"))
