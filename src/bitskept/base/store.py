"""Results on disk, addressed by what they were computed from: function, version, parameters, fingerprints.

An entry is a folder `store/FUNCTION/DIGEST/` with `table.parquet` and `entry.json` (the key in clear, the checksum,
date and seconds). It is written in a scratch folder, synced and renamed, so that a reader sees a whole entry or none.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bitskept import CHECKOUT, __version__, named_folder
from bitskept.base.files import commit, locked, scratch, set_aside, sha256, writing_explained

if TYPE_CHECKING:
    import pandas

RUN_LOG = "BITSKEPT_RUN_LOG"
"""Names a file that gets a line of JSON for each result that is asked for."""


def home() -> Path:
    """The folder of models, texts and results: `BITSKEPT_HOME`, else `.cache/` in the checkout, else the user's."""
    if named := named_folder("BITSKEPT_HOME"):
        return named
    if CHECKOUT is not None:
        return CHECKOUT / ".cache"
    from platformdirs import user_cache_path

    return user_cache_path("bitskept")


def digest(function: str, version: int, key: dict[str, Any]) -> str:
    """SHA-256 (hexadecimal) of function, version and key as canonical JSON. TypeError if the key is not plain JSON."""
    whole = {"function": function, "version": version, "key": key}
    try:
        text = json.dumps(whole, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"the store key of {function} must be plain JSON: {error}") from error
    return sha256(text.encode())


def has(function: str, version: int, key: dict[str, Any]) -> bool:
    """Whether the table of this function, version and key is in the store."""
    return _entry(function, version, key).is_dir()


def stored(
    function: str,
    version: int,
    key: dict[str, Any],
    compute: Callable[[], "pandas.DataFrame"],
    *,
    logged: bool = True,
) -> "pandas.DataFrame":
    """The table of this function, version and key: read from the store, or computed, stored and read back.

    Raise `version` whenever the function would give other numbers for the same key. A damaged entry is set aside with a
    warning and computed again. The table is always one that was read back, so that a first and a second run agree in
    every type. If another process is computing the same table, this one waits for it. OSError if the table cannot be
    written; nothing half-written stays.
    """
    entry = _entry(function, version, key)
    started = time.perf_counter()
    table = _read(entry)
    from_store = table is not None
    if table is None:
        with locked(entry, f"a result of {function}"):
            table = _read(entry)
            from_store = table is not None
            if table is None:
                started = time.perf_counter()
                computed = compute()
                description = {
                    "function": function, "version": version, "key": key, "package": __version__,
                    "created": datetime.now(UTC).isoformat(timespec="seconds"),
                    "seconds": round(time.perf_counter() - started, 3),
                }  # fmt: skip
                table = _write(entry, computed, description)
    if logged:
        log(function, entry.name, from_store, time.perf_counter() - started)
    return table


def derived(
    function: str,
    version: int,
    tables: Sequence["pandas.DataFrame"],
    key: dict[str, Any],
    compute: Callable[[], "pandas.DataFrame"],
) -> "pandas.DataFrame":
    """`stored` for what follows from tables alone, such as intervals by bootstrap; the key has the tables' content.

    It is not logged: the log lists the results that need a model or a text.
    """
    return stored(function, version, key | {"tables": [_content(table) for table in tables]}, compute, logged=False)


def entries(function: str, version: int) -> Iterator[tuple[dict[str, Any], "pandas.DataFrame"]]:
    """Key and table of all that is stored of this function and version; damaged entries are left out."""
    for entry in sorted((home() / "store" / function).glob("*/entry.json")):
        if "." in entry.parent.name:  # being written, left over, or set aside as damaged
            continue
        try:
            description = json.loads(entry.read_text("utf-8"))
            wanted = description["version"] == version
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        if wanted and (table := _read(entry.parent)) is not None:
            yield description["key"], table


def log(function: str, name: str, from_store: bool, seconds: float) -> None:
    """Write a result to the log that `BITSKEPT_RUN_LOG` names: whether it was there, and how long it took."""
    if path := os.environ.get(RUN_LOG):
        line = {"function": function, "digest": name, "from_store": from_store, "seconds": round(seconds, 3)}
        with writing_explained(Path(path)), open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _entry(function: str, version: int, key: dict[str, Any]) -> Path:
    return home() / "store" / function / digest(function, version, key)


def _content(table: "pandas.DataFrame") -> str:
    from pandas.util import hash_pandas_object

    names = json.dumps([[name, str(kind)] for name, kind in table.dtypes.items()])
    return sha256(names.encode() + hash_pandas_object(table, index=False).to_numpy().tobytes())


def _read(entry: Path) -> "pandas.DataFrame | None":
    """The table of an entry; None if there is none, or if it was damaged and has been set aside."""
    if not os.path.lexists(entry):
        return None
    try:
        payload = (entry / "table.parquet").read_bytes()
        description = json.loads((entry / "entry.json").read_text("utf-8"))
        if sha256(payload) != description["sha256"]:
            raise ValueError("the checksum does not match")
        if digest(description["function"], description["version"], description["key"]) != entry.name:
            raise ValueError("its content belongs to another entry")
        return _table(payload)
    except PermissionError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:  # a file in its place as well
        set_aside(entry, f"is damaged ({error})")
        return None


def _write(entry: Path, table: "pandas.DataFrame", description: dict[str, Any]) -> "pandas.DataFrame":
    """Commit the table and its description as one folder; the table as a reader will get it."""
    buffer = BytesIO()
    table.to_parquet(buffer)
    payload = buffer.getvalue()
    description |= {"rows": len(table), "sha256": sha256(payload)}
    with scratch(entry) as folder:
        whole = folder / "entry"
        whole.mkdir()
        (whole / "table.parquet").write_bytes(payload)
        (whole / "entry.json").write_text(json.dumps(description, indent=1), "utf-8")
        commit(whole, entry)
    return _table(payload)


def _table(payload: bytes) -> "pandas.DataFrame":
    """Equals `pandas.read_parquet`, in half the time: a run reads hundreds of tables."""
    from pyarrow import BufferReader
    from pyarrow.parquet import ParquetFile

    return ParquetFile(BufferReader(payload)).read(use_threads=False).to_pandas(use_threads=False)
