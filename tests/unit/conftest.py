import pytest

from bitskept.studies.bottleneck.section import IbCorrelations

BOTTLENECK = {
    "profile": "smoke", "sentences": [10, 20], "more_sentences": [30], "widths": [1, 2], "longest": 32, "anchors": 8,
    "anchor_seeds": [0, 1], "memory": 64, "exact_population": 30, "exact_sentences": [10, 20], "exact_repeats": 2,
    "documents": {"c4": {"sentences": 5, "longest": 32}}, "bottleneck_types": 5,
    "simulated_models": 4, "simulated_positions": 500, "simulated_per_type": [5, 20],
    "betas": [2.0],
    "preference_task": "hh-harmless", "preference_pairs": 5, "preference_longest": 32, "seed": 0, "dtype": "float32",
    "accept_terms": [],
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def one_process():
    """Jobs run where the test can see them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BITSKEPT_PROCESSES", "1")
        yield


@pytest.fixture
def bottleneck(tiny, tmp_path, home, monkeypatch):
    """A section of notebook 04 on tiny models: one is measured, the other is there for its correlation."""
    monkeypatch.delenv("BITSKEPT_DATA", raising=False)
    for name, family in (("first", "llama"), ("second", "bert")):
        model = tiny(family)
        model.network.save_pretrained(tmp_path / name)
        model.tokenizer.save_pretrained(tmp_path / name)
    text = tmp_path / "text.txt"
    text.write_text("\n".join(f"the cat sat {'un ' * number}it 42 ." for number in range(30)), "utf-8")
    first, second = (str(tmp_path / name) for name in ("first", "second"))
    names = {"models": [first], "more_model": first, "bigram_model": first, "exact_model": first, "corpus": str(text)}
    return IbCorrelations(**BOTTLENECK, **names, correlation_models=[second, first])
