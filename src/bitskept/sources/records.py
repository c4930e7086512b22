"""The texts and records in files, which may be compressed, and data sets made from them."""

import bz2
import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any, TypeVar
from zipfile import BadZipFile

if TYPE_CHECKING:
    import datasets
    from numpy.random import Generator

T = TypeVar("T")
LARGEST = 2**30  # bytes of a file after decompression, of which a small file can hold far more


def is_text(value: Any) -> bool:
    """Whether a value is a string that can be written; JSON can also contain halves of characters."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def unpacked(file: Traversable) -> bytes:
    """The content of a file, decompressed if it is .gz or .bz2. ValueError if it is damaged, or longer than LARGEST."""
    try:
        content = file.read_bytes()
        for suffix, library in ((".gz", gzip), (".bz2", bz2)):
            if file.name.endswith(suffix):
                with library.open(io.BytesIO(content)) as packed:
                    content = packed.read(LARGEST + 1)
                if len(content) > LARGEST:
                    raise ValueError(f"{file} holds more than {LARGEST:,} bytes unpacked: take a smaller part")
    except (OSError, EOFError, zlib.error, BadZipFile) as error:
        raise _damaged(file, error) from None
    return content


def text(file: Traversable, encoding: str = "utf-8") -> str:
    """The text of a file, decompressed if needed. ValueError naming a damaged file."""
    try:
        return unpacked(file).decode(encoding)
    except UnicodeDecodeError as error:
        raise _damaged(file, error) from None


def lines(text: str) -> list[str]:
    """The lines of a text, whichever of the three ends they have: those of Unix, Windows and old Macs.

    `splitlines` would split at more characters, which may be inside a sentence or a string.
    """
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def records(file: Traversable, fields: Sequence[str], content: str | None = None) -> Iterator[tuple[str, Any]]:
    """Where each record of a .parquet, .csv, .json or .jsonl file is, for messages, and the record, a mapping.

    `content` is the text of the file, if it has been read already. ValueError, with the file's name, for a damaged file
    and for a record that lacks one of the fields.
    """
    parsed = _table(file) if file.name.endswith(".parquet") else _parsed(file, content)
    for number, record in enumerate(parsed, start=1):
        if missing := [name for name in fields if not isinstance(record, dict) or name not in record]:
            raise ValueError(f"{file}: record {number} has no field {' or '.join(map(repr, missing))}")
        yield f"{file}: record {number}", record


def _parsed(file: Traversable, content: str | None) -> Iterator[Any]:
    content = text(file) if content is None else content
    csv.field_size_limit(2**31 - 1)
    try:
        match file.name.removesuffix(".gz").removesuffix(".bz2").rpartition(".")[2]:
            case "csv":
                yield from _rows_of(content)
            case "json":
                if not isinstance(found := json.loads(content), list):
                    raise ValueError("it holds no list of records")
                yield from found
            case _:
                yield from map(json.loads, filter(str.strip, lines(content)))
    except (csv.Error, ValueError, RecursionError) as error:
        raise _damaged(file, error) from None


def _rows_of(content: str) -> Iterator[dict[str, Any]]:
    """The records of a CSV file. csv.Error, with the line where it begins, for a record whose quotation marks do not
    match: otherwise all up to the next mark would be one field.
    """
    table, line = csv.DictReader(io.StringIO(content, newline=""), strict=True), 1
    try:
        _ = table.fieldnames  # reads the first line
        while True:
            line = table.line_num + 1
            yield next(table)
    except StopIteration:
        return
    except csv.Error as error:
        raise csv.Error(f"the record that begins in line {line} has a quotation mark too many: {error}") from None


def _table(file: Traversable) -> Iterator[Any]:
    import pyarrow.parquet

    try:
        with file.open("rb") as handle, pyarrow.parquet.ParquetFile(handle) as table:
            for batch in table.iter_batches(1024):
                yield from batch.to_pylist()
    except (OSError, ValueError) as error:  # pyarrow's own errors are of these two kinds
        raise _damaged(file, error) from None


def _damaged(file: Traversable, error: Exception) -> ValueError:
    return ValueError(f"{file} is damaged or of another format ({error}): correct it, or get it again")


def shuffled(rows: Sequence[T], seed: "int | Generator") -> list[T]:
    """The rows in an order that is drawn by a seed."""
    from numpy.random import default_rng

    return [rows[place] for place in default_rng(seed).permutation(len(rows))]


def dataset(
    rows: Sequence[tuple[Any, ...]], names: Sequence[str], features: "datasets.Features | None" = None
) -> "datasets.Dataset":
    """Rows as a data set with columns of these names; what else the rows hold is dropped."""
    import datasets

    columns = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    return datasets.Dataset.from_dict(columns, features=features)
