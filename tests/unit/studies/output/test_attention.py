from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import torch

from bitskept.instruments.states import encode
from bitskept.sources import corpora
from bitskept.studies.output.attention import COLUMNS, GAP, SUMS, Plan, by_layer, measure

TEXTS = ["the cat sat.", "it", "the cat, the 42!", "The cat the cat the cat sat, it", "!", "the cat sat at it."]
PLAN = Plan("none", sentences=len(TEXTS), longest=34)

pytestmark = pytest.mark.usefixtures("one_thread")


def measured(model, texts=TEXTS, plan=PLAN):
    with patch.object(corpora, "load", return_value={"text": texts}):
        return measure.compute(model, plan, progress=False)


def weights(model, text):
    """The weights of attention as the network itself returns them [layer, head, query, key]."""
    [ids] = encode(model, [text]).ids
    before = model.network.config._attn_implementation
    model.network.set_attn_implementation("eager")
    with torch.inference_mode():
        laws = model.network(input_ids=torch.from_numpy(ids)[None], output_attentions=True).attentions
    model.network.set_attn_implementation(before)
    return torch.stack([law[0] for law in laws]).double().numpy()


@pytest.mark.parametrize("family", ["llama", "gemma"])
def test_sums_are_those_of_the_networks_own_weights(tiny, family):
    model = tiny(family)
    table = measured(model)
    assert list(table.columns) == COLUMNS
    laws = weights(model, TEXTS[3])
    special = 1 if family == "gemma" else 0
    start = max(1, special)
    rows = table[table["item"] == 3].sort_values(["layer", "head"])
    seen = (laws > 0).sum(-1)
    bits = -np.where(laws > 0, laws * np.log2(np.maximum(laws, 1e-300)), 0).sum(-1)
    shape = laws.shape[:2]
    np.testing.assert_allclose(rows["entropy"].to_numpy().reshape(shape), bits[..., start:].sum(-1), atol=1e-4)
    np.testing.assert_allclose(rows["most"].to_numpy().reshape(shape), np.log2(seen)[..., start:].sum(-1), atol=1e-9)
    np.testing.assert_allclose(rows["on_first"].to_numpy().reshape(shape), laws[..., start:, 0].sum(-1), atol=1e-4)


def test_entropy_lies_between_its_bounds(tiny):
    table = measured(tiny("llama"))
    assert (table["entropy"] <= table["most"] + 1e-9).all()
    assert (table["others"] <= table["most_of_others"] + 1e-9).all()
    assert (table["entropy"] >= table["least"] - 1e-9).all()
    assert (table["least"] >= table["least_of_text"] - 1e-9).all()
    assert (table["least"] > 0).any()


def test_without_the_first_token_no_weight_is_left_with_two(tiny):
    table = measured(tiny("llama"), ["it it"])
    assert (table["most_of_others"] <= table["most"]).all()


def test_texts_without_a_query_are_refused(tiny):
    with pytest.raises(ValueError, match="no query of 2 texts sees two keys"):
        measured(tiny("llama"), ["", ""])


def raw(spread, weights, sentences=24, seed=0):
    """A table of `measure` with two layers of two heads, of this share of the maximum on average."""
    random = np.random.default_rng(seed)
    rows = [
        {"model": "m", "weights": weights, "seed": 0, "layer": layer, "head": head, "item": item}
        | dict(zip(SUMS, [4.0, 8 * value, 8.0, 3 * value, 6.0, 2.0, 2.0, 0.0], strict=True))
        for item in range(sentences)
        for layer in (1, 2)
        for head in (0, 1)
        for value in [spread * layer / 2 + random.normal(scale=0.01)]
    ]
    return pd.DataFrame(rows)


def test_spreads_and_their_difference_by_layer():
    table = by_layer(raw(0.4, "trained"), [raw(0.8, "random", seed=1), raw(0.8, "random", seed=2)], 0)
    assert table.attrs["made by"].endswith("by_layer")
    layers = table[table["layer"].notna() & table["head"].isna() & (table["quantity"] == "spread")]
    for weights_of, expected in {"trained": (0.2, 0.4), "random": (0.4, 0.8), GAP: (0.2, 0.4)}.items():
        rows = layers[layers["weights"] == weights_of].sort_values("layer")
        np.testing.assert_allclose(rows["estimate"], expected, atol=0.01)
        assert ((rows["low"] < rows["estimate"]) & (rows["estimate"] < rows["high"])).all()
        assert (rows["n"] == 24).all()
    every = table[table["layer"].isna()].set_index(["weights", "quantity"])["estimate"]
    assert every["trained", "spread"] == pytest.approx(0.3, abs=0.01)
    assert every["trained", "weight on the first"] == 0.5
    assert every["trained", "least by own scores"] == 0.25
    heads = table[table["head"].notna() & (table["quantity"] == "spread")]
    assert len(heads) == 4
    assert set(heads["weights"]) == {"trained"}


def test_plans_are_checked():
    with pytest.raises(ValueError, match="longest must be at least 3"):
        Plan("none", sentences=4, longest=2)
