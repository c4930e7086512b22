"""Sets to evaluate understanding on: pairs of texts with human ratings, texts of known classes, minimal pairs."""

import math
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources.abc import Traversable
from itertools import combinations, zip_longest
from typing import TYPE_CHECKING, Any

from bitskept.sources import Entry, task_files
from bitskept.sources.records import dataset, is_text, lines, records, shuffled, text

if TYPE_CHECKING:
    import datasets

SEED = 0  # draws the order of the rows and, if a source has no test part, the rows in it
TEST_SHARE = 0.25  # of the films or documents of such a source
# The fields of an entry that, besides its reader, determine what is read.
RECIPE = (
    "balanced", "carrier", "classes", "columns", "encoding", "fields", "first_sentence", "left_out", "splits",
)  # fmt: skip

Labelled = tuple[str, int, str]  # a text, the number of its class, and the film or document that it comes from


def similarity(id: str) -> "datasets.Dataset":
    """Pairs of texts with human ratings of their similarity: columns `first`, `second`, `score` (float, larger is
    closer).

    `id` is an entry of `params/tasks.yaml`; if it has splits, the pairs are those of "test". Scores are on the scale of
    the source. Rated words are put into a carrier sentence. The order is drawn by SEED, so that the first rows are a
    fair sample.

    LookupError for an unknown id, ValueError for files that are empty or cannot be read, SourceError (a reason to skip)
    for what is neither in BITSKEPT_DATA nor can be fetched.
    """
    entry, files = task_files.entry(id, "similarity"), task_files.files(id)
    if "splits" in entry:
        files = [files[entry["splits"].index("test")]]
    read = _rated_documents if entry["reader"] == "matrix" else _rated_pairs
    if not (rows := list(read(files, entry))):
        raise ValueError(f"{files[0]} holds no pair of texts: get it again")
    return dataset(shuffled(rows, SEED), ("first", "second", "score"))


def classification(id: str) -> "tuple[datasets.Dataset, datasets.Dataset]":
    """Texts to train on and texts to test: columns `text` and `label`, an integer whose names are in `features`.

    If a source has a training and a test part, these are used. If not, a quarter of its films or documents, drawn by
    SEED, is the test part, so that no film has texts in both. Empty texts and duplicates are left out; a text in both
    parts stays in the test part. Entries that are `balanced` have equally many texts of each class in each part. The
    order is drawn by SEED, so that the first rows are a fair sample. Errors as `similarity`.
    """
    import datasets

    entry, files = task_files.entry(id, "classification"), task_files.files(id)
    read = [_labelled(file, entry) for file in files]
    to_train, to_test = read if len(read) == 2 else _divided(read[0])
    test = _by_text(to_test)
    train = _by_text(row for row in to_train if row[0] not in test)
    labels = datasets.ClassLabel(names=list(entry["classes"]))
    features = datasets.Features({"text": datasets.Value("string"), "label": labels})
    sets = []
    for name, rows, file in (("train", train, files[0]), ("test", test, files[-1])):
        part = _balanced(list(rows.values()), entry)
        present = {label for _, label, _ in part}
        if missing := [labels.int2str(number) for number in range(labels.num_classes) if number not in present]:
            raise ValueError(f"{file} has no text of class {' or '.join(missing)} for the {name} part of {id}")
        sets.append(dataset(part, ("text", "label"), features))
    return sets[0], sets[1]


def minimal_pairs(id: str) -> "datasets.Dataset":
    """Pairs of sentences of which one is grammatical: columns `good`, `bad`, `paradigm` (the phenomenon).

    The order is drawn by SEED, the paradigms in turn, so that the first rows are a fair sample. Pairs of equal
    sentences are left out. Errors as `similarity`.
    """
    from numpy.random import default_rng

    entry = task_files.entry(id, "minimal-pair")
    paradigms: dict[str, list[tuple[str, str, str]]] = {}
    for file in task_files.files(id):
        for where, values in _rows(file, entry):
            good, bad, paradigm = (_text(value, where) for value in values)
            if good != bad:
                paradigms.setdefault(paradigm, []).append((good, bad, paradigm))
    if not paradigms:
        raise ValueError(f"the files of {id} hold no minimal pair: get them again")
    random = default_rng(SEED)
    drawn = [shuffled(rows, random) for rows in paradigms.values()]
    in_turn = [row for rank in zip_longest(*drawn) for row in rank if row]
    return dataset(in_turn, ("good", "bad", "paradigm"))


# ---- reading ----


def _rows(file: Traversable, entry: Entry) -> Iterator[tuple[str, list[Any]]]:
    """Where each row of a file is, for messages, and the values that an entry takes from it."""
    if entry["reader"] == "records" or file.name.endswith((".parquet", ".jsonl")):
        for where, record in records(file, entry["fields"]):
            yield where, [record[name] for name in entry["fields"]]
        return
    wanted = entry.get("columns", [])
    for number, line in enumerate(lines(text(file, entry.get("encoding", "utf-8"))), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        where = f"{file}: line {number}"
        if entry["reader"] == "labelled-lines":
            label, _, sentence = line.partition(" ")
            yield where, [sentence, label]
            continue
        cells = line.split("\t")
        if isinstance(wanted[0], str):  # the first line names the columns
            if missing := [name for name in wanted if name not in cells]:
                raise ValueError(f"{where} names no column {' or '.join(map(repr, missing))}: it should, between tabs")
            wanted = [cells.index(name) for name in wanted]
        elif len(cells) <= max(wanted):
            raise ValueError(f"{where} has {len(cells)} columns between tabs, and column {max(wanted) + 1} is wanted")
        else:
            yield where, [cells[column] for column in wanted]


def _text(value: Any, where: str) -> str:
    if not is_text(value) or not value.strip():
        raise ValueError(f"{where}: {value!r:.40} is no text")
    return " ".join(value.split())


def _score(value: Any, where: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{where}: the score {value!r:.40} is no number")
    return number


def _rated_pairs(files: Sequence[Traversable], entry: Entry) -> Iterator[tuple[str, str, float]]:
    carrier = entry.get("carrier", "WORD")
    for where, (first, second, score) in _rows(files[0], entry):
        first, second = (carrier.replace("WORD", _text(value, where)) for value in (first, second))
        yield first, second, _score(score, where)


def _rated_documents(files: Sequence[Traversable], entry: Entry) -> Iterator[tuple[str, str, float]]:
    """Pairs of documents (one per line) with their ratings, the upper triangle of a matrix."""
    documents, ratings = (
        [line for line in lines(text(file, encoding)) if line.strip()]
        for file, encoding in zip(files, (entry["encoding"], "utf-8"), strict=True)
    )
    matrix = [line.split("\t") for line in ratings]
    if {len(matrix), *map(len, matrix)} != {len(documents)}:
        raise ValueError(f"{files[1]} is no square table of ratings, between tabs, of the {len(documents)} documents")
    for row, column in combinations(range(len(documents)), 2):
        where = f"{files[1]}: line {row + 1}, column {column + 1}"
        yield documents[row], documents[column], _score(matrix[row][column], where)


# ---- classes and parts ----


def _labelled(file: Traversable, entry: Entry) -> list[Labelled]:
    """The texts of a file with their classes."""
    known = {label: number for number, labels in enumerate(entry["classes"].values()) for label in labels}
    rows = []
    for where, (sentence, label, *film) in _rows(file, entry):
        if str(label) in entry.get("left_out", []):
            continue
        if str(label) not in known:
            raise ValueError(f"{where}: the label {label!r:.40} is none of {', '.join(known)}")
        if not is_text(sentence):
            raise ValueError(f"{where}: {sentence!r:.40} is no text")
        if entry.get("first_sentence"):
            sentence = _first_sentence(sentence)
        if sentence := " ".join(sentence.split()):
            rows.append((sentence, known[str(label)], str(film[0]) if film else sentence))
    return rows


def _first_sentence(text: str) -> str:
    from sentencex import segment

    return next(filter(str.strip, segment("en", text)), "")


def _divided(rows: Sequence[Labelled]) -> tuple[list[Labelled], list[Labelled]]:
    """Train and test part, each with whole films. Films that share a text are treated as one film with two names."""
    other_name: dict[str, str] = {}
    first_film: dict[str, str] = {}

    def name(film: str) -> str:
        while film in other_name:
            film = other_name[film]
        return film

    for sentence, _, film in rows:
        this, first = name(film), name(first_film.setdefault(sentence, film))
        if this != first:
            other_name[this] = first
    films = sorted({name(film) for _, _, film in rows})
    held = set(shuffled(films, SEED)[: round(TEST_SHARE * len(films))])
    train = [row for row in rows if name(row[2]) not in held]
    return train, [row for row in rows if name(row[2]) in held]


def _by_text(rows: Iterable[Labelled]) -> dict[str, Labelled]:
    """The first row of each text."""
    first: dict[str, Labelled] = {}
    for row in rows:
        first.setdefault(row[0], row)
    return first


def _balanced(rows: Sequence[Labelled], entry: Entry) -> list[Labelled]:
    """The rows in the order that SEED draws; of a balanced entry, as many of each class as of the rarest."""
    mixed = shuffled(rows, SEED)
    if not entry.get("balanced"):
        return mixed
    classes = [[row for row in mixed if row[1] == number] for number in range(len(entry["classes"]))]
    fewest = min(map(len, classes))
    kept = {row for same in classes for row in same[:fewest]}
    return [row for row in mixed if row in kept]
