"""Pairs of answers of which people preferred one."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from bitskept.sources import Entry, task_files
from bitskept.sources.records import is_text, records

if TYPE_CHECKING:
    import datasets

COLUMNS = ("prompt", "preferred", "rejected")
ANSWER = "\n\nAssistant:"
SPEAKERS = {"user": "Human", "assistant": "Assistant", "system": "System"}
VOTES = ("annotator1", "annotator2", "annotator3")

Pair = tuple[str, str, str]  # as COLUMNS


def preference(id: str, *, pairs: int | None = None, seed: int = 0) -> "datasets.Dataset":
    """Pairs of answers from the entry `id` of `params/tasks.yaml`: columns `prompt`, `preferred`, `rejected`.

    A prompt is a dialogue that ends in "Assistant:", so that f"{prompt} {answer}" is the whole text. Left out are
    pairs whose prompts differ, whose answers are equal or empty, that no majority voted for, and duplicates;
    `info.description` of the result counts them. The order is a permutation drawn by `seed`: its first n are the
    sample of n pairs, so a larger sample contains every smaller one.

    LookupError for an unknown id, ValueError where there are fewer pairs than asked for or where a file cannot be
    read, SourceError (a notebook's reason to skip) for what is neither in BITSKEPT_DATA nor to be had from the hub.
    """
    import datasets
    from numpy.random import default_rng

    kept, summary = _pairs(id)
    if pairs is not None and not 1 <= pairs <= len(kept):
        raise ValueError(f"{id} has {len(kept):,} pairs: ask for 1 to {len(kept):,} of them, not {pairs:,}")
    order = default_rng(seed).permutation(len(kept))[:pairs]
    columns = {name: [kept[place][column] for place in order] for column, name in enumerate(COLUMNS)}
    return datasets.Dataset.from_dict(columns, info=datasets.DatasetInfo(description=summary))


def _pairs(id: str) -> tuple[list[Pair], str]:
    """The pairs in the order of the source; and in words how many there are, and why others were left out."""
    fields, read = READERS[task_files.entry(id, "preference")["reader"]]
    kept: dict[Pair, None] = {}
    left_out: Counter[str] = Counter()
    for file in task_files.files(id):
        for number, record in enumerate(records(file), start=1):
            if missing := [name for name in fields if not isinstance(record, dict) or name not in record]:
                raise ValueError(f"{file}: record {number} has no field {' or '.join(map(repr, missing))}")
            found = _checked(read, record)
            if isinstance(found, str) or found in kept:
                left_out[found if isinstance(found, str) else "it is a duplicate"] += 1
            else:
                kept[found] = None
    reasons = ", ".join(f"{reason} ({count:,})" for reason, count in left_out.most_common()) or "none"
    summary = f"{len(kept):,} of {len(kept) + left_out.total():,} pairs; left out: {reasons}"
    if not kept:
        raise ValueError(f"{id} holds no pair of answers: {summary}")
    return list(kept), summary


def _checked(read: Callable[[Entry], Pair | str], record: Entry) -> Pair | str:
    """The pair in a record, or the reason for leaving it out."""
    try:
        if isinstance(found := read(record), str):
            return found
        prompt, preferred, rejected = (text.strip() for text in found if is_text(text))
    except (AttributeError, KeyError, TypeError, ValueError):
        return "a field is no text"
    if not (prompt and preferred and rejected):
        return "a text is empty"
    return "the answers are equal" if preferred == rejected else (prompt + ANSWER, preferred, rejected)


def _dialogues(record: Entry) -> Pair | str:
    """Two whole dialogues, "\\n\\nHuman: ... \\n\\nAssistant: ...", that differ in the last answer."""
    prompt, _, preferred = record["chosen"].rpartition(ANSWER)
    other, _, rejected = record["rejected"].rpartition(ANSWER)
    if "\n\nHuman:" in preferred + rejected:
        return "the last turn is no answer"
    return (prompt, preferred, rejected) if prompt == other else "the prompts differ"


def _messages(record: Entry) -> Pair | str:
    """Two lists of messages with `role` and `content`; the last is the answer."""
    (*before, preferred), (*other, rejected) = record["chosen"], record["rejected"]
    if preferred["role"] != "assistant" or rejected["role"] != "assistant":
        return "the last turn is no answer"
    prompt = "\n\n".join(f"{SPEAKERS[turn['role']]}: {turn['content'].strip()}" for turn in before)
    return (prompt, preferred["content"], rejected["content"]) if before == other else "the prompts differ"


def _votes(record: Entry) -> Pair | str:
    """Two answers to an instruction, perhaps with an input, and three votes: 1, 2 or 0 for neither."""
    votes = Counter(record[name] for name in VOTES)
    prompt = f"Human: {record['instruction'].strip()}\n{record['input'].strip()}"
    first, second = record["response1"], record["response2"]
    if max(votes[1], votes[2]) < 2:
        return "no majority"
    return (prompt, first, second) if votes[1] > votes[2] else (prompt, second, first)


READERS = {
    "dialogues": (("chosen", "rejected"), _dialogues),
    "messages": (("chosen", "rejected"), _messages),
    "votes": (("instruction", "input", "response1", "response2", *VOTES), _votes),
}
