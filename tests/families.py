"""Tiny random models of every family in `params/models.yaml`, in the files that their repositories hold.

A family is what a repository on the hub looks like to the libraries that read it: a `model_type`, a tokenizer of its
kind, and names of weights and settings as they were published, which are sometimes older than today's library. Each
model has 2 layers and a width of 32, and is built in milliseconds.
"""

import functools
import json
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

SENTENCES = (
    "The cat sat on the mat, and it didn't move for 42 minutes.",
    "The senate passed the bill in 1998; the president signed it the next day.",
    "A good model of language keeps what it needs of the words that it has read.",
    "There was nothing in the room but an old chair, a table and the light of a lamp.",
    "He asked whether the film was worth seeing, and she said that it was not bad at all.",
    "Naïve café owners in Zürich paid 3,750 francs for an unlocked piano.",
)
POSITIONS = 128
_BOTH = {"bos": "eos", "eos": "eos"}
STANDARD = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
    "max_position_embeddings": POSITIONS, "initializer_range": 0.3,
}  # fmt: skip
GROUPED = STANDARD | {"num_key_value_heads": 2, "rope_theta": 10_000.0, "rope_scaling": None}
TWO_TYPES = STANDARD | {"type_vocab_size": 2}


@dataclass(frozen=True)
class Family:
    """What the repositories of a family have in common.

    `config` is config.json without what follows from the tokenizer. `names` are changes of the names of weights, as
    pairs (regular expression, replacement), from today's to the published ones. `buffers` are published tensors that
    no network of today has, with `#` for the number of a layer. `table`: the number of embeddings is a multiple of it.
    """

    tokenizer: str
    config: dict
    names: tuple = ()
    buffers: tuple = ()
    table: int = 1
    dtype: str = "float32"
    kind: str = "decoder"


def _decoder(tokenizer, model_type, architecture, config=GROUPED, **others):
    return Family(tokenizer, {"model_type": model_type, "architectures": [architecture]} | config, **others)


def _encoder(tokenizer, model_type, architecture, config, **others):
    return _decoder(tokenizer, model_type, architecture, config, kind="encoder", **others)


_BERT_NAMES = ((r"LayerNorm\.weight", "LayerNorm.gamma"), (r"LayerNorm\.bias", "LayerNorm.beta"))
_BERT_BUFFERS = ("cls.seq_relationship.weight", "cls.seq_relationship.bias", "bert.pooler.dense.weight",
                 "bert.pooler.dense.bias", "bert.embeddings.position_ids")  # fmt: skip
_NEOX_BUFFERS = tuple(f"gpt_neox.layers.#.attention.{name}" for name in ("bias", "masked_bias", "rotary_emb.inv_freq"))
_MODERN = STANDARD | {
    "global_attn_every_n_layers": 2, "local_attention": 16, "global_rope_theta": 160_000.0,
    "local_rope_theta": 10_000.0, "initializer_cutoff_factor": 2.0,
}  # fmt: skip
_GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": POSITIONS, "n_ctx": POSITIONS,
         "initializer_range": 0.3, "model_type": "gpt2"}  # fmt: skip
_OPT = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 48, "init_std": 0.3,
    "max_position_embeddings": POSITIONS, "word_embed_proj_dim": 32, "do_layer_norm_before": True, "prefix": "</s>",
}  # fmt: skip
_GEMMA = GROUPED | {"head_dim": 8, "hidden_activation": "gelu_pytorch_tanh"}
_SLIDING = _GEMMA | {"sliding_window": 16, "query_pre_attn_scalar": 8}
_LLAMA3_ROPE = {
    "rope_theta": 500_000.0,
    "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "rope_type": "llama3",
                     "original_max_position_embeddings": 64},
}  # fmt: skip

FAMILIES = {
    "bert": _encoder("bert", "bert", "BertForMaskedLM", TWO_TYPES, names=_BERT_NAMES, buffers=_BERT_BUFFERS),
    "bert-cased": _encoder("bert-cased", "bert", "BertForMaskedLM", TWO_TYPES, names=_BERT_NAMES,
                           buffers=_BERT_BUFFERS),
    "roberta": _encoder("roberta", "roberta", "RobertaForMaskedLM",
                        STANDARD | {"max_position_embeddings": POSITIONS + 2, "type_vocab_size": 1},
                        buffers=("roberta.embeddings.position_ids",)),
    "deberta-v2": _encoder("deberta-v2", "deberta-v2", "DebertaV2ForMaskedLM", TWO_TYPES | {
        "type_vocab_size": 0, "relative_attention": True, "position_buckets": 32, "norm_rel_ebd": "layer_norm",
        "share_att_key": True, "pos_att_type": "p2c|c2p", "position_biased_input": False, "max_relative_positions": -1,
    }, table=64),
    "mpnet": _encoder("mpnet", "mpnet", "MPNetForMaskedLM",
                      STANDARD | {"max_position_embeddings": POSITIONS + 2, "relative_attention_num_buckets": 32}),
    "modernbert": _encoder("modernbert", "modernbert", "ModernBertForMaskedLM", _MODERN, table=64),
    "modernbert-decoder": _decoder("modernbert", "modernbert-decoder", "ModernBertDecoderForCausalLM", _MODERN,
                                   table=64),
    "gpt2": _decoder("gpt2", "gpt2", "GPT2LMHeadModel", _GPT2, names=((r"^transformer\.", ""),),
                     buffers=("h.#.attn.bias",)),
    "distilgpt2": _decoder("gpt2", "gpt2", "GPT2LMHeadModel", _GPT2,
                           buffers=("transformer.h.#.attn.bias", "transformer.h.#.attn.masked_bias")),
    "gpt_neox": _decoder("gpt_neox", "gpt_neox", "GPTNeoXForCausalLM", STANDARD | {
        "rotary_pct": 0.25, "rotary_emb_base": 10_000, "use_parallel_residual": True, "tie_word_embeddings": False,
    }, buffers=_NEOX_BUFFERS, table=64, dtype="float16"),
    "gpt_neo": _decoder("gpt2", "gpt_neo", "GPTNeoForCausalLM", {
        "hidden_size": 32, "num_layers": 2, "num_heads": 4, "max_position_embeddings": POSITIONS, "window_size": 16,
        "attention_types": [[["global", "local"], 1]], "initializer_range": 0.3, "tokenizer_class": "GPT2Tokenizer",
    }, buffers=("transformer.h.#.attn.attention.bias", "transformer.h.#.attn.attention.masked_bias")),
    "opt": _decoder("opt", "opt", "OPTForCausalLM", _OPT, table=8, dtype="float16"),
    "opt-350m": _decoder("opt", "opt", "OPTForCausalLM",
                         _OPT | {"word_embed_proj_dim": 16, "do_layer_norm_before": False}, table=8),
    "qwen2": _decoder("qwen2", "qwen2", "Qwen2ForCausalLM",
                      GROUPED | {"use_sliding_window": False, "sliding_window": 64, "max_window_layers": 2,
                                 "rope_theta": 1_000_000.0, "tie_word_embeddings": True}, table=64, dtype="bfloat16"),
    "qwen3": _decoder("qwen2", "qwen3", "Qwen3ForCausalLM", GROUPED | {"head_dim": 16, "tie_word_embeddings": True},
                      table=64),
    "llama2": _decoder("llama2", "llama", "LlamaForCausalLM", GROUPED | {"tie_word_embeddings": False},
                       buffers=("model.layers.#.self_attn.rotary_emb.inv_freq",), dtype="float16"),
    "llama3": _decoder("llama3", "llama", "LlamaForCausalLM",
                       GROUPED | _LLAMA3_ROPE | {"head_dim": 8, "tie_word_embeddings": True}, dtype="bfloat16"),
    "smollm": _decoder("smollm", "llama", "LlamaForCausalLM", GROUPED | {"tie_word_embeddings": True}),
    "yi": _decoder("yi", "llama", "LlamaForCausalLM", GROUPED | {"tie_word_embeddings": False}, table=64),
    "mistral": _decoder("llama2", "mistral", "MistralForCausalLM",
                        GROUPED | {"sliding_window": 16, "tie_word_embeddings": False}),
    "mistral-nemo": _decoder("tekken", "mistral", "MistralForCausalLM",
                             GROUPED | {"head_dim": 16, "sliding_window": None, "tie_word_embeddings": False}),
    "gemma": _decoder("gemma", "gemma", "GemmaForCausalLM", _GEMMA | {"num_key_value_heads": 1}),
    "gemma2": _decoder("gemma", "gemma2", "Gemma2ForCausalLM",
                       _SLIDING | {"attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0}),
    "gemma3": _decoder("gemma3", "gemma3_text", "Gemma3ForCausalLM",
                       _SLIDING | {"rope_local_base_freq": 10_000.0, "sliding_window_pattern": 2,
                                   "rope_theta": 1_000_000.0}, table=64, dtype="bfloat16"),
    "phi": _decoder("phi", "phi", "PhiForCausalLM", STANDARD | {
        "partial_rotary_factor": 0.5, "rope_theta": 10_000.0, "rope_scaling": None, "qk_layernorm": False,
        "tie_word_embeddings": False,
    }, table=64),
    "phi3": _decoder("phi3", "phi3", "Phi3ForCausalLM", GROUPED | {
        "original_max_position_embeddings": POSITIONS, "sliding_window": 64, "tie_word_embeddings": False,
        "auto_map": {"AutoConfig": "configuration_phi3.Phi3Config"},
    }, table=64),
    "olmo": _decoder("gpt_neox", "olmo", "OlmoForCausalLM", GROUPED | {"clip_qkv": None, "tie_word_embeddings": True},
                     table=64),
    "olmo2": _decoder("olmo2", "olmo2", "Olmo2ForCausalLM", GROUPED | {"tie_word_embeddings": False}, table=64),
    "falcon": _decoder("falcon", "falcon", "FalconForCausalLM", {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "multi_query": True, "parallel_attn": True,
        "bias": False, "alibi": False, "new_decoder_architecture": False, "initializer_range": 0.3,
        "auto_map": {"AutoConfig": "configuration_falcon.FalconConfig"},
    }),
    "falcon-11b": _decoder("falcon", "falcon", "FalconForCausalLM", {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_kv_heads": 2, "parallel_attn": True,
        "bias": False, "alibi": False, "new_decoder_architecture": True, "num_ln_in_parallel_attn": 1,
        "initializer_range": 0.3, "max_position_embeddings": POSITIONS, "rope_theta": 500_042.0,
        "tie_word_embeddings": False,
    }),
    "stablelm": _decoder("stablelm", "stablelm", "StableLmForCausalLM", STANDARD | {
        "num_key_value_heads": 4, "partial_rotary_factor": 0.25, "rope_theta": 10_000, "use_qkv_bias": True,
        "tie_word_embeddings": False,
    }, table=64),
    "mamba": _decoder("gpt_neox", "mamba", "MambaForCausalLM", {
        "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4, "intermediate_size": 64, "time_step_rank": 2,
        "conv_kernel": 4, "initializer_range": 0.3,
    }, table=64),
}  # fmt: skip

# The families of the registry's ids; the first pattern that fits counts.
_IDS = {
    r"bert-base-cased": "bert-cased", r"minilm|bert": "bert", r"roberta": "roberta", r"deberta": "deberta-v2",
    r"mpnet": "mpnet", r"modernbert|ettin-encoder": "modernbert", r"ettin-decoder": "modernbert-decoder",
    r"distilgpt2": "distilgpt2", r"gpt2": "gpt2", r"pythia|gpt-neox": "gpt_neox", r"gpt-neo-": "gpt_neo",
    r"opt-350m": "opt-350m", r"opt-": "opt", r"qwen3": "qwen3", r"qwen": "qwen2", r"llama2": "llama2",
    r"llama3": "llama3", r"smollm": "smollm", r"yi": "yi", r"mistral-nemo": "mistral-nemo", r"mistral": "mistral",
    r"gemma3": "gemma3", r"gemma2": "gemma2", r"gemma-": "gemma", r"phi-3": "phi3", r"phi-": "phi", r"olmo2": "olmo2",
    r"olmo-": "olmo", r"falcon-11b": "falcon-11b", r"falcon": "falcon", r"stablelm": "stablelm", r"mamba": "mamba",
}  # fmt: skip


def family_of(id):
    """The family of an entry of `params/models.yaml`. LookupError for one that is not known here."""
    for pattern, family in _IDS.items():
        if re.match(pattern, id):
            return family
    raise LookupError(f"which family is {id}? Add it to tests/families.py")


def tiny(family):
    """The configuration of a tiny model, as transformers reads it from the published config.json."""
    from transformers import AutoConfig

    return AutoConfig.for_model(**_config_json(family))


def network(family, seed=0):
    """A random network with its head for masked (encoder) or next (decoder) tokens, in float32.

    Its weights are rounded to the family's published dtype.
    """
    import torch
    import transformers

    auto = (
        transformers.AutoModelForMaskedLM if FAMILIES[family].kind == "encoder" else transformers.AutoModelForCausalLM
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        whole = auto.from_config(tiny(family), dtype=torch.float32).eval()
    for parameter in whole.parameters():
        parameter.data = parameter.data.to(getattr(torch, FAMILIES[family].dtype)).float()
    return whole


def start(family):
    """The token that stands before a text: the one that the tokenizer puts there, or that separated texts in training.

    None for an encoder.
    """
    kind = KINDS[FAMILIES[family].tokenizer]
    if FAMILIES[family].kind == "encoder":
        return None
    if not kind.template.startswith("$A"):
        return kind.template.split()[0]
    return _END if _END in kind.roles.values() else kind.roles.get("bos", kind.roles["eos"])


@functools.cache
def tokenizer(family):
    """The tokenizer of a family, as it is read from the published files."""
    from bitskept.sources.tokenizer_files import read_tokenizer

    with tempfile.TemporaryDirectory() as folder:
        _write(
            Path(folder), _config_json(family) | {"architectures": None}, _tokenizer_files(FAMILIES[family].tokenizer)
        )
        return read_tokenizer(Path(folder))


def save(family, folder, shards=1, seed=0):
    """Write a model folder as the hub has it: config.json, model.safetensors (or shards and their index), tokenizer.

    The weights are rounded to the family's published dtype. The folder's path.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, _config_json(family), _tokenizer_files(FAMILIES[family].tokenizer))
    _save_weights(family, folder, shards, seed)
    return folder


def _write(folder, config, files):
    for name, content in (files | {"config.json": config}).items():
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            text = content if isinstance(content, str) else json.dumps(content, indent=2)
            (folder / name).write_text(text, "utf-8")


def _config_json(family):
    about = FAMILIES[family]
    kind = KINDS[about.tokenizer]
    size, ids = _sizes(about.tokenizer)
    rows = -(-size // about.table) * about.table
    special = {
        f"{role}_token_id": ids[kind.roles.get(role, kind.roles[other])] for role, other in kind.in_config.items()
    }
    return about.config | special | {"vocab_size": rows, "torch_dtype": about.dtype, "transformers_version": "4.38.2"}


def _save_weights(family, folder, shards, seed):
    import torch
    from safetensors.torch import load_file, save_file

    about, whole = FAMILIES[family], network(family, seed)
    with tempfile.TemporaryDirectory() as scratch:
        whole.save_pretrained(scratch)
        weights = load_file(Path(scratch) / "model.safetensors")
    for pattern, replacement in about.names:
        weights = {re.sub(pattern, replacement, name): tensor for name, tensor in weights.items()}
    weights = {name: tensor.to(getattr(torch, about.dtype)) for name, tensor in weights.items()}
    for pattern in about.buffers:
        for layer in range(2 if "#" in pattern else 1):
            weights.setdefault(pattern.replace("#", str(layer)), _old_buffer(pattern))
    names = sorted(weights)
    if shards == 1:
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        return
    index = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        part = {name: weights[name] for name in names[shard::shards]}
        save_file(part, folder / file, {"format": "pt"})
        index |= dict.fromkeys(part, file)
    size = sum(tensor.nbytes for tensor in weights.values())
    content = {"metadata": {"total_size": size}, "weight_map": dict(sorted(index.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(content, indent=2))


def _old_buffer(name):
    """A tensor of the shape that old versions of transformers saved under such a name."""
    import torch

    if name.endswith("position_ids"):
        return torch.arange(POSITIONS)[None]
    if name.endswith("inv_freq"):
        return torch.ones(4)
    if name.endswith("masked_bias"):
        return torch.tensor(-1e9)
    if "attn.bias" in name or "attention.bias" in name:
        return torch.tril(torch.ones(POSITIONS, POSITIONS, dtype=torch.bool))[None, None]
    return torch.zeros(2 if "seq_relationship" in name else 32, *([32] if name.endswith("weight") else []))


# ---- tokenizers ----


@dataclass(frozen=True)
class Kind:
    """A kind of tokenizer: `model` says how it cuts, `roles` name its special tokens, in the order of their ids
    ("default ...": a token that is in the vocabulary and in no settings).

    `template` are the special tokens around a text; `first`: special tokens have the first ids, not the last.
    `in_config`: the roles whose id config.json gives, each with what stands in for it where the kind has no such role.
    `files`: what a repository has of it; `config`: more of tokenizer_config.json.
    """

    model: str
    roles: dict
    template: str = "$A"
    first: bool = True
    in_config: dict = field(default_factory=lambda: _BOTH)
    files: tuple = ("tokenizer.json",)
    config: dict = field(default_factory=dict)


_END = "<|endoftext|>"
_BERT = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
_FAIRSEQ = {"bos": "<s>", "pad": "<pad>", "eos": "</s>", "unk": "<unk>", "mask": "<mask>"}
_SPM = {"unk": "<unk>", "bos": "<s>", "eos": "</s>"}
_GEMMA_ROLES = {"pad": "<pad>", "eos": "<eos>", "bos": "<bos>", "unk": "<unk>", "default mask": "<mask>"}
_BYTE_FILES = ("tokenizer.json", "vocab.json", "merges.txt")
_WORD_FILES = ("tokenizer.json", "vocab.txt")

KINDS = {
    "bert": Kind("wordpiece", _BERT, "[CLS] $A [SEP]", in_config={"pad": "pad"}, files=_WORD_FILES,
                 config={"do_lower_case": True, "model_max_length": POSITIONS}),
    "bert-cased": Kind("wordpiece-cased", _BERT, "[CLS] $A [SEP]", in_config={"pad": "pad"}, files=_WORD_FILES,
                       config={"do_lower_case": False, "model_max_length": POSITIONS}),
    "mpnet": Kind("wordpiece", _FAIRSEQ | {"unk": "[UNK]"}, "<s> $A </s>", in_config=_BOTH | {"pad": "pad"},
                  files=_WORD_FILES, config={"do_lower_case": True, "model_max_length": POSITIONS, "cls_token": "<s>",
                                             "sep_token": "</s>", "tokenizer_class": "MPNetTokenizer"}),
    "roberta": Kind("byte-level", _FAIRSEQ, "<s> $A </s>", in_config=_BOTH | {"pad": "pad"}, files=_BYTE_FILES,
                    config={"model_max_length": POSITIONS}),
    "deberta-v2": Kind("unigram", {"pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "unk": "[UNK]"}, "[CLS] $A [SEP]",
                       in_config={"pad": "pad"}, files=("spm.model",),
                       config={"do_lower_case": False, "vocab_type": "spm"}),
    "modernbert": Kind("byte-level", _BERT, "[CLS] $A [SEP]", first=False,
                       in_config={"pad": "pad", "cls": "cls", "sep": "sep", "bos": "cls", "eos": "sep"},
                       config={"model_max_length": POSITIONS, "tokenizer_class": "PreTrainedTokenizerFast"}),
    "gpt2": Kind("byte-level", {"bos": _END, "eos": _END, "unk": _END}, first=False, files=_BYTE_FILES,
                 config={"model_max_length": POSITIONS}),
    "gpt_neox": Kind("byte-level", {"bos": _END, "eos": _END, "unk": _END, "default pad": "<|padding|>"},
                     config={"tokenizer_class": "GPTNeoXTokenizer", "add_prefix_space": False}),
    "olmo2": Kind("byte-level", {"bos": _END, "eos": _END, "unk": _END, "pad": "<|pad|>"}, first=False,
                  in_config={"eos": "eos", "pad": "pad"}, files=_BYTE_FILES,
                  config={"tokenizer_class": "GPT2Tokenizer"}),
    "stablelm": Kind("byte-level", {"bos": _END, "eos": _END, "unk": _END}, files=_BYTE_FILES,
                     config={"tokenizer_class": "GPT2Tokenizer", "model_max_length": 2048}),
    "opt": Kind("byte-level", {"bos": "</s>", "pad": "<pad>", "eos": "</s>", "unk": "</s>"}, "</s> $A",
                in_config=_BOTH | {"pad": "pad"}, files=("vocab.json", "merges.txt"),
                config={"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True, "add_prefix_space": False}),
    "qwen2": Kind("byte-level", {"pad": _END, "eos": _END}, first=False, files=_BYTE_FILES,
                  config={"tokenizer_class": "Qwen2Tokenizer", "add_prefix_space": False, "model_max_length": 131_072}),
    "smollm": Kind("byte-level-digits", {"bos": _END, "eos": _END, "unk": _END}, files=_BYTE_FILES,
                   config={"tokenizer_class": "GPT2Tokenizer", "model_max_length": 8192}),
    "llama2": Kind("sentencepiece", _SPM, "<s> $A",
                   config={"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "legacy": False}),
    "yi": Kind("sentencepiece", {"unk": "<unk>", "bos": "<|startoftext|>", "eos": _END, "pad": "<unk>"},
               in_config=_BOTH | {"pad": "pad"},
               config={"tokenizer_class": "LlamaTokenizer", "add_bos_token": False, "model_max_length": 4096}),
    "phi3": Kind("sentencepiece", _SPM | {"pad": _END}, in_config=_BOTH | {"pad": "pad"},
                 config={"tokenizer_class": "LlamaTokenizer", "add_bos_token": False, "legacy": False}),
    "llama3": Kind("byte-level", {"bos": "<|begin_of_text|>", "eos": "<|end_of_text|>"}, "<|begin_of_text|> $A",
                   first=False, config={"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 131_072}),
    "tekken": Kind("byte-level", _SPM, "<s> $A", config={"tokenizer_class": "PreTrainedTokenizerFast"}),
    "gemma": Kind("sentencepiece-plain", _GEMMA_ROLES, "<bos> $A", in_config=_BOTH | {"pad": "pad"},
                  config={"tokenizer_class": "GemmaTokenizer", "add_bos_token": True}),
    "gemma3": Kind("sentencepiece-plain", _GEMMA_ROLES, "<bos> $A", in_config=_BOTH | {"pad": "pad"},
                   config={"tokenizer_class": "GemmaTokenizer", "add_bos_token": True}),
    "phi": Kind("byte-level", {"bos": _END, "eos": _END, "unk": _END}, first=False, in_config={}, files=_BYTE_FILES,
                config={"tokenizer_class": "CodeGenTokenizer", "model_max_length": 2048}),
    "falcon": Kind("byte-level", {"eos": _END}, first=False,
                   config={"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 2048}),
}  # fmt: skip


@functools.cache
def _tokenizer_files(name):
    """The files of a tokenizer by name, as a repository has them."""
    kind = KINDS[name]
    settings = {f"{role}_token": token for role, token in kind.roles.items() if " " not in role} | kind.config
    special = {key: value for key, value in settings.items() if key.endswith("_token") and not key.startswith("add_")}
    files = {"tokenizer_config.json": settings, "special_tokens_map.json": special}
    if kind.model == "unigram":
        return {"tokenizer_config.json": kind.config, "spm.model": _sentencepiece_unigram()}
    backend = _trained(name)
    content = json.loads(backend.to_str())
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in content["model"].get("merges", ())]
    vocabulary = content["model"]["vocab"]
    if not kind.first:  # added after the training, so that vocab.json does not hold them in every repository
        vocabulary = {token: id for token, id in vocabulary.items() if token not in kind.roles.values()} | (
            {_END: backend.token_to_id(_END)} if "gpt2" in name else {}
        )
    everything = {
        "tokenizer.json": backend.to_str(),
        "vocab.json": vocabulary,
        "merges.txt": "#version: 0.2\n" + "".join(f"{merge}\n" for merge in merges),
        "vocab.txt": "".join(f"{token}\n" for token in sorted(vocabulary, key=vocabulary.get)),
    }
    return files | {file: everything[file] for file in kind.files}


@functools.cache
def _sizes(name):
    """The number of tokens of a tokenizer, and the ids of its special tokens."""
    kind = KINDS[name]
    if kind.model == "unigram":
        from sentencepiece import SentencePieceProcessor

        pieces = SentencePieceProcessor(model_proto=_tokenizer_files(name)["spm.model"])
        return pieces.get_piece_size() + 1, {token: pieces.piece_to_id(token) for token in kind.roles.values()}
    backend = _trained(name)
    return backend.get_vocab_size(), {token: backend.token_to_id(token) for token in kind.roles.values()}


@functools.cache
def _trained(name):
    """A tokenizer of a kind, trained on a few sentences."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    kind = KINDS[name]
    special = list(dict.fromkeys(kind.roles.values()))
    first = special if kind.first else []
    if kind.model.startswith("wordpiece"):
        backend = Tokenizer(models.WordPiece(unk_token=kind.roles["unk"]))
        backend.normalizer = normalizers.BertNormalizer(lowercase=kind.model == "wordpiece")
        backend.pre_tokenizer, backend.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=first, show_progress=False)
    elif kind.model.startswith("byte-level"):
        backend, byte_level = Tokenizer(models.BPE()), pre_tokenizers.ByteLevel(add_prefix_space=False)
        digits = [pre_tokenizers.Digits(individual_digits=True)] if kind.model.endswith("digits") else []
        backend.pre_tokenizer = pre_tokenizers.Sequence([*digits, byte_level]) if digits else byte_level
        backend.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=first, show_progress=False,
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet())  # fmt: skip
    else:
        backend = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
        start = [] if kind.model == "sentencepiece-plain" else [normalizers.Prepend("▁")]
        backend.normalizer = normalizers.Sequence([*start, normalizers.Replace(" ", "▁")])
        strip = [decoders.Strip(" ", 1, 0)] if start else []
        decoder = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
        backend.decoder = decoders.Sequence(decoder)
        pieces = first + [f"<0x{byte:02X}>" for byte in range(256)]
        trainer = trainers.BpeTrainer(vocab_size=450, special_tokens=pieces, show_progress=False)
    if kind.model.startswith("sentencepiece"):  # no piece goes beyond a word
        backend.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    backend.train_from_iterator(SENTENCES, trainer)
    if kind.model.startswith("sentencepiece"):  # bytes are tokens of the text, not special ones
        content = json.loads(backend.to_str())
        content["pre_tokenizer"] = None
        content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] in special]
        backend = Tokenizer.from_str(json.dumps(content))
    if not kind.first:
        backend.add_special_tokens(special)
    if kind.template != "$A":
        pairs = [(token, backend.token_to_id(token)) for token in special if token in kind.template]
        double = kind.template.replace("$A", "$A:0") + " " + kind.template.replace("$A", "$B:1")
        backend.post_processor = processors.TemplateProcessing(kind.template, double, pairs)
    elif kind.model.startswith("byte-level"):
        backend.post_processor = processors.ByteLevel(trim_offsets=True)
    return backend


@functools.cache
def _sentencepiece_unigram():
    """The bytes of a unigram model, as sentencepiece trains and writes it."""
    import io

    from sentencepiece import SentencePieceTrainer

    out = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_writer=out, model_type="unigram", vocab_size=200,
        hard_vocab_limit=False, pad_id=0, bos_id=1, eos_id=2, unk_id=3, pad_piece="[PAD]", bos_piece="[CLS]",
        eos_piece="[SEP]", unk_piece="[UNK]", minloglevel=2, num_threads=1,
    )  # fmt: skip
    return out.getvalue()
