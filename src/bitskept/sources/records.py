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

LARGEST = 2**30  # bytes of a file when it is unpacked; a small one can hold far more


def is_text(value: Any) -> bool:
    """Whether a value is a string that can be written; JSON can also hold halves of characters."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def unpacked(name: str, content: bytes) -> bytes:
    """The content of a file, of .gz and .bz2 what is inside. ValueError for more than LARGEST bytes; else as theirs."""
    for suffix, library in ((".gz", gzip), (".bz2", bz2)):
        if name.endswith(suffix):
            with library.open(io.BytesIO(content)) as packed:
                content = packed.read(LARGEST + 1)
            if len(content) > LARGEST:
                raise ValueError(f"{name} holds more than {LARGEST:,} bytes when it is unpacked: take a smaller part")
    return content


def text(file: Traversable, encoding: str = "utf-8") -> str:
    """The text of a file, of .gz and .bz2 the one inside. ValueError, with its name, for one that is damaged."""
    try:
        return unpacked(file.name, file.read_bytes()).decode(encoding)
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
                if not isinstance(found := json.loads(content), list):
                    raise ValueError("it holds no list of records")
                yield from found
            case _:  # splitlines would split inside a string
                yield from map(json.loads, filter(str.strip, content.split("\n")))
    except (csv.Error, ValueError, RecursionError) as error:
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
