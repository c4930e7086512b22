from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch
import transformers

from bitskept.instruments.attention_heads import record
from bitskept.instruments.states import encode
from bitskept.sources import corpora
from bitskept.studies.inside.attention_energy import COLUMNS, FORMS, STEPS, Plan, _columns, _sums, measure
from bitskept.theory.associative_memory import attention, energy

TEXTS = ["the cat sat.", "it", "the cat, the 42!", "The cat the cat the cat sat, it", "!", "the cat sat at it."]
PLAN = Plan("none", sentences=len(TEXTS))

pytestmark = pytest.mark.usefixtures("one_thread")


def energies(model, texts, plan):
    """The table of a model for these texts."""
    with patch.object(corpora, "load", return_value={"text": texts}):
        return measure.compute(model, plan, progress=False)


def made(tiny, name, **options):
    """A tiny decoder of another family."""
    known = {"vocab_size": len(tiny("llama").tokenizer), "hidden_size": 16, "num_hidden_layers": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = transformers.AutoModel.from_config(getattr(transformers, name)(**known | options)).eval()
    return replace(tiny("llama"), id=name, network=network)


@pytest.mark.parametrize("family", ["llama", "gemma", "bert"])
def test_queries_and_keys_are_what_the_heads_compare(tiny, family):
    """Rotary positions, norms, shared keys, windows and scales all show in the weights that the network itself has."""
    model = tiny(family)
    [ids] = encode(model, [TEXTS[3]]).ids
    recorded = record(model, ids)
    before = model.network.config._attn_implementation
    model.network.set_attn_implementation("eager")
    with torch.inference_mode():
        given = model.network(input_ids=torch.from_numpy(ids)[None], output_attentions=True).attentions
    model.network.set_attn_implementation(before)
    assert [heads.layer for heads in recorded] == [1, 2, 3]
    for heads, law in zip(recorded, given, strict=True):
        found = attention(heads.queries, heads.keys, heads.scale, heads.visible)
        np.testing.assert_allclose(found, law[0].numpy(), atol=1e-5)
    if family == "gemma":
        assert [heads.visible[0, -1].sum() for heads in recorded] == [4, len(ids), 4]


def test_values_are_what_the_heads_add_up(tiny):
    model = tiny("llama")
    [ids] = encode(model, [TEXTS[3]]).ids
    passed = []
    hook = model.network.layers[1].self_attn.o_proj.register_forward_pre_hook(
        lambda _, inputs: passed.append(inputs[0])
    )
    heads = record(model, ids)[1]
    hook.remove()
    output = attention(heads.queries, heads.keys, heads.scale, heads.visible) @ heads.values
    np.testing.assert_allclose(output.transpose(1, 0, 2).reshape(len(ids), -1), passed[0][0].numpy(), atol=1e-5)


def test_the_network_is_left_as_it_was(tiny):
    model = tiny("llama")
    [ids] = encode(model, [TEXTS[0]]).ids
    before = model.network.config._attn_implementation

    def states():
        with torch.inference_mode():
            return model.network(input_ids=torch.from_numpy(ids)[None]).last_hidden_state

    usual = states()
    record(model, ids)
    assert model.network.config._attn_implementation == before
    assert torch.equal(states(), usual)
    with pytest.raises(IndexError):
        record(model, ids + 10_000)
    assert model.network.config._attn_implementation == before


def test_the_numbers_of_one_text_by_hand(tiny):
    model = tiny("llama")
    encoding = encode(model, [TEXTS[3]])
    heads, measured = record(model, encoding.ids[0])[1], encoding.measured[0]
    sums, sizes = _sums(heads, measured)
    assert sizes.tolist() == [measured.sum() - 1] * 2  # the first query sees one key
    totals = dict(zip(_columns(True), sums.T, strict=True))
    for head in range(2):
        keys, entropies = heads.keys[head], []
        drops = {(form, step): [] for form in FORMS for step in STEPS}
        for place in range(1, len(measured)):
            query, seen = heads.queries[head, place][None], keys[: place + 1]
            [law] = attention(query, seen, heads.scale)
            first = law[None] @ seen
            second = attention(first, seen, heads.scale) @ seen
            output = law[None] @ heads.values[head, : place + 1]
            steps = {"keys": (query, first), "again": (first, second), "values": (query, output)}
            steps["zero"] = (query, 0 * query)
            entropies.append(-(law * np.log2(law)).sum())
            for (form, step), drop in drops.items():
                ends = [energy(one, seen, heads.scale, quadratic=form == "full").item() for one in steps[step]]
                drop.append((ends[0] - ends[1]) * heads.scale / np.log(2))
        for (form, step), drop in drops.items():
            assert totals[form, step, "drop"][head] == pytest.approx(np.sum(drop))
            assert totals[form, step, "lowered"][head] == (np.array(drop) >= -1e-9).sum()
        assert totals[None, None, "attention_entropy"][head] == pytest.approx(np.sum(entropies))
        assert totals[None, None, "uniform_entropy"][head] == pytest.approx(
            np.log2(np.arange(2, len(measured) + 1)).sum()
        )


@pytest.mark.parametrize("family", ["llama", "gemma", "bert"])
def test_the_theory_s_step_lowers_the_full_energy_of_every_head(tiny, family):
    table = energies(tiny(family), TEXTS, PLAN)
    assert list(table) == COLUMNS
    assert set(table["quantity"]) == {"lowered", "drop", "attention_entropy", "uniform_entropy"}
    sure = table[(table["form"] == "full") & table["step"].isin(["keys", "again"]) & (table["quantity"] == "lowered")]
    assert len(sure) == 2 * (1 + 3 + 3 * 2)
    assert (sure[["estimate", "high"]] == 1).all(axis=None)
    assert sure["low"].nunique() == 1
    shares = table["unit"] == "share"
    assert ((table["low"] <= table["estimate"]) & (table["estimate"] <= table["high"]))[shares].all()
    assert table.loc[~shares, ["low", "high"]].isna().all(axis=None)  # so few sentences have no interval in bits
    assert table["n"].max() < 20
    shares = table[(table["unit"] == "share")]["estimate"]
    assert shares.between(0, 1).all()
    assert 0 < shares.mean() < 1


def test_blocks_and_all_are_the_means_of_their_heads(tiny):
    table = energies(tiny("llama"), TEXTS, PLAN)
    table[["form", "step"]] = table[["form", "step"]].fillna("")
    by = ["form", "step", "quantity"]
    heads = table.dropna(subset="head").groupby(by)["estimate"].mean()
    whole = table[table["layer"].isna()].set_index(by)["estimate"]
    np.testing.assert_allclose(whole.loc[heads.index], heads)
    some = energies(tiny("llama"), TEXTS, replace(PLAN, layers=2))
    assert some["layer"].dropna().unique().tolist() == [1, 3]
    last = [one[(one["layer"] == 3) & one["head"].isna()]["estimate"].tolist() for one in (some, table)]
    assert last[0] == last[1]


def test_special_tokens_do_not_ask(tiny):
    model = tiny("bert")
    table = energies(model, TEXTS, PLAN)
    encoding = encode(model, TEXTS)
    asked = sum(int(measured.sum()) for measured in encoding.measured if measured.sum() > 1)
    assert table["queries"].iloc[0] == asked * 3 * 2
    assert table["n"].iloc[0] == sum(measured.sum() > 1 for measured in encoding.measured)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Mamba2Config", {"num_heads": 4, "head_dim": 8, "state_size": 4, "n_groups": 1, "chunk_size": 4}),
        ("OpenAIGPTConfig", {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 34}),
    ],
)
def test_a_model_without_heads_that_can_be_read(tiny, name, options):
    with pytest.raises(ValueError, match=f"{name} has no heads whose queries and keys can be read: take a model"):
        energies(made(tiny, name, **options), TEXTS, PLAN)


def test_heads_that_change_their_scores(tiny):
    grouped = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "intermediate_size": 24}
    model = made(tiny, "Gemma2Config", **grouped, pad_token_id=1)
    with pytest.raises(ValueError, match="Gemma2Config has heads with softcap"):
        energies(model, TEXTS, PLAN)
    with pytest.raises(ValueError, match="mpnet has no heads"):
        energies(tiny("mpnet"), TEXTS, PLAN)


def test_texts_of_one_token(tiny):
    with pytest.raises(ValueError, match="no query of 2 texts sees two keys"):
        energies(tiny("llama"), ["a", "!"], PLAN)


@pytest.mark.parametrize("wrong", [{"sentences": 1}, {"layers": 0}])
def test_a_plan_that_cannot_be_is_refused(wrong):
    [name] = wrong
    with pytest.raises(ValueError, match=f"{name} must be at least"):
        replace(PLAN, **wrong)


def test_measured_once(home, tiny, tmp_path):
    model = tiny("llama")
    for part in (model.network, model.tokenizer):
        part.save_pretrained(home / "models" / "llama")
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n".join(text for text in TEXTS if "t" in text), "utf-8")
    plan = replace(PLAN, corpus=str(corpus), sentences=4)
    table = measure("llama", plan, progress=False)
    assert measure("llama", plan, progress=False).equals(table)
    random = measure("llama", plan, weights=5, progress=False)
    assert not np.allclose(random["estimate"], table["estimate"])
