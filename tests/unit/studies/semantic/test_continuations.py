from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import transformers

from bitskept.instruments.likelihood.answers import read_prompts
from bitskept.instruments.likelihood.information_density import FACTS, MARGINALS, density
from bitskept.instruments.training import byte_pairs
from bitskept.instruments.training.builds import Build, network
from bitskept.studies.semantic.continuations import COLUMNS, Plan, flow, means, measure, sample
from bitskept.theory.intervals import ratio_interval, standard_error

PROMPT, OTHERS = "the cat sat", ["it", "42, the"]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def head(tiny):
    """Laws that are neither flat nor certain."""
    weights = torch.randn(16, len(tiny("llama").tokenizer), generator=torch.Generator().manual_seed(0))
    return lambda states: 0.5 * states @ weights


@pytest.fixture(scope="module")
def decoder(tiny):
    """decoder(FAMILY): a tiny decoder that keeps keys and values, or a state, or nothing of what it has read."""
    families = {
        "mamba2": ("Mamba2Config", {"num_heads": 4, "head_dim": 8, "state_size": 4, "n_groups": 1, "chunk_size": 4}),
        "openai-gpt": ("OpenAIGPTConfig", {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 34}),
    }

    def make(family):
        if family == "llama":
            return tiny(family)
        name, options = families[family]
        known = {"vocab_size": len(tiny("llama").tokenizer), "hidden_size": 16, "num_hidden_layers": 2}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            config = getattr(transformers, name)(**known | options | {"initializer_range": 0.4})
            made = transformers.AutoModel.from_config(config).eval()
        return replace(tiny("llama"), id=family, network=made)

    return make


def last(table, marginal):
    found = means(table)
    return found[found["position"] == found["position"].max()].set_index(["marginal", "quantity"]).loc[marginal]


def z(row):
    return row["estimate"] / standard_error(row["low"], row["high"])


def test_continuations_follow_the_law(tiny, head):
    drawn = sample(tiny("llama"), head, PROMPT, samples=4000, length=1)
    [ids] = read_prompts(tiny("llama"), [PROMPT])
    with torch.inference_mode():
        states = tiny("llama").network(input_ids=torch.from_numpy(ids)[None]).last_hidden_state[0, -1:]
    law = head(states).softmax(-1)[0].double().numpy()
    counts = np.bincount(drawn[:, 0], minlength=len(law))
    likely = law > 0.005
    errors = (counts - 4000 * law)[likely] / np.sqrt(4000 * law * (1 - law))[likely]
    assert likely.sum() > 20
    assert np.abs(errors).max() < 4


def test_a_seed_fixes_continuations_and_leaves_the_global_state_alone(tiny, head):
    state = torch.random.get_rng_state()
    one, other, third = (sample(tiny("llama"), head, PROMPT, samples=5, length=4, seed=seed) for seed in (0, 0, 1))
    assert one.shape == (5, 4)
    np.testing.assert_array_equal(one, other)
    assert (one != third).any()
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("family", ["llama", "mamba2", "openai-gpt"])
def test_luck_is_0_on_average_under_the_models_own_law(decoder, head, family, monkeypatch):
    """And only under it: continuations of another prompt are far off."""
    monkeypatch.setattr("bitskept.studies.semantic.continuations.DRAWN", 1000)
    model = decoder(family)
    drawn = sample(model, head, PROMPT, samples=300, length=5)
    table = flow(model, head, PROMPT, OTHERS, drawn)
    assert list(table) == COLUMNS
    assert len(table) == 300 * 5 * 3
    wrong = flow(model, head, "it", OTHERS, drawn)
    for marginal in MARGINALS:
        assert abs(z(last(table, marginal).loc["M"])) < 4
        assert last(table, marginal).loc["A", "estimate"] > 0.1
        assert z(last(wrong, marginal).loc["M"]) < -6


def test_information_gathers_as_its_expected_steps_do(tiny, head):
    drawn = sample(tiny("llama"), head, PROMPT, samples=20, length=6)
    table = flow(tiny("llama"), head, PROMPT, OTHERS, drawn)
    assert (table["divergence"] > -1e-5).all()
    np.testing.assert_allclose(table["S"], table.groupby(["sample", "marginal"])["density"].cumsum())
    np.testing.assert_allclose(table["M"], table["S"] - table["A"], atol=1e-9)
    assert table[table["marginal"] == "mixture"]["S"].max() <= np.log2(3) + 1e-4


def test_the_flow_of_a_text_is_its_density(tiny, head):
    model, text = tiny("llama"), " the cat, it"
    ids = np.array([model.tokenizer(text, add_special_tokens=False)["input_ids"]])
    found = flow(model, head, PROMPT, OTHERS, ids, context=2)
    known = density(model, head, [PROMPT], [text], others=OTHERS, context=2)
    for marginal in MARGINALS:
        part = found[found["marginal"] == marginal]
        np.testing.assert_allclose(part["density"], known[f"density_{marginal}"], atol=1e-4)
        assert part["token"].tolist() == known["token"].tolist()


def test_samples_in_batches_are_as_those_at_once(tiny, head, monkeypatch):
    drawn = sample(tiny("llama"), head, PROMPT, samples=7, length=3)
    whole = flow(tiny("llama"), head, PROMPT, OTHERS, drawn)
    monkeypatch.setattr("bitskept.studies.semantic.continuations.TOKEN_BUDGET", 25)
    pd.testing.assert_frame_equal(flow(tiny("llama"), head, PROMPT, OTHERS, drawn), whole, atol=1e-4)


def test_means_are_over_samples():
    values = {"density": [1.0, 2, 3, 6], "divergence": 1.0, "S": [1.0, 3, 3, 9], "A": [1.0, 2, 1, 2]}
    table = pd.DataFrame(
        {"sample": [0, 0, 1, 1], "position": [0, 1, 0, 1], "token": "a", "marginal": "mixture"} | values
    )
    found = means(table.assign(M=table["S"] - table["A"], model="m")).set_index(["position", "quantity"])
    row = found.loc[(1, "M")]
    assert (row["model"], row["estimate"], row["n"], row["unit"]) == ("m", 4, 2, "bits")
    assert row[["low", "high"]].isna().all()  # two samples are too few


def test_the_interval_of_a_mean_over_samples_is_that_of_the_project():
    values = np.random.default_rng(0).normal(3, 1, size=25)
    table = pd.DataFrame({"sample": range(25), "position": 0, "token": "a", "marginal": "mixture", "M": values})
    found = means(table.assign(density=0.0, divergence=0.0, S=values, A=0.0), seed=3).set_index("quantity").loc["M"]
    assert (found["low"], found["high"]) == pytest.approx(ratio_interval(values, np.ones(25), seed=3))


def test_bad_input_is_refused(tiny, head):
    drawn = np.array([[5, 6]])
    with pytest.raises(ValueError, match="a bank of 1 different prompts"):
        flow(tiny("llama"), head, PROMPT, [PROMPT], drawn)
    with pytest.raises(ValueError, match="prompt 2 is empty"):
        flow(tiny("llama"), head, PROMPT, [""], drawn)
    with pytest.raises(ValueError, match="bert is an encoder"):
        sample(tiny("bert"), head, PROMPT, samples=2, length=2)
    with pytest.raises(ValueError, match="bert is an encoder"):
        flow(tiny("bert"), head, PROMPT, OTHERS, drawn)
    with pytest.raises(ValueError, match="more than the 33 that llama takes"):
        sample(tiny("llama"), head, PROMPT, samples=2, length=30)


@pytest.mark.parametrize("wrong", [{"samples": 1}, {"length": 0}, {"others": 0}, {"place": -1}])
def test_a_plan_that_cannot_be_is_refused(wrong):
    [name] = wrong
    with pytest.raises(ValueError, match=f"{name} must be at least"):
        Plan("none", **wrong)


def test_a_measurement_is_stored(home, tmp_path):
    texts = [" ".join([word] * 9 + ["whale"] * 9) for word in ("captain", "parrot", "compass")]
    tokenizer = byte_pairs.ready(byte_pairs.learn(texts, 280), 80)
    for part in (network(Build(width=16, depth=1, heads=2, initial=0.3), tokenizer, causal=True, seed=0), tokenizer):
        part.save_pretrained(home / "models" / "causal")
    path = tmp_path / "corpus.txt"
    path.write_text("\n".join(texts), "utf-8")
    plan = Plan(str(path), samples=3, length=2, others=2, place=1, context=4)
    table = measure("causal", plan, progress=False)
    assert list(table) == FACTS + COLUMNS
    assert len(table) == 3 * 2 * 3
    pd.testing.assert_frame_equal(measure("causal", plan, progress=False), table)
    assert list(means(table).columns[: len(FACTS)]) == FACTS
    with pytest.raises(ValueError, match="5 prompts with answers were asked for"):
        measure("causal", replace(plan, others=4), progress=False)
