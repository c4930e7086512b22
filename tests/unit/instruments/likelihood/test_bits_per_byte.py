from dataclasses import replace

import numpy as np
import pytest

from bitskept.instruments.likelihood import heads, surprisal
from bitskept.instruments.likelihood.bits_per_byte import COLUMNS, Plan, measure
from bitskept.instruments.training import byte_pairs
from bitskept.instruments.training.builds import Build, network
from bitskept.sources import models

TEXTS = ["the captain told the children", "that the whale had", "swallowed his ship", "his compass and his parrot"]
PLAN = Plan("none", len(TEXTS), draws=4)
SMALL = Build(width=16, depth=2, heads=2, feed_forward=24, state=8, initial=0.3)


@pytest.fixture
def corpus(home, tmp_path):
    """A file of text, and models "causal", "mamba2" and "masked" with one tokenizer."""
    tokenizer = byte_pairs.ready(byte_pairs.learn(TEXTS, 280), 40)
    builds = {"causal": ("llama", True), "mamba2": ("mamba2", True), "masked": ("llama", False)}
    for name, (family, causal) in builds.items():
        for part in (network(replace(SMALL, family=family), tokenizer, causal=causal, seed=0), tokenizer):
            part.save_pretrained(home / "models" / name)
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(TEXTS), "utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("model", "way", "quantity"),
    [
        ("causal", "likelihood", "bits_per_byte"),
        ("mamba2", "likelihood", "bits_per_byte"),
        ("masked", "likelihood", "pseudo_bits_per_byte"),
        ("masked", "diffusion", "bits_per_byte_bound"),
    ],
)
def test_each_objective_has_its_quantity(corpus, model, way, quantity):
    plan = replace(PLAN, corpus=corpus, way=way)
    table = measure(model, plan, progress=False)
    assert list(table) == COLUMNS
    [row] = table.to_dict("records")
    assert (row["quantity"], row["unit"], row["n"]) == (quantity, "bits per byte", 4)
    assert 1 < row["estimate"] < 9
    assert np.isnan([row["low"], row["high"]]).all()  # 4 texts are too few
    assert measure(model, plan, progress=False).equals(table)


def test_it_is_all_bits_over_all_bytes(corpus):
    [row] = measure("causal", replace(PLAN, corpus=corpus, dtype="float32"), progress=False).to_dict("records")
    model = models.load("causal")
    costs = surprisal.surprisals(model, heads.head(model), TEXTS)
    assert row["estimate"] == pytest.approx(costs["bits"].sum() / sum(len(text) for text in TEXTS))


def test_a_decoder_is_no_diffusion_model(corpus):
    with pytest.raises(ValueError, match="causal cannot fill in hidden tokens"):
        measure("causal", replace(PLAN, corpus=corpus, way="diffusion"), progress=False)


@pytest.mark.parametrize(("wrong", "message"), [({"way": "sum"}, "no way 'sum'"), ({"sentences": 0}, "at least 1")])
def test_a_plan_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        replace(PLAN, **wrong)
