"""Information capacity on texts whose costs are given."""

import numpy as np
import pandas as pd
import pytest
import torch

from bitskept.base.figures import rendered
from bitskept.base.publishing import drawn
from bitskept.instruments import claims as outcomes
from bitskept.studies.output import capacity_sentences as sentences
from bitskept.studies.output import figures
from bitskept.studies.output.capacity import (
    PUBLISHED,
    Plan,
    aligning_constant,
    cut,
    information_capacity,
    jobs,
    measure,
    operations,
)
from bitskept.studies.output.capacity_tables import (
    ALL,
    CAPACITY,
    PER_BYTE,
    changed,
    fitted_constant,
    fitted_constants,
    orders,
    summary,
)
from bitskept.studies.output.section import OutputUncertainty

CONSTANTS = [0.0, PUBLISHED]
MEMBERS = ("small", "large")
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def section():
    """The parameters of the smoke profile."""
    return OutputUncertainty.read({"profile": "smoke"})


def model(name, bits_per_token, tokens_per_text, operations, types, texts=60):
    """Texts of two domains and 96 bytes, whose costs differ a little, in the same way for all models."""
    noise = 0.2 * np.random.default_rng(0).standard_normal(texts)
    facts = {"model": name, "text": range(texts), "domain": ["a", "b"] * (texts // 2), "tokens": tokens_per_text}
    costs = {"bits": (bits_per_token + noise) * tokens_per_text, "bytes": 96}
    return pd.DataFrame(facts | costs | {"operations": float(operations), "types": types})


@pytest.fixture(scope="module")
def costs():
    """A model with long tokens, and a series of two with short ones, whose larger one predicts a little better."""
    parts = [model("other", 7.0, 24, 2**28, 2**15), model("small", 4.5, 48, 2**18, 2**9)]
    return pd.concat([*parts, model("large", 4.1, 48, 2**20, 2**9)], ignore_index=True)


@pytest.fixture(scope="module")
def table(costs):
    return summary(costs, CONSTANTS, seed=0)


@pytest.fixture(scope="module")
def differences(costs):
    return orders(costs, CONSTANTS, replicates=200, seed=0)


def test_the_definition():
    assert information_capacity(30.0, 2**20) == pytest.approx(1.5)
    assert information_capacity(30.0, 2**20, -24.0) == pytest.approx(0.3)


def test_a_constant_aligns_any_two_models():
    constant = aligning_constant((11.5, 11.9), (2**18, 2**20))
    capacities = [information_capacity(gain, 2**power, constant) for gain, power in ((11.5, 18), (11.9, 20))]
    assert capacities[0] == pytest.approx(capacities[1])
    with pytest.raises(ValueError, match="cannot be aligned"):
        aligning_constant((1.0, 2.0), (64, 64))


def test_operations_of_a_transformer(tiny):
    """Two for each weight of a matrix, and in attention four for each number of a query and token before."""
    found, dim, layers, feed_forward = tiny("llama"), 16, 3, 24
    key_width, query_width = 8, 16
    block = 2 * dim * query_width + 2 * dim * key_width + 3 * dim * feed_forward
    matrices = layers * block + found.embeddings.numel()
    assert operations(found, 21.0) == pytest.approx(2 * matrices + 4 * layers * query_width * 10)


def test_operations_of_gpt_2_whose_matrices_are_of_another_class(tiny):
    from dataclasses import replace

    import transformers

    config = transformers.GPT2Config(vocab_size=50, n_embd=16, n_layer=2, n_head=2, n_positions=32)
    network = transformers.AutoModel.from_config(config)
    found = replace(tiny("llama"), network=network)
    matrices = 2 * 12 * 16**2 + found.embeddings.numel()
    assert operations(found, 21.0) == pytest.approx(2 * matrices + 4 * 2 * 16 * 10)


def test_operations_of_a_state_space_model(tiny):
    from dataclasses import replace

    import transformers

    options = {"hidden_size": 16, "num_hidden_layers": 2, "num_heads": 4, "head_dim": 8, "state_size": 4}
    config = transformers.Mamba2Config(vocab_size=50, n_groups=1, chunk_size=4, **options)
    network = transformers.AutoModel.from_config(config)
    found = replace(tiny("llama"), network=network)
    linear = sum(part.weight.numel() for part in network.modules() if isinstance(part, torch.nn.Linear))
    assert operations(found, 5.0) == operations(found, 500.0) == 2 * (linear + 50 * 16) + 6 * 2 * 32 * 4


@pytest.mark.parametrize(
    ("text", "cut_text"),
    [
        ("one two three", "one two"),
        ("one", "one"),
        ("aaaaaaaaaaaa", "aaaaaaaa"),
        ("ééééé", "éééé"),
        ("ab cd ef", "ab cd ef"),
    ],
)
def test_a_text_is_cut_after_a_word(text, cut_text):
    assert cut(text, 8) == cut_text


def test_costs_of_a_tiny_model(tiny, tmp_path, monkeypatch):
    from bitskept.studies.output import capacity

    text = tmp_path / "text.txt"
    text.write_text("\n".join(f"the cat sat {'un ' * number}it 42 ." for number in range(6)), "utf-8")
    monkeypatch.setattr(capacity.heads, "head", lambda model: lambda states: states @ model.embeddings.T)
    found = measure.compute(tiny("llama"), Plan(str(text), sentences=4, longest=16), progress=False)
    assert len(found) == 4
    assert (found["bytes"] <= 16).all()
    assert (found["bits"] > 0).all()
    assert (found["types"] == len(tiny("llama").tokenizer)).all()


def test_the_parts_of_a_gain(table):
    wide = table[table["text"] == ALL].set_index(["model", "quantity"])["estimate"]
    assert wide["small", "size"] == pytest.approx(16)
    assert wide["small", "tokenizer alone"] == pytest.approx(7)
    assert wide["small", "gain"] == pytest.approx(11.5, abs=0.1)
    assert wide["other", "bits per byte"] == pytest.approx(7 / 4, abs=0.05)


def test_an_interval_holds_the_estimate(table):
    rows = table[table["low"].notna()]
    assert ((rows["low"] <= rows["estimate"]) & (rows["estimate"] <= rows["high"])).all()
    assert (table[table["quantity"] == CAPACITY]["n"] >= 30).all()


def test_the_fitted_constant_makes_a_series_alike(costs):
    constant = fitted_constant(costs, MEMBERS)
    assert fitted_constants(costs, MEMBERS)[ALL] == constant
    assert set(fitted_constants(costs, MEMBERS)) == {ALL, "a", "b"}
    found = orders(costs, [constant], replicates=50, seed=0)
    pair = found[(found["first"] == "small") & (found["text"] == ALL) & (found["constant"] == constant)]
    assert pair["estimate"].iloc[0] == pytest.approx(0, abs=1e-9)


def test_the_usual_constants_are_always_there(costs):
    found = orders(costs, [-3.0], replicates=50, seed=0)
    assert found["constant"].dropna().unique().tolist() == [0.0, -3.0, PUBLISHED]


def test_which_pairs_change_their_order(differences):
    whole, by_token = differences["text"] == ALL, differences["quantity"] == CAPACITY
    constants = [whole & by_token & (differences["constant"] == b) for b in CONSTANTS]
    assert changed(differences, constants) == 1  # small and large
    units = [constants[0], whole & (differences["quantity"] == PER_BYTE)]
    assert changed(differences, units) == 2  # both against the other model, whose tokens are long
    assert changed(differences, [constants[0]]) == 0
    unsure = differences.assign(low=-np.inf, high=np.inf)
    assert changed(unsure, constants) == 0


def test_parts_in_words(table):
    said = sentences.parts(table)
    assert "- **small**: a token stands for 16.0 bits of text, of which 11.5 (" in said
    assert "7.0 of them by the tokenizer alone (61%)" in said
    assert "takes 0.26 million operations a token" in said


def test_a_ranking_that_is_a_choice(table, differences):
    said = sentences.ranking(table, differences)
    assert said.startswith(
        "From the highest, in bits per token and doubling, with b = 0: other 0.89 ([0.89, 0.89], 95 %"
    )
    assert "60 texts), small 0.64 [0." in said
    assert "; with b = -24: other " in said
    assert "**The order is a choice**: of 3 pairs of models, so many are turned around, beyond doubt" in said
    assert said.endswith(
        "both sides: 1 by another constant, 0 by another kind of text, 2 by counting by byte instead of by token."
    )
    assert "too few texts" not in said


def test_a_ranking_that_stands(table, differences):
    firm = differences.assign(estimate=1.0, low=0.5, high=1.5)
    said = sentences.ranking(table, firm)
    assert "**The order does not depend on these choices here**" in said
    firm.loc[:2, "low"] = np.nan
    assert said + " 3 of 27 differences have too few texts for an interval." == sentences.ranking(table, firm)


def long_tokens(table):
    """The same table with tokens of twice as many bits."""
    return table.assign(estimate=table["estimate"] * np.where(table["quantity"] == "size", 2, 1))


def test_a_series(table, differences):
    said = sentences.series(long_tokens(table), differences, MEMBERS, {ALL: -7.9, "a": -9.0, "b": -6.0})
    assert said.startswith("small less large: 0.04")
    assert "A constant of -7.9 bits makes the two alike, as some constant does for **any** two models" in said
    assert said.endswith("One kind of text asks for -9, another for -6.")
    said = sentences.series(long_tokens(table), differences, MEMBERS, {ALL: -7.9})
    assert said.endswith("it takes a third size, or a constant from elsewhere, to test the claim.")
    said = sentences.series(table, differences, MEMBERS, {ALL: -7.9})
    assert "**cannot test it here**: it takes away more than all the 16.0 bits that a token stands for." in said


def test_a_constant_that_takes_away_more_than_there_is_tests_nothing(table, differences):
    found = outcomes.table(pd.DataFrame(sentences.claims(table, differences, MEMBERS)), relevant=sentences.RELEVANT)
    row = found[found["claim"].str.startswith(sentences.APART)].iloc[0]
    assert row["outcome"] == "not tested"
    assert row["claim"].endswith("(to be tested: tokens of more than 24 bits)")
    assert "authors' constant?** not tested for small − large." in sentences.capacity_verdict(found)


def test_claims(table, differences):
    rows = sentences.claims(long_tokens(table), differences, MEMBERS)
    found = outcomes.table(pd.DataFrame(rows), relevant=sentences.RELEVANT)
    apart = found[found["claim"] == sentences.APART].iloc[0]
    assert apart["outcome"] == "yes"
    assert apart["estimate"] == pytest.approx(abs(-12.1 / 20 + 12.5 / 18), abs=0.01)
    kept = found[found["claim"] == sentences.ORDER].set_index(["model", "reading"])["outcome"]
    assert kept["other, small", "b = -24"] == "yes"
    assert kept["other, small", "per byte"] == "no"
    assert kept["small, large", "b = -24"] == "no"
    assert len(kept) == 6
    said = sentences.capacity_verdict(found)
    assert "**Are models of one series apart with the authors' constant?** yes for small − large." in said
    assert f"Yes in {(kept == 'yes').sum()} of 6 comparisons" in said


def test_claims_of_too_few_texts_cannot_be_told(costs, table):
    few = costs[costs["text"] < 10]
    found = orders(few, CONSTANTS, replicates=50, seed=0)
    rows = sentences.claims(long_tokens(table), found, MEMBERS)
    rows = outcomes.table(pd.DataFrame(rows), relevant=sentences.RELEVANT)
    assert (rows["outcome"] == "cannot tell").all()


def test_the_figure_draws_from_its_table(table, section):
    assert rendered(drawn(figures.capacity, table, section), "capacity", ["png"])["png"]


def test_a_job_for_each_model_and_one_for_the_twins(section):
    found = list(jobs("08_x", section.capacity, section.training, twin_seed=0, dtype="auto", terms=[]))
    assert [job.name for job in found] == ["08.capacity.smollm2-135m", "08.capacity.twins"]
    assert found[1].needs == ("05.grow.next-token-0-width96", "05.grow.next-token-0", "05.grow.state-space-0")
