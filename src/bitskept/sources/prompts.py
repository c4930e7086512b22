"""Prompts with the answers that people gave: texts cut in two, and questions written for this project."""

import hashlib
import json
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from bitskept import params, root
from bitskept.sources import corpora
from bitskept.sources.records import is_text

if TYPE_CHECKING:
    import datasets

QUESTIONS = "questions"
READING = 1  # raise it when the same source would give other pairs
SHORTEST = 8  # words of either part of a text that is cut


def load(id: str, *, pairs: int, seed: int = 0) -> "datasets.Dataset":
    """Columns `prompt` and `answer`, which begins with the space that separates the two: prompt + answer is the text.

    `id` is "questions" (of `params/questions.yaml`, as "Question: ...\\nAnswer:") or a corpus (`corpora.load`), best
    one of whole paragraphs, such as "speech-paragraphs" or "review-texts". A text is cut after the sentence that ends
    nearest to its middle or, where a part would have fewer than SHORTEST words, between the words there; texts of fewer
    than twice as many are left out. The order is drawn by `seed`: the first n are the sample of n pairs, so a larger
    sample contains every smaller one.

    ValueError where there are fewer pairs than asked for; other errors as `corpora.load`.
    """
    import datasets

    if id == QUESTIONS:
        known = [(f"Question: {question}\nAnswer:", f" {answer}") for question, answer in _questions().items()]
        every = (known[place] for place in np.random.default_rng(seed).permutation(len(known)))
    else:
        every = (pair for text in corpora.load(id, seed=seed)["text"] if (pair := halves(text)))
    found = list(islice(every, max(0, pairs)))
    if not found or len(found) < pairs:
        raise ValueError(f"{pairs:,} prompts with answers were asked for, and {id} gives {len(found):,}")
    return datasets.Dataset.from_dict(
        {"prompt": [prompt for prompt, _ in found], "answer": [answer for _, answer in found]}
    )


def fetch(id: str) -> None:
    """Download what the pairs are read from, unless it is here."""
    if id != QUESTIONS:
        corpora.fetch(id)


def fingerprint(id: str) -> str:
    """A short hash of what the pairs are read from and how. Errors as `corpora.fingerprint`."""
    source = _questions() if id == QUESTIONS else corpora.fingerprint(id)
    return hashlib.sha256(json.dumps([source, READING]).encode()).hexdigest()[:16]


def halves(text: str) -> tuple[str, str] | None:
    """A text cut in two as `load` says, the space with the second part; None where it is too short."""
    from sentencex import segment

    words = text.split(" ")
    if len(words) < 2 * SHORTEST:
        return None
    middle = len(text) / 2
    ends = (
        np.cumsum([len(word) + 1 for word in words])[SHORTEST - 1 : -SHORTEST] - 1
    )  # where either part is long enough
    closing, place = set(), 0
    for sentence in segment("en", text):
        place = text.index(sentence.strip(), place) + len(sentence.strip())
        closing.add(place)
    cuts = [end for end in ends if end in closing] or list(ends)
    cut = int(min(cuts, key=lambda end: abs(end - middle)))
    return text[:cut], text[cut:]


def _questions() -> dict[str, str]:
    path = root() / "params" / f"{QUESTIONS}.yaml"
    known = params.read_yaml(path)
    params.refuse(
        path,
        [
            f"{params.shown(question)}: {params.shown(answer)}: expected a question and its answer, both texts"
            for question, answer in known.items()
            if not (is_text(question) and is_text(answer))
        ],
    )
    return known
