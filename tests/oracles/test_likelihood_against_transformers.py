"""Bits of texts against transformers' own loss, and pseudo-likelihoods against one forward pass a masked token."""

import copy
import dataclasses

import families
import numpy as np
import pytest
import torch
import transformers

from bitskept.instruments.likelihood.heads import head
from bitskept.instruments.likelihood.surprisal import surprisals
from bitskept.sources import models

TEXTS = ["the cat sat", "it, 42 the cat!", "The cat unlocked it for an old café"]
DECODERS = [name for name, family in families.FAMILIES.items() if family.kind == "decoder"]
ENCODERS = [name for name, family in families.FAMILIES.items() if family.kind == "encoder"]

# Families that no entry of the registry has, each because its head or its network asks for something of its own.
SMALL = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    "intermediate_size": 48, "initializer_range": 0.3, "max_position_embeddings": 64, "sliding_window": 8,
}  # fmt: skip
EXPERTS = {"num_local_experts": 4, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
LATENT = {"n_routed_experts": 4, "n_group": 1, "topk_group": 1, "q_lora_rank": 16, "kv_lora_rank": 16,
          "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8, "num_key_value_heads": 4,
          "first_k_dense_replace": 1}  # fmt: skip
STATES = {"mamba_d_state": 8, "mamba_dt_rank": 8, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_n_groups": 1,
          "mamba_chunk_size": 4}  # fmt: skip
LINEAR = {"linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
          "layer_types": ["linear_attention", "full_attention"], "shared_expert_intermediate_size": 24}  # fmt: skip
OTHER_DECODERS = {
    "mixtral": EXPERTS, "olmoe": EXPERTS, "qwen2_moe": EXPERTS, "qwen3_moe": EXPERTS, "granitemoe": EXPERTS,
    "gpt_oss": EXPERTS, "deepseek_v3": EXPERTS | LATENT, "qwen3_next": EXPERTS | LINEAR,
    "jamba": EXPERTS | STATES | {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2},
    "rwkv": {"attention_hidden_size": 32}, "falcon_h1": STATES | {"mamba_d_ssm": 64, "lm_head_multiplier": 0.3},
    "mamba2": {"num_heads": 8, "head_dim": 8, "state_size": 4, "n_groups": 1, "chunk_size": 4},
    "cohere": {"logit_scale": 0.3}, "granite": {"logits_scaling": 3.0}, "bert": {"is_decoder": True},
    "gptj": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "rotary_dim": 4},
    "ctrl": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "dff": 48},
}  # fmt: skip
OTHER_ENCODERS = {
    "longformer": {"attention_window": 8}, "deberta": {}, "deberta-v2": {"legacy": False}, "eurobert": {},
    "albert": {"embedding_size": 16}, "electra": {"embedding_size": 16}, "luke": {"entity_vocab_size": 5},
    "rembert": {"input_embedding_size": 16, "output_embedding_size": 24},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48},
    "xlm": {"emb_dim": 32, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 64},
}  # fmt: skip

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def saved(tmp_path, project):
    """saved(NETWORK, TOKENIZER): a model of a folder with both."""

    def save(network, tokenizer):
        (project / "params" / "models.yaml").write_text("{}")
        network.save_pretrained(tmp_path / "model")
        tokenizer.save_pretrained(tmp_path / "model")
        return models.load(str(tmp_path / "model"))

    return save


def of_registry(name, folder, project):
    """The model of a family as its repository has it, and its network with its head."""
    (project / "params" / "models.yaml").write_text("{}")
    model = models.load(str(families.save(name, folder / "model")))
    assert model.kind == families.FAMILIES[name].kind
    return model, families.network(name)


def random(kind, model_type, tokenizer, **options):
    known = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "bos_token_id": 0, "eos_token_id": 2}
    defaults = transformers.AutoConfig.for_model(model_type).to_dict()
    small = {name: value for name, value in SMALL.items() if name in defaults}
    config = transformers.AutoConfig.for_model(model_type, **small | known | options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = kind.from_config(config).eval()
        for weight in found.parameters():
            if not weight.any():  # such as a bias
                torch.nn.init.normal_(weight, std=0.3)
    return found


def assert_bits_are_the_loss(model, whole, start):
    """The loss of texts after the tokens `start`, by transformers."""
    table = surprisals(model, head(model), TEXTS)
    for text, row in zip(TEXTS, table.itertuples(), strict=True):
        ids = torch.tensor([[*start, *model.tokenizer(text, add_special_tokens=False)["input_ids"]]])
        with torch.inference_mode():
            loss = whole(input_ids=ids, labels=ids, return_dict=True).loss.item()
        assert (row.tokens, row.bytes) == (ids.shape[1] - 1, len(text.encode()))
        assert row.bits == pytest.approx(loss * row.tokens / np.log(2), rel=1e-4)


def assert_bits_are_the_pseudo_likelihood(model, whole):
    table = surprisals(model, head(model), TEXTS)
    for text, row in zip(TEXTS, table.itertuples(), strict=True):
        ids = torch.tensor([model.tokenizer(text)["input_ids"]])
        bits = 0.0
        for place in range(1, ids.shape[1] - 1):
            masked = ids.clone()
            masked[0, place] = model.tokenizer.mask_token_id
            with torch.inference_mode():
                law = whole(input_ids=masked, return_dict=True).logits[0, place].log_softmax(-1)
            bits -= law[ids[0, place]].item() / np.log(2)
        assert (row.tokens, row.bytes) == (ids.shape[1] - 2, len(text.encode()))
        assert row.bits == pytest.approx(bits, rel=1e-4)


@pytest.mark.parametrize("name", DECODERS)
def test_bits_are_the_loss_of_every_decoder_of_the_registry(tmp_path, project, name):
    model, whole = of_registry(name, tmp_path, project)
    front = families.KINDS[families.FAMILIES[name].tokenizer].template.split(" ")[0]
    start = "<|endoftext|>" if front == "$A" else front
    assert_bits_are_the_loss(model, whole, [model.tokenizer.convert_tokens_to_ids(start)])


@pytest.mark.parametrize("name", ENCODERS)
def test_bits_are_the_pseudo_likelihood_of_every_encoder_of_the_registry(tmp_path, project, name):
    assert_bits_are_the_pseudo_likelihood(*of_registry(name, tmp_path, project))


@pytest.mark.parametrize("name", OTHER_DECODERS)
def test_bits_are_the_loss_of_a_decoder(tiny, saved, name):
    tokenizer = tiny("llama").tokenizer
    whole = random(transformers.AutoModelForCausalLM, name, tokenizer, **OTHER_DECODERS[name])
    model = dataclasses.replace(saved(whole, tokenizer), kind="decoder")
    assert_bits_are_the_loss(model, whole, [0])


@pytest.mark.parametrize("name", OTHER_ENCODERS)
def test_bits_are_the_pseudo_likelihood_of_an_encoder(tiny, saved, name):
    tokenizer = copy.deepcopy(tiny("bert").tokenizer)
    tokenizer.mask_token = "[UNK]"
    whole = random(transformers.AutoModelForMaskedLM, name, tokenizer, **OTHER_ENCODERS[name])
    assert_bits_are_the_pseudo_likelihood(saved(whole, tokenizer), whole)


@pytest.mark.parametrize("options", [{"return_dict": False}, {"tie_last_hidden_states": False}])
def test_bits_do_not_depend_on_what_a_configuration_asks_transformers_to_return(tiny, saved, options):
    tokenizer = tiny("llama").tokenizer
    whole = random(transformers.AutoModelForCausalLM, "llama", tokenizer, **options)
    model = saved(whole, tokenizer)
    whole.config.return_dict = True
    assert_bits_are_the_loss(model, whole, [0])


def test_a_tied_head_is_that_of_the_embeddings_that_a_model_has(tiny, saved):
    """Training may have changed them."""
    tokenizer = tiny("llama").tokenizer
    whole = random(transformers.AutoModelForCausalLM, "llama", tokenizer, tie_word_embeddings=True)
    model = saved(whole, tokenizer)
    body = copy.deepcopy(model.network)
    with torch.no_grad():
        body.get_input_embeddings().weight.mul_(0.5)
        whole.get_input_embeddings().weight.mul_(0.5)
    assert_bits_are_the_loss(dataclasses.replace(model, network=body), whole, [0])
