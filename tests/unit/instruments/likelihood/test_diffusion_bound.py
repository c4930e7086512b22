"""The bound against a probability that can be enumerated: the mean over all orders in which a text can be named."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import beta
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from bitskept.instruments.likelihood.diffusion_bound import bounds
from bitskept.instruments.states import encode
from bitskept.instruments.training.builds import Build, network
from bitskept.instruments.training.objectives import Learner, Objective
from bitskept.sources.language_model import LanguageModel

WORDS = ["<s>", "</s>", "<pad>", "<mask>", "a", "b", "c"]
MASK, LENGTH = 3, 3
ORDERS = list(itertools.permutations(range(LENGTH)))
HIDDEN = [set(part) for size in range(1, LENGTH + 1) for part in itertools.combinations(range(LENGTH), size)]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model():
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    special = dict(zip(("bos_token", "eos_token", "pad_token", "mask_token"), WORDS, strict=False))
    ready = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=16, **special)
    build = Build(width=16, depth=2, heads=2, feed_forward=24, initial=0.6)
    whole = network(build, ready, causal=False, seed=1).eval()
    return LanguageModel("diffusion", "encoder", ready, whole, torch.float32, torch.device("cpu"), "")


@pytest.fixture(scope="module")
def costs(model):
    """costs[x][hidden]: -log2 of the probability of each token of x, hidden ones given the shown ones."""
    texts = list(itertools.product(range(len(WORDS)), repeat=LENGTH))
    rows = [[0, *(MASK if i in hidden else x[i] for i in range(LENGTH)), 1] for x in texts for hidden in HIDDEN]
    with torch.no_grad():
        law = torch.log_softmax(model.network(torch.tensor(rows)).logits[:, 1:-1].double(), 2)
    targets = torch.tensor(texts).repeat_interleave(len(HIDDEN), 0)
    found = (-law.gather(2, targets[:, :, None])[:, :, 0] / math.log(2)).reshape(len(texts), len(HIDDEN), LENGTH)
    return {x: {frozenset(hidden): row for hidden, row in zip(HIDDEN, rows, strict=True)}
            for x, rows in zip(texts, found.numpy(), strict=True)}  # fmt: skip


def order_costs(cost):
    """-log2 of the probability of a text by each order of naming its tokens."""
    return np.array([sum(cost[frozenset(order[k:])][order[k]] for k in range(LENGTH)) for order in ORDERS])


def exact_bound(cost):
    """E_t (1/t) sum over hidden of their cost, t uniform: the integral of t^(k-1) (1-t)^(n-k) is a beta function."""
    return sum(
        beta(len(hidden), LENGTH - len(hidden) + 1) * cost[frozenset(hidden)][list(hidden)].sum() for hidden in HIDDEN
    )


def text(x):
    return " ".join(WORDS[token] for token in x)


PLAIN = list(itertools.product(range(4, len(WORDS)), repeat=LENGTH))


def test_the_bound_of_every_text_is_above_its_cost_and_is_the_mean_over_orders(costs):
    p = {x: np.mean(2.0 ** -order_costs(cost)) for x, cost in costs.items()}
    assert sum(p.values()) == pytest.approx(1)  # over all texts of this length: it is a probability
    gaps = {x: exact_bound(cost) + np.log2(p[x]) for x, cost in costs.items()}
    assert min(gaps.values()) > -1e-9  # 0 for a text of masks: whatever is hidden, it looks the same
    assert min(gaps[x] for x in PLAIN) > 1e-3
    assert max(gaps[x] for x in PLAIN) > 0.3
    for cost in costs.values():
        assert exact_bound(cost) == pytest.approx(order_costs(cost).mean())


def test_the_estimate_is_the_bound_within_its_error(model, costs):
    found = bounds(model, model.network.lm_head, [text(x) for x in PLAIN], draws=120, seed=3)
    exact = np.array([exact_bound(costs[x]) for x in PLAIN])
    z = (found["bits"] - exact) / found["standard_error"]
    assert np.abs(z).max() < 4
    assert np.abs(z.mean()) < 4 / np.sqrt(len(z))
    assert (found["standard_error"] < 0.15 * exact).all()
    assert found["tokens"].tolist() == [LENGTH] * len(PLAIN)
    assert found["bytes"].tolist() == [5] * len(PLAIN)
    least = np.array([-np.log2(np.mean(2.0 ** -order_costs(costs[x]))) for x in PLAIN])
    assert (found["bits"] + 4 * found["standard_error"] > least).all()


def test_the_loss_that_is_trained_is_the_bound_a_token(model, costs):
    encoding = encode(model, [text(x) for x in PLAIN[:4]])
    objective = Objective("diffusion", encoding, model.tokenizer, len(WORDS), hidden=0.3, batch=6, seed=0)
    learner = Learner(model.network)
    for sentence, x in enumerate(PLAIN[:4]):
        # A batch has each number of hidden tokens equally often: only which they are is left to chance.
        items = [{"sentence": sentence, "draw": draw} for draw in range(600)]
        with torch.no_grad():
            loss = learner(**objective(items))["loss"].item()
        assert loss / math.log(2) == pytest.approx(exact_bound(costs[x]) / LENGTH, rel=0.05)
        hidden = (objective(items[:6])["ids"] == MASK).sum(1)
        assert sorted(hidden.tolist()) == [1, 1, 2, 2, 3, 3]


def test_texts_of_any_length_and_what_they_are_batched_with(model):
    texts = ["a b c a b", "", "c", "a b"]
    together = bounds(model, model.network.lm_head, texts, draws=8)
    assert together["tokens"].tolist() == [5, 0, 1, 2]
    assert together["bits"][1] == 0
    first = bounds(model, model.network.lm_head, texts[:1], draws=8)
    assert first["bits"][0] == pytest.approx(together["bits"][0], rel=1e-5)
    # One token alone can only be hidden: no draw differs.
    assert together["standard_error"][2] == pytest.approx(0, abs=1e-6)


def test_what_cannot_be_bounded_is_refused(model, tiny):
    with pytest.raises(ValueError, match="llama cannot fill in hidden tokens"):
        bounds(tiny("llama"), model.network.lm_head, ["the cat"])
    with pytest.raises(ValueError, match="draws must be at least 2"):
        bounds(model, model.network.lm_head, ["a"], draws=1)
    with pytest.raises(ValueError, match="bert cannot fill in"):
        bounds(replace(tiny("bert")), model.network.lm_head, ["the cat"])
