"""Answers token by token, with what is kept of the prompt, against one forward pass a token over all before it."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
import transformers

from bitskept.instruments.likelihood.answers import log2_probabilities, read_answers, read_prompts
from bitskept.instruments.likelihood.heads import head
from bitskept.sources import models
from bitskept.studies.semantic.continuations import flow

SMALL = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24,
         "initializer_range": 0.4, "max_position_embeddings": 40}  # fmt: skip
DECODERS = {
    "llama": ("LlamaConfig", {"num_key_value_heads": 1}),
    "gemma, start token": ("Gemma3TextConfig", {"num_key_value_heads": 1, "head_dim": 8, "sliding_window": 4}),
    "gpt2": ("GPT2Config", {"n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": 40}),
    "gpt-neox": ("GPTNeoXConfig", {}),
    "opt": ("OPTConfig", {"ffn_dim": 24, "word_embed_proj_dim": 16, "do_layer_norm_before": True}),
    "roberta": ("RobertaConfig", {"is_decoder": True}),
    "mamba2": ("Mamba2Config", {"num_heads": 4, "head_dim": 8, "state_size": 4, "n_groups": 1, "chunk_size": 4}),
    "mamba": ("MambaConfig", {"state_size": 4, "time_step_rank": 2}),
    "jamba": ("JambaConfig", {"num_key_value_heads": 1, "mamba_d_state": 4, "mamba_dt_rank": 2, "attn_layer_period": 2,
                              "attn_layer_offset": 1, "expert_layer_period": 2, "num_experts": 2}),
    "bamba": ("BambaConfig", {"num_key_value_heads": 1, "mamba_d_state": 4, "mamba_n_heads": 4, "mamba_d_head": 8,
                              "mamba_n_groups": 1, "mamba_chunk_size": 4, "attn_layer_indices": [1]}),
    "mixtral": ("MixtralConfig", {"num_key_value_heads": 1, "num_local_experts": 4}),
    "recurrent-gemma, no attention": ("RecurrentGemmaConfig", {"num_hidden_layers": 2, "num_key_value_heads": 1,
                                                               "head_dim": 8, "lru_width": 16, "use_cache": False}),
    "rwkv, keeps nothing": ("RwkvConfig", {"attention_hidden_size": 16}),
    "openai-gpt, keeps nothing": ("OpenAIGPTConfig", {"n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": 40}),
}  # fmt: skip
PROMPTS = ["the cat sat", None, "the the 42, cat: the cat"]
ANSWERS = [" the cat", "!", " 42 the cat sat the", "the"]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def decoder(tiny, tmp_path, project):
    """decoder(FAMILY): a tiny model with its head."""

    def make(family):
        tokenizer = copy.deepcopy(tiny("gemma" if "start" in family else "llama").tokenizer)
        name, options = DECODERS[family]
        known = {"vocab_size": len(tokenizer), "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
        config = getattr(transformers, name)(**SMALL | known | options)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            whole = transformers.AutoModelForCausalLM.from_config(config).eval()
            for weight, values in whole.named_parameters():
                if weight.endswith("bias") and "dt_bias" not in weight:  # which would be 0
                    torch.nn.init.normal_(values)
        (project / "params" / "models.yaml").write_text("{}")
        whole.save_pretrained(tmp_path / "model")
        tokenizer.save_pretrained(tmp_path / "model")
        return dataclasses.replace(models.load(str(tmp_path / "model")), kind="decoder"), whole

    return make


@torch.inference_mode()
def law(whole, ids):
    """log2 of the law of the token after these."""
    return whole(input_ids=torch.tensor([ids])).logits[0, -1].double().log_softmax(-1).numpy() / np.log(2)


def plain(whole, before, answer):
    """log2 p of each token of an answer, one forward pass each."""
    return [law(whole, [*before, *answer[:place]])[token] for place, token in enumerate(answer)]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("family", DECODERS)
def test_answers_cost_what_a_plain_loop_over_tokens_says(decoder, family, side):
    model, whole = decoder(family)
    model.tokenizer.padding_side = side
    answers = read_answers(model, ANSWERS)
    for prompt, ids in zip(PROMPTS, read_prompts(model, PROMPTS), strict=True):
        before = [0] + (model.tokenizer(prompt, add_special_tokens=False)["input_ids"] if prompt else [])
        assert ids.tolist() == before
        for answer, values in zip(ANSWERS, log2_probabilities(model, head(model), ids, answers), strict=True):
            expected = plain(whole, before, model.tokenizer(answer, add_special_tokens=False)["input_ids"])
            np.testing.assert_allclose(values, expected, atol=1e-4)


@pytest.mark.parametrize(
    "family", ["llama", "mamba", "mamba2", "openai-gpt, keeps nothing", "recurrent-gemma, no attention"]
)
def test_divergences_are_those_of_whole_laws(decoder, family, monkeypatch):
    """The mixture's law is the mean over prompts of all that is to come, over the same of what is there."""
    monkeypatch.setattr("bitskept.studies.semantic.continuations.CHUNK", 10)  # of 4 contexts: 2 tokens at a time
    model, whole = decoder(family)
    drawn = np.random.default_rng(0).integers(3, 200, (3, 5))
    table = flow(model, head(model), "the cat", ["it", "42 sat"], drawn)
    read = [ids.tolist() for ids in read_prompts(model, [None, "the cat", "it", "42 sat"])]
    for sample, ids in enumerate(drawn.tolist()):
        for place, token in enumerate(ids):
            laws = 2.0 ** np.array([law(whole, [*one, *ids[:place]]) for one in read])
            past = 2.0 ** np.array([sum(plain(whole, one, ids[:place])) for one in read])
            marginals = {
                "mixture": past[1:] @ laws[1:] / past[1:].sum(),
                "left_out": past[2:] @ laws[2:] / past[2:].sum(),
                "promptless": laws[0],
            }
            rows = table[(table["sample"] == sample) & (table["position"] == place)].set_index("marginal")
            for name, other in marginals.items():
                assert other.sum() == pytest.approx(1)
                ratio = np.log2(laws[1] / other)
                np.testing.assert_allclose(rows.loc[name, "density"], ratio[token], atol=1e-4)
                np.testing.assert_allclose(rows.loc[name, "divergence"], laws[1] @ ratio, atol=1e-4)
