"""Pairs of answers of which people preferred one, and models' scores on benchmarks: from a data folder or the hub."""

import gzip
import hashlib
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bitskept.sources import Entry, hub, registry, unknown
from bitskept.sources.packages import SourceError, sha256

if TYPE_CHECKING:
    import datasets
    import pandas

READING = 1  # raise it when the same files would give other pairs or other scores
COLUMNS = ("prompt", "preferred", "rejected")
ANSWER = "\n\nAssistant:"
SPEAKERS = {"user": "Human", "assistant": "Assistant", "system": "System"}
VOTES = ("annotator1", "annotator2", "annotator3")
SCORES = {
    "mmlu_pro": "MMLU-PRO",
    "bbh": "BBH",
    "math_level_5": "MATH Lvl 5",
    "ifeval": "IFEval",
    "gpqa": "GPQA",
    "musr": "MUSR",
    "average": "Average ⬆️",
}

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

    kept, summary = _pairs(id)
    if pairs is not None and not 1 <= pairs <= len(kept):
        raise ValueError(f"{id} has {len(kept):,} pairs: ask for 1 to {len(kept):,} of them, not {pairs:,}")
    order = np.random.default_rng(seed).permutation(len(kept))[:pairs]
    columns = {name: [kept[place][column] for place in order] for column, name in enumerate(COLUMNS)}
    return datasets.Dataset.from_dict(columns, info=datasets.DatasetInfo(description=summary))


def leaderboard() -> "pandas.DataFrame":
    """The Open LLM Leaderboard (version 2), one row a repository: hub, parameters, six benchmarks, average; 0 to 1.

    These are the board's own normalised scores over 100, not its "Raw" ones: 0 is guessing (IFEval and MATH have
    nothing to guess), 1 is perfect, and the average is that of the six. Of a model that was entered several times,
    bfloat16 is taken before other precisions, then the latest submission. `parameters` is the board's figure, missing
    where it is 0, since an early edition of the board rounds down to whole billions.

    SourceError for a table that cannot be had, ValueError for one that lacks columns or cannot be read.
    """
    import pandas

    (path,) = _files("open-llm-leaderboard")
    try:
        board = pandas.read_parquet(path) if path.suffix == ".parquet" else pandas.read_csv(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is damaged or no table ({error}): get it again") from None
    name = "fullname" if "fullname" in board else "Model"  # on the hub, `Model` is a link in HTML
    wanted = [name, "Precision", "Submission Date", "#Params (B)", *SCORES.values()]
    if missing := [column for column in wanted if column not in board]:
        raise ValueError(f"{path} lacks the columns {', '.join(missing)}: it is no Open LLM Leaderboard v2")
    numbers = board[wanted[3:]].apply(pandas.to_numeric, errors="coerce")
    if not numbers[list(SCORES.values())].stack(future_stack=True).between(0, 100).all():
        raise ValueError(f"{path} has scores that are no numbers from 0 to 100")
    order = board.assign(other=board["Precision"] != "bfloat16", date=board["Submission Date"].fillna("").astype(str))
    order = order.sort_values(["other", "date"], ascending=[True, False], kind="stable").drop_duplicates(name).index
    table = {"hub": board[name], "parameters": numbers["#Params (B)"].where(lambda size: size > 0) * 1e9}
    table |= {score: numbers[column] / 100 for score, column in SCORES.items()}
    return pandas.DataFrame(table).loc[sorted(order)].reset_index(drop=True)


def benchmark_scores() -> "pandas.DataFrame":
    """`leaderboard()` for the decoders of `params/models.yaml` that are on it, with `model`, their id there, in front.

    `parameters` is the registry's. Checkpoints, random copies and quantised packages have no scores of their own.
    """
    from pandas import DataFrame

    decoders = {id: entry for id, entry in registry("models").items() if entry["kind"] == "decoder" and "hub" in entry}
    rows = [(id, entry["hub"], entry["parameters"]) for id, entry in decoders.items()]
    board = leaderboard().drop(columns="parameters")
    return DataFrame(rows, columns=["model", "hub", "parameters"]).merge(board, on="hub")


def fetch(id: str) -> None:
    """Download the files of the entry `id`, unless they are here."""
    _files(id)


def fingerprint(id: str) -> str:
    """A short hash of the files of `id` and of how they are read, wherever they lie. SourceError where they are not."""
    if not (files := _here(entry := _entry(id))):
        raise SourceError(f"{id} is not here yet: {_advice(id, entry)}")
    source = [[sha256(path) for path in files], entry.get("reader"), READING]
    return hashlib.sha256(json.dumps(source).encode()).hexdigest()[:16]


def catalogue() -> "pandas.DataFrame":
    """One row an entry of the registry: id, what, licence, source, here."""
    from pandas import DataFrame

    rows = []
    for id, entry in registry("tasks").items():
        source = f"hub {entry['hub']}" if "hub" in entry else entry["by_hand"]
        known = {"id": id, "what": entry["what"], "licence": entry["licence"], "source": source}
        rows.append(known | {"here": "yes" if _here(entry) else "no"})
    return DataFrame(rows)


# ---- where the files come from ----


def _entry(id: str, known: dict[str, Entry] | None = None) -> Entry:
    known = registry("tasks") if known is None else known
    if id not in known:
        raise unknown("task", id, known)
    return known[id]


def _here(entry: Entry) -> list[Path]:
    """The files of an entry in BITSKEPT_DATA, or those that came from the hub; none unless all are there."""
    if (folder := os.environ.get("BITSKEPT_DATA")) and "data" in entry:
        files = [Path(folder).expanduser() / name for name in entry["data"]]
        if all(path.is_file() for path in files):
            return files
    return hub.stored_files(entry["hub"], entry["revision"], entry["files"]) if "hub" in entry else []


def _files(id: str) -> list[Path]:
    entry = _entry(id)
    if files := _here(entry):
        return files
    if "hub" not in entry:
        raise SourceError(f"{id} is not here: {_advice(id, entry)}")
    try:
        return hub.download_files(entry["hub"], entry["revision"], entry["files"])
    except SourceError as error:
        raise SourceError(f"{id}: {error}: {_advice(id, entry)}") from error


def _advice(id: str, entry: Entry) -> str:
    by_hand = f"name a folder with {' and '.join(entry.get('data', []))} in BITSKEPT_DATA"
    if "hub" not in entry:
        return f"get {entry['by_hand']} and {by_hand}"
    return f"run `bitskept fetch {id}` with a network" + (f", or {by_hand}" if "data" in entry else "")


# ---- pairs of answers ----


def _pairs(id: str) -> tuple[list[Pair], str]:
    """The pairs in the order of the source; and in words how many there are, and why others were left out."""
    sets = {name: entry for name, entry in registry("tasks").items() if "reader" in entry}
    fields, read = READERS[_entry(id, sets)["reader"]]
    kept: dict[Pair, None] = {}
    left_out: Counter[str] = Counter()
    for path in _files(id):
        for number, record in enumerate(_records(path), start=1):
            if missing := [name for name in fields if not isinstance(record, dict) or name not in record]:
                raise ValueError(f"{path}: record {number} has no field {' or '.join(map(repr, missing))}")
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
        prompt, preferred, rejected = (text.strip() for text in found)
    except (AttributeError, KeyError, TypeError, ValueError):
        return "a field is no text"
    if not (prompt and preferred and rejected):
        return "a text is empty"
    return "the answers are equal" if preferred == rejected else (prompt + ANSWER, preferred, rejected)


def _records(path: Path) -> Iterator[Any]:
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet

            with pyarrow.parquet.ParquetFile(path) as table:
                for batch in table.iter_batches(1024):
                    yield from batch.to_pylist()
            return
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")
        yield from json.loads(text) if path.suffix == ".json" else map(json.loads, filter(str.strip, text.split("\n")))
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ValueError(f"{path} is damaged or of another format ({error}): get it again") from None


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
