import pytest

from bitskept.base.params import ParameterError
from bitskept.sources import facts
from bitskept.sources.facts import CARRIERS, Fact

CITY = ("Paris", "Lutetia")


def test_every_question_has_answers_and_as_many_wordings():
    found = facts.load()
    assert len(found) >= 200
    assert len({(fact.kind, fact.about) for fact in found}) == len(found)
    for fact in found:
        assert len(set(fact.wordings)) == 3 * len(CARRIERS)
        assert all(fact.about in wording for wording in fact.wordings)
        assert all(wording[-1] not in " ." for wording in fact.wordings)
        assert fact.answers
        assert all(facts.is_right(f" {answer}.\n", fact) for answer in fact.answers)
        assert all(len(answer.split()) == 1 for answer in fact.answers)


def test_some_that_are_known():
    known = {(fact.kind, fact.about): fact.answers for fact in facts.load()}
    assert known["capital", "France"] == ("Paris",)
    assert known["sum", "7 plus 5"] == ("12",)
    assert known["opposite", "big"] == ("small", "little")
    sums = {about: answers for (kind, about), answers in known.items() if kind == "sum"}
    assert all(str(sum(map(int, about.split(" plus ")))) == answers[0] for about, answers in sums.items())


def test_a_larger_sample_contains_a_smaller_one():
    assert facts.load(facts=30)[:10] == facts.load(facts=10)
    assert facts.load(facts=10, seed=1) != facts.load(facts=10)
    assert facts.load(facts=10)[0].wordings[0][: len(CARRIERS[1]) - 2] != CARRIERS[1][:-2]


def test_what_is_not_there_is_said_so():
    with pytest.raises(LookupError, match="called facts, and not 'riddles'"):
        facts.load("riddles")
    with pytest.raises(ValueError, match="9,999 questions were asked for"):
        facts.load(facts=9999)


@pytest.mark.parametrize(
    ("text", "means"),
    [(" Paris.\n\n", "paris"), (' "went" and', "went"), (" the Letter B,", "b"), (" twelve", "12"), (" 12.", "12"),
     (" twenty.", "20"), ("\n\n", ""), (" the", "the"), (" potato-like", "potato")],
)  # fmt: skip
def test_the_first_word_is_what_is_meant(text, means):
    assert facts.meaning(text) == means


def test_the_beginning_of_a_word_is_not_the_word():
    fact = Fact("past", "go", ("I",), ("went",))
    assert facts.is_right(" Went home", fact)
    assert not facts.is_right(" wen", fact)
    assert not facts.is_right(" wents", fact)


def test_the_fingerprint_goes_with_the_file(project, checkout):
    path = project / "params" / "facts.yaml"
    path.write_text((checkout / "params" / "facts.yaml").read_text("utf-8"))
    before = facts.fingerprint("facts")
    assert facts.fingerprint("facts") == before
    path.write_text("capital:\n  statements: ['The capital of {} is']\n  answers: {France: [Paris, Lutetia]}\n")
    assert facts.fingerprint("facts") != before
    assert facts.load() == [
        Fact(
            "capital",
            "France",
            tuple(text.format("The capital of France is") for text in CARRIERS),
            ("Paris", "Lutetia"),
        )
    ]


@pytest.mark.parametrize(
    "wrong", [
        "3", "{statements: [no gap], answers: {a: b}}", "{statements: ['{}']}", "{statements: [], answers: {a: b}}",
        "{statements: ['{}'], answers: {a: []}}", "{statements: ['{}'], answers: {a: true}}",
        "{statements: ['{}'], answers: {a: '...'}}", "{statements: ['{}'], answers: [a]}",
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused(project, wrong):
    (project / "params" / "facts.yaml").write_text(f"kind: {wrong}")
    with pytest.raises(ParameterError, match=r"expected statements, a list of texts with .* in each, and answers"):
        facts.load()
