import math

import families
import pytest
import torch

from bitskept.instruments.measurement import label, model_facts
from bitskept.sources import models
from bitskept.sources.packages import SourceError
from bitskept.sources.random_weights import Weights, rescale, seed_and_scale, writers

FAMILIES = ["bert", "roberta", "mpnet", "modernbert", "gpt2", "gpt_neox", "opt", "qwen2", "smollm", "gemma3"]
FAMILIES += ["phi", "falcon", "falcon-11b", "mamba"]


@pytest.mark.parametrize("family", FAMILIES)
def test_without_the_maps_that_write_to_it_nothing_reaches_the_residual_stream(family):
    network = families.network(family).base_model
    ids = torch.tensor([[20, 21, 22, 23]])
    with torch.no_grad():
        before = network(ids, output_hidden_states=True).hidden_states
        for part in writers(network):
            part.weight.zero_()
            if getattr(part, "bias", None) is not None:
                part.bias.zero_()
        start, *others, _ = network(ids, output_hidden_states=True).hidden_states  # a final norm may change the last
    assert not torch.allclose(before[1], start, atol=0.01)
    assert others
    for states in others:
        torch.testing.assert_close(states, start, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("scale", ["configured", "embeddings", "residual", "both"])
def test_a_scale_multiplies_the_table_the_maps_both_or_nothing(family, scale):
    network = families.network(family).base_model
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    table, maps = network.get_input_embeddings().weight, [part.weight for part in writers(network)]
    rescale(network, scale)
    for name, weight in network.named_parameters():
        factor = 1.0
        if weight is table and scale in ("embeddings", "both"):
            factor = math.sqrt(32)
        if any(weight is other for other in maps) and scale in ("residual", "both"):
            factor = 1 / math.sqrt(2 if family == "mamba" else 4)  # two blocks, two maps each
        torch.testing.assert_close(weight.detach(), factor * before[name])


@pytest.mark.parametrize(("family", "expected"), [("mamba", "one"), ("phi", "two")])
def test_a_network_whose_maps_are_not_all_known_is_refused_in_words(family, expected):
    network = families.network(family).base_model
    network.config.num_hidden_layers = 3  # as if the maps of a block had other names
    rescale(network, "embeddings")
    words = rf"3 blocks of a {family} network, \d maps .* not {expected} in each block: leave out the scales"
    with pytest.raises(SourceError, match=words):
        rescale(network, "both")


def test_a_scale_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="no scale 'large': choose one of configured, embeddings, residual, both"):
        Weights(0, "large")


def test_a_copy_is_loaded_at_its_scale_and_told_from_all_others(home, tmp_path):
    id = str(families.save("smollm", tmp_path / "smollm"))
    plain, same, larger, smaller = (
        models.load(id, **seed_and_scale(weights))
        for weights in (1, Weights(1), Weights(1, "embeddings"), Weights(1, "residual"))
    )
    torch.testing.assert_close(larger.embeddings, plain.embeddings * math.sqrt(32))
    torch.testing.assert_close(writers(smaller.network)[0].weight, writers(plain.network)[0].weight / 2)
    assert plain.fingerprint == same.fingerprint == models.fingerprint(id, seed=1)
    assert len({models.fingerprint(id), *(model.fingerprint for model in (plain, larger, smaller))}) == 4
    assert [model_facts(model)["weights"] for model in (plain, larger)] == ["random", "random: embeddings"]
    assert {model_facts(model)["seed"] for model in (plain, larger)} == {1}
    assert label(larger) == f"{id}, random weights 1, embeddings"
    assert seed_and_scale(None) == {"seed": None}
