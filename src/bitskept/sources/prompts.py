"""Prompts with human answers: texts cut in two, and questions written for this project."""

import json
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from bitskept import shipped
from bitskept.base import params
from bitskept.base.files import sha256
from bitskept.sources import corpora
from bitskept.sources.records import dataset, is_text, shuffled

if TYPE_CHECKING:
    import datasets

QUESTIONS = "questions"
READING = 1  # raise it when the same source would give other pairs
SHORTEST = 8  # words of either part of a text that is cut


def load(id: str, *, pairs: int, seed: int = 0) -> "datasets.Dataset":
    """Columns `prompt` and `answer`. An answer begins with the space that separates the two: prompt + answer is the
    text.

    `id` is "questions" (those of `params/questions.yaml`, as "Question: ...\\nAnswer:") or a corpus (`corpora.load`),
    preferably one of whole paragraphs, such as "speech-paragraphs" or "review-texts". A text is cut after the sentence
    that ends nearest to its middle or, if that would leave a part of fewer than SHORTEST words, between the words
    there. Texts of fewer than 2 * SHORTEST words are left out. The order is drawn by `seed`: the first n pairs are the
    sample of n pairs, so a larger sample contains every smaller one.

    ValueError if there are fewer pairs than asked for; other errors as `corpora.load`.
    """
    if id == QUESTIONS:
        known = [(f"Question: {question}\nAnswer:", f" {answer}") for question, answer in _questions().items()]
        every = iter(shuffled(known, seed))
    else:
        every = filter(None, map(halves, corpora.load(id, seed=seed)["text"]))
    rows = list(islice(every, max(0, pairs)))
    if not rows or len(rows) < pairs:
        raise ValueError(f"{pairs:,} prompts with answers were asked for, and {id} gives {len(rows):,}")
    return dataset(rows, ("prompt", "answer"))


def fetch(id: str) -> None:
    """Download the source of the pairs, unless it is here."""
    if id != QUESTIONS:
        corpora.fetch(id)


def fingerprint(id: str) -> str:
    """A short hash of the source of the pairs and of how it is read. Errors as `corpora.fingerprint`."""
    source = _questions() if id == QUESTIONS else corpora.fingerprint(id)
    return sha256(json.dumps([source, READING]).encode())[:16]


def halves(text: str) -> tuple[str, str] | None:
    """A text cut in two as in `load`, the space at the cut with the second part; None if it is too short."""
    from sentencex import segment

    words = text.split(" ")
    if len(words) < 2 * SHORTEST:
        return None
    middle = len(text) / 2
    word_ends = np.cumsum([len(word) + 1 for word in words]) - 1
    allowed = word_ends[SHORTEST - 1 : -SHORTEST]  # both parts are long enough
    sentence_ends, place = set(), 0
    for sentence in segment("en", text):
        place = text.index(sentence.strip(), place) + len(sentence.strip())
        sentence_ends.add(place)
    cuts = [end for end in allowed if end in sentence_ends] or list(allowed)
    cut = int(min(cuts, key=lambda end: abs(end - middle)))
    return text[:cut], text[cut:]


def _questions() -> dict[str, str]:
    path = shipped(f"params/{QUESTIONS}.yaml")
    known = params.read_yaml(path)
    wrong = [(question, answer) for question, answer in known.items() if not (is_text(question) and is_text(answer))]
    expected = "expected a question and its answer, both texts"
    params.refuse(path, [f"{params.shown(question)}: {params.shown(answer)}: {expected}" for question, answer in wrong])
    return known
