"""Texts that a model draws, and what they cost."""

import numpy as np
import pytest
import torch

from bitskept.studies.output import writers
from bitskept.studies.output.detection import Plan, along, scored
from bitskept.studies.output.writers import (
    SUMS,
    draw,
    halves,
    log2_laws,
    ordinary,
    read_openings,
    sums_by_length,
    terms,
)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def head(tiny):
    """Distributions that are neither flat nor certain."""
    weights = torch.randn(16, len(tiny("llama").tokenizer), generator=torch.Generator().manual_seed(0))
    return lambda states: 0.5 * states @ weights


@pytest.fixture
def plan(tmp_path):
    """Openings of two words, from a file of sentences."""
    text = tmp_path / "text.txt"
    text.write_text("\n".join(f"the cat sat {'un ' * number}it 42 ." for number in range(12)), "utf-8")
    return writers.Plan(str(text), texts=4, words=8, opening=2, length=6, lengths=(2, 4))


def test_the_terms_are_those_of_the_law():
    law = torch.tensor([[0.5, 0.25, 0.25, 0.0]])
    found = terms(law.log2(), torch.tensor([1]))
    assert found == pytest.approx(np.array([[2.0, 1.5, 0.25]]))


def test_no_special_token_is_written_or_has_a_probability(tiny, head):
    model = tiny("llama")
    allowed = ordinary(model)
    assert not allowed[model.tokenizer.all_special_ids].any()
    laws = log2_laws(head, torch.randn(3, 16), allowed)
    assert laws.exp2().sum(1).numpy() == pytest.approx(1, abs=1e-5)
    assert torch.isinf(laws[:, ~allowed]).all()
    ids, _ = draw(model, head, read_openings(model, ["the cat", "it sat"], 2), 5)
    assert not np.isin(ids, model.tokenizer.all_special_ids).any()


def test_tokens_are_drawn_from_the_law(tiny, head):
    model = tiny("llama")
    start = read_openings(model, ["the cat"], 2)
    ids, bits = draw(model, head, np.repeat(start, 4000, axis=0), 1)
    with torch.inference_mode():
        states = model.network(input_ids=torch.from_numpy(start)).last_hidden_state[:, -1]
    law = log2_laws(head, states, ordinary(model)).exp2()[0].numpy()
    assert np.bincount(ids[:, 0], minlength=len(law)) / 4000 == pytest.approx(law, abs=0.03)
    assert bits[:, 0, 0].mean() == pytest.approx(bits[0, 0, 1], abs=0.1)


def test_a_low_temperature_draws_what_is_likely(tiny, head):
    model = tiny("llama")
    start = np.repeat(read_openings(model, ["the cat"], 2), 50, axis=0)
    entropies = [draw(model, head, start, 1, temperature=heat)[1][0, 0, 1] for heat in (0.2, 1.0)]
    assert entropies[0] < entropies[1]


def test_a_cache_gives_the_terms_of_a_whole_pass(tiny, head):
    model = tiny("llama")
    starts = read_openings(model, ["the cat", "it sat"], 2)
    ids, bits = draw(model, head, starts, 7)
    assert along(model, head, starts, ids) == pytest.approx(bits, abs=1e-3)


def test_a_model_goes_on_from_what_it_can_still_read(tiny, head):
    model = tiny("llama")
    ids, bits = draw(model, head, read_openings(model, ["the cat", "it sat"], 2), model.longest + 9)
    assert ids.shape == (2, model.longest + 9)
    assert np.isfinite(bits).all()


def test_sums_are_taken_at_the_lengths():
    bits = np.arange(12.0).reshape(2, 2, 3)
    table = sums_by_length(bits, (1, 2))
    assert table["surprisal"].tolist() == [0, 3, 6, 15]
    assert table[["text", "length"]].to_numpy().tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
    assert list(table) == ["text", "length", *SUMS]


def test_an_opening_and_its_continuation_make_the_text(plan):
    pairs = halves(plan)
    assert len(pairs) == 4
    for opening, continuation in pairs:
        assert len(opening.split(" ")) == 2
        assert continuation.startswith(" ")
        assert len((opening + continuation).split(" ")) >= 8


def test_too_few_texts_are_refused(plan):
    with pytest.raises(ValueError, match="has 0 texts of 99 words or more"):
        halves(writers.Plan(plan.corpus, texts=4, words=99, opening=2, length=6, lengths=(2,)))


def test_no_length_is_above_what_is_written(plan):
    with pytest.raises(ValueError, match="length must be at least 7"):
        writers.Plan(plan.corpus, texts=4, words=8, opening=2, length=6, lengths=(7,))


def test_short_continuations_are_left_out(tiny, head, monkeypatch, plan):
    from bitskept.studies.output import detection

    monkeypatch.setattr(detection.heads, "head", lambda model: head)
    texts = (" it 42 the cat sat", " it", " un it 42 the cat", " the cat sat it 42")
    asked = Plan(plan.corpus, ("the cat", "it sat", "cat sat", "sat it"), {"people": texts}, 2, (2, 4))
    table = scored.compute(tiny("llama"), asked)
    assert table["text"].unique().tolist() == [0, 2, 3]
    assert list(table) == ["writer", "text", "length", *SUMS]


@pytest.mark.parametrize("texts", [2, 3])
def test_each_half_of_the_texts_needs_one(tiny, head, monkeypatch, plan, texts):
    """Thresholds for one half are found on the other; here none is left with an odd number."""
    from bitskept.studies.output import detection

    monkeypatch.setattr(detection.heads, "head", lambda model: head)
    written = (" it 42 the cat sat", " it", " un it 42 the cat")[:texts]
    asked = Plan(plan.corpus, ("the cat", "it sat", "cat sat")[:texts], {"people": written}, 2, (2, 4))
    with pytest.raises(ValueError, match=f"{texts - 1} of {texts} texts by people have 4 tokens"):
        scored.compute(tiny("llama"), asked)


def test_an_unknown_opening_is_not_read(tiny, head, monkeypatch, plan):
    from bitskept.studies.output import detection

    monkeypatch.setattr(detection.heads, "head", lambda model: head)
    texts = (" it 42 the cat sat", " un it 42 the cat")
    tables = [
        scored.compute(tiny("llama"), Plan(plan.corpus, openings, {"people": texts}, 0, (2, 4)))
        for openings in (("the cat", "it sat"), ("42 un", "sat cat"))
    ]
    assert tables[0].equals(tables[1])
