import hashlib
import json
import os
import re
import shutil
import zipfile

import gguf
import pytest
import torch
import transformers
import yaml
from damage import flip_a_bit
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE, WordLevel
from wheels import make_wheel

from bitskept.sources import hub, model_files, models, packages, registry

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "sat"]
ENCODER = transformers.BertConfig(
    vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=3, num_attention_heads=2, intermediate_size=16,
    max_position_embeddings=32, initializer_range=0.5,
)  # fmt: skip
DECODER = transformers.LlamaConfig(
    vocab_size=258, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    intermediate_size=24, max_position_embeddings=64, tie_word_embeddings=True, bos_token_id=257, eos_token_id=257,
    pad_token_id=None, initializer_range=0.3,
)  # fmt: skip


def save_encoder(folder):
    torch.manual_seed(1)
    transformers.BertForMaskedLM(ENCODER).save_pretrained(folder)
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(folder)
    return folder


def states(model, text="the cat sat"):
    with torch.inference_mode():
        return model.network(**model.tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states


def put_in_hub(repository, commit, folder):
    """The files of a folder as the hub's client lays them out: each under its own hash, and a name that leads there."""
    snapshot = repository / "snapshots" / commit
    for made in (repository / "blobs", snapshot):
        made.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        content = path.read_bytes()
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        large = path.suffix == ".safetensors"
        blob = repository / "blobs" / (hashlib.sha256(content).hexdigest() if large else git)
        blob.write_bytes(content)
        (snapshot / path.name).symlink_to(blob)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return save_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def library(project, home, encoder, tmp_path, monkeypatch):
    """A registry with one encoder, packed in two ways, and two models of the hub."""
    monkeypatch.chdir(tmp_path)
    files = {path.name: path.read_bytes() for path in encoder.iterdir()}
    wheels = home / "wheels"
    whole = make_wheel(wheels, "whole", {f"data/{name}": content for name, content in files.items()})
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(f"data/{name}", content)
    packed = (tmp_path / "all.zip").read_bytes()
    halves = [make_wheel(wheels, f"half{i}", {"x/part": part}) for i, part in enumerate((packed[:999], packed[999:]))]
    common = {"kind": "encoder", "parameters": 1, "licence": "MIT", "folder": "data", "files": sorted(files)}
    hub = {"kind": "encoder", "parameters": 1, "licence": "Odd terms", "revision": "main"}
    entries = {
        "tiny": common | {"packages": [whole]},
        "tiny-parts": common | {"packages": halves, "parts": ["x/part", "x/part"]},
        "tiny-hub": hub | {"hub": "someone/tiny"},
        "tiny-terms": hub | {"hub": "someone/other", "terms": "odd"},
    }
    (project / "params" / "models.yaml").write_text(yaml.safe_dump(entries))
    return project


def test_an_encoder_from_a_package(library, home, encoder):
    model = models.load("tiny")
    assert (model.kind, model.layers, model.width, model.longest, model.seed) == ("encoder", 3, 8, 32, None)
    assert model.fingerprint == models.fingerprint("tiny")
    assert not model.network.training
    assert getattr(model.network, "pooler", None) is None
    torch.testing.assert_close(
        model.embeddings, transformers.AutoModel.from_pretrained(encoder).get_input_embeddings().weight
    )
    assert len(states(model)) == model.layers + 1

    shutil.rmtree(home / "wheels")  # what is here needs no archive any more
    again = models.load("tiny", dtype="bfloat16")
    assert again.dtype == again.embeddings.dtype == torch.bfloat16
    assert again.fingerprint == model.fingerprint
    assert {row["id"]: row["here"] for row in model_files.catalogue()}["tiny"] == "yes"


def test_an_archive_in_parts_gives_the_same_model(library):
    torch.testing.assert_close(states(models.load("tiny-parts")), states(models.load("tiny")))


def test_a_damaged_folder_is_set_aside_and_built_again(library, home):
    before = states(models.load("tiny"))
    weights = home / "models" / "tiny" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.warns(UserWarning, match=r"tiny is damaged \(model\.safetensors\)"):
        after = states(models.load("tiny"))
    torch.testing.assert_close(after, before)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_byte_that_changed_is_found_before_it_counts(library, home, file):
    before = states(models.load("tiny"))
    flip_a_bit(home / "models" / "tiny" / file)
    with pytest.warns(UserWarning, match=rf"tiny is damaged \({file}\): set aside"):
        after = states(models.load("tiny"))
    torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_a_random_copy_is_drawn_by_its_seed_and_disturbs_nothing(library, home):
    models.fetch("tiny")
    (home / "models" / "own").mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):  # no weights are needed
        shutil.copy(home / "models" / "tiny" / name, home / "models" / "own" / name)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other, half = (models.load("own", seed=seed, dtype=dtype) for seed, dtype in
                                 ((1, "float32"), (1, "float32"), (2, "float32"), (1, "bfloat16")))  # fmt: skip
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first.embeddings, again.embeddings)
    assert not torch.equal(first.embeddings, other.embeddings)
    assert torch.equal(first.embeddings.bfloat16(), half.embeddings)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert first.fingerprint == models.fingerprint("own", seed=1) != models.fingerprint("own")
    weight = first.network.encoder.layer[0].intermediate.dense.weight
    assert weight.std().item() == pytest.approx(ENCODER.initializer_range, rel=0.3)


def test_a_folder_of_the_users_own(library, encoder, tmp_path):
    own = shutil.copytree(encoder, tmp_path / "own")
    model = models.load(str(own))
    assert model.kind == "encoder"
    assert models.load(str(models.fetch("tiny"))).kind == "encoder"  # a folder that was built here, named by its path
    torch.testing.assert_close(states(model), states(models.load("tiny")))
    before = models.fingerprint(str(own))
    flip_a_bit(own / "model.safetensors")
    assert models.fingerprint(str(own)) != before


def test_missing_weights_are_an_error_not_random_numbers(library, encoder, tmp_path):
    own = shutil.copytree(encoder, tmp_path / "own")
    config = json.loads((own / "config.json").read_text())
    (own / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4}))
    with pytest.raises(packages.SourceError, match=r"lacks \d+ weights, .*layer\.3\."):
        models.load(str(own))


def test_a_decoder_without_a_padding_token_pads_with_its_end_token(library, tmp_path):
    own = tmp_path / "decoder"
    transformers.LlamaForCausalLM(DECODER).save_pretrained(own)
    transformers.PreTrainedTokenizerFast(tokenizer_object=byte_tokenizer(), eos_token="<end>").save_pretrained(own)
    model = models.load(str(own))
    assert (model.kind, model.layers, model.width, model.longest) == ("decoder", 2, 16, 64)
    assert model.tokenizer.pad_token == "<end>"


def test_unknown_ids_get_the_nearest_names(library):
    with pytest.raises(LookupError, match=r"there is no model 'tinny'.*nearest: tiny"):
        models.load("tinny")
    with pytest.raises(LookupError, match="tiny@step1"):  # a package has no revisions
        models.load("tiny@step1")


def test_terms_have_to_be_accepted(library):
    with pytest.raises(PermissionError, match=r"Odd terms.*'odd'"):
        models.load("tiny-terms")
    with pytest.raises(packages.SourceError, match="cannot fetch someone/other"):  # accepted, but not here
        models.load("tiny-terms", accept_terms=["odd"])


def test_a_hub_model_that_is_here_needs_no_network(library, home, encoder):
    with pytest.raises(packages.SourceError, match=r"cannot fetch someone/tiny at main .*models/tiny-hub"):
        models.load("tiny-hub")
    with pytest.raises(packages.SourceError, match="not here yet"):
        models.fingerprint("tiny-hub")
    repository = home / "hub" / "models--someone--tiny"
    commits = {"main": "a" * 40, "step1": "b" * 40}
    for name, commit in commits.items():
        shutil.copytree(encoder, repository / "snapshots" / commit)
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / name).write_text(commit)
    model = models.load("tiny-hub")
    assert model.fingerprint == models.fingerprint("tiny-hub") != models.load("tiny-hub@step1").fingerprint
    torch.testing.assert_close(states(model), states(models.load("tiny")))
    assert not (library / "params" / "models.lock").exists()  # no commit was resolved

    hub.pin("someone/tiny@main", commits["step1"])  # from now on main means this commit
    assert models.load("tiny-hub").fingerprint == models.load("tiny-hub@step1").fingerprint != model.fingerprint
    (repository / "snapshots" / commits["step1"] / "model.safetensors").unlink()  # an interrupted download is no copy
    with pytest.raises(packages.SourceError, match="cannot fetch someone/tiny"):
        models.load("tiny-hub")


@pytest.mark.parametrize(
    ("base", "revision", "id"),
    [
        ("someone/tiny", None, "tiny-hub"),
        ("someone/tiny", "main", "tiny-hub"),
        ("someone/tiny", "step1", "tiny-hub@step1"),
        ("tiny-hub", "step1", "tiny-hub@step1"),
        ("tiny", "step1", "tiny"),  # a package has no revisions
        ("someone/unknown", None, "someone/unknown"),
    ],
)
def test_the_base_of_an_adapter_may_be_named_by_its_repository(library, tmp_path, base, revision, id):
    description = {"base_model_name_or_path": base, "revision": revision}
    (tmp_path / "adapter_config.json").write_text(json.dumps(description))
    assert model_files.base_of(tmp_path) == id


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_a_byte_that_changed_in_a_copy_from_the_hub_is_found(library, home, encoder, file):
    repository = home / "hub" / "models--someone--tiny"
    put_in_hub(repository, "a" * 40, encoder)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    models.load("tiny-hub")
    blob = (repository / "snapshots" / ("a" * 40) / file).resolve()
    flip_a_bit(blob)
    with pytest.raises(packages.SourceError, match=rf"tiny-hub is damaged \({file}\): remove .*{blob.name}, then run"):
        models.load("tiny-hub")
    blob.unlink()  # as it says; the rest is fetched again, with a network
    with pytest.raises(packages.SourceError, match="cannot fetch someone/tiny"):
        models.load("tiny-hub")


@pytest.mark.parametrize(("present", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_is_bfloat16_on_a_cpu_with_instructions_for_it(library, monkeypatch, present, expected):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx2": True, "amx_bf16": present})
    assert models.load("tiny", dtype="auto", device="cpu").dtype == expected
    assert models.load("tiny", dtype="float32", device="cpu").dtype == torch.float32


def byte_tokenizer():
    vocabulary = {character: number for number, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(BPE(vocabulary | {"ts": 256, "<end>": 257}, [("t", "s")]))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return tokenizer


def write_gguf(network, path):
    """A llama network as GGUF in float32, as llama.cpp would write it (query and key rows permuted)."""
    config, writer = network.config, gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    vocabulary = sorted(byte_tokenizer().get_vocab().items(), key=lambda item: item[1])
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([1] * 257 + [3])
    writer.add_token_merges(["t s"])
    writer.add_bos_token_id(257)
    writer.add_eos_token_id(257)
    writer.add_add_bos_token(False)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for key, weight in network.state_dict().items():
        if key == "lm_head.weight":
            continue
        for part, heads in (("q_proj", config.num_attention_heads), ("k_proj", config.num_key_value_heads)):
            if part in key:
                weight = weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)
        writer.add_tensor(names.get_name(key, try_suffixes=(".weight",)), weight.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_gguf_is_converted_once_to_the_same_network(project, home, tmp_path, capsys):
    torch.manual_seed(2)
    original = transformers.LlamaForCausalLM(DECODER).eval()
    write_gguf(original, tmp_path / "model.gguf")
    content = (tmp_path / "model.gguf").read_bytes()
    halves = enumerate((content[:5_000], content[5_000:]))
    parts = [make_wheel(home / "wheels", f"part{i}", {"x": part}) for i, part in halves]
    entry = {
        "kind": "decoder",
        "parameters": 1,
        "licence": "MIT",
        "packages": parts,
        "gguf": ["x", "x"],
        "initializer_range": 0.3,
    }
    (project / "params" / "models.yaml").write_text(yaml.safe_dump({"small": entry}))

    model = models.load("small")
    assert "converting small from GGUF" in capsys.readouterr().err
    ids = model.tokenizer("Bits kept: naïve?", return_tensors="pt")["input_ids"]
    assert model.tokenizer.decode(ids[0]) == "Bits kept: naïve?"
    assert ids[0].tolist() == byte_tokenizer().encode("Bits kept: naïve?").ids
    assert (model.longest, model.network.config.initializer_range) == (64, 0.3)
    whole = transformers.AutoModelForCausalLM.from_pretrained(home / "models" / "small")
    with torch.inference_mode():
        torch.testing.assert_close(model.network(ids).last_hidden_state, original.model(ids).last_hidden_state)
        torch.testing.assert_close(whole(ids).logits, original(ids).logits)

    written = (home / "models" / "small" / "model.safetensors").stat().st_mtime_ns
    models.load("small")
    assert (home / "models" / "small" / "model.safetensors").stat().st_mtime_ns == written
    assert "converting" not in capsys.readouterr().err


def test_the_registry_is_sound(checkout, monkeypatch):
    monkeypatch.setenv("BITSKEPT_ROOT", str(checkout))
    entries = registry("models").values()
    assert sum(entry["kind"] == "decoder" for entry in entries) >= 47
    assert all(entry["parameters"] > 1e6 for entry in entries)
    assert all(re.fullmatch("main|[0-9a-f]{40}", entry.get("revision", "main")) for entry in entries)
