import numpy as np
import pytest

from bitskept.base import store
from bitskept.sources import models
from bitskept.studies.bottleneck.bigram_curve import Plan, bigram_curve

WORDS = ["the", "cat", "sat", "un", "it", "42"]


@pytest.fixture
def sources(tiny, tmp_path, home):
    """A folder with a model and a file of sentences in which a word mostly foretells the next."""
    model, random = tiny("bert"), np.random.default_rng(0)
    model.network.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    steps = random.choice([1, 2], size=(200, 20), p=[0.8, 0.2]).cumsum(1) + random.integers(6, size=(200, 1))
    lines = dict.fromkeys(" ".join(WORDS[word % 6] for word in row) for row in steps)
    (tmp_path / "text.txt").write_text("\n".join(lines), "utf-8")
    return str(tmp_path / "model"), str(tmp_path / "text.txt"), len(lines)


def test_the_curve_of_a_text_whose_words_foretell_each_other(sources, monkeypatch):
    model, corpus, number = sources
    plan = Plan(corpus, number, types=10, betas=(1.5, 5.0), longest=32, seed=0)
    table = bigram_curve(model, plan)
    assert table["beta"].tolist() == [1.5, 5.0]
    assert set(table["n"]) == {19 * number}
    assert set(table["types"]) == {6}
    row = table.iloc[0]
    assert row["entropy"] == pytest.approx(np.log2(6), abs=0.05)
    assert row["information"] == pytest.approx(np.log2(6) - 0.72, abs=0.1)  # less the entropy of the step
    assert row["shuffled"] < 0.1
    assert (table["relevance"] <= table["information"]).all()
    assert table["complexity"].is_monotonic_increasing
    monkeypatch.setattr(models, "load", lambda *_, **__: pytest.fail("the model was loaded"))
    assert bigram_curve(model, plan).equals(table)
    assert len(list(store.entries("bigram_curve", 1))) == 1
