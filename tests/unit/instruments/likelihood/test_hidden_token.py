"""The bits saved of hidden tokens, against the logits of the whole network."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bitskept.instruments.likelihood import next_token
from bitskept.instruments.likelihood.hidden_token import QUANTITIES, Plan, measure
from bitskept.instruments.masks import behind_masks
from bitskept.instruments.states import encode
from bitskept.instruments.training import byte_pairs
from bitskept.instruments.training.builds import Build, network
from bitskept.sources import corpora, models

WORDS = ["the captain", "a whale", "his ship", "the children", "a parrot", "swallowed", "told", "saw", "of", "and"]
RANDOM = np.random.default_rng(0)
TEXTS = [" ".join(RANDOM.choice(WORDS, size=2 + number % 5)) + f" {number}." for number in range(60)]
BUILD = Build(width=16, depth=2, heads=2, feed_forward=24, initial=0.5)
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def plan(home, tmp_path):
    """A plan for a file of text, with the models "masked" and "causal"."""
    tokenizer = byte_pairs.ready(byte_pairs.learn(TEXTS, 280), 60)
    for name, causal in (("masked", False), ("causal", True)):
        for part in (network(BUILD, tokenizer, causal=causal, seed=0), tokenizer):
            part.save_pretrained(home / "models" / name)
    (tmp_path / "text.txt").write_text("\n".join(TEXTS), "utf-8")
    return Plan(str(tmp_path / "text.txt"), 24, 30, dtype="float32", hidden=0.3, draws=2)


def test_it_is_what_the_whole_network_says_of_the_tokens_behind_masks(plan, home):
    table = measure("masked", plan, progress=False)
    assert list(table) == next_token.COLUMNS
    assert table["quantity"].tolist() == list(QUANTITIES)
    model = models.load("masked", dtype="float32")
    texts = corpora.load(plan.corpus, sentences=54, seed=0)["text"][:]
    encoding, counted = encode(model, texts[:24]), encode(model, texts[24:])
    law = next_token.frequencies(counted, len(model.tokenizer))
    whole = network(BUILD, model.tokenizer, causal=False, seed=0).eval()
    copies, costs, common = behind_masks(model, encoding, 0.3, 2, 0), [], []
    for copy, (shown, hidden) in enumerate(zip(copies.ids, copies.measured, strict=True)):
        with torch.no_grad():
            logits = whole(torch.from_numpy(shown)[None]).logits[0, : len(shown)].double().numpy()
        rates = np.exp(logits - logits.max(1, keepdims=True))
        rates /= rates.sum(1, keepdims=True)
        targets = encoding.ids[copy // 2][hidden]
        costs += (-np.log2(rates[hidden, targets])).tolist()
        common += (-np.log2(law[targets])).tolist()
    found = table.set_index("quantity")["estimate"]
    assert found["cross_entropy"] == pytest.approx(np.mean(costs), abs=1e-4)
    assert found["frequency_entropy"] == pytest.approx(np.mean(common))
    assert found["gathered"] == pytest.approx(np.mean(common) - np.mean(costs), abs=1e-4)
    assert (table["low"] < table["estimate"]).all()
    assert (table["estimate"] < table["high"]).all()
    assert table["n"].tolist() == [24] * 3


def test_more_draws_are_no_more_sentences(plan):
    one, many = (measure("masked", replace(plan, draws=draws), progress=False) for draws in (1, 8))
    assert (many["high"] - many["low"]).gt(0.3 * (one["high"] - one["low"])).all()
    assert many["n"].tolist() == [24] * 3


def test_a_decoder_names_no_hidden_tokens(plan):
    with pytest.raises(ValueError, match="causal cannot fill in hidden tokens"):
        measure("causal", plan, progress=False)
