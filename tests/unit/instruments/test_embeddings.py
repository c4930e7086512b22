import dataclasses

import numpy as np
import pytest
import torch

from bitskept.instruments.embeddings import embed
from bitskept.instruments.probes.readings import POOLINGS

TEXTS = ["the cat sat", "it", "the cat sat , unlocked it 42 the cat !", "the cat sat", "cat cat the the"]
FAMILIES = ["bert", "mpnet", "llama", "gemma"]

pytestmark = pytest.mark.usefixtures("one_thread")


def by_itself(model, text):
    """Every state of one text, special tokens among them, without our code [layer, token, dim]."""
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    with torch.inference_mode():
        return torch.cat(model.network(input_ids=ids, output_hidden_states=True).hidden_states).numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_vectors_are_pooled_states_of_a_text_by_itself(tiny, family):
    model = tiny(family)
    result = embed(model, TEXTS)
    assert list(result) == list(POOLINGS)
    for place, text in enumerate(TEXTS):
        states = by_itself(model, text)
        expected = {
            "mean": states.mean(1),
            "mean without first": states[:, 1:].mean(1) if states.shape[1] > 1 else states[:, 0],
            "first": states[:, 0],
            "last": states[:, -1],
        }
        for name, vectors in result.items():
            assert (vectors.shape, vectors.dtype) == ((model.layers + 1, len(TEXTS), model.width), np.float32)
            np.testing.assert_allclose(vectors[:, place], expected[name], atol=2e-5, err_msg=f"{text}: {name}")


def test_special_tokens_are_pooled_as_well(tiny):
    """An encoder's first token is [CLS], its last [SEP]: at layer 0 they are the same for texts of one length."""
    result = embed(tiny("bert"), ["the cat sat", "it it it"], layers=[0])
    np.testing.assert_array_equal(*result["first"][0])
    np.testing.assert_array_equal(*result["last"][0])
    assert np.abs(np.subtract(*result["mean"][0])).max() > 0.01


def test_equal_texts_pass_through_the_model_once(tiny):
    model = tiny("llama")
    seen = []
    hook = model.network.register_forward_pre_hook(
        lambda _, __, given: seen.append(len(given["input_ids"])), with_kwargs=True
    )
    result = embed(model, ["the cat", "it", "the cat", "the cat"])
    hook.remove()
    assert sum(seen) == 2
    for vectors in result.values():
        np.testing.assert_array_equal(vectors[:, 0], vectors[:, 2])
        np.testing.assert_array_equal(vectors[:, 0], vectors[:, 3])


def test_some_layers_and_poolings_in_the_order_asked_for(tiny):
    model = tiny("gemma")
    whole = embed(model, TEXTS)
    some = embed(model, TEXTS, layers=[-1, 0, 2], poolings=["last", "mean"])
    assert list(some) == ["last", "mean"]
    for name, vectors in some.items():
        np.testing.assert_allclose(vectors, whole[name][[3, 0, 2]], atol=1e-6)


def test_float32_whatever_the_model_computes_in(tiny):
    model = tiny("llama")
    network = type(model.network)(model.network.config).to(torch.bfloat16).eval()
    result = embed(dataclasses.replace(model, network=network, dtype=torch.bfloat16), TEXTS)
    assert {vectors.dtype for vectors in result.values()} == {np.dtype(np.float32)}
    assert all(np.isfinite(vectors).all() for vectors in result.values())


def test_long_texts_are_cut_with_a_warning(tiny):
    with pytest.warns(UserWarning, match="1 of 2 sentences are longer than the 5 tokens"):
        result = embed(tiny("bert"), ["the cat sat it it", "it"], longest=5)
    expected = embed(tiny("bert"), ["the cat sat"])
    np.testing.assert_allclose(result["mean"][:, 0], expected["mean"][:, 0], atol=1e-6)


def test_errors_name_what_is_wrong(tiny):
    with pytest.raises(ValueError, match="llama makes no token of the text ''"):
        embed(tiny("llama"), ["it", ""])
    with pytest.raises(ValueError, match="no pooling 'median': take 'mean', 'mean without first', 'first', 'last'"):
        embed(tiny("llama"), ["it"], poolings=["median"])
    with pytest.raises(ValueError, match="llama has the layers 0 to 3, not 4"):
        embed(tiny("llama"), ["it"], layers=[0, 4])
    with pytest.raises(ValueError, match="llama has the layers 0 to 3, not -5"):
        embed(tiny("llama"), ["it"], layers=[-5])
