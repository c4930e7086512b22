import dataclasses

import pytest
import torch

from bitskept.instruments.states import encode, stream
from bitskept.instruments.training import byte_pairs
from bitskept.instruments.training.builds import CLASSES, Build, network
from bitskept.sources import models

TEXTS = ["the captain told the children that the whale had swallowed his ship"] * 4
SMALL = Build(width=16, depth=2, heads=2, feed_forward=24, state=8, initial=0.3)


@pytest.fixture(scope="module")
def tokenizer():
    return byte_pairs.ready(byte_pairs.learn(TEXTS, 280), 40)


@pytest.mark.parametrize(("family", "causal"), CLASSES)
def test_a_build_is_a_model_that_sees_what_it_should(home, tokenizer, family, causal):
    before = torch.random.get_rng_state()
    one, again = (
        network(dataclasses.replace(SMALL, family=family), tokenizer, causal=causal, seed=3) for _ in range(2)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(map(torch.equal, one.parameters(), again.parameters()))
    for part in (one, tokenizer):
        part.save_pretrained(home / "models" / "one")
    model = models.load("one")
    built = dict(one.base_model.named_parameters())
    assert all(torch.equal(part, built[name]) for name, part in model.network.named_parameters())
    assert (model.kind, model.longest) == ("decoder" if causal else "encoder", 40)
    long = " ".join(TEXTS[0].split() * 6)  # as long as it takes, and one that begins like it
    with pytest.warns(UserWarning, match="1 of 2 sentences"):
        encoding = encode(model, [long, TEXTS[0]])
    assert max(map(len, encoding.ids)) == 40
    (first,), (other,) = (stream(model, encoding, [sentence]) for sentence in (0, 1))
    length = len(other.tokens) - 1
    assert torch.equal(first.tokens[:length], other.tokens[:length])
    difference = (first.states[-1, :length] - other.states[-1, :length]).abs().max()
    assert difference < 1e-5 if causal else difference > 1e-2


@pytest.mark.parametrize("family", [family for family, causal in CLASSES if not causal])
def test_with_and_without_the_causal_mask_the_weights_are_the_same(tokenizer, family):
    build = dataclasses.replace(SMALL, family=family)
    causal, both_sided = (
        dict(network(build, tokenizer, causal=mask, seed=0).named_parameters()) for mask in (True, False)
    )
    assert causal.keys() == both_sided.keys()
    assert all(torch.equal(causal[name], both_sided[name]) for name in causal)


@pytest.mark.parametrize("width", [128, 320])
def test_families_are_of_about_the_same_size(tokenizer, width):
    build = Build(width=width, feed_forward=width * 8 // 3)
    sizes = [
        network(dataclasses.replace(build, family=family), tokenizer, causal=True, seed=0).num_parameters()
        for family, causal in CLASSES
        if causal
    ]
    assert max(sizes) < 1.15 * min(sizes)


def test_the_initial_scale_is_that_of_the_weights(tokenizer):
    for initial in (0.02, 0.2):
        one = network(dataclasses.replace(SMALL, initial=initial), tokenizer, causal=True, seed=0)
        assert one.model.layers[0].mlp.up_proj.weight.std().item() == pytest.approx(initial, rel=0.2)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"family": "gru"}, "no family 'gru': choose one of llama"),
        ({"depth": 0}, "depth must be at least 1"),
        ({"width": 18, "heads": 6}, "a width of 18 cannot be split into 6 heads"),
        ({"initial": 0.0}, "initial scale must be above 0"),
    ],
)
def test_a_build_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **wrong)


def test_a_state_space_model_has_no_both_sided_form(tokenizer):
    with pytest.raises(ValueError, match="mamba2 reads from left to right only"):
        network(dataclasses.replace(SMALL, family="mamba2"), tokenizer, causal=False, seed=0)
