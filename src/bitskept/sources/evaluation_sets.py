"""Sets to evaluate understanding on: pairs of texts that people rated, texts of known classes, minimal pairs."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources.abc import Traversable
from itertools import combinations
from typing import TYPE_CHECKING, Any

from bitskept.sources import Entry, task_files
from bitskept.sources.records import is_text, records, text

if TYPE_CHECKING:
    import datasets

SEED = 0  # draws the order of the rows and, where a source has no test part, what belongs to it
TEST_SHARE = 0.25  # of the films or documents of such a source
# What of an entry, besides its reader, decides what is read.
RECIPE = (
    "balanced", "carrier", "classes", "columns", "encoding", "fields", "first_sentence", "left_out", "splits",
)  # fmt: skip

Labelled = tuple[str, int, str]  # a text, the number of its class, and the film or document that it comes from


def similarity(id: str, *, split: str = "test") -> "datasets.Dataset":
    """Pairs of texts and how alike people find them: columns `first`, `second`, `score` (float, larger is more alike).

    `id` is an entry of `params/tasks.yaml`, which names its splits; where it names none, all of it is "test". Scores
    are on the scale of the source. Rated words are put into a carrier sentence. The order is drawn by SEED, so that
    the first rows are a fair sample.

    LookupError for an unknown id, ValueError for a split that there is not, that is empty, or whose file cannot be
    read, SourceError (a reason to skip) for what is neither in BITSKEPT_DATA nor to be had.
    """
    entry = task_files.entry(id, "similarity")
    splits = entry.get("splits", ["test"])
    if split not in splits:
        raise ValueError(f"{id} has no split {split!r}: ask for {' or '.join(splits)}")
    files = task_files.files(id)
    if "splits" in entry:
        files = [files[splits.index(split)]]
    read = _rated_documents if entry["reader"] == "matrix" else _rated_pairs
    if not (rows := list(read(files, entry))):
        raise ValueError(f"{files[0]} holds no pair of texts: the split {split!r} of {id} is empty")
    return _dataset(rows, ("first", "second", "score"), f"{len(rows):,} pairs", _shuffled(len(rows)))


def classification(id: str) -> "tuple[datasets.Dataset, datasets.Dataset]":
    """Texts to train on and texts to test: columns `text` and `label`, an integer whose names are in `features`.

    A source's own parts are kept. Where it has none, a quarter of its films or documents, drawn by SEED, is for
    testing, so that no film has texts in both parts. No text is there twice: duplicates are left out, of train and test
    part from the former, and counted in `info.description`. Entries that are `balanced` have as many texts of each
    class, in each part. The order is drawn by SEED, so that the first rows are a fair sample. Errors as `similarity`.
    """
    import datasets

    entry = task_files.entry(id, "classification")
    reasons: Counter[str] = Counter()
    files = task_files.files(id)
    parts = [_labelled(file, entry, reasons) for file in files]
    train, test = parts if len(parts) == 2 else _divided(parts[0])
    test = _distinct(test, set(), reasons)
    train = _distinct(train, {one for one, _, _ in test}, reasons)
    labels = datasets.ClassLabel(names=list(entry["classes"]))
    features = datasets.Features({"text": datasets.Value("string"), "label": labels})
    chosen = {name: _balanced(part, entry) for name, part in (("train", train), ("test", test))}
    for (name, part), file in zip(chosen.items(), (files[0], files[-1]), strict=True):
        present = Counter(label for _, label, _ in part)
        if missing := [labels.int2str(number) for number in range(labels.num_classes) if not present[number]]:
            raise ValueError(f"{file} has no text of class {' or '.join(missing)} for the {name} part of {id}")
    left_out = ", ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common()) or "none"
    summary = " and ".join(f"{len(part):,} texts to {name}" for name, part in chosen.items())
    train, test = (
        _dataset(part, ("text", "label"), f"{summary}; left out: {left_out}", range(len(part)), features)
        for part in chosen.values()
    )
    return train, test


def minimal_pairs(id: str, *, pairs: int | None = None, seed: int = 0) -> "datasets.Dataset":
    """Pairs of sentences of which one is grammatical: columns `good`, `bad`, `paradigm` (the phenomenon).

    `pairs` asks for so many of each paradigm (default: all). The order is drawn by `seed`, the paradigms in turn, so
    that a larger sample begins with every smaller one. Pairs of equal sentences are left out, and counted in
    `info.description`. Errors as `similarity`, and ValueError where a paradigm has fewer pairs than asked for.
    """
    entry = task_files.entry(id, "minimal-pair")
    paradigms: dict[str, list[tuple[str, str, str]]] = {}
    equal = 0
    for file in task_files.files(id):
        for where, values in _rows(file, entry):
            good, bad, paradigm = (_text(value, where) for value in values)
            if good == bad:
                equal += 1
            else:
                paradigms.setdefault(paradigm, []).append((good, bad, paradigm))
    if not paradigms:
        raise ValueError(f"the files of {id} hold no minimal pair: get them again")
    sizes = [len(rows) for rows in paradigms.values()]
    if pairs is not None and not 1 <= pairs <= min(sizes):
        raise ValueError(f"{id} has {min(sizes):,} pairs of a paradigm: ask for 1 to {min(sizes):,}, not {pairs:,}")
    from numpy.random import default_rng

    rng = default_rng(seed)
    drawn = [[rows[place] for place in rng.permutation(len(rows))] for rows in paradigms.values()]
    in_turn = [rows[rank] for rank in range(pairs or max(sizes)) for rows in drawn if rank < len(rows)]
    summary = f"{sum(sizes):,} of {sum(sizes) + equal:,} pairs; left out: the sentences are equal ({equal:,})"
    return _dataset(in_turn, ("good", "bad", "paradigm"), summary, range(len(in_turn)))


def _dataset(
    rows: Sequence[tuple[Any, ...]],
    names: Sequence[str],
    summary: str,
    order: Iterable[int],
    features: "datasets.Features | None" = None,
) -> "datasets.Dataset":
    import datasets

    order = list(order)
    columns = {name: [rows[place][column] for place in order] for column, name in enumerate(names)}
    info = datasets.DatasetInfo(description=summary, features=features)
    return datasets.Dataset.from_dict(columns, features=features, info=info)


# ---- reading ----


def _rows(file: Traversable, entry: Entry) -> Iterator[tuple[str, list[Any]]]:
    """Where each row of a file stands, and its wanted values."""
    if entry["reader"] == "records" or file.name.endswith((".parquet", ".jsonl")):
        for number, record in enumerate(records(file), start=1):
            if missing := [name for name in entry["fields"] if not isinstance(record, dict) or name not in record]:
                raise ValueError(f"{file}: record {number} has no field {' or '.join(map(repr, missing))}")
            yield f"{file}: record {number}", [record[name] for name in entry["fields"]]
        return
    lines = enumerate(text(file, entry.get("encoding", "utf-8")).split("\n"), start=1)
    wanted = entry.get("columns", [])
    for number, line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        where = f"{file}: line {number}"
        if entry["reader"] == "labelled-lines":
            label, _, sentence = line.partition(" ")
            yield where, [sentence, label]
            continue
        cells = line.rstrip("\r").split("\t")
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
        first, second = (carrier.replace("WORD", _text(one, where)) for one in (first, second))
        yield first, second, _score(score, where)


def _rated_documents(files: Sequence[Traversable], entry: Entry) -> Iterator[tuple[str, str, float]]:
    """A document a line, and the matrix of their ratings, of which the upper triangle holds."""
    documents, ratings = (
        [line for line in text(file, encoding).split("\n") if line.strip()]
        for file, encoding in zip(files, (entry["encoding"], "utf-8"), strict=True)
    )
    matrix = [line.split("\t") for line in ratings]
    if {len(matrix), *map(len, matrix)} != {len(documents)}:
        raise ValueError(f"{files[1]} is no square table of ratings, between tabs, of the {len(documents)} documents")
    for row, column in combinations(range(len(documents)), 2):
        where = f"{files[1]}: line {row + 1}, column {column + 1}"
        yield documents[row], documents[column], _score(matrix[row][column], where)


# ---- classes and parts ----


def _labelled(file: Traversable, entry: Entry, reasons: Counter[str]) -> list[Labelled]:
    known = {raw: number for number, values in enumerate(entry["classes"].values()) for raw in values}
    found = []
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
            found.append((sentence, known[str(label)], str(film[0]) if film else sentence))
        else:
            reasons["the text is empty"] += 1
    return found


def _first_sentence(text: str) -> str:
    from sentencex import segment

    return next(filter(str.strip, segment("en", text)), "")


def _divided(rows: Sequence[Labelled]) -> tuple[list[Labelled], list[Labelled]]:
    """Train and test part, each with whole films: films that share a text are one film under two names."""
    other_name: dict[str, str] = {}
    first_film: dict[str, str] = {}

    def name(film: str) -> str:
        while film in other_name:
            film = other_name[film]
        return film

    for sentence, _, film in rows:
        one, other = name(film), name(first_film.setdefault(sentence, film))
        if one != other:
            other_name[one] = other
    films = sorted({name(film) for _, _, film in rows})
    held = {films[place] for place in _shuffled(len(films))[: round(TEST_SHARE * len(films))]}
    train = [row for row in rows if name(row[2]) not in held]
    return train, [row for row in rows if name(row[2]) in held]


def _distinct(rows: Sequence[Labelled], elsewhere: set[str], reasons: Counter[str]) -> list[Labelled]:
    """The rows whose text is neither earlier in them nor in the other part."""
    kept: dict[str, Labelled] = {}
    for row in rows:
        if row[0] in elsewhere or row[0] in kept:
            reasons["it is in the test part as well" if row[0] in elsewhere else "it is a duplicate"] += 1
        else:
            kept[row[0]] = row
    return list(kept.values())


def _balanced(rows: Sequence[Labelled], entry: Entry) -> list[Labelled]:
    """The rows in the order that SEED draws; where an entry wants it, as many of each class as of the rarest."""
    mixed = [rows[place] for place in _shuffled(len(rows))]
    if not entry.get("balanced"):
        return mixed
    classes = {number: [row for row in mixed if row[1] == number] for number in range(len(entry["classes"]))}
    fewest = min(map(len, classes.values()))
    kept = {row for rows in classes.values() for row in rows[:fewest]}
    return [row for row in mixed if row in kept]


def _shuffled(number: int) -> list[int]:
    from numpy.random import default_rng

    return default_rng(SEED).permutation(number).tolist()
