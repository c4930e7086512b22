import pytest

from bitskept.studies.layer_sweep import tokenizers
from bitskept.studies.layer_sweep.section import LayerSweep

TEXT = ["the cat sat .", "The cat unlocked it", "a cat sat on the 42", "they sat , the cat said"]


@pytest.fixture
def section(tiny, tmp_path, home):
    """A section on two tiny models: one has whole words as tokens, the other mostly letters."""
    for name, family in (("words", "bert"), ("letters", "llama")):
        model = tiny(family)
        model.network.save_pretrained(tmp_path / name)
        model.tokenizer.save_pretrained(tmp_path / name)
    text = tmp_path / "text.txt"
    text.write_text("\n".join(TEXT), "utf-8")
    models = [str(tmp_path / name) for name in ("words", "letters", "missing")]
    sizes = {"train_sentences": 2, "validation_sentences": 1, "test_sentences": 1}
    return LayerSweep.model_construct(models=models, corpus=str(text), seed=0, accept_terms=[], **sizes)


def test_shared_words_are_one_token_after_a_space_in_every_tokenizer(section):
    assert tokenizers.shared_words(section) == ("cat", "the"), "sat and it are letters to the second tokenizer"


def test_a_word_that_a_tokenizer_does_not_know_is_not_shared(section):
    alone = section.model_copy(update={"models": section.models[:1]})
    assert tokenizers.shared_words(alone) == ("cat", "it", "sat", "the"), "a and they are unknown tokens"


def test_case_is_found_from_the_tokens_and_costs_bits(section, monkeypatch):
    first, second = tokenizers.table(section).to_dict("records")
    assert not first["ignores case"]
    assert first["H(X) without case"] < first["H(X)"], "the and The are two tokens"
    assert second["characters per token"] < first["characters per token"]
    lower = [text.lower() for text in TEXT]
    monkeypatch.setattr(tokenizers, "_texts", lambda section: lower)
    assert tokenizers.table(section)["ignores case"].all()
