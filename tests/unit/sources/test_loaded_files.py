"""A fingerprint covers what is loaded from a folder, and nothing else."""

import importlib
import json
import os
import shutil

import pytest
import torch
import transformers
from damage import flip_a_bit
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

from bitskept.sources import models
from bitskept.sources.adapters import peft_without_warnings
from bitskept.sources.loaded_files import loaded, weight_files
from bitskept.sources.packages import SourceError

IDS = torch.tensor([[5, 40, 7, 99, 3]])


@pytest.fixture(autouse=True)
def registry(project):
    (project / "params" / "models.yaml").write_text("{}")


@pytest.fixture
def folder(tiny, tmp_path):
    """A tiny model with its weights in one file."""
    tiny("llama").network.save_pretrained(tmp_path / "whole")
    tiny("llama").tokenizer.save_pretrained(tmp_path / "whole")
    return tmp_path / "whole"


@pytest.fixture
def shards(tiny, folder, tmp_path):
    """The same model with its weights in several files."""
    place = tmp_path / "shards"
    tiny("llama").network.save_pretrained(place, max_shard_size="8KB")
    tiny("llama").tokenizer.save_pretrained(place)
    assert len(list(place.glob("*.safetensors"))) > 2
    return place


def states(folder):
    with torch.inference_mode():
        return models.load(str(folder)).network(IDS)[0]


def moved(shards):
    """The shards in a folder of their own, which the index names."""
    path = shards / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    (shards / "parts").mkdir()
    for name in set(index["weight_map"].values()):
        (shards / name).rename(shards / "parts" / name)
    names = {key: f"parts/{name}" for key, name in index["weight_map"].items()}
    path.write_text(json.dumps(index | {"weight_map": names}))
    return shards


def test_the_fingerprint_of_a_folder_with_one_file_of_weights_is_that_of_its_files(folder):
    names = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    assert loaded(folder) == sorted(names)
    before = models.fingerprint(str(folder))
    for name in names:
        kept = (folder / name).read_bytes()
        (folder / name).write_bytes(kept + b" ")
        assert models.fingerprint(str(folder)) != before, name
        (folder / name).write_bytes(kept)
    assert models.fingerprint(str(folder)) == before


@pytest.mark.parametrize(
    "name",
    ["spm.model", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "vocab.txt", "vocab.json", "merges.txt",
     "added_tokens.json", "special_tokens_map.json", "source.spm", "tekken.json"],
)  # fmt: skip
def test_each_file_that_a_tokenizer_may_be_read_from_counts(folder, name):
    before = models.fingerprint(str(folder))
    (folder / name).write_text("{}")
    first = models.fingerprint(str(folder))
    (folder / name).write_text("{ }")
    assert len({before, first, models.fingerprint(str(folder))}) == 3


def test_every_vocabulary_that_transformers_knows_counts(folder):
    classes = {name.removesuffix("Fast") for name in TOKENIZER_MAPPING_NAMES.values() if name}
    modules = {f"transformers.models.{family.replace('-', '_')}" for family in TOKENIZER_MAPPING_NAMES}
    names = set()
    for module in filter(importlib.util.find_spec, sorted(modules)):
        found = vars(importlib.import_module(module)).keys() | set(dir(importlib.import_module(module)))
        for name in found & classes:
            kind = getattr(importlib.import_module(module), name)
            names.update(getattr(kind, "vocab_files_names", {}).values())
    assert {"vocab.txt", "spiece.model", "tokenizer.json", "merges.txt"} <= names
    for name in names - {"normalizer.json"}:  # of Whisper: spellings for transcripts, not part of tokenization
        (folder / name).write_text("{}")
    assert names - {"normalizer.json"} <= set(loaded(folder))


OTHERS = {
    "another system's shadow": lambda folder: (folder / "._model.safetensors").write_bytes(b"x"),
    "another system's shadow of a vocabulary": lambda folder: (folder / "._tokenizer.model").write_bytes(b"x"),
    "another format": lambda folder: shutil.copy(folder / "model.safetensors", folder / "consolidated.safetensors"),
    "another precision": lambda folder: shutil.copy(folder / "model.safetensors", folder / "model.fp16.safetensors"),
    "a template": lambda folder: (folder / "chat_template.jinja").write_text("x"),
    "settings of generation": lambda folder: (folder / "generation_config.json").write_text("{}"),
    "a tokenizer's folder": lambda folder: (folder / "tokenizer").mkdir(),
    "a folder of that name": lambda folder: (folder / "vocab.txt").mkdir(),
    "an original": lambda folder: shutil.copytree(folder, folder / "original"),
    "a link to nothing": lambda folder: (folder / "vocab.json").symlink_to(folder / "nothing"),
    "a pipe": lambda folder: os.mkfifo(folder / "spiece.model"),
    "an unused index": lambda folder: (folder / "model.safetensors.index.json").write_text("{}"),
}


@pytest.mark.skipif(os.name != "posix", reason="needs links and pipes")
@pytest.mark.parametrize("other", OTHERS)
def test_what_is_not_loaded_does_not_count(folder, other):
    fingerprint, weights, before = (
        models.fingerprint(str(folder)),
        models.number_of_weights(str(folder)),
        states(folder),
    )
    OTHERS[other](folder)
    assert models.fingerprint(str(folder)) == fingerprint
    assert models.number_of_weights(str(folder)) == weights
    torch.testing.assert_close(states(folder), before, rtol=0, atol=0)


@pytest.mark.parametrize("arrange", [lambda shards: shards, moved])
def test_weights_in_several_files(folder, shards, arrange):
    arrange(shards)
    torch.testing.assert_close(states(shards), states(folder), rtol=0, atol=0)
    assert models.number_of_weights(str(shards)) == models.number_of_weights(str(folder))
    before = models.fingerprint(str(shards))
    index, *parts = weight_files(shards)
    path = shards / index
    path.write_text(path.read_text() + " ")
    after = models.fingerprint(str(shards))
    flip_a_bit(shards / parts[1])
    assert len({before, after, models.fingerprint(str(shards))}) == 3
    (shards / parts[1]).unlink()
    with pytest.raises(SourceError, match=rf"has no {parts[1].rpartition('/')[2]}, and pickled weights"):
        models.load(str(shards))


def test_a_link_counts_as_what_it_leads_to(folder, tmp_path):
    before = models.fingerprint(str(folder))
    (folder / "model.safetensors").rename(tmp_path / "elsewhere")
    (folder / "model.safetensors").symlink_to(tmp_path / "elsewhere")
    assert models.fingerprint(str(folder)) == before
    flip_a_bit(tmp_path / "elsewhere")
    assert models.fingerprint(str(folder)) != before


def test_the_file_that_a_configuration_names(folder):
    before = states(folder)
    torch.manual_seed(1)
    network = transformers.AutoModel.from_config(transformers.AutoConfig.from_pretrained(folder))
    (folder / "model.safetensors").rename(folder / "mine.safetensors")
    network.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"transformers_weights": "mine.safetensors"}))
    torch.testing.assert_close(states(folder), before, rtol=0, atol=0)
    assert "mine.safetensors" in loaded(folder)
    assert "model.safetensors" not in loaded(folder)


@pytest.mark.parametrize("name", ["/etc/passwd", "../whole/model.safetensors", "a/../../b", 3])
def test_weights_outside_the_folder_are_refused(shards, name):
    path = shards / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": {"embed_tokens.weight": name}}))
    for call in (models.load, models.fingerprint, models.number_of_weights):
        with pytest.raises(SourceError, match=r"its weights are in .*, outside the folder"):
            call(str(shards))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"weight_map": 3}', "[" * 100_000, '{"weight_map": {"a": []}}'])
def test_an_index_that_cannot_be_read_is_refused(shards, content):
    (shards / "model.safetensors.index.json").write_text(content)
    with pytest.raises(SourceError, match=r"model\.safetensors\.index\.json names no files of weights"):
        models.load(str(shards))


def test_an_adapter_counts_with_its_own_files_and_its_base(folder, tmp_path):
    import peft

    network = transformers.AutoModel.from_pretrained(folder)
    options = {"target_modules": ["q_proj"], "base_model_name_or_path": str(folder), "init_lora_weights": False}
    with peft_without_warnings():
        peft.get_peft_model(network, peft.LoraConfig(r=2, **options)).save_pretrained(tmp_path / "adapter")
    adapter = tmp_path / "adapter"
    before = models.fingerprint(str(adapter))
    assert loaded(adapter) == ["adapter_config.json", "adapter_model.safetensors"]
    shutil.copy(folder / "tokenizer.json", adapter)  # as the Trainer saves it; the base's is loaded
    assert models.fingerprint(str(adapter)) == before
    flip_a_bit(adapter / "adapter_model.safetensors")
    after = models.fingerprint(str(adapter))
    flip_a_bit(folder / "model.safetensors")
    assert len({before, after, models.fingerprint(str(adapter))}) == 3
