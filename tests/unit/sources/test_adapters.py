"""Adapters trained as their users train them, on models with a head, and loaded here onto the network without it."""

import json
import shutil
import warnings

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from bitskept.instruments.likelihood.heads import head
from bitskept.instruments.likelihood.surprisal import start_tokens, surprisals
from bitskept.sources import models
from bitskept.sources.packages import SourceError

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated"),  # which peft still asks for
]
COMMON = {"vocab_size": 267, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "initializer_range": 0.4}
SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "max_position_embeddings": 34}
CONFIGS = {
    "llama": transformers.LlamaConfig(**COMMON, **SIZES, intermediate_size=24, tie_word_embeddings=False),
    "tied": transformers.LlamaConfig(**COMMON, **SIZES, intermediate_size=24, tie_word_embeddings=True),
    "gpt2": transformers.GPT2Config(**COMMON, n_embd=16, n_layer=3, n_head=2, n_positions=34),
    "bert": transformers.BertConfig(**COMMON, **SIZES, intermediate_size=24),
    "mixtral": transformers.MixtralConfig(
        **COMMON, **SIZES, intermediate_size=24, num_key_value_heads=2, num_local_experts=4
    ),
}
TARGETS = {"gpt2": ["c_attn", "c_proj"], "bert": ["query", "intermediate.dense"]}
IDS = torch.tensor([[5, 40, 7, 99, 3, 12, 200, 41]])
PROMPTS = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)


@pytest.fixture(scope="module")
def bases(tmp_path_factory, tiny):
    """bases(FAMILY): the folder of a tiny random model with its head."""
    place = tmp_path_factory.mktemp("bases")

    def folder(family):
        if not (place / family).exists():
            kind = transformers.AutoModelForMaskedLM if family == "bert" else transformers.AutoModelForCausalLM
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                kind.from_config(CONFIGS[family]).save_pretrained(place / family)
            tiny("llama").tokenizer.save_pretrained(place / family)
        return place / family

    return folder


@pytest.fixture(autouse=True)
def registry(project):
    (project / "params" / "models.yaml").write_text("{}")


def whole_model(folder):
    kind = transformers.AutoModelForMaskedLM if folder.name == "bert" else transformers.AutoModelForCausalLM
    return kind.from_pretrained(folder)


def lora(family="llama", **options):
    targets = TARGETS.get(family, ["q_proj", "down_proj"])
    return peft.LoraConfig(**{"r": 2, "target_modules": targets, "fan_in_fan_out": family == "gpt2"} | options)


def adapt(base, config, folder, seed=1):
    """An adapter of random weights on a model with its head; that model, and its states of IDS."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        model = peft.get_peft_model(whole_model(base), config).eval()
        for name, weight in model.named_parameters():
            if weight.requires_grad or "modules_to_save" in name:
                weight.data += 0.2 * torch.randn_like(weight)
        model.save_pretrained(folder)
    with torch.inference_mode():
        return model, model(IDS, output_hidden_states=True).hidden_states


def adapt_network(base, targets, folder, seed=0):
    """An adapter of random weights on the network without a head, as our own training makes them; its states of IDS."""
    torch.manual_seed(seed)
    config = lora(base.name, target_modules=targets, init_lora_weights=False, base_model_name_or_path=str(base))
    network = peft.get_peft_model(transformers.AutoModel.from_pretrained(base), config).eval()
    network.save_pretrained(folder)
    with torch.inference_mode():
        return network(IDS, output_hidden_states=True).hidden_states


def ours(folder, **options):
    model = models.load(str(folder), **options)
    with torch.inference_mode():
        return model, model.network(IDS, output_hidden_states=True).hidden_states


def edit(folder, change):
    path = folder / "adapter_model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def edit_description(folder, **values):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


# ---- what works ----


@pytest.mark.parametrize("family", ["llama", "tied", "gpt2", "bert", "mixtral"])
@pytest.mark.parametrize("task", [None, "its own"])
def test_an_adapter_trained_on_a_model_with_a_head_gives_the_states_of_that_model(bases, tmp_path, family, task):
    task = task and ("FEATURE_EXTRACTION" if family == "bert" else "CAUSAL_LM")
    _, expected = adapt(bases(family), lora(family, task_type=task), tmp_path / "adapter")
    _, plain = ours(bases(family))
    model, states = ours(tmp_path / "adapter")
    torch.testing.assert_close(states, expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(states[-1], plain[-1], atol=0.1)
    assert model.fingerprint != models.fingerprint(str(bases(family)))


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_an_adapter_that_the_trainer_of_transformers_made(bases, tmp_path, family):
    torch.manual_seed(0)
    model = peft.get_peft_model(
        whole_model(bases(family)), lora(family, task_type=None if family == "bert" else "CAUSAL_LM")
    )
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path / "run"), max_steps=3, learning_rate=0.05, use_cpu=True, report_to=[],
        disable_tqdm=True, save_strategy="no",
    )  # fmt: skip
    rows = [{"input_ids": row, "labels": row} for row in torch.randint(3, 260, (8, 10))]
    trainer = transformers.Trainer(model=model, args=arguments, train_dataset=rows)
    trainer.train()
    trainer.save_model(str(tmp_path / "adapter"))
    with torch.inference_mode():
        expected = model.eval()(input_ids=IDS, output_hidden_states=True).hidden_states
    torch.testing.assert_close(ours(tmp_path / "adapter")[1], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_an_adapter_trained_on_the_network_alone(bases, tmp_path, family):
    expected = adapt_network(bases(family), TARGETS.get(family, ["q_proj", "down_proj"]), tmp_path / "adapter")
    torch.testing.assert_close(ours(tmp_path / "adapter")[1], expected, rtol=1e-5, atol=1e-5)


def test_what_an_adapter_says_of_a_pooler_does_not_matter(bases, tmp_path):
    expected = adapt_network(bases("bert"), ["query", "pooler.dense"], tmp_path / "adapter")
    assert any("pooler" in key for key in load_file(tmp_path / "adapter" / "adapter_model.safetensors"))
    torch.testing.assert_close(ours(tmp_path / "adapter")[1], expected, rtol=1e-5, atol=1e-5)


OTHERS = {
    "ranks and scales by pattern": lora(rank_pattern={"layers.1.self_attn.q_proj": 3}, alpha_pattern={"q_proj": 7}),
    "all linear maps": lora(target_modules="all-linear"),
    "a pattern over whole names": lora(target_modules=r"model\.layers\.[01]\.self_attn\.(q|v)_proj"),
    "some layers": lora(layers_to_transform=[1]),
    "experts left out": lora(exclude_modules=["lm_head"], target_modules="all-linear"),
    "DoRA": lora(use_dora=True),
    "rsLoRA": lora(use_rslora=True),
    "embeddings": lora(modules_to_save=["embed_tokens"]),
    "LoRA of the embeddings": lora(target_modules=["q_proj", "embed_tokens"]),
    "a norm": lora(modules_to_save=["norm"]),
    "IA3": peft.IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]),
    "biases": lora(bias="all"),
    "VeRA": peft.VeraConfig(r=2, target_modules=["q_proj"]),
    "LoHa": peft.LoHaConfig(r=2, target_modules=["q_proj"]),
    "AdaLoRA": peft.AdaLoraConfig(init_r=3, target_r=2, total_step=9, target_modules=["q_proj"]),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_kinds_of_adapter(bases, tmp_path, kind):
    _, expected = adapt(bases("llama"), OTHERS[kind], tmp_path / "adapter")
    _, plain = ours(bases("llama"))
    _, states = ours(tmp_path / "adapter")
    torch.testing.assert_close(states, expected, rtol=1e-5, atol=5e-5)  # many small products are added to a weight
    assert not torch.allclose(states[-1], plain[-1], atol=0.01)


@pytest.mark.parametrize("family", ["llama", "tied"])
def test_the_bits_of_an_adapted_model_are_those_of_the_model_that_was_trained(bases, tmp_path, family):
    trained, _ = adapt(bases(family), lora(task_type="CAUSAL_LM"), tmp_path / "adapter")
    model = models.load(str(tmp_path / "adapter"))
    bits = surprisals(model, head(model), ["the cat sat"])["bits"][0]
    ids = torch.tensor([start_tokens(model) + model.tokenizer("the cat sat", add_special_tokens=False)["input_ids"]])
    with torch.inference_mode():
        loss = trained(input_ids=ids, labels=ids).loss.double()
    assert bits == pytest.approx((loss * (ids.shape[1] - 1)).item() / torch.log(torch.tensor(2.0)).item(), rel=1e-5)


@pytest.mark.parametrize("with_head", [True, False])
def test_an_adapter_of_an_adapted_model(bases, tmp_path, with_head):
    for seed, name, target in ((1, "first", "q_proj"), (2, "second", "v_proj")):
        if with_head:
            adapt(bases("llama"), lora(target_modules=[target]), tmp_path / name, seed)
        else:
            adapt_network(bases("llama"), [target], tmp_path / name, seed)
    edit_description(tmp_path / "second", base_model_name_or_path=str(tmp_path / "first"))
    kind = transformers.AutoModelForCausalLM if with_head else transformers.AutoModel
    model = kind.from_pretrained(bases("llama"))
    for name in ("first", "second"):
        model = peft.PeftModel.from_pretrained(model, tmp_path / name).merge_and_unload()
    with torch.inference_mode():
        expected = model(IDS, output_hidden_states=True).hidden_states
    torch.testing.assert_close(ours(tmp_path / "second")[1], expected, rtol=1e-5, atol=1e-5)


def test_buffers_keep_their_precision_in_bfloat16(bases, tmp_path):
    adapt(bases("llama"), lora(), tmp_path / "adapter")
    half = models.load(str(tmp_path / "adapter"), dtype="bfloat16").network
    assert {weight.dtype for weight in half.parameters()} == {torch.bfloat16}
    plain = models.load(str(bases("llama")), dtype="bfloat16").network
    assert torch.equal(half.rotary_emb.inv_freq, plain.rotary_emb.inv_freq)
    assert half.rotary_emb.inv_freq.dtype == torch.float32


# ---- what is refused ----


def refused(folder, match):
    with pytest.raises(SourceError, match=match) as error:
        models.load(str(folder))
    assert str(folder) in str(error.value)


def test_half_of_the_weights_missing(bases, tmp_path):
    adapt(bases("llama"), lora(), tmp_path / "adapter")
    edit(tmp_path / "adapter", lambda weights: {key: weights[key] for key in weights if "lora_A" in key})
    refused(tmp_path / "adapter", r"lacks 6 tensors that .*llama, \S*layers\.0\.\S*lora_B\.weight among them")
    adapt(bases("llama"), lora(), tmp_path / "layer")
    edit(tmp_path / "layer", lambda weights: {key: weights[key] for key in weights if "layers.1." not in key})
    refused(tmp_path / "layer", r"lacks 4 tensors that .*, \S*layers\.1\.")


def test_a_promised_whole_module_that_is_missing(bases, tmp_path):
    adapt(bases("llama"), lora(modules_to_save=["norm"]), tmp_path / "adapter")
    edit(tmp_path / "adapter", lambda weights: {key: weights[key] for key in weights if "lora" in key})
    refused(tmp_path / "adapter", r"lacks 7 tensors that .*, \S*norm\.weight")


def test_a_tensor_that_fits_nothing(bases, tmp_path):
    for name, key in (
        ("extra", "base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight"),
        ("unknown", "unrelated"),
        ("layer", "base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight"),
    ):
        adapt(bases("llama"), lora(), tmp_path / name)
        edit(tmp_path / name, lambda weights, key=key: weights | {key: torch.ones(2, 16)})
        refused(tmp_path / name, rf"has 1 tensors that fit no part of .*llama, {key} among them")
    adapt(bases("llama"), lora(), tmp_path / "one")
    edit(tmp_path / "one", lambda _: {"unrelated": torch.ones(2)})
    refused(tmp_path / "one", "lacks 12 tensors")


def test_a_tensor_of_another_shape(bases, tmp_path):
    adapt(bases("llama"), lora(), tmp_path / "adapter")
    edit_description(tmp_path / "adapter", r=4)
    refused(tmp_path / "adapter", r"does not fit .*llama \(.*size mismatch for .*lora_A")


@pytest.mark.parametrize("other", ["gpt2", "bert", "mixtral"])
def test_another_base_than_that_of_training(bases, tmp_path, other):
    adapt(bases("llama"), lora(), tmp_path / "adapter")
    edit_description(tmp_path / "adapter", base_model_name_or_path=str(bases(other)))
    refused(tmp_path / "adapter", "base_model_name_or_path")


def test_an_adapter_that_changes_nothing(bases, tmp_path):
    peft.get_peft_model(whole_model(bases("llama")), lora()).save_pretrained(tmp_path / "adapter")
    refused(tmp_path / "adapter", "changes no state of .*llama: train it")


@pytest.mark.parametrize("option", ["modules_to_save", "target_modules"])
def test_an_adapter_of_the_head(bases, tmp_path, option):
    config = lora(**{option: ["lm_head"] if option == "modules_to_save" else ["q_proj", "lm_head"]})
    adapt(bases("llama"), config, tmp_path / "adapter")
    refused(tmp_path / "adapter", r"lm_head\.\S*weight among them: .*leaves the head as it is")


@pytest.mark.parametrize("option", ["modules_to_save", "target_modules"])
def test_embeddings_that_are_the_head_as_well(bases, tmp_path, option):
    config = lora(**{option: ["embed_tokens"] if option == "modules_to_save" else ["q_proj", "embed_tokens"]})
    adapt(bases("tied"), config, tmp_path / "adapter")
    refused(tmp_path / "adapter", "changes the input embeddings of .*tied, which are its head as well")


@pytest.mark.filterwarnings("ignore:`lora_bias=True` was passed")
def test_kinds_of_adapter_that_cannot_be_merged(bases, tmp_path):
    adapt(bases("llama"), PROMPTS, tmp_path / "prompts")
    refused(tmp_path / "prompts", r"\(PROMPT_TUNING\) depends on tokens that are not in a text")
    adapt(bases("llama"), lora(task_type="CAUSAL_LM"), tmp_path / "activated")
    edit_description(tmp_path / "activated", alora_invocation_tokens=[5, 40])
    refused(tmp_path / "activated", r"\(LORA\) depends on tokens that are not in a text")
    adapt(bases("llama"), lora(lora_bias=True), tmp_path / "bias")
    refused(tmp_path / "bias", r"\(LORA\) cannot be merged \(Impossible to merge")
    adapt(bases("llama"), lora(layer_replication=[(0, 2), (1, 3)]), tmp_path / "layers")
    refused(tmp_path / "layers", r"\(LORA\) gives other states once it is merged")


def test_a_setting_that_the_library_ignores(bases, tmp_path):
    adapt(bases("llama"), lora(), tmp_path / "adapter")
    edit_description(tmp_path / "adapter", rank_pattern={"no_such_map": 3})
    refused(tmp_path / "adapter", r"rank_pattern keys did not match any targeted module")
    adapt(bases("llama"), lora(), tmp_path / "newer")
    edit_description(tmp_path / "newer", use_a_later_invention=True)
    refused(tmp_path / "newer", "use_a_later_invention")


def test_a_model_and_an_adapter_in_one_folder(bases, tmp_path):
    adapt(bases("llama"), lora(), tmp_path / "adapter")
    shutil.copytree(bases("llama"), tmp_path / "adapter", dirs_exist_ok=True)
    refused(tmp_path / "adapter", "holds a model and an adapter")
