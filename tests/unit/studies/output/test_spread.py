"""Questions put to a tiny decoder, and how well measures made up here tell its wrong answers."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from bitskept.instruments.likelihood import answers, heads
from bitskept.instruments.training import byte_pairs
from bitskept.instruments.training.builds import Build, network
from bitskept.sources import facts, models
from bitskept.studies.output import spread
from bitskept.studies.output.spread import DISAGREEMENT, ENTROPY, SAMPLES, SPREAD, STATES, SURPRISAL, Plan, measure
from bitskept.studies.output.spread_areas import ALL, CHANCE, MEAN_ENTROPY, SAME, areas, by_layer, main
from bitskept.theory.dispersion import log_volume
from bitskept.theory.information import entropy

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def asked():
    return Plan(6, wordings=4, samples=3, length=3, layers=2, dtype="float32")


@pytest.fixture
def tiny(home):
    """A decoder of two layers that has learned nothing, with a tokenizer of a few pieces of words."""
    tokenizer = byte_pairs.ready(byte_pairs.learn([fact.wordings[0] for fact in facts.load()], 300), 120)
    for part in (network(Build(width=16, depth=2, heads=2, initial=0.3), tokenizer, causal=True, seed=0), tokenizer):
        part.save_pretrained(home / "models" / "causal")
    return "causal"


def test_each_question_has_its_measures(tiny, asked):
    table = measure(tiny, asked, progress=False)
    assert list(table) == spread.COLUMNS
    assert table["fact"].nunique() == 6
    counts = table.groupby("fact")["quantity"].value_counts().unstack()
    assert (counts[[ENTROPY, SURPRISAL]] == 4).all(axis=None)
    assert (counts[STATES] == 2).all()
    assert (counts[[name for name in SPREAD if name != STATES]] == 1).all(axis=None)
    assert table["value"].notna().all()
    pd.testing.assert_frame_equal(measure(tiny, asked, progress=False), table)


def test_they_are_those_of_one_pass_over_each_prompt(tiny, asked):
    table, model, fact = measure(tiny, asked, progress=False), models.load(tiny), facts.load(facts=6)[2]
    head, states, laws, said = heads.head(model), [], [], []
    for prompt in answers.read_prompts(model, fact.wordings[:4]):
        tokens = torch.from_numpy(prompt)[None]
        with torch.inference_mode():
            for place in range(asked.length):
                state = answers.advance(model, tokens, cached=False)[0][:, -1]
                law = head(state)[0].double().softmax(-1)
                if not place:
                    states.append(state[0].numpy())
                    laws.append(law.numpy())
                tokens = torch.cat([tokens, law.argmax()[None, None]], dim=1)
        said.append(facts.meaning(model.tokenizer.decode(tokens[0, len(prompt) :], skip_special_tokens=True)))
    own = table[table["fact"] == 2]
    values = own[own["quantity"] == ENTROPY].sort_values("wording")
    assert values["answer"].tolist() == said
    assert values["value"].to_numpy() == pytest.approx([entropy(law) for law in laws], abs=1e-4)
    volume = own[(own["quantity"] == STATES) & (own["layer"] == model.layers)]["value"].item()
    assert volume == pytest.approx(log_volume(np.stack(states)), abs=1e-2)
    shares = pd.Series(said).value_counts(normalize=True)
    assert own[own["quantity"] == DISAGREEMENT]["value"].item() == pytest.approx(-(shares * np.log2(shares)).sum())


def test_samples_depend_on_the_seed_alone(tiny, asked):
    tables = [measure(tiny, replace(asked, facts=None, seed=seed), progress=False) for seed in (0, 1)]
    assert tables[0]["fact"].nunique() == len(facts.load())
    drawn = [table[table["quantity"] == SAMPLES].set_index(["kind", "about"])["value"].sort_index() for table in tables]
    assert not np.array_equal(*drawn)
    assert max(values.max() for values in drawn) <= np.log2(3) + 1e-9


def test_a_model_without_a_cache_reads_again(tiny, asked, monkeypatch):
    table = measure(tiny, asked, progress=False)
    monkeypatch.setattr(answers, "continues", lambda model: False)
    again = measure.compute(models.load(tiny), asked, progress=False)
    columns = [name for name in table if name != "value"]
    pd.testing.assert_frame_equal(again[columns], table[columns])
    assert again["value"].to_numpy() == pytest.approx(table["value"].to_numpy(), abs=1e-2)


def test_more_wordings_than_there_are(tiny, asked):
    with pytest.raises(ValueError, match="have fewer than 99 wordings"):
        measure(tiny, replace(asked, wordings=99), progress=False)


@pytest.mark.parametrize("wrong", [{"facts": 1}, {"wordings": 1}, {"samples": 1}, {"length": 0}])
def test_a_plan_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="must be at least"):
        Plan(**{"facts": 4} | wrong)


def made_up(values, right, kinds, model="m"):
    """A table in the form of `spread.measure`, from the values of each measure by question."""
    rows = [
        {"fact": fact, "kind": kinds[fact], "right": right[fact], "quantity": name, "value": column[fact]}
        | ({"wording": wording} if name in (ENTROPY, SURPRISAL) else {"layer": 30 if name == STATES else None})
        for name, column in values.items()
        for fact in range(len(right))
        for wording in ((0, 1) if name in (ENTROPY, SURPRISAL) else (0,))
    ]
    table = pd.DataFrame(rows).assign(model=model, about="a", known="k", answer="x")
    table.loc[table["wording"] == 1, "value"] *= 3
    return table.reindex(columns=spread.COLUMNS).astype({"wording": "Int64", "layer": "Int64"})


@pytest.fixture(scope="module")
def toy():
    """Wrong answers raise one measure much, another not at all, and the rest a little; kinds raise all of them."""
    random, questions = np.random.default_rng(0), 120
    wrong, kinds = random.random(questions) < 0.4, random.integers(0, 3, questions)
    strength = dict.fromkeys([ENTROPY, SURPRISAL, *SPREAD], 1.0) | {SAMPLES: 9.0, DISAGREEMENT: 0.0}
    noise = {name: random.standard_normal(questions) for name in strength}
    values = {name: noise[name] + effect * wrong for name, effect in strength.items()}
    return made_up(values, ~wrong, [f"kind {kind}" for kind in kinds])


def test_areas_of_what_tells_all_and_nothing(toy):
    table = areas(toy, seed=0)
    found = main(table)
    assert set(found.index) == {ENTROPY, MEAN_ENTROPY, SURPRISAL, *SPREAD}
    assert found.loc[SAMPLES, "estimate"] == 1
    assert found.loc[SAMPLES, "p"] == 1 / 5000
    assert found["low"].min() >= 0
    assert found["high"].max() <= 1
    assert found.loc[DISAGREEMENT, "null_low"] < 0.5 < found.loc[DISAGREEMENT, "null_high"]
    assert found.loc[DISAGREEMENT, "p"] > 0.05
    middle = found.loc[[name for name in SPREAD if name not in (SAMPLES, DISAGREEMENT)]]
    assert middle["estimate"].mean() == pytest.approx(0.76, abs=0.08)  # Φ(1 / √2)
    assert set(found["n"]) == {120}


def test_differences_are_those_of_the_areas(toy):
    table = areas(toy, seed=0)
    for pairs in (ALL, SAME):
        absolute = main(table, pairs, CHANCE)["estimate"]
        for against in (ENTROPY, MEAN_ENTROPY):
            less = main(table, pairs, against)
            assert less["estimate"].to_numpy() == pytest.approx((absolute[less.index] - absolute[against]).to_numpy())
            less = less.drop(index=MEAN_ENTROPY, errors="ignore")  # orders these questions as the entropy does
            assert (less["low"] < less["estimate"]).all()
            assert (less["estimate"] < less["high"]).all()
    more = main(table, ALL, ENTROPY)
    assert more.loc[SAMPLES, "p"] < 0.01
    assert more.loc[DISAGREEMENT, "p"] > 0.5


def test_the_mean_entropy_is_over_wordings(toy):
    doubled = toy.copy()
    doubled.loc[doubled["wording"] == 1, "value"] = -doubled.loc[doubled["wording"] == 1, "value"]
    found = main(areas(doubled, seed=0))["estimate"]
    assert found[MEAN_ENTROPY] == pytest.approx(1 - found[ENTROPY])


def test_kinds_do_not_count_within_kinds(toy):
    lifted = toy.assign(value=toy["value"] + 100 * toy["kind"].str[-1].astype(int))
    pd.testing.assert_frame_equal(main(areas(lifted, seed=0), SAME), main(areas(toy, seed=0), SAME))
    assert main(areas(lifted, seed=0))["estimate"].loc[SAMPLES] < 1


def test_where_all_answers_are_right_there_is_no_area(toy):
    table = areas(toy.assign(right=True), seed=0)
    assert table["estimate"].isna().all()
    assert table["p"].isna().all()
    assert set(table["right"]) == {1.0}


def test_the_layers_of_the_states(toy):
    inner = toy[toy["quantity"] == STATES].assign(layer=6)
    inner["value"] = -inner["value"]
    table = areas(pd.concat([toy, inner.astype({"layer": "Int64"})]), seed=0)
    [first, last] = by_layer(table)
    assert (first["layer"], last["layer"]) == (6, 30)
    assert first["estimate"] == pytest.approx(1 - last["estimate"])
    assert main(table).loc[STATES, "layer"] == 30
