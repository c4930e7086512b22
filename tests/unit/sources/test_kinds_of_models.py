"""Kinds of models and tokenizers that a folder can hold: loaded as they are meant, or refused in words."""

import copy
import json
import time

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers, processors
from tokenizers.models import Unigram, WordLevel

from bitskept.instruments.states import encode, stream
from bitskept.sources import models
from bitskept.sources.packages import SourceError

SIZES = {"vocab_size": 16, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
         "max_position_embeddings": 40, "initializer_range": 0.4, "pad_token_id": 1, "bos_token_id": 0,
         "eos_token_id": 2}  # fmt: skip
TEXTS = ["the cat sat.", "it", "The un unlocked cat, the 42!"]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def save(tmp_path, project):
    """save(NETWORK, TOKENIZER, **CHANGES): a folder with both and these changes of config.json."""
    (project / "params" / "models.yaml").write_text("{}")

    def save(network, tokenizer, **changes):
        folder = tmp_path / "model"
        network.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        change(folder, **changes)
        return folder

    return save


def change(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def random_network(name, tokenizer, **options):
    config = getattr(transformers, f"{name}Config")(**SIZES | {"vocab_size": len(tokenizer)} | options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return transformers.AutoModel.from_config(config).eval()


def states(model, texts=TEXTS):
    encoding = encode(model, texts)
    return {
        sentence: batch.states[:, batch.sentences == sentence]
        for batch in stream(model, encoding, range(len(texts)))
        for sentence in batch.sentences.unique().tolist()
    }


def assert_states_are(model, network, texts=TEXTS):
    """The states of a model are those of a network that reads each text by itself."""
    encoding = encode(model, texts)
    for sentence, found in states(model, texts).items():
        with torch.inference_mode():
            output = network(input_ids=torch.from_numpy(encoding.ids[sentence])[None], output_hidden_states=True)
        layers = (*output.hidden_states[:-1], output.last_hidden_state)
        expected = torch.stack(layers)[:, 0, encoding.measured[sentence]]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("changes", [{"return_dict": False}, {"tie_last_hidden_states": False}])
@pytest.mark.parametrize("family", ["bert", "llama"])
def test_what_a_configuration_says_of_outputs_changes_nothing(tiny, save, family, changes):
    network, tokenizer = tiny(family).network, tiny(family).tokenizer
    assert_states_are(models.load(str(save(network, tokenizer, **changes))), network)


@pytest.mark.parametrize("seed", [None, 0])
def test_a_decoder_that_sees_later_tokens_is_an_encoder(tiny, save, seed):
    folder = str(save(tiny("llama").network, tiny("llama").tokenizer, is_causal=False))
    assert models.load(folder, seed=seed).kind == "encoder"
    change(save(tiny("llama").network, tiny("llama").tokenizer))
    assert models.load(folder, seed=seed).kind == "decoder"


def test_the_text_model_within_one_that_reads_images(tiny, save):
    tokenizer = tiny("gemma").tokenizer
    text = SIZES | {"num_key_value_heads": 1, "head_dim": 8, "vocab_size": len(tokenizer) + 1, "sliding_window": 4}
    image = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
             "image_size": 8, "patch_size": 4}  # fmt: skip
    config = transformers.Gemma3Config(text_config=text, vision_config=image, image_token_index=len(tokenizer))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = transformers.AutoModel.from_config(config).eval()
    model = models.load(str(save(network, tokenizer)))
    assert (model.kind, model.layers, model.width, model.longest) == ("decoder", 2, 16, 40)
    assert_states_are(model, network.language_model)


def test_a_model_without_a_limit_of_positions(tiny, save):
    options = {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 24, "vocab_size": len(tiny("bert").tokenizer)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = transformers.XLNetModel(transformers.XLNetConfig(**options, initializer_range=0.4)).eval()
    model = models.load(str(save(network, tiny("bert").tokenizer)))
    assert (model.kind, model.longest) == ("encoder", int(1e30))
    assert_states_are(model, network, [*TEXTS, "the cat " * 60])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("T5", {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2}),
        ("Bart", {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
                  "decoder_attention_heads": 2, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8}),
    ],
)  # fmt: skip
def test_an_encoder_with_a_decoder_is_refused(tiny, save, name, options):
    config = getattr(transformers, f"{name}Config")(vocab_size=24, **options)
    folder = save(transformers.AutoModel.from_config(config), tiny("bert").tokenizer)
    with pytest.raises(SourceError, match="is an encoder and a decoder"):
        models.load(str(folder))


def test_what_reads_no_text_is_refused(tiny, save):
    config = transformers.SwinConfig(
        image_size=8, patch_size=2, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=2
    )
    folder = save(transformers.AutoModel.from_config(config), tiny("bert").tokenizer)
    with pytest.raises(SourceError, match="model_type = swin reads pixel_values, not text"):
        models.load(str(folder))


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize(
    "changes",
    [
        {"model_type": "swin", "depths": [20000]},
        {"model_type": "swin", "depths": [1, [20000]]},
        {"model_type": "bert", "num_hidden_layers": 20000},
        {"model_type": "funnel", "block_sizes": [900, 900, 900, 900, 900, 900, 900, 900, 900, 900, 900]},
        {"model_type": "deepseek_v3", "first_k_dense_replace": 10**12},
    ],
)
def test_numbers_that_would_build_for_ever_are_refused_wherever_they_stand(tiny, save, changes, seed):
    folder = save(tiny("bert").network, tiny("bert").tokenizer)
    (folder / "config.json").write_text(json.dumps(changes))
    start = time.monotonic()
    with pytest.raises(SourceError, match=r"more than any model has|cannot be read"):
        models.load(str(folder), seed=seed)
    assert time.monotonic() - start < 30


def test_weights_that_the_description_does_not_mention_are_not_left_out(tiny, save):
    folder = save(tiny("bert").network, tiny("bert").tokenizer, num_hidden_layers=2)
    with pytest.raises(SourceError, match=r"has 16 weights that the network .* encoder\.layer\.2\."):
        models.load(str(folder))
    change(folder, num_hidden_layers=3)
    weights = load_file(folder / "model.safetensors")
    weights |= {
        "cls.bias": torch.zeros(3),
        "embeddings.position_ids": torch.zeros(1, 3),
        "h.1.attn.bias": torch.ones(1),
    }
    save_file(weights, folder / "model.safetensors", {"format": "pt"})  # of a head, and what is no weight
    assert models.load(str(folder)).layers == 3


def test_codes_of_quantised_weights_are_not_taken_for_weights(tiny, save):
    folder = save(tiny("llama").network, tiny("llama").tokenizer)
    weights = load_file(folder / "model.safetensors")
    name = "layers.0.mlp.up_proj.weight"
    save_file(weights | {name: (weights[name] * 100).to(torch.int8)}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(SourceError, match=f"{name} in .* is stored as I8, and config.json has no quantization_config"):
        models.load(str(folder))


@pytest.mark.parametrize("name", ["Llama", "Mixtral", "XGLM", "OpenAIGPT"])
def test_a_random_copy_has_the_buffers_of_a_trained_model(tiny, save, name):
    options = {"XGLM": {"d_model": 16, "num_layers": 2, "attention_heads": 2, "ffn_dim": 24},
               "OpenAIGPT": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40}}  # fmt: skip
    tokenizer = tiny("llama").tokenizer
    folder = str(
        save(
            random_network(name, tokenizer, **options.get(name, {"num_local_experts": 4, "num_key_value_heads": 1})),
            tokenizer,
        )
    )
    trained, copied = (models.load(folder, dtype="bfloat16", seed=seed).network for seed in (None, 0))
    for (buffer_name, one), (_, other) in zip(trained.named_buffers(), copied.named_buffers(), strict=True):
        assert one.dtype == other.dtype, buffer_name
        assert torch.equal(one, other), buffer_name
    assert {weight.dtype for weight in copied.parameters()} == {torch.bfloat16}
    if name == "Llama":
        assert copied.rotary_emb.inv_freq.dtype == torch.float32


# ---- tokenizers ----


@pytest.mark.parametrize("pad", [None, "[PAD]"])
@pytest.mark.parametrize("seed", [None, 0])
def test_padding_is_a_token_that_the_network_knows(tiny, save, pad, seed):
    backend = Tokenizer.from_str(tiny("llama").tokenizer.backend_tokenizer.to_str())
    plain = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, pad_token=pad)
    rows = len(tiny("llama").tokenizer)
    assert plain.eos_token is None
    assert (plain.pad_token_id or 0) in (0, rows)  # none, or the first that is outside the table
    model = models.load(str(save(tiny("llama").network, plain)), seed=seed)
    assert 0 <= model.tokenizer.pad_token_id < rows
    assert_states_are(model, model.network)
    same = tiny("llama").tokenizer(TEXTS[2])["input_ids"]
    assert encode(model, TEXTS[2:]).ids[0].tolist() == same


def test_a_mask_token_that_the_network_does_not_know_is_none(tiny, save):
    tokenizer = copy.deepcopy(tiny("bert").tokenizer)
    tokenizer.add_special_tokens({"mask_token": "[MASK]"})
    assert tokenizer.mask_token_id == tiny("bert").network.config.vocab_size
    assert models.load(str(save(tiny("bert").network, tokenizer))).tokenizer.mask_token is None


def test_a_token_of_the_tokenizer_alone_is_named_when_a_text_has_it(tiny, save):
    tokenizer = copy.deepcopy(tiny("llama").tokenizer)
    tokenizer.add_tokens("<new>")
    model = models.load(str(save(tiny("llama").network, tokenizer)))
    assert len(encode(model, TEXTS)) == 3
    with pytest.raises(SourceError, match=r"knows a token '<new>', number \d+, and the network has embeddings of"):
        encode(model, ["the <new> cat"])


def word_pieces(tiny):
    return tiny("bert").tokenizer, "[SEP]", "[CLS]"


def bytes_in_pairs(tiny):
    return tiny("gemma").tokenizer, "<end>", "<bos>"


def whole_words(tiny):
    words = ["<s>", "<pad>", "</s>", "<unk>", "A", "B", "it", "s", "<", "/", ">"]
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return framed(tokenizer), "</s>", "<s>"


def unigrams(tiny):
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), ("▁A", -3.0), ("▁B", -3.0)]
    tokenizer = Tokenizer(Unigram(pieces + [(letter, -5.0) for letter in "its<>/unkA"], unk_id=3))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return framed(tokenizer), "</s>", "<s>"


def framed(tokenizer):
    frame = [("<s>", 0), ("</s>", 2)]
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=frame)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )


@pytest.mark.parametrize("kind", [word_pieces, bytes_in_pairs, whole_words, unigrams])
def test_a_special_token_that_is_spelt_in_a_text_is_text(tiny, save, kind):
    tokenizer, special, start = kind(tiny)
    name, options = ("Bert", {}) if kind is word_pieces else ("Llama", {"num_key_value_heads": 1})
    model = models.load(str(save(random_network(name, tokenizer, **options), tokenizer)))
    for spelt in (special, start):
        text = f"A {spelt} B"
        encoded = model.tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True)
        frame = np.array(encoded["special_tokens_mask"]) == 1
        ids, spans = np.array(encoded["input_ids"]), np.array(encoded["offset_mapping"])
        assert model.tokenizer.convert_tokens_to_ids(spelt) not in ids[~frame]
        # What the tokenizer adds stays, and every letter belongs to a token.
        assert ids[frame].tolist() == tokenizer("A B", add_special_tokens=True)["input_ids"][:1] * bool(frame[0]) + (
            tokenizer("A B")["input_ids"][-1:] if frame[-1] else []
        )
        covered = {place for first, last in spans[~frame] for place in range(first, last)}
        assert {place for place, letter in enumerate(text) if letter != " "} <= covered
        [row], [measured] = (getattr(encode(model, [text]), part) for part in ("ids", "measured"))
        assert row[measured].tolist() == ids[~frame].tolist()
    for text in ("A B", "it s A", ""):
        assert model.tokenizer(text)["input_ids"] == tokenizer(text)["input_ids"]  # as before


def test_a_tokenizer_that_panics_is_named(tiny, save):
    tokenizer = copy.deepcopy(tiny("llama").tokenizer)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"^(a+)+$"), "isolated")
    model = models.load(str(save(tiny("llama").network, tokenizer)))
    with pytest.raises(SourceError, match=r"a text with the tokenizer of .*model cannot be read \(PanicException"):
        encode(model, ["a" * 60 + "b"])


def test_the_states_of_opt_350m_have_one_width(tiny, save):
    tokenizer = tiny("llama").tokenizer
    options = {"ffn_dim": 24, "word_embed_proj_dim": 8, "do_layer_norm_before": False}
    network = random_network("OPT", tokenizer, **options)
    model = models.load(str(save(network, tokenizer)))
    assert (model.width, model.embeddings.shape[1]) == (16, 8)
    narrow = network.decoder.project_out
    for sentence, found in states(model).items():
        ids = torch.from_numpy(encode(model, TEXTS).ids[sentence])[None]
        with torch.inference_mode():
            output = network(input_ids=ids, output_hidden_states=True)
            torch.testing.assert_close(found[:-1, :], torch.cat(output.hidden_states[:-1]), rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(narrow(found[-1]), output.last_hidden_state[0], rtol=1e-4, atol=1e-4)


def test_rotary_positions_that_follow_the_longest_text_of_a_batch(tiny, save):
    """A text has the same states alone and beside a longer one."""
    tokenizer = tiny("llama").tokenizer
    factors = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [4.0] * 4, "rope_theta": 10_000.0}
    rope = factors | {"original_max_position_embeddings": 12}  # beyond what the contract reads
    network = random_network("Phi3", tokenizer, original_max_position_embeddings=12, rope_parameters=rope)
    model, long = models.load(str(save(network, tokenizer))), "the cat sat on it, the cat"
    assert not model.masks_padding
    torch.testing.assert_close(states(model, ["the cat", long])[0], states(model, ["the cat"])[0])
