"""The text of a file and its records, by the end of its name, perhaps compressed."""

import bz2
import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from typing import Any


def text(file: Traversable, encoding: str = "utf-8") -> str:
    """The text of a file, of .gz and .bz2 the one inside. ValueError, with its name, for one that is damaged."""
    try:
        content = file.read_bytes()
        if file.name.endswith(".gz"):
            content = gzip.decompress(content)
        elif file.name.endswith(".bz2"):
            content = bz2.decompress(content)
        return content.decode(encoding)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise _damaged(file, error) from None


def records(file: Traversable) -> Iterator[Any]:
    """The records of a .parquet, .csv, .json or .jsonl file, in order; ValueError, with its name, for a damaged one."""
    if file.name.endswith(".parquet"):
        yield from _table(file)
        return
    content = text(file)
    try:
        match file.name.removesuffix(".gz").removesuffix(".bz2").rpartition(".")[2]:
            case "csv":
                yield from csv.DictReader(io.StringIO(content, newline=""))
            case "json":
                yield from json.loads(content)
            case _:  # splitlines would split inside a string
                yield from map(json.loads, filter(str.strip, content.split("\n")))
    except (csv.Error, ValueError) as error:
        raise _damaged(file, error) from None


def _table(file: Traversable) -> Iterator[Any]:
    import pyarrow.parquet

    try:
        with file.open("rb") as handle, pyarrow.parquet.ParquetFile(handle) as table:
            for batch in table.iter_batches(1024):
                yield from batch.to_pylist()
    except (OSError, ValueError) as error:  # pyarrow's own are of these two
        raise _damaged(file, error) from None


def _damaged(file: Traversable, error: Exception) -> ValueError:
    return ValueError(f"{file} is damaged or of another format ({error}): get it again")
