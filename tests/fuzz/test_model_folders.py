"""Folders of models and adapters, each with a file that is not what it should be.

How to search longer: see conftest.py.
"""

import json
import shutil
import struct

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import Unigram

from bitskept.instruments.states import encode, stream
from bitskept.sources import models
from bitskept.sources.adapters import peft_without_warnings

slow = settings.get_profile("slow")


# No mask for padding, positions after the padding's, two widths: each with a tokenizer of its kind.
FAMILIES = {
    "fnet": {"use_tpu_fourier_optimizations": False},
    "xlm-roberta": {"num_attention_heads": 2},
    "opt": {"num_attention_heads": 2, "ffn_dim": 24, "word_embed_proj_dim": 8, "do_layer_norm_before": False},
}


def unigrams():
    """A tokenizer whose special tokens are among its pieces."""
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0), ("\u2581the", -3.0)]
    tokenizer = Tokenizer(Unigram(pieces + [(letter, -5.0) for letter in "aceiknostu<>/,.!42[]SEPA"], unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    frame = [("<s>", 0), ("</s>", 2)]
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=frame)
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


@pytest.fixture(scope="module")
def folders(place, tiny):
    """Small models and an adapter of one of them, on disk."""
    tokenizers = {"fnet": tiny("bert").tokenizer, "xlm-roberta": unigrams(), "opt": tiny("llama").tokenizer}
    for name, options in FAMILIES.items():
        known = {"vocab_size": len(tokenizers[name]), "pad_token_id": 1, "initializer_range": 0.4}
        sizes = {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 24, "max_position_embeddings": 40}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            config = transformers.AutoConfig.for_model(name, **known, **sizes, **options)
            transformers.AutoModel.from_config(config).save_pretrained(place / name)
        tokenizers[name].save_pretrained(place / name)
    import peft

    (place / "project" / "params" / "models.yaml").write_text("{}")
    for family in ("bert", "llama"):
        tiny(family).network.save_pretrained(place / family)
        tiny(family).tokenizer.save_pretrained(place / family)
    base = models.load(str(place / "llama"), dtype="float32", device="cpu").network
    with peft_without_warnings():
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


def sound(model, outcome_of, name):
    """Whether each text has the same states by itself and in a batch; or whether an error names the model."""
    texts = ["the cat sat", "it", "A </s> the [SEP] <bos> 42!"]

    def measured(rows):
        encoding = encode(model, [texts[row] for row in rows])
        return [
            (rows[place], batch.states[:, batch.sentences == place].float())
            for batch in stream(model, encoding, range(len(rows)))
            for place in batch.sentences.unique().tolist()
        ]

    together, _ = outcome_of(lambda: dict(measured([0, 1, 2])), name)
    for row, states in (together or {}).items():
        assert states.shape[::2] == (model.layers + 1, model.width)
        [(_, alone)], _ = outcome_of(lambda row=row: measured([row]), name)
        torch.testing.assert_close(states, alone, rtol=1e-2, atol=1e-2 * float(alone.abs().max()))
    return True


def test_the_sound_folders_are_read(folders, outcome_of):
    for name in (*FAMILIES, "bert", "llama", "adapter"):
        assert sound(models.load(str(folders / name)), outcome_of, str(folders / name))


@slow
@given(data=st.data(), seed=st.sampled_from([None, 0]))
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("bert", "config.json"),
        ("fnet", "config.json"),
        ("xlm-roberta", "config.json"),
        ("opt", "config.json"),
        ("xlm-roberta", "tokenizer.json"),
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
    model, _ = outcome_of(lambda: models.load(str(copy), seed=seed, device="cpu"), str(copy))
    assert model is None or sound(model, outcome_of, str(copy))


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
    assert model is None or sound(model, outcome_of, str(copy))


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
