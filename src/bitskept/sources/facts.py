"""Questions with one short answer, each in several wordings: those of `params/facts.yaml`, written for this project."""

import json
from dataclasses import dataclass
from itertools import product
from typing import Any

from bitskept import shipped
from bitskept.base import params
from bitskept.base.files import sha256
from bitskept.sources.records import is_text, shuffled

FACTS = "facts"
READING = 2  # raise it when the same file would give other questions, or the same text another meaning
CARRIERS = ("{}", "Here is a fact. {}", "Everybody knows this. {}")
"""What a statement stands in."""
NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        (
            *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
            *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
            "twenty",
        )
    )
}
SKIPPED = {"the", "a", "an", "letter"}
"""Words that may stand before an answer and add nothing to it."""


@dataclass(frozen=True)
class Fact:
    """A question about something, by its kind: its `wordings`, which ask the same, and all answers that are right."""

    kind: str
    about: str
    wordings: tuple[str, ...]
    answers: tuple[str, ...]


def load(id: str = FACTS, *, facts: int | None = None, seed: int = 0) -> list[Fact]:
    """The first `facts` of the questions (default: all of them) in the order drawn by `seed`.

    The first wordings are plain statements, which the answer completes; then they follow other sentences. LookupError
    for another id; ValueError if there are fewer questions than asked for.
    """
    if id != FACTS:
        raise LookupError(f"the only questions with known answers are called {FACTS}, and not {params.shown(id)}")
    drawn = shuffled([fact for kind, entry in _entries().items() for fact in _of_kind(kind, entry)], seed)
    if facts is not None and len(drawn) < facts:
        raise ValueError(f"{facts:,} questions were asked for, and there are {len(drawn):,}")
    return drawn[:facts]


def fetch(id: str) -> None:
    """Nothing: they come with the project."""


def fingerprint(id: str) -> str:
    """A short hash of the questions, of their answers, and of how they are worded."""
    return sha256(json.dumps([_entries(), CARRIERS, READING]).encode())[:16]


def meaning(text: str) -> str:
    """What an answer means, for short answers: its first word in lower case, without an article before it, and a number
    in digits. Two answers with the same first word count as the same answer.
    """
    words = "".join(letter if letter.isalnum() else " " for letter in text.lower()).split()
    word = next((word for word in words if word not in SKIPPED), words[0] if words else "")
    return NUMBERS.get(word, word)


def is_right(text: str, fact: Fact) -> bool:
    """Whether a text begins with one of the answers."""
    return meaning(text) in {meaning(answer) for answer in fact.answers}


def _of_kind(kind: str, entry: dict[str, Any]) -> list[Fact]:
    worded = [carrier.replace("{}", statement) for carrier, statement in product(CARRIERS, entry["statements"])]
    return [
        Fact(
            kind, str(about), tuple(text.replace("{}", str(about)) for text in worded), tuple(map(str, _listed(right)))
        )
        for about, right in entry["answers"].items()
    ]


def _listed(answers: Any) -> list[Any]:
    return answers if isinstance(answers, list) else [answers]


def _entries() -> dict[str, Any]:
    path = shipped(f"params/{FACTS}.yaml")
    known = params.read_yaml(path)
    expected = "expected statements, a list of texts with {} in each, and answers, by what is asked about"
    params.refuse(path, [f"{params.shown(kind)}: {expected}" for kind, entry in known.items() if not _is_kind(entry)])
    return known


def _is_kind(entry: Any) -> bool:
    if not (isinstance(entry, dict) and entry.keys() == {"statements", "answers"}):
        return False
    statements, answers = entry["statements"], entry["answers"]
    if not (isinstance(statements, list) and statements and isinstance(answers, dict)):
        return False
    worded = all(is_text(statement) and "{}" in statement for statement in statements)
    return worded and all(_is_name(about) and _are_answers(right) for about, right in answers.items())


def _are_answers(right: Any) -> bool:
    return right != [] and all(_is_name(answer) and meaning(str(answer)) for answer in _listed(right))


def _is_name(value: Any) -> bool:
    return is_text(value) or (isinstance(value, int) and not isinstance(value, bool))
