"""Bits of texts against transformers' own loss, and pseudo-likelihoods against one forward pass a masked token."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
import transformers

from bitskept.instruments.likelihood.surprisal import head, surprisals
from bitskept.sources import models

TEXTS = ["the cat sat", "it , 42 the cat !", "the the the cat unlocked it", "The cat"]
SMALL = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24,
         "initializer_range": 0.4, "max_position_embeddings": 34}  # fmt: skip
DECODERS = {
    "llama, tied": ("LlamaConfig", {"num_key_value_heads": 1, "tie_word_embeddings": True}),
    "llama, not tied": ("LlamaConfig", {"num_key_value_heads": 1, "tie_word_embeddings": False}),
    "gemma, start token": ("Gemma3TextConfig", {"num_key_value_heads": 1, "head_dim": 8, "sliding_window": 4,
                                                "final_logit_softcapping": 3.0}),
    "gpt2": ("GPT2Config", {"n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": 34}),
    "gpt-neox": ("GPTNeoXConfig", {"tie_word_embeddings": False}),
    "opt": ("OPTConfig", {"ffn_dim": 24, "word_embed_proj_dim": 12, "do_layer_norm_before": True}),
}  # fmt: skip
ENCODERS = {
    "bert": ("BertConfig", {}),
    "mpnet": ("MPNetConfig", {}),
    "roberta": ("RobertaConfig", {"max_position_embeddings": 40}),
    "modernbert": ("ModernBertConfig", {"global_attn_every_n_layers": 2, "local_attention": 4, "pad_token_id": 1,
                                        "reference_compile": False}),
}  # fmt: skip

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def saved(tmp_path, project):
    """saved(NETWORK, TOKENIZER): the model in a folder with both."""

    def save(network, tokenizer):
        (project / "params" / "models.yaml").write_text("{}")
        network.save_pretrained(tmp_path / "model")
        tokenizer.save_pretrained(tmp_path / "model")
        return models.load(str(tmp_path / "model"))

    return save


def network(kind, name, options, tokenizer):
    known = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "bos_token_id": 0, "eos_token_id": 2}
    config = getattr(transformers, name)(**SMALL | known | options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = kind.from_config(config).eval()
        for name, weight in found.named_parameters():
            if name.endswith("bias"):  # which would be 0
                torch.nn.init.normal_(weight)
    return found


@pytest.mark.parametrize("family", DECODERS)
def test_bits_are_the_loss_of_a_decoder(tiny, saved, family):
    tokenizer = tiny("gemma" if "start" in family else "llama").tokenizer
    whole = network(transformers.AutoModelForCausalLM, *DECODERS[family], tokenizer)
    model = saved(whole, tokenizer)
    assert model.kind == "decoder"
    table = surprisals(model, head(model), TEXTS)
    for text, row in zip(TEXTS, table.itertuples(), strict=True):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.inference_mode():
            loss = whole(input_ids=ids, labels=ids).loss.item()
        assert row.tokens == ids.shape[1] - 1
        assert row.bits == pytest.approx(loss * row.tokens / np.log(2), rel=1e-4)


@pytest.mark.parametrize("family", ENCODERS)
def test_bits_are_the_pseudo_likelihood_of_an_encoder(tiny, saved, family):
    tokenizer = copy.deepcopy(tiny("bert").tokenizer)
    whole = network(transformers.AutoModelForMaskedLM, *ENCODERS[family], tokenizer)
    model = saved(whole, tokenizer)
    assert model.kind == "encoder"
    model.tokenizer.mask_token = tokenizer.mask_token = "[UNK]"
    table = surprisals(model, head(model), TEXTS)
    for text, row in zip(TEXTS, table.itertuples(), strict=True):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        bits = 0.0
        for place in range(1, ids.shape[1] - 1):
            masked = ids.clone()
            masked[0, place] = tokenizer.mask_token_id
            with torch.inference_mode():
                law = whole(input_ids=masked).logits[0, place].log_softmax(-1)
            bits -= law[ids[0, place]].item() / np.log(2)
        assert (row.tokens, row.bytes) == (ids.shape[1] - 2, len(text.encode()))
        assert row.bits == pytest.approx(bits, rel=1e-4)


def test_a_tied_head_is_that_of_the_embeddings_that_a_model_has(tiny, saved):
    """Training may have changed them."""
    tokenizer = tiny("llama").tokenizer
    whole = network(transformers.AutoModelForCausalLM, *DECODERS["llama, tied"], tokenizer)
    model = saved(whole, tokenizer)
    body = copy.deepcopy(model.network)
    with torch.no_grad():
        body.get_input_embeddings().weight.mul_(0.5)
        whole.get_input_embeddings().weight.mul_(0.5)
    changed = dataclasses.replace(model, network=body)
    table = surprisals(changed, head(changed), TEXTS[:1])
    ids = torch.tensor([tokenizer(TEXTS[0])["input_ids"]])
    with torch.inference_mode():
        loss = whole(input_ids=ids, labels=ids).loss.item()
    assert table["bits"].item() == pytest.approx(loss * (ids.shape[1] - 1) / np.log(2), rel=1e-4)
