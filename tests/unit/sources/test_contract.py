"""Each assumption of the instruments, broken by a model that keeps the others."""

import copy
from dataclasses import replace

import pytest
import torch
import transformers
import yaml

from bitskept.instruments.states import encode, stream
from bitskept.sources.contract import checked
from bitskept.sources.packages import SourceError

SIZES = {"vocab_size": 16, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
         "max_position_embeddings": 40, "initializer_range": 0.4, "pad_token_id": 1, "bos_token_id": 0,
         "eos_token_id": 2}  # fmt: skip
TEXTS = ["the cat sat.", "it", "The un unlocked cat, the 42!", "the cat the cat the cat"]

pytestmark = pytest.mark.usefixtures("one_thread", "project")


@pytest.fixture(autouse=True)
def empty_registry(project):
    (project / "params" / "models.yaml").write_text("{}")


def built(model, name, seed=0, **options):
    """A model of another family with the tokenizer of the given one; its kind is not known yet."""
    config = getattr(transformers, f"{name}Config")(**SIZES | {"vocab_size": len(model.tokenizer)} | options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = transformers.AutoModel.from_config(config).eval()
    return replace(model, id=name, kind="decoder", network=network)


class Altered(torch.nn.Module):
    """A network whose output is altered by a function of its hidden states."""

    def __init__(self, network, alter):
        super().__init__()
        self.network, self.alter, self.config = network, alter, network.config

    def get_input_embeddings(self):
        return self.network.get_input_embeddings()

    def forward(self, **options):
        output = self.network(**options)
        output.hidden_states = self.alter(output.hidden_states)
        return output


@pytest.mark.parametrize("family", ["bert", "mpnet", "llama", "gemma"])
def test_a_sound_model_passes_and_keeps_its_facts(tiny, family):
    model = checked(tiny(family))
    assert (model.kind, model.masks_padding) == (tiny(family).kind, True)
    assert model.network is tiny(family).network


@pytest.mark.parametrize(
    ("alter", "message"),
    [
        (lambda states: (*states, states[-1]), "gives 5 layers of states for 3 blocks"),
        (lambda states: states[1:], "gives 3 layers of states for 3 blocks"),
        (lambda states: (states[0], states[1][..., :8], *states[2:]), r"shape \(1, 10, 8\).* must be 16 wide"),
        (lambda states: (states[0], states[1][:, ::2], *states[2:]), r"shape \(1, 5, 16\) .*of 10 tokens"),
        (lambda states: (states[0], states[1] / 0, *states[2:]), "at layer 1 are not finite in float32"),
        (lambda states: (states[1], states[1], *states[2:]), "first states not those that enter the first block"),
    ],
)
@pytest.mark.parametrize("family", ["bert", "llama"])
def test_states_that_are_not_one_for_each_token_and_layer(tiny, family, alter, message):
    with pytest.raises(SourceError, match=message):
        checked(replace(tiny(family), network=Altered(tiny(family).network, alter)))


def test_the_kind_is_what_attention_does(tiny):
    seeing = copy.deepcopy(tiny("llama"))
    seeing.network.config.is_causal = False
    for part in seeing.network.modules():
        if hasattr(part, "is_causal"):
            part.is_causal = False
    assert checked(seeing).kind == "encoder"
    blind = built(tiny("bert"), "Bert", is_decoder=True)
    assert checked(replace(blind, kind="encoder")).kind == "decoder"


def test_a_registered_model_of_another_kind_is_refused(tiny, project):
    entry = {"kind": "decoder", "parameters": 1, "licence": "MIT", "hub": "someone/bert", "revision": "main"}
    (project / "params" / "models.yaml").write_text(yaml.safe_dump({"bert": entry}))
    with pytest.raises(SourceError, match=r"bert is a decoder by params/models.yaml, .*as in an encoder"):
        checked(replace(tiny("bert"), kind="decoder"))


def test_a_network_that_reads_every_token_by_itself_is_refused(tiny):
    model = copy.deepcopy(tiny("llama"))
    for block in model.network.layers:
        torch.nn.init.zeros_(block.self_attn.o_proj.weight)
    with pytest.raises(SourceError, match="reads every token by itself"):
        checked(model)


ENCODERS = {
    "FNet": {"tpu_short_seq_length": 40, "use_tpu_fourier_optimizations": False},
    "ConvBert": {"embedding_size": 16, "head_ratio": 2},
    "Nystromformer": {},
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ENCODERS)
def test_without_a_mask_for_padding_texts_of_one_length_share_a_batch(tiny, name, seed):
    model = checked(built(tiny("bert"), name, seed, **ENCODERS[name]))
    assert (model.kind, model.masks_padding) == ("encoder", False)
    encoding = encode(model, [*TEXTS, TEXTS[0]])
    batches = list(stream(model, encoding, range(5)))
    assert len(batches) == 4  # the two equal texts share one
    for batch in batches:
        for sentence in batch.sentences.unique().tolist():
            ids = torch.from_numpy(encoding.ids[sentence])[None]
            with torch.inference_mode():
                whole = model.network(input_ids=ids, output_hidden_states=True).hidden_states
            expected = torch.stack(whole)[:, 0, encoding.measured[sentence]]
            torch.testing.assert_close(batch.states[:, batch.sentences == sentence], expected, rtol=1e-4, atol=1e-4)


TABLES = {
    "Bert": ({}, 40), "MPNet": ({}, 38), "XLMRoberta": ({}, 38), "Camembert": ({}, 38), "Data2VecText": ({}, 38),
    "RobertaPreLayerNorm": ({}, 38), "Esm": ({"position_embedding_type": "absolute"}, 38),
    "Longformer": ({"attention_window": 4}, 38), "Albert": ({"embedding_size": 8}, 40), "OPT": ({"ffn_dim": 24}, 40),
    "GPT2": ({"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40}, 40), "Llama": ({}, 40),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_the_longest_text_is_as_long_as_the_table_of_positions(tiny, name):
    options, longest = TABLES[name]
    base = tiny("llama" if name in ("OPT", "GPT2", "Llama") else "bert")
    assert base.tokenizer.model_max_length > 1e29  # it does not say
    model = checked(built(base, name, **{"word_embed_proj_dim": 16} | options if name == "OPT" else options))
    assert model.longest == longest
    ids = torch.arange(longest)[None] % 8 + 4
    with torch.inference_mode():
        assert model.network(input_ids=ids, attention_mask=torch.ones_like(ids))[0].isfinite().all()
        if name not in ("Llama", "Longformer"):
            more = torch.cat([ids, ids[:, :1]], 1)
            with pytest.raises((IndexError, RuntimeError)):
                model.network(input_ids=more, attention_mask=torch.ones_like(more))


def test_positions_that_leave_the_table_are_refused(tiny):
    model = copy.deepcopy(tiny("bert"))
    table = model.network.embeddings.position_embeddings
    table.register_forward_pre_hook(lambda part, inputs: (inputs[0] + 2,))
    with pytest.raises(SourceError, match=r"a text of 34 tokens, the longest by its files.* row 35 of a table of 34"):
        checked(model)


def test_the_pass_over_the_longest_text_stops_before_the_first_block(tiny):
    lengths = []
    model = copy.deepcopy(tiny("bert"))
    for block in model.network.encoder.layer:
        block.attention.register_forward_pre_hook(lambda part, inputs: lengths.append(inputs[0].shape[1]))
    checked(model)
    assert lengths
    assert max(lengths) == 10
    assert not any(part._forward_pre_hooks for part in model.network.encoder.layer)  # nothing is left behind


@pytest.mark.parametrize(("scale", "dtype"), [(0.02, torch.float32), (0.4, torch.float32), (0.02, torch.bfloat16)])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", ["Bert", "Roberta", "Llama", "Gemma2", "Mixtral", "Mamba", "Falcon", "Bloom"])
def test_random_copies_of_any_scale_and_dtype_pass(tiny, name, dtype, seed, scale):
    encoder = name in ("Bert", "Roberta")
    options = {"state_size": 4} if name == "Mamba" else {"n_layer": 2, "n_head": 2} if name == "Bloom" else {}
    if name in ("Llama", "Gemma2", "Mixtral"):
        options = {"num_key_value_heads": 1, "head_dim": 8, "num_local_experts": 4}
    model = built(tiny("bert" if encoder else "llama"), name, seed, initializer_range=scale, **options)
    model.network.to(dtype)
    declared = "encoder" if encoder else "decoder"
    found = checked(replace(model, kind=declared, dtype=dtype))
    assert (found.kind, found.masks_padding) == (declared, True)
