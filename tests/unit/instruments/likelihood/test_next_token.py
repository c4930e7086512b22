import dataclasses

import numpy as np
import pytest
import torch

from bitskept.instruments.likelihood import surprisal as likelihood
from bitskept.instruments.likelihood.next_token import QUANTITIES, Plan, context_bits, frequencies
from bitskept.instruments.states import encode

TEXTS = ["the cat sat", "42 cats, the cat", "it", "the the the cat"]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def head(tiny):
    weights = torch.randn(16, len(tiny("llama").tokenizer), generator=torch.Generator().manual_seed(0))
    return lambda states: 0.5 * states @ weights


@pytest.mark.parametrize("family", ["llama", "gemma"])
def test_it_agrees_with_the_likelihoods_of_the_texts(tiny, head, family):
    """Gemma's tokenizer puts a start token in front. Llama's here has none, so that no text's first token is scored."""
    model = tiny(family)
    if family == "llama":
        plain = type(model.tokenizer)(tokenizer_object=model.tokenizer.backend_tokenizer, pad_token="<pad>")
        model = dataclasses.replace(model, tokenizer=plain)
    encoding = encode(model, TEXTS)
    law = frequencies(encoding, len(model.tokenizer))
    sums, sizes = context_bits(model, head, encoding, law)
    found = dict(zip(QUANTITIES, sums, strict=True))
    wanted = likelihood.surprisals(model, head, TEXTS)
    assert sizes.tolist() == wanted["tokens"].tolist()
    assert found["cross_entropy"] == pytest.approx(wanted["bits"].to_numpy(), abs=1e-4)
    assert found["gathered"] == pytest.approx(found["frequency_entropy"] - found["cross_entropy"])
    bits = [-np.log2(law[ids[1:]]).sum() for ids in encoding.ids]
    assert found["frequency_entropy"] == pytest.approx(bits)


def test_errors_are_those_of_the_likeliest_token(tiny):
    model = tiny("llama")
    encoding = encode(model, TEXTS)
    always = encoding.ids[0][1]
    logits = torch.nn.functional.one_hot(torch.tensor(always), len(model.tokenizer)).float()
    law = frequencies(encoding, len(model.tokenizer))
    sums, _ = context_bits(model, lambda states: logits.expand(len(states), -1), encoding, law)
    assert sums[list(QUANTITIES).index("error")].tolist() == [(ids[1:] != always).sum() for ids in encoding.ids]


def test_every_type_has_a_frequency(tiny):
    law = frequencies(encode(tiny("llama"), TEXTS), len(tiny("llama").tokenizer))
    assert law.sum() == pytest.approx(1)
    assert (law > 0).all()


def test_a_plan_without_sentences_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        Plan("mixed", 0, 10)
