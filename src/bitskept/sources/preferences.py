"""Pairs of answers with the human preference between them."""

from collections import Counter
from typing import TYPE_CHECKING

from bitskept.sources import Entry, task_files
from bitskept.sources.records import dataset, is_text, records, shuffled

if TYPE_CHECKING:
    import datasets

ANSWER = "\n\nAssistant:"
SPEAKERS = {"user": "Human", "assistant": "Assistant", "system": "System"}
VOTES = ("annotator1", "annotator2", "annotator3")

Pair = tuple[str, str, str]  # prompt, preferred and rejected answer


def preference(id: str, *, seed: int = 0) -> "datasets.Dataset":
    """Pairs of answers from the entry `id` of `params/tasks.yaml`: columns `prompt`, `preferred`, `rejected`.

    A prompt is a dialogue that ends in "Assistant:", so that f"{prompt} {answer}" is the whole text. Left out are pairs
    whose prompts differ, whose answers are equal or empty, without a majority of votes, and duplicates. The order is
    drawn by `seed`.

    LookupError for an unknown id, ValueError if a file cannot be read, SourceError (a notebook's reason to skip) for
    what is neither in BITSKEPT_DATA nor can be fetched from the hub.
    """
    fields, read = READERS[task_files.entry(id, "preference")["reader"]]
    pairs: dict[Pair, None] = {}  # in the order of the source, each once
    for file in task_files.files(id):
        for _, record in records(file, fields):
            try:
                prompt, preferred, rejected = (text.strip() for text in read(record) or () if is_text(text))
            except (AttributeError, KeyError, TypeError, ValueError):  # nothing to compare, or not texts
                continue
            if prompt and preferred and rejected and preferred != rejected:
                pairs[prompt + ANSWER, preferred, rejected] = None
    if not pairs:
        raise ValueError(f"{id} holds no pair of answers that can be compared")
    return dataset(shuffled(list(pairs), seed), ("prompt", "preferred", "rejected"))


def _dialogues(record: Entry) -> Pair | None:
    """Two whole dialogues, "\\n\\nHuman: ... \\n\\nAssistant: ...", that differ in the last answer."""
    prompt, _, preferred = record["chosen"].rpartition(ANSWER)
    other, _, rejected = record["rejected"].rpartition(ANSWER)
    comparable = prompt == other and "\n\nHuman:" not in preferred + rejected
    return (prompt, preferred, rejected) if comparable else None


def _messages(record: Entry) -> Pair | None:
    """Two lists of messages with `role` and `content`; the last is the answer."""
    (*before, preferred), (*other, rejected) = record["chosen"], record["rejected"]
    prompt = "\n\n".join(f"{SPEAKERS[turn['role']]}: {turn['content'].strip()}" for turn in before)
    comparable = before == other and preferred["role"] == rejected["role"] == "assistant"
    return (prompt, preferred["content"], rejected["content"]) if comparable else None


def _votes(record: Entry) -> Pair | None:
    """Two answers to an instruction, perhaps with an input, and three votes: 1, 2 or 0 for neither."""
    votes = Counter(record[name] for name in VOTES)
    prompt = f"Human: {record['instruction'].strip()}\n{record['input'].strip()}"
    first, second = record["response1"], record["response2"]
    if max(votes[1], votes[2]) < 2:
        return None
    return (prompt, first, second) if votes[1] > votes[2] else (prompt, second, first)


READERS = {
    "dialogues": (("chosen", "rejected"), _dialogues),
    "messages": (("chosen", "rejected"), _messages),
    "votes": (("instruction", "input", "response1", "response2", *VOTES), _votes),
}
